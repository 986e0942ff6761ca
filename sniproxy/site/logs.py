"""`error_log` and `access_log` directives → open logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..config.directives import log as directives
from ..config.directives.log import COMBINED, AccessLog, LogFormat
from ..logs.error import ErrorLog, Target
from ..logs.sinks import Sink, Sinks
from ..message import ConfigError
from ..running import AccessTarget
from ..script import compile_template
from .paths import Paths

UNSAID = directives.Log.resolve().access_log
"""What a location has that no `access_log` is for: a file, which an observer makes needless."""


class Logs:
    """Makes the logs of all levels, each file opened once."""

    def __init__(
        self,
        sinks: Sinks,
        paths: Paths,
        formats: Mapping[str, LogFormat],
        default: Sequence[directives.ErrorLog],
        observers: Sequence[Target] = (),
        access_observer: Sink | None = None,
    ) -> None:
        self.sinks = sinks
        self._paths = paths
        self._formats = formats
        self._default = tuple(default)
        self._observers = tuple(observers)
        self._observed: tuple[AccessTarget, ...] = ()
        if access_observer is not None:
            self._observed = (
                AccessTarget(access_observer, compile_template(COMBINED), "default", None),
            )
        self._made: dict[tuple[directives.ErrorLog, ...], ErrorLog] = {}

    def error_log(self, said: Sequence[directives.ErrorLog]) -> ErrorLog:
        """The log of a level; one that says nothing has the default."""
        wanted = tuple(said) or self._default
        if wanted not in self._made:
            targets = [Target(self._sink(log.target), log.level) for log in wanted]
            self._made[wanted] = ErrorLog([*targets, *self._observers])
        return self._made[wanted]

    def access_logs(self, said: Sequence[AccessLog | None]) -> tuple[AccessTarget, ...]:
        """The access logs of a location; `off` (None) beats all."""
        if None in said or (self._observed and said is UNSAID):
            return self._observed
        own = [self._access(log) for log in said if log is not None]
        return (*own, *self._observed)

    def _access(self, log: AccessLog) -> AccessTarget:
        if not log.file.is_constant:
            raise ConfigError('variables in the name of an "access_log" are not supported yet')
        format_ = self._formats[log.format]
        sink = self._sink(log.file.source)
        return AccessTarget(sink, format_.template, format_.escape, log.condition)

    def _sink(self, target: str) -> Sink:
        if target == "stderr":
            return self.sinks.stderr
        return self.sinks.file(self._paths.in_prefix(target))
