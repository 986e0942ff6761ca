"""Writing to a client: a response's head and body, framed by what the client speaks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..facts import Facts
from ..http.response import early_hints, response_head, settled_fields
from ..message import BodyBroken, Header, Response
from ..tls.stream import SocketStream
from ..upstream.pace import Pace
from .framing import Framing

RAW = 9
"""The status of an answer that was not HTTP: its bytes go on as they are (HTTP/0.9)."""


class ResponseWriter:
    """The responses of one connection."""

    def __init__(self, stream: SocketStream, framing: Framing) -> None:
        self.stream = stream
        self.framing = framing
        self.pace: Pace | None = None

    async def write(self, facts: Facts, response: Response, *, may_keep: bool) -> bool:
        """Send all of `response`; whether the connection is fit for another request.

        `may_keep` is what the server thinks of it. False too where the body breaks off, which
        its reader has logged. Raises `Failed` where the client is gone or too slow.
        """
        core, request = facts.location.core, facts.request
        if response.silent:
            facts.status = response.status
            return False
        bodiless = request.method == "HEAD" or response.status in (204, 304)
        unknown_length = response.content_length is None and not bodiless
        chunked = (
            (unknown_length or (response.ends_in_trailers and not bodiless))
            and request.version == 11
            and response.status >= 200
            and core.chunked_transfer_encoding
        )
        if chunked and response.content_length is not None:
            response = response._replace(content_length=None)
        keepalive = (
            may_keep
            and request.keepalive
            and not response.closes
            and (chunked or not unknown_length)
            and core.keepalive_timeout[0] > 0
        )
        facts.status = response.status
        facts.sent_headers = partial(
            _sent_headers,
            response.status,
            response.content_type,
            response.content_length,
            response.last_modified,
            response.location,
            response.headers,
            chunked=chunked,
        )
        self.framing.response(chunked=chunked, keepalive=keepalive)
        head = b""
        if request.version > 9 and response.status != RAW:
            head = response_head(
                response,
                keepalive=keepalive,
                chunked=chunked,
                server_tokens=core.server_tokens,
                keepalive_header=core.keepalive_timeout[1],
            )
        facts.sent_head = head
        facts.bytes_sent -= len(head)
        try:
            whole = await self._write_all(facts, head, response, bodiless)
        finally:
            facts.body_bytes_sent = max(facts.bytes_sent, 0)
            facts.bytes_sent += len(head)
            if not isinstance(response.body, bytes):
                response.body.abandon()
        facts.complete = whole
        return whole and keepalive and self.framing.next_request()

    async def _write_all(
        self, facts: Facts, head: bytes, response: Response, bodiless: bool
    ) -> bool:
        body = response.body
        self.pace = Pace(facts.limit_rate) if facts.limit_rate else None
        if bodiless:
            body = b""
        if isinstance(body, bytes):
            await self._send(facts, head + self.framing.piece(body) + self._end(facts, response))
            return True
        pending = head
        if response.flushes:
            await self._send(facts, pending)
            pending = b""
        try:
            while piece := await body.read():
                await self._send(facts, pending + self.framing.piece(piece))
                pending = b""
        except BodyBroken as broken:
            if not broken.invalid:
                await self._send(facts, pending)
            return False
        await self._send(facts, pending + self._end(facts, response))
        return True

    def _end(self, facts: Facts, response: Response) -> bytes:
        if response.trailers is not None:
            facts.sent_trailers = response.trailers()
        return self.framing.end(facts.sent_trailers)

    async def _send(self, facts: Facts, data: bytes) -> None:
        if not data:
            return
        timeout = facts.location.core.send_timeout
        if self.pace is not None:
            await self._send_slowly(self.pace, data, timeout)
        else:
            await self.stream.send_all(data, timeout)
        facts.bytes_sent += len(data)

    async def _send_slowly(self, pace: Pace, data: bytes, timeout: float) -> None:
        sent = 0
        while sent < len(data):
            allowed = await pace.allowance(len(data) - sent)
            await self.stream.send_all(data[sent : sent + allowed], timeout)
            pace.count(allowed)
            sent += allowed

    async def early_hints(self, facts: Facts, headers: Sequence[Header]) -> None:
        """Send a 103 before the response. Raises `Failed`."""
        self.pace = None
        await self._send(facts, early_hints(headers))


def _sent_headers(
    status: int,
    content_type: str,
    content_length: int | None,
    last_modified: int | None,
    location: str | None,
    headers: Sequence[Header],
    *,
    chunked: bool,
) -> tuple[Header, ...]:
    """What `$sent_http_…` show: not Server and Date, and never that a connection is kept."""
    own = settled_fields(content_type, content_length, last_modified, location)
    if chunked:
        own.append(("Transfer-Encoding", "chunked"))
    own.append(("Connection", "upgrade" if status == 101 else "close"))
    return (*own, *headers)
