"""How messages follow each other on a client's connection: h11's view of it.

h11 keeps the protocol's state: whose turn it is, how a body ends, whether the connection
lives on. It is told each head in canonical form (what framing needs and nothing else), since
what stands on the wire is nginx's and was judged by `http.head`; and the bytes of a body of
known length pass it by.
"""

from __future__ import annotations

import h11

from ..message import Request

_CHUNKED = [("transfer-encoding", "chunked")]


class Framing:
    """The state of one connection."""

    def __init__(self) -> None:
        self._h11 = h11.Connection(h11.SERVER)
        self._chunked = False

    def request(self, request: Request) -> None:
        """A request head has come, and its body, if any, is accounted for elsewhere."""
        connection = "keep-alive" if request.keepalive else "close"
        method = "HEAD" if request.method == "HEAD" else "GET"
        head = f"{method} / HTTP/1.1\r\nHost: h\r\nConnection: {connection}\r\n\r\n"
        self._h11.receive_data(head.encode())
        self._h11.next_event()
        self._h11.next_event()

    def response(self, *, chunked: bool, keepalive: bool) -> None:
        """A response head goes out. Without `chunked` its body ends by length or by closing."""
        self._chunked = chunked
        headers = list(_CHUNKED)
        if not keepalive:
            headers.append(("connection", "close"))
        self._h11.send(h11.Response(status_code=200, headers=headers))

    def piece(self, data: bytes) -> bytes:
        """A piece of the response's body as it goes on the wire."""
        if not self._chunked:
            return data
        return self._h11.send(h11.Data(data=data)) or b""

    def end(self) -> bytes:
        """The end of the response, as it goes on the wire."""
        ending = self._h11.send(h11.EndOfMessage()) or b""
        return ending if self._chunked else b""

    def next_request(self) -> bool:
        """Make room for the next request; False where the connection is to be closed."""
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._h11.start_next_cycle()
        return True
