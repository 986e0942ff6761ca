"""Scripted streams, and recorders of their results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from sniproxy.logs.error import ConnectionLog, ErrorLog, LogTarget
from sniproxy.models import Failure, Level, ProxyError
from sniproxy.tls.stream import SocketStream


@dataclass(slots=True)
class ScriptedStream:
    """A stream that returns one piece, or raises one failure, for each read."""

    script: list[bytes | Failure] = field(default_factory=list)
    quiet: bool = True
    requests: int = 0
    ended: str = ""
    read_syscall: str = "recv()"

    async def receive_some(
        self, timeout: float, max_bytes: int = 16384, *, wait_first: bool = False
    ) -> bytes:
        piece = self.script.pop(0)
        if isinstance(piece, Failure):
            raise ProxyError(piece)
        return piece

    def is_reusable(self) -> bool:
        return self.quiet

    def close(self) -> None:
        self.ended = "closed"

    def shutdown(self) -> None:
        self.ended = "shut down"

    @property
    def as_stream(self) -> SocketStream:
        return cast(SocketStream, self)


@dataclass(slots=True)
class Lines:
    """A log sink that stores the messages."""

    lines: list[str] = field(default_factory=list)

    def write(self, line: str) -> None:
        self.lines.append(line.partition("*7 ")[2].partition(", client")[0])

    def log(self) -> ConnectionLog:
        target = LogTarget(self, Level.DEBUG)
        return ConnectionLog(ErrorLog([target]), 7, "192.0.2.1", "0.0.0.0:80")
