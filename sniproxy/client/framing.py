"""How messages follow each other on a client's connection.

Where a length settles how a response ends, nothing more is to know. Where it ends by chunks, h11
keeps the protocol's state: it is told both heads in canonical form (what framing needs and
nothing else, since what stands on the wire is nginx's and was judged by `http.head`), writes the
chunks, and says whether the connection lives on.
"""

from __future__ import annotations

from collections.abc import Sequence

import h11

from ..http.chunks import last_chunk
from ..message import Header, Request

_KEPT = [("transfer-encoding", "chunked")]
_CLOSED = [*_KEPT, ("connection", "close")]


class Framing:
    """The exchanges of one connection, one after the other."""

    def __init__(self) -> None:
        self._h11: h11.Connection | None = None
        self._keeps = False
        self._answered = False

    def request(self, request: Request) -> None:
        """A request head has come, and its body, if any, is accounted for elsewhere."""
        self._h11 = None
        self._keeps = request.keepalive
        self._answered = False

    def response(self, *, chunked: bool, keepalive: bool) -> None:
        """A response head goes out. Without `chunked` its body ends by length or by closing."""
        self._keeps = self._keeps and keepalive
        if chunked:
            self._h11 = _chunked_exchange(self._keeps)

    def piece(self, data: bytes) -> bytes:
        """A piece of the response's body as it goes on the wire."""
        if self._h11 is None:
            return data
        return self._h11.send(h11.Data(data=data)) or b""

    def end(self, trailers: Sequence[Header] = ()) -> bytes:
        """The end of the response, as it goes on the wire."""
        self._answered = True
        if self._h11 is None:
            return b""
        self._h11.send(h11.EndOfMessage())
        return last_chunk(trailers)

    def next_request(self) -> bool:
        """Whether the connection is fit for another request."""
        if self._h11 is not None:
            return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE
        return self._keeps and self._answered


def _chunked_exchange(keepalive: bool) -> h11.Connection:
    """h11 at the beginning of a chunked response's body."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    connection.next_event()
    connection.next_event()
    connection.send(h11.Response(status_code=200, headers=_KEPT if keepalive else _CLOSED))
    return connection
