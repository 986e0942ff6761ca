"""Checks across the statements of `stream {}` that nginx makes while it parses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..models import ConfigError
from .directives.directive import Args, Directive
from .directives.log import LogFormat
from .directives.rewrite import Set
from .directives.stream_core import Content
from .directives.stream_variables import stream_definition_error
from .directives.upstream_target import ProxyPass
from .parse_checks import ParseChecks
from .reader import Block

_CONTENT_NAMES = "names of content directives"
"""Key, among the values of a server, of the names of the directives that made its content."""


class StreamChecks(ParseChecks):
    """The checks of the `stream {}` of a configuration; implements `reader.Checks`."""

    KIND = "stream "

    def __init__(self, outer: ParseChecks) -> None:
        """`outer` are those of the rest of the configuration."""
        super().__init__(outer.http_read, stream_definition_error, outer.omissions)
        self.warnings, self.notices = outer.warnings, outer.notices
        self.zones = outer.zones
        self.log_formats: dict[str, LogFormat] = {}

    def check_of(self, row: Directive) -> Callable[[Any, Any, Args, Block], None] | None:
        if row.name in _STREAM_CHECKS:
            return _STREAM_CHECKS[row.name]
        return None if row.name.startswith("proxy_") else super().check_of(row)

    def _listen_by_default(self, server: Block) -> None:
        place = server.place
        raise ConfigError('no "listen" is defined for server', place.file, place.line)

    def _content(self, content: Content, args: Args, server: Block) -> None:
        names = server.values.setdefault(_CONTENT_NAMES, set())
        if args.name in names:
            args.fail_directive("is duplicate")
        names.add(args.name)
        if isinstance(content, ProxyPass) and content.address is not None:
            self._add_target(content, args)

    def _deprecated(self, value: object, args: Args, inside: Block) -> None:
        self.warn(
            f'the "{args.name}" directive is deprecated, use the "proxy_buffer_size" directive '
            "instead",
            args.place,
        )

    def _set(self, statement: Set, args: Args, server: Block) -> None:
        self._declare_variable(statement.name, args.place)
        self.set_variables.add(statement.name)


_STREAM_CHECKS: dict[str, Callable[[Any, Any, Args, Block], None]] = {
    "proxy_pass": StreamChecks._content,
    "return": StreamChecks._content,
    "pass": StreamChecks._content,
    "set": StreamChecks._set,
    "proxy_downstream_buffer": StreamChecks._deprecated,
    "proxy_upstream_buffer": StreamChecks._deprecated,
}
