"""Directives of nginx's secure_link module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from ...template import Template
from .core import HSL
from .directive import Args, Settings, directive, settings
from .slots import compiled, string

MODULE = "ngx_http_secure_link_module"
_SECRET = "secure_link_secret"


def expression(args: Args) -> Template:
    return compiled(args, args.first)


@settings(MODULE)
class SecureLink(Settings):
    """How the signature of a link is checked (`$secure_link`)."""

    secure_link: Template | None = directive(
        HSL, expression, "the signature of a link, and after a comma when it expires"
    )
    secure_link_md5: Template | None = directive(
        HSL, expression, "the text whose MD5 hash is the signature"
    )
    secure_link_secret: str | None = directive(
        HSL, string, "secret word for links of the form `/prefix/hash/link`"
    )

    @property
    def is_mixed(self) -> bool:
        """Whether a level has both forms, which exclude each other."""
        expressions = (self.secure_link, self.secure_link_md5)
        return self.secure_link_secret is not None and expressions != (None, None)

    def merge(self, level: Mapping[str, Any]) -> Self:
        # As in nginx a level with a form of its own has nothing of the other.
        if _SECRET in level:
            return Settings.merge(self.resolve(), level)
        below = Settings.merge(self, level)
        if below.secure_link is None and below.secure_link_md5 is None:
            return below
        return replace(below, secure_link_secret=None)
