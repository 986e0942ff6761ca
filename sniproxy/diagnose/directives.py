"""Render settings as directives of nginx.conf or TOML (pure).

The directives to add are found by comparing the wanted settings with the location's present
ones, so any setting that was tried can be rendered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ..config.directives.proxy import SetHeader
from ..config.directives.upstream_tls import ConnectionSettings
from ..forms.nginx_text import nginx_line, toml_line
from ..template import Template

Syntax = Literal["nginx", "toml"]


@dataclass(frozen=True, slots=True)
class SuggestedDirective:
    """A directive, with the reason for it."""

    name: str
    args: tuple[str, ...]
    reason: str = ""

    def text(self, syntax: Syntax) -> str:
        """The directive as text, without the reason: `proxy_ssl_server_name on;`."""
        return (toml_line if syntax == "toml" else nginx_line)(self.words)

    @property
    def words(self) -> tuple[str, ...]:
        return (self.name, *self.args)


def changes(base: ConnectionSettings, wanted: ConnectionSettings) -> Iterator[SuggestedDirective]:
    """The directives that turn `base` into `wanted`, in the order of the directive table.

    The default of `proxy_ssl_name` is written as `$proxy_host`.
    """
    for row in type(base).DIRECTIVES:
        before, after = getattr(base, row.field), getattr(wanted, row.field)
        if before == after or row.name == "proxy_pass":
            continue
        if row.name == "proxy_ssl_name" and after is None:
            after = "$proxy_host"
        if row.field in ("proxy_set_header", "ssl_conf_command"):
            # A level that has one of them inherits none from the level above.
            for item in after:
                yield SuggestedDirective(row.name, _pair(item))
        elif row.name == "proxy_http_version":
            yield SuggestedDirective(row.name, (_version(after),))
        else:
            yield SuggestedDirective(row.name, _words(after))


def _pair(item: Any) -> tuple[str, str]:
    if isinstance(item, SetHeader):
        return item.name, item.value.source
    name, value = item
    return str(name), str(value)


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("on" if value else "off",)
    if isinstance(value, frozenset):
        return tuple(sorted(value))
    if isinstance(value, Template):
        return (value.source,)
    if isinstance(value, tuple):
        return tuple(map(_size, value))
    return (_size(value),)


def _version(value: int) -> str:
    """An HTTP version: `1.1`, `2`."""
    return str(value // 10) if value % 10 == 0 and value > 10 else f"{value // 10}.{value % 10}"


def _size(value: Any) -> str:
    """A number of bytes with nginx's suffix, where it is one of kilobytes."""
    is_kilobytes = type(value) is int and value >= 1024 and value % 1024 == 0
    return f"{value // 1024}k" if is_kilobytes else str(value)
