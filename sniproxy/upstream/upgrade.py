"""A connection to an upstream that has switched protocols (status 101)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from ..facts import Try
from ..tls.stream import SocketStream


class UpgradedConnection:
    """What the client is connected with from now on; implements `message.Upgraded`."""

    def __init__(
        self,
        stream: SocketStream,
        rest: bytes,
        *,
        read_timeout: float,
        send_timeout: float,
        most: int,
        facts: Try,
        give_back: Callable[[], None],
    ) -> None:
        """`rest` came behind the head; `most` bytes are read at once (`proxy_buffer_size`)."""
        self.read_timeout = read_timeout
        stream.writes_by = "send()"
        self._stream = stream
        self._rest = rest
        self._send_timeout = send_timeout
        self._most = most
        self._facts = facts
        self._give_back = give_back

    async def receive(self) -> bytes:
        """What it has sent, b"" at its end; raises `Failed`. Nothing limits the wait."""
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        data = await self._stream.receive_some(math.inf, self._most)
        self._facts.bytes_received += len(data)
        return data

    async def send(self, data: bytes) -> None:
        """Send all of `data`; raises `Failed`."""
        await self._stream.send_all(data, self._send_timeout)
        self._facts.bytes_sent += len(data)

    def end(self) -> None:
        """Be done with it."""
        if self._facts.response_time is None:
            self._facts.response_time = time.monotonic() - self._facts.began
            self._give_back()
