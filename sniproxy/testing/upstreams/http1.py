"""HTTP/1 of upstreams, by h11: it reads the requests, and writes the responses that are correct.

Faulty responses are raw bytes, which it does not see. Of a request that it refuses only the end is
searched: nginx forwards some that break the rules, and a recording upstream has to take them.
"""

from __future__ import annotations

import h11

from sniproxy.testing.http_framing import message_length
from sniproxy.testing.streams import ByteStream
from sniproxy.testing.upstreams.spec import Reply

MAX_HEAD = 1 << 20
"""Maximum size of a request head in bytes."""


class RequestStream:
    """The requests on one connection; `first` are bytes that were read from it before."""

    def __init__(self, channel: ByteStream, first: bytes = b"") -> None:
        self._channel = channel
        self._received = first
        self.start_next()

    def start_next(self) -> None:
        """Expect another request, however the last one was answered: the proxy decides."""
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._method = b""
        if self._received:
            self._connection.receive_data(self._received)

    async def next_request(self) -> bytes:
        """The bytes of the next request; b"" at the end of the connection."""
        while True:
            try:
                event = self._connection.next_event()
            except h11.RemoteProtocolError:
                return await self._invalid_request()
            if isinstance(event, h11.Request):
                self._method = event.method
            elif isinstance(event, h11.EndOfMessage):
                rest = self._connection.trailing_data[0]
                request = self._received[: len(self._received) - len(rest)]
                self._received = rest
                return request
            elif event is h11.NEED_DATA:
                if not await self._read():
                    return b""
            elif isinstance(event, h11.ConnectionClosed):
                return b""

    async def _invalid_request(self) -> bytes:
        self._method = self._received.partition(b" ")[0]
        while (length := message_length(self._received)) is None:
            if not await self._read():
                return b""
        request, self._received = self._received[:length], self._received[length:]
        return request

    async def _read(self) -> bool:
        """Read more; False at the end of the connection."""
        data = await self._channel.read()
        self._received += data
        if data and self._connection.their_state is not h11.ERROR:
            self._connection.receive_data(data)
        return bool(data)

    @property
    def unfinished(self) -> bytes:
        """What was received of a request that is incomplete."""
        return self._received

    def serialize(self, reply: Reply) -> bytes:
        """The bytes of the response to the last request."""
        events: list[h11.Event] = [reply.head()]
        if reply.body and self._method != b"HEAD" and reply.may_have_body:
            events.append(h11.Data(data=reply.body))
        events.append(h11.EndOfMessage())
        return b"".join(self._connection.send(event) or b"" for event in events)
