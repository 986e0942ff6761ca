"""Open the logs of `error_log` and `access_log` directives."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..config.directives import log as directives
from ..config.directives.log import AccessLogDirective, LogFormat
from ..logs.access_format import AccessFormat
from ..logs.buffered import BufferedSink
from ..logs.error import ErrorLog, LogTarget
from ..logs.sinks import Sink, Sinks
from ..logs.syslog import SyslogServer, SyslogSink, SyslogTarget
from ..observer import Observer
from ..runtime import AccessLog, VariableAccessLog
from ..system import unix_family
from ..template import VariableLookup
from ..variables import getter, lookup
from .paths import Paths

DEFAULT_ACCESS_LOG = directives.Log.resolve().access_log
"""The value of a location without any `access_log`: nginx's default file."""


@dataclass(frozen=True, slots=True)
class LogVariables:
    """How the variables of log formats are evaluated."""

    getter: Callable[[str], Callable[[Any], str | None]]
    lookup: Callable[[Any], VariableLookup]


HTTP_VARIABLES = LogVariables(getter, lookup)


class LogFactory:
    """Creates the logs of all levels; each file is opened once."""

    def __init__(
        self,
        sinks: Sinks,
        paths: Paths,
        formats: Mapping[str, LogFormat],
        default: Sequence[directives.ErrorLogDirective],
        observer: Observer | None = None,
        *,
        default_access_log: bool = True,
        variables: LogVariables = HTTP_VARIABLES,
    ) -> None:
        """`default_access_log` is whether there is one without a directive; `variables` evaluate
        those of formats."""
        self.sinks = sinks
        self._paths = paths
        self._formats = formats
        self._default = tuple(default)
        self._observer = observer
        self._default_access_log = default_access_log
        self._variables = variables
        self._buffers: dict[str, BufferedSink] = {}
        self._made: dict[tuple[directives.ErrorLogDirective, ...], ErrorLog] = {}

    def error_log(self, directive: Sequence[directives.ErrorLogDirective]) -> ErrorLog:
        """The error log of a level; the default if it has no directive."""
        wanted = () if self.sinks.silent else tuple(directive) or self._default
        if wanted not in self._made:
            targets = [self._target(log) for log in wanted]
            self._made[wanted] = ErrorLog(targets, self._observer)
        return self._made[wanted]

    def _target(self, log: directives.ErrorLogDirective) -> LogTarget:
        if log.syslog is not None:
            return SyslogTarget(self._syslog(log.syslog), log.level)
        return LogTarget(self._sink(log.target), log.level)

    def access_logs(
        self, directive: Sequence[AccessLogDirective | None]
    ) -> tuple[AccessLog | VariableAccessLog, ...]:
        """The access logs of a location; none if one of them is `off` (None)."""
        if None in directive or (directive is DEFAULT_ACCESS_LOG and not self._default_access_log):
            return ()
        return tuple([self._access(log) for log in directive if log is not None])

    def _access(self, log: AccessLogDirective) -> AccessLog | VariableAccessLog:
        format_ = self._formats[log.format]
        variables = self._variables
        compiled = AccessFormat(format_.template, format_.escape, variables.getter)
        if self.sinks.silent:
            return AccessLog(self.sinks.stderr, compiled, log.condition, variables.lookup)
        if not log.file.is_constant:
            return VariableAccessLog(
                log.file,
                self._paths.prefix,
                compiled,
                log.condition,
                variables.lookup,
                variables is HTTP_VARIABLES,
            )
        if log.syslog is not None:
            sink: Sink = self._syslog(log.syslog)
        elif log.buffer is not None:
            sink = self._buffered(log, log.buffer)
        else:
            sink = self._sink(log.file.source)
        return AccessLog(sink, compiled, log.condition, variables.lookup)

    def _buffered(self, log: AccessLogDirective, size: int) -> BufferedSink:
        """The buffered sink of a file, which its directives share; raises `ConfigError`."""
        path = self._paths.in_prefix(log.file.source)
        buffered = BufferedSink(self.sinks.file(path), size, log.flush, log.gzip)
        known = self._buffers.setdefault(path, buffered)
        if known is buffered:
            self.sinks.flushables.append(buffered)
        if known.settings != buffered.settings:
            raise log.place.error(
                f'access_log "{log.file.source}" already defined with conflicting parameters'
            )
        return known

    def _syslog(self, directive: directives.Syslog) -> SyslogSink:
        """Raises `ConfigError` if the server's name is not found."""
        server = directive.server
        hostname = None if directive.nohostname else socket.gethostname().lower()
        if server.is_unix:
            family, address = unix_family(), server.host.removeprefix("unix:")
            found: str | tuple[str, int] = address
        else:
            host = server.host.strip("[]")
            try:
                known = socket.getaddrinfo(host, server.port, type=socket.SOCK_DGRAM)
            except OSError:
                raise directive.place.error(
                    f'host not found in syslog server "{server.url}"'
                ) from None
            family, found = known[0][0], (str(known[0][4][0]), server.port)
        sink = SyslogSink(
            SyslogServer(family, found, directive.facility, directive.tag, hostname),
            directive.severity,
        )
        self.sinks.flushables.append(sink)
        return sink

    def _sink(self, target: str) -> Sink:
        if target == "stderr":
            return self.sinks.stderr
        return self.sinks.file(self._paths.in_prefix(target))
