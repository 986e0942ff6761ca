"""The error log of a session: adds what nginx's stream module adds to each message."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..logs.error import ConnectionLog, ErrorLog


class SessionTraffic(NamedTuple):
    """Bytes that a session has passed on, as log lines have them."""

    from_client: int
    to_client: int
    from_upstream: int
    to_upstream: int

    def __str__(self) -> str:
        return (
            f", bytes from/to client:{self.from_client}/{self.to_client}"
            f", bytes from/to upstream:{self.from_upstream}/{self.to_upstream}"
        )


class SessionLog(ConnectionLog):
    """The log of a session."""

    __slots__ = ("is_udp", "peer", "traffic")

    def __init__(
        self, error_log: ErrorLog, number: int, client: str, listening: str, *, is_udp: bool
    ) -> None:
        super().__init__(error_log, number, client, listening)
        self.is_udp = is_udp
        self.peer = ""
        """The peer of the upstream; "" before one was selected."""
        self.traffic: Callable[[], SessionTraffic] | None = None
        """Returns what was passed on; None before the session is passed to an upstream."""

    def context(self) -> str:
        """The context: ` while ACTION, client: …, server: …, upstream: "…", bytes …`."""
        action = f" while {self.action}" if self.action else ""
        udp = "udp " if self.is_udp else ""
        text = f"{action}, {udp}client: {self.client}, server: {self.listening}"
        if self.traffic is None:
            return text
        upstream = f', upstream: "{self.peer}"' if self.peer else ""
        return f"{text}{upstream}{self.traffic()}"
