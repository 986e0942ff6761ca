"""Directives of nginx's mirror module."""

from __future__ import annotations

from .core import HSL
from .directive import Args, Repeat, Settings, directive, settings
from .slots import flag

MODULE = "ngx_http_mirror_module"
OFF = "off"


def mirror(args: Args) -> str:
    return args.first


@settings(MODULE)
class Mirror(Settings):
    """To which URIs a copy of each request is sent, whose response is ignored."""

    mirror: tuple[str, ...] = directive(
        HSL, mirror, "URI that a copy of each request is sent to", repeat=Repeat.APPENDED
    )
    mirror_request_body: bool = directive(
        HSL, flag, "read the request body first, and copy it too", default="on"
    )

    @property
    def uris(self) -> tuple[str, ...]:
        return () if self.mirror == (OFF,) else self.mirror
