"""A connection to an upstream that has switched protocols (status 101)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from ..context import UpstreamState
from ..tls.stream import SocketStream


class UpgradedStream:
    """The connection that the client is tunnelled to; implements `models.UpgradedConnection`."""

    def __init__(
        self,
        stream: SocketStream,
        rest: bytes,
        *,
        read_timeout: float,
        send_timeout: float,
        read_size: int,
        state: UpstreamState,
        release: Callable[[bool], None],
    ) -> None:
        """`rest` was received after the head; `read_size` is `proxy_buffer_size`, in bytes."""
        self.read_timeout = read_timeout
        stream.write_syscall = "send()"
        self._stream = stream
        self._rest = rest
        self._send_timeout = send_timeout
        self._read_size = read_size
        self._state = state
        self._release = release

    async def receive(self) -> bytes:
        """Receive data; b"" at the end. Raises `ProxyError`. There is no timeout."""
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        data = await self._stream.receive_some(math.inf, self._read_size)
        self._state.bytes_received += len(data)
        return data

    async def send(self, data: bytes) -> None:
        """Send all of `data`; raises `ProxyError`."""
        await self._stream.send_all(data, self._send_timeout)
        self._state.bytes_sent += len(data)

    def close(self) -> None:
        """Close the connection."""
        if self._state.response_time is None:
            self._state.response_time = time.monotonic() - self._state.started
            self._release(False)
