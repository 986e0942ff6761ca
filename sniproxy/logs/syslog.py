"""Send log lines to a syslog server as datagrams, in nginx's format (RFC 3164)."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass

from ..config.directives.log import FACILITIES
from ..models import Level
from .error import LogTarget


@dataclass(frozen=True, slots=True)
class SyslogServer:
    """A syslog server and the fields of the header before each line."""

    family: int
    address: str | tuple[str, int]
    facility: str = "local7"
    tag: str = "nginx"
    hostname: str | None = None
    """None omits it."""

    def header(self, level: Level, now: float) -> str:
        """Format `<190>Nov 14 22:13:20 host nginx: `; `now` is POSIX time."""
        priority = FACILITIES.index(self.facility) * 8 + level - 1
        stamp = time.asctime(time.localtime(now))[4:19]  # asctime ignores the locale
        host = "" if self.hostname is None else f"{self.hostname} "
        return f"<{priority}>{stamp} {host}{self.tag}: "


class SyslogSink:
    """Sends lines with a fixed level; lines that cannot be sent are dropped."""

    def __init__(self, server: SyslogServer, level: Level = Level.INFO) -> None:
        self.server = server
        self.level = level
        self._socket: socket.socket | None = None

    def write(self, line: str) -> None:
        self.send(line, self.level)

    def send(self, line: str, level: Level) -> None:
        """Send a line with `level`."""
        text = self.server.header(level, time.time()) + line.removesuffix("\n")
        try:
            if self._socket is None:
                self._socket = socket.socket(self.server.family, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
                self._socket.connect(self.server.address)
            self._socket.send(text.encode("latin-1", "replace"))
        except OSError:
            self.close()

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None


@dataclass(frozen=True, slots=True)
class SyslogTarget(LogTarget):
    """A syslog server as `error_log` target: each line has its own level."""

    def write(self, level: Level, line: str) -> None:
        assert isinstance(self.sink, SyslogSink)
        self.sink.send(line, level)
