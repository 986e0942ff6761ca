"""Upstreams on all addresses of 127.0.0.0/8 and one port, which answer with their address."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import trio

from sniproxy.portal import in_thread

_DELAY = re.compile(rb"[?&]delay=([0-9]+)")
_SESSION = re.compile(rb"[?&]session=([a-z0-9]+)")
_STATUS = re.compile(rb"[?&]status=([0-9]+)")


@dataclass(slots=True)
class AddressEcho:
    """A server that answers with the address a connection was made to.

    `?delay=MS` delays the response, `?session=NAME` makes a cookie `s`, `?status=CODE` the status.
    """

    port: int = 0
    failing: set[str] = field(default_factory=set)
    """Addresses that close connections without a response."""
    slow: dict[str, float] = field(default_factory=dict)
    """Seconds that an address waits before its responses."""
    served: list[str] = field(default_factory=list)
    """The addresses of all responses."""
    opened: list[str] = field(default_factory=list)
    """The addresses of all connections."""
    open: list[str] = field(default_factory=list)
    """The addresses of the connections that are open."""

    async def handle(self, stream: trio.SocketStream) -> None:
        address = stream.socket.getsockname()[0]
        self.opened.append(address)
        self.open.append(address)
        received = b""
        try:
            with contextlib.suppress(trio.BrokenResourceError):
                async for data in stream:
                    received += data
                    while b"\r\n\r\n" in received:
                        head, _, received = received.partition(b"\r\n\r\n")
                        if address in self.failing:
                            return
                        await self._respond(stream, address, head.partition(b"\r\n")[0])
        finally:
            self.open.remove(address)

    async def _respond(self, stream: trio.SocketStream, address: str, line: bytes) -> None:
        delay, session, status = (pattern.search(line) for pattern in (_DELAY, _SESSION, _STATUS))
        await trio.sleep((int(delay[1]) / 1000 if delay else 0) + self.slow.get(address, 0))
        self.served.append(address)
        fields = [b"HTTP/1.1 %s X" % (status[1] if status else b"200")]
        fields.append(b"Content-Length: %d" % len(address))
        if session:
            fields.append(b"Set-Cookie: s=" + session[1])
        await stream.send_all(b"\r\n".join([*fields, b"", address.encode()]))


@contextlib.contextmanager
def address_echo() -> Iterator[AddressEcho]:
    """Run the upstreams in a thread."""
    echo = AddressEcho()

    @contextlib.asynccontextmanager
    async def serving() -> AsyncIterator[AddressEcho]:
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="0.0.0.0")
            echo.port = listener.socket.getsockname()[1]
            nursery.start_soon(trio.serve_listeners, echo.handle, [listener])
            yield echo
            nursery.cancel_scope.cancel()

    with in_thread(serving):
        yield echo
