"""The tries of one request: a peer, a connection, the request out, the response head in.

    next peer ─► establish ─► send ─► read the head ─► ResponseBody
        ▲                      │
        └── by class of failure┘            (`proxy_next_upstream`)

A try ends with a response or with a `Failure`. `Exchange.respond` alone decides what the class
of a failure means; the reading of the body afterwards can fail no more than once, since a
part of the response may be with the client by then.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ..config.directives.proxy import Proxy
from ..facts import Facts, Try
from ..http.chunks import BadChunk, ChunkReader
from ..http.upstream_head import EARLY_HINTS, NotHTTP, read_response_head
from ..logs.error import ConnectionLog
from ..message import BodyBroken, Failed, Failure, FailureClass, Level, ResponseHead
from ..tls.stream import SocketStream, TLSStream
from .connector import UpstreamTLS, establish
from .keepalive import KeptConnections
from .peers import Peer, Turns, Upstream

CLOSED_EARLY = Failure("upstream prematurely closed connection")

_BY_STATUS = {kind.status: kind for kind in FailureClass if kind.word.startswith("http_")}
_NON_IDEMPOTENT = frozenset(("POST", "LOCK", "PATCH"))


class RequestBody(Protocol):
    """A request body that was read whole, so that every try can send it again."""

    length: int

    def blocks(self) -> Iterable[bytes]: ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What one request sends to whichever peer answers it."""

    upstream: Upstream
    kept: KeptConnections | None
    """The connections that may be used again; None where each is used once."""
    tls: UpstreamTLS | None
    scheme: str
    uri: str
    head: bytes
    body: RequestBody | None


@dataclass(slots=True)
class Answer:
    """A response whose head is in; the body is still with the peer."""

    head: ResponseHead
    body: ResponseBody


class Exchange:
    """One request's way to an upstream and back."""

    def __init__(self, outgoing: Outgoing, proxy: Proxy, facts: Facts, log: ConnectionLog) -> None:
        self.outgoing = outgoing
        self.proxy = proxy
        self.facts = facts
        self.log = log
        self.turns = Turns(outgoing.upstream)
        if proxy.proxy_next_upstream_tries:
            self.turns.tries_left = min(self.turns.tries_left, proxy.proxy_next_upstream_tries)
        self.began = time.monotonic()
        self.sent = False
        """Whether a part of the request may be with the peer of this try."""

    async def respond(self) -> Answer | FailureClass:
        """The first answer that counts, or the class of the failure that ends the request."""
        while True:
            self.log.action = "connecting to upstream"
            peer = self.turns.next()
            if peer is None:
                return self._nobody_left()
            self.log.upstream = self._shown_upstream(peer)
            attempt = Try(peer.name, time.monotonic())
            self.facts.tries.append(attempt)
            try:
                answer = await self._attempt(peer, attempt)
            except Failed as failed:
                failure = failed.failure
                self._give_back(peer, attempt, failure)
                if not self._may_go_on(failure.kind):
                    return failure.kind
            else:
                return answer

    def _nobody_left(self) -> FailureClass:
        upstream = self.outgoing.upstream
        self.log.upstream = f"{self.outgoing.scheme}://{upstream.name}{self.outgoing.uri}"
        self.log.write(Level.ERROR, "no live upstreams")
        kind = FailureClass.NO_LIVE
        nobody = Try(upstream.name, time.monotonic(), status=kind.status, response_time=0.0)
        self.facts.tries.append(nobody)
        return kind

    def _shown_upstream(self, peer: Peer) -> str:
        separator = ":" if peer.name.startswith("unix:") else ""
        return f"{self.outgoing.scheme}://{peer.name}{separator}{self.outgoing.uri}"

    async def _attempt(self, peer: Peer, attempt: Try) -> Answer:
        self.sent = False
        stream = await self._connection(peer)
        answered = False
        try:
            attempt.connect_time = time.monotonic() - attempt.began
            await self._send(stream, attempt)
            head, rest = await self._read_head(stream, attempt)
            attempt.header_time = time.monotonic() - attempt.began
            attempt.status = head.status
            attempt.headers = head.headers
            self._check_status(head)
            body = ResponseBody(self, peer, stream, attempt, head, rest)
            answered = True
        finally:
            if not answered:
                stream.close()
        return Answer(head, body)

    async def _connection(self, peer: Peer) -> SocketStream:
        outgoing = self.outgoing
        if outgoing.kept is not None:
            kept = outgoing.kept.take(peer)
            if kept is not None:
                return kept
        return await establish(peer, outgoing.tls, self.proxy.proxy_connect_timeout, self.log)

    async def _send(self, stream: SocketStream, attempt: Try) -> None:
        self.log.action = "sending request to upstream"
        self.sent = True
        head, body = self.outgoing.head, self.outgoing.body
        timeout = self.proxy.proxy_send_timeout
        if body is None:
            await stream.send_all(head, timeout)
            attempt.bytes_sent += len(head)
            return
        pending = head
        for block in body.blocks():
            pending += block
            await stream.send_all(pending, timeout)
            attempt.bytes_sent += len(pending)
            pending = b""
        if pending:
            await stream.send_all(pending, timeout)
            attempt.bytes_sent += len(pending)

    async def _read_head(self, stream: SocketStream, attempt: Try) -> tuple[ResponseHead, bytes]:
        """The final head (early hints are read over), and what came behind it."""
        self.log.action = "reading response header from upstream"
        buffer = bytearray()
        limit = self.proxy.proxy_buffer_size
        method = self.facts.request.method
        while True:
            data = await stream.receive_some(self.proxy.proxy_read_timeout)
            if not data:
                raise Failed(CLOSED_EARLY)
            attempt.bytes_received += len(data)
            buffer += data
            try:
                parsed = read_response_head(buffer, request_method=method, limit=limit)
                while parsed is not None and parsed.head.status == EARLY_HINTS:
                    del buffer[: parsed.length]
                    parsed = read_response_head(buffer, request_method=method, limit=limit)
            except NotHTTP as error:
                self.log.write(Level.ERROR, error.text)
                return ResponseHead(9, 200, "", ()), bytes(buffer)
            if parsed is not None:
                for note in parsed.notes:
                    self.log.write(Level.WARN, note)
                return parsed.head, bytes(buffer[parsed.length :])

    def _check_status(self, head: ResponseHead) -> None:
        """Turn an answer into a failure where `proxy_next_upstream` wants another peer asked."""
        kind = _BY_STATUS.get(head.status)
        if kind is not None and self.turns.tries_left > 1 and self._allows(kind):
            raise Failed(Failure("", kind=kind))

    def _allows(self, kind: FailureClass) -> bool:
        chosen = self.proxy.proxy_next_upstream
        repeatable = not (self.sent and self.facts.request.method in _NON_IDEMPOTENT)
        timeout = self.proxy.proxy_next_upstream_timeout
        return (
            kind.word in chosen
            and "off" not in chosen
            and (repeatable or "non_idempotent" in chosen)
            and not (timeout and time.monotonic() - self.began >= timeout)
        )

    def _may_go_on(self, kind: FailureClass) -> bool:
        return self.turns.tries_left > 0 and self._allows(kind)

    def _give_back(self, peer: Peer, attempt: Try, failure: Failure) -> None:
        """Note a failed try: its line, the peer's record, the session that goes with it."""
        peer.session = None
        attempt.status = failure.kind.status
        attempt.response_time = time.monotonic() - attempt.began
        late = failure.kind is FailureClass.TIMEOUT
        # nginx writes the line of a time-out after it has given the peer back.
        if failure.text and not late:
            self.log.failure(failure)
        failed = failure.kind not in (
            FailureClass.HTTP_403,
            FailureClass.HTTP_404,
            FailureClass.INTERNAL,
        )
        if self.turns.done(peer, failed=failed):
            self.log.write(Level.WARN, "upstream server temporarily disabled")
        if late:
            self.log.failure(failure)


class ResponseBody:
    """The body of an answer, read piece by piece; its end gives the peer back."""

    def __init__(
        self,
        exchange: Exchange,
        peer: Peer,
        stream: SocketStream,
        attempt: Try,
        head: ResponseHead,
        rest: bytes,
    ) -> None:
        self._exchange = exchange
        self._peer = peer
        self._stream = stream
        self._attempt = attempt
        self._head = head
        self._rest = rest
        self._chunks = ChunkReader() if head.chunked else None
        method = exchange.facts.request.method
        if method == "HEAD" or head.status in (204, 304):
            self._left: int | None = 0
            self._chunks = None
        else:
            self._left = None if head.chunked else head.content_length
        self._over = False

    @property
    def length(self) -> int | None:
        """Bytes to come as the head says; None where the end shows itself."""
        return self._left

    async def read(self) -> bytes:
        """The next piece, b"" at the end; raises `BodyBroken` if it is cut short."""
        try:
            piece = await self._next_piece()
        except Failed as failed:
            self._exchange.log.failure(failed.failure)
            self._finish(whole=False)
            raise BodyBroken from None
        if not piece and not self._over:
            self._finish(whole=True)
        self._attempt.response_length += len(piece)
        return piece

    async def _next_piece(self) -> bytes:
        while not self._over:
            if self._left == 0 or (self._chunks is not None and self._chunks.done):
                return b""
            data, self._rest = self._rest, b""
            if not data:
                data = await self._receive()
                if not data:
                    if self._left is None and self._chunks is None:
                        return b""
                    raise Failed(CLOSED_EARLY)
            if self._chunks is not None:
                data = self._decoded(data)
            elif self._left is not None:
                data = data[: self._left]
                self._left -= len(data)
            if data:
                return data
        return b""

    async def _receive(self) -> bytes:
        self._exchange.log.action = "reading upstream"
        data = await self._stream.receive_some(self._exchange.proxy.proxy_read_timeout, 65536)
        self._attempt.bytes_received += len(data)
        return data

    def _decoded(self, data: bytes) -> bytes:
        assert self._chunks is not None
        try:
            return self._chunks.feed(data)
        except BadChunk:
            raise Failed(
                Failure("upstream sent invalid chunked response", kind=FailureClass.INVALID_HEADER)
            ) from None

    def _finish(self, *, whole: bool) -> None:
        """Give peer and connection back: kept, closed in good order, or dropped."""
        self._over = True
        self._attempt.response_time = time.monotonic() - self._attempt.began
        outgoing = self._exchange.outgoing
        if whole and isinstance(self._stream, TLSStream) and outgoing.tls is not None:
            if outgoing.tls.session_reuse:
                self._peer.session = self._stream.session
        self._exchange.turns.done(self._peer, failed=False)
        reusable = whole and self._head.keepalive and not self._rest
        if reusable and outgoing.kept is not None:
            outgoing.kept.put(self._peer, self._stream)
        elif whole:
            self._stream.shutdown()
        else:
            self._stream.close()

    def abandon(self) -> None:
        """The client is gone: nobody reads the rest."""
        if not self._over:
            self._finish(whole=False)
