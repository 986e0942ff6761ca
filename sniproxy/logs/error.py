"""The error log: nginx's line format, levels, and the context that a connection adds."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..models import Failure, Header, Level, first_header
from ..observer import Observer
from .sinks import Sink, StderrSink

MAX_ERROR_LINE = 2048
"""Maximum length of a line in bytes, including the line feed (NGX_MAX_ERROR_STR)."""


@dataclass(frozen=True, slots=True)
class LogTarget:
    """A sink and the least severe level that is written to it."""

    sink: Sink
    level: Level

    def write(self, level: Level, line: str) -> None:
        """Write a line; `level` is known to be enabled."""
        self.sink.write(line)


class ErrorLog:
    """The targets of the `error_log` directives of one configuration level."""

    __slots__ = ("is_on_stderr", "level", "observer", "targets")

    def __init__(self, targets: Sequence[LogTarget], observer: Observer | None = None) -> None:
        self.targets = tuple(targets)
        self.observer = observer
        self.level = Level.EMERG
        """The least severe level that any target takes: nothing below it need be formatted."""
        self.update_level()
        self.is_on_stderr = any(isinstance(target.sink, StderrSink) for target in targets)

    def update_level(self) -> None:
        """Determine `level`; call it if the observer's level has changed."""
        levels = [target.level for target in self.targets]
        if self.observer is not None:
            levels.append(self.observer.log_level)
        self.level = max(levels, default=Level.EMERG)

    def write(self, level: Level, text: str, connection: int | None = None) -> None:
        """Write one line; `text` already contains its context."""
        if level <= self.level:
            self.write_line(level, error_line(level, text, connection), connection)

    def write_line(self, level: Level, line: str, connection: int | None = None) -> None:
        """Write a complete line."""
        for target in self.targets:
            if level <= target.level:
                target.write(level, line)
        if self.observer is not None and level <= self.observer.log_level:
            self.observer.line_logged(level, line, connection)


def error_line(level: Level, text: str, connection: int | None = None) -> str:
    """Format `2024/07/15 17:14:08 [error] 245105#0: *1 TEXT`, truncated as in nginx."""
    now = time.strftime("%Y/%m/%d %H:%M:%S")
    number = "" if connection is None else f"*{connection} "
    line = f"{now} [{level.label}] {os.getpid()}#{threading.get_native_id()}: {number}{text}"
    return line[: MAX_ERROR_LINE - 1] + "\n"


class ConnectionLog:
    """The log of a client connection: adds context to each message (`ngx_log_t` and its handler).

    `action` and the other attributes are updated as the request is processed; a line shows what is
    known at that time.
    """

    __slots__ = (
        "action",
        "client",
        "error_log",
        "headers",
        "listening",
        "number",
        "request_line",
        "server_name",
        "subrequest",
        "upstream",
    )

    def __init__(self, error_log: ErrorLog, number: int, client: str, listening: str) -> None:
        self.error_log = error_log
        self.number = number
        self.client = client
        self.listening = listening
        """The listening address, logged until there is a request."""
        self.action = ""
        self.server_name: str | None = None
        """The first name of the virtual server; None before there is a request."""
        self.request_line = ""
        self.headers: Sequence[Header] = ()
        self.subrequest = ""
        """The path of a request inside the request."""
        self.upstream: tuple[str, str, str] | None = None
        """Scheme, peer and URI of the request to an upstream: a line makes a URL of them."""

    def for_subrequest(self, uri: str) -> ConnectionLog:
        """The log of a subrequest."""
        log = ConnectionLog(self.error_log, self.number, self.client, self.listening)
        log.action = self.action
        log.server_name = self.server_name
        log.request_line = self.request_line
        log.headers = self.headers
        log.subrequest = uri
        return log

    def take_context(self, log: ConnectionLog) -> None:
        """Continue with the context of a subrequest, which is being cancelled."""
        self.error_log, self.action = log.error_log, log.action
        self.subrequest, self.upstream = log.subrequest, log.upstream

    def next_request(self) -> None:
        """Reset the request's context, on a keep-alive connection."""
        self.server_name = None
        self.request_line = ""
        self.headers = ()
        self.subrequest = ""
        self.upstream = None

    def write(self, level: Level, message: str) -> None:
        if level <= self.error_log.level:
            self.error_log.write(level, message + self.context(), self.number)

    def write_no_context(self, level: Level, message: str) -> None:
        """Write a line with the connection number but no other context."""
        self.error_log.write(level, message, self.number)

    def write_failure(self, failure: Failure) -> None:
        self.write(failure.level, failure.message)

    def callback(self, failure: Failure) -> str:
        """Write the line of a failure, and return it whether a log takes it or not."""
        line = error_line(failure.level, failure.message + self.context(), self.number)
        self.error_log.write_line(failure.level, line, self.number)
        return line.removesuffix("\n")

    def context(self) -> str:
        """The context: ` while ACTION, client: …, server: …, request: "…", …`."""
        parts = [f" while {self.action}" if self.action else "", f", client: {self.client}"]
        if self.server_name is None:
            parts.append(f", server: {self.listening}")
            return "".join(parts)
        parts.append(f", server: {self.server_name}")
        if self.request_line:
            parts.append(f', request: "{self.request_line}"')
        if self.subrequest:
            parts.append(f', subrequest: "{self.subrequest}"')
        if self.upstream:
            parts.append(f', upstream: "{_upstream_url(*self.upstream)}"')
        for label, name in (("host", "host"), ("referrer", "referer")):
            value = first_header(self.headers, name)
            if value is not None:
                parts.append(f', {label}: "{value}"')
        return "".join(parts)


def _upstream_url(scheme: str, peer: str, uri: str) -> str:
    """`https://127.0.0.1:443/uri`."""
    separator = ":" if peer.startswith("unix:") else ""
    return f"{scheme}://{peer}{separator}{uri}"
