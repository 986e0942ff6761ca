"""One connection seen from a neighbour of the proxy: plain, or TLS over memory BIOs.

Raw bytes go through our hands in both directions, so they can be recorded, and an alert or
garbage can be put on the wire where a TLS library would refuse to. Two rules of TCP rule
here: who closes while bytes are unread sends a reset, which may overtake what it sent before
(so `finish` drains first); and who wants a reset asks for it (`reset`).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Protocol, TypeVar

import trio

Result = TypeVar("Result")


class Channel(Protocol):
    """What a conversation needs, with or without TLS."""

    async def read(self) -> bytes:
        """Some bytes; b"" when the other side has ended."""

    async def send(self, data: bytes) -> None:
        """Send all, or nothing if the other side has gone."""


class Wire:
    """A TCP stream that remembers every byte it received."""

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
        """Send a FIN, then read until the other side has closed too."""
        try:
            await self.stream.send_eof()
        except (trio.BrokenResourceError, OSError):
            self.was_reset = True
        while await self.read():
            pass

    def reset(self) -> None:
        """Close with a RST."""
        linger = struct.pack("ii", 1, 0)
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.stream.socket.close()


class TLSWire:
    """TLS on a `Wire`, of either side. `first` are bytes that were already read from it."""

    def __init__(
        self,
        wire: Wire,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_name: str | None = None,
        first: bytes = b"",
        session: ssl.SSLSession | None = None,
    ) -> None:
        self.wire = wire
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
        """Raises `ssl.SSLError`; the alert that says so has been sent by then."""
        await self._drive(self.tls.do_handshake)

    async def read(self) -> bytes:
        try:
            data = await self._drive(lambda: self.tls.read(65536))
        except ssl.SSLZeroReturnError:
            data = b""
        except ssl.SSLError:
            return b""
        # read() answers b"" to a close_notify, and raises SSLEOFError where there was none.
        self.close_notify_received = not data
        return data

    async def send(self, data: bytes) -> None:
        self.tls.write(data)
        await self._flush()

    async def close_notify(self) -> None:
        """Say that nothing more will come, without waiting for the answer."""
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
            if data := await self.wire.read():
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self.wire.send(data)


def reason(error: ssl.SSLError) -> str:
    """OpenSSL's reason in its own spelling: "tlsv1 alert unknown ca".

    That the other side closed shows as an error without a reason.
    """
    return (error.reason or "closed").replace("_", " ").lower()
