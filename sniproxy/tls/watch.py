"""Who is told of handshakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..message import Handshake


@dataclass(slots=True)
class HandshakeWatch:
    """One for all connections of a running configuration, to clients and to upstreams."""

    on_handshake: Callable[[Handshake], None] | None = None

    def note(self, record: Callable[[], Handshake]) -> None:
        """A handshake is over; what is known of it is put together only if somebody asks."""
        if self.on_handshake is not None:
            self.on_handshake(record())
