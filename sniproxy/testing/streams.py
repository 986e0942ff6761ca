"""Streams for test clients and upstreams: plain TCP that is recorded, and TLS over memory BIOs.

The TLS engine does not own the socket, so that all raw bytes can be recorded, and bytes that are
not valid TLS can be sent. Closing a TCP socket while received data is unread sends a RST, which can
discard data that was sent before it. `finish()` therefore reads everything first, and `reset()`
sends a RST on purpose.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Protocol, TypeVar

import trio

from ..system import LINGER_FORMAT

Result = TypeVar("Result")


class ByteStream(Protocol):
    """A byte stream, with or without TLS."""

    async def read(self) -> bytes:
        """Return some bytes; b"" at the end of the stream, or after a reset."""

    async def send(self, data: bytes) -> None:
        """Send all of `data`; does nothing if the other side has closed the connection."""


class RecordingStream:
    """A TCP stream that keeps every byte it receives, in `received`."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.received = bytearray()
        self.was_reset = False

    async def read(self) -> bytes:
        try:
            data = bytes(await self.stream.receive_some())
        except trio.BrokenResourceError:
            self.was_reset = True
            return b""
        self.received += data
        return data

    async def send(self, data: bytes) -> None:
        try:
            await self.stream.send_all(data)
        except trio.BrokenResourceError:
            self.was_reset = True

    async def finish(self) -> None:
        """Send a FIN, then read until the other side closes too."""
        try:
            await self.stream.send_eof()
        except (trio.BrokenResourceError, OSError):
            self.was_reset = True
        while await self.read():
            pass

    def reset(self) -> None:
        """Close the connection by a RST."""
        linger = struct.pack(LINGER_FORMAT, 1, 0)
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.stream.socket.close()


class BIOTLSStream:
    """TLS over a `RecordingStream`, as client or server.

    `first` are bytes that were already read from the raw stream.
    """

    def __init__(
        self,
        raw: RecordingStream,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_name: str | None = None,
        first: bytes = b"",
        session: ssl.SSLSession | None = None,
    ) -> None:
        self.raw = raw
        self.close_notify_received = False
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._incoming.write(first)
        self.tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_side,
            server_hostname=server_name,
            session=session,
        )

    async def handshake(self) -> None:
        """Perform the handshake. Raises `ssl.SSLError` after the alert, if any, has been sent."""
        await self._drive(self.tls.do_handshake)

    async def read(self) -> bytes:
        try:
            data = await self._drive(lambda: self.tls.read(65536))
        except ssl.SSLZeroReturnError:
            data = b""
        except ssl.SSLError:
            return b""
        # read() returns b"" after a close_notify, and raises SSLEOFError without one.
        self.close_notify_received = not data
        return data

    async def send(self, data: bytes) -> None:
        self.tls.write(data)
        await self._flush()

    async def close_notify(self) -> None:
        """Send close_notify, without waiting for the peer's."""
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        await self._flush()

    async def _drive(self, step: Callable[[], Result]) -> Result:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
            except ssl.SSLError:
                await self._flush()
                raise
            else:
                await self._flush()
                return result
            if data := await self.raw.read():
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self.raw.send(data)


def ssl_reason(error: ssl.SSLError) -> str:
    """OpenSSL's reason as it appears in logs, such as "tlsv1 alert unknown ca".

    An error without a reason means that the other side closed: "closed".
    """
    return (error.reason or "closed").replace("_", " ").lower()
