"""One try: a connection to one peer, the request on it, the head of the answer.

connect ─► handshake, verify ─► send ─► read the head ─► ResponseBody
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import trio

from ..config.directives.proxy import LocalAddress, Proxy
from ..facts import Facts, Try
from ..http.upstream_head import EARLY_HINTS, WITHOUT_BODY, NotHTTP, read_response_head
from ..logs.error import ConnectionLog
from ..message import Failed, Header, Level, ResponseHead
from ..tls.stream import SocketStream, TLSStream
from .body import CLOSED_EARLY, Reading, ResponseBody
from .connector import (
    UpstreamHandshake,
    UpstreamTLS,
    connect,
    handshake_line,
    keep_session,
)
from .keepalive import LocationConnections
from .peers import Peer, Turns, Upstream
from .sending import READING_HEAD, SENDING, RequestBody, Sending, StreamedBody
from .upgrade import UpgradedConnection

HTTP_0_9 = 9
EAGER = 16384
"""Bytes of a body that fit into any socket's buffer: sending them waits for nobody."""


class Outgoing(NamedTuple):
    """What one request sends to whichever peer answers it."""

    upstream: Upstream
    kept: LocationConnections | None
    """The connections that may be used again; None where each is used once."""
    tls: UpstreamTLS | None
    scheme: str
    uri: str
    head: bytes
    body: RequestBody | None
    """A body that was read whole; None without one, and where `head` has it."""
    streamed: StreamedBody | None
    """A body that goes on as it comes."""
    method: str
    proxy: Proxy
    local: LocalAddress | None
    """Where connections come from (`proxy_bind`)."""
    hints: Callable[[Sequence[Header]], Awaitable[None]]
    """Sends early hints on to the client."""
    facts: Facts
    log: ConnectionLog

    def shown(self, name: str) -> str:
        """`https://127.0.0.1:443/uri`, as log lines show where a request went."""
        separator = ":" if name.startswith("unix:") else ""
        return f"{self.scheme}://{name}{separator}{self.uri}"


class Answer(NamedTuple):
    """A response whose head is in; all that follows is still with the peer."""

    head: ResponseHead
    rest: bytes
    """What came behind the head."""
    attempt: Attempt

    def body(self, reading: Reading) -> ResponseBody:
        """Its body, to be read."""
        attempt = self.attempt
        assert attempt.stream is not None
        return ResponseBody(
            attempt.stream,
            self.head,
            self.rest,
            method=attempt.outgoing.method,
            reading=reading,
            facts=attempt.facts,
            log=attempt.outgoing.log,
            give_back=attempt.answered,
        )

    def whole_body(self) -> bytes | None:
        """Its body, if it is here to the last byte and no byte more; the peer is given back."""
        attempt, head = self.attempt, self.head
        if head.content_length != len(self.rest) or head.chunked or head.status in WITHOUT_BODY:
            return None
        if attempt.outgoing.method == "HEAD":
            return None
        facts = attempt.facts
        facts.response_length += len(self.rest)
        facts.response_time = time.monotonic() - facts.began
        attempt.outgoing.log.action = "sending to client"
        attempt.answered(head.keepalive)
        return self.rest

    def abandon(self) -> None:
        """Be done with it: another place answers."""
        self.body(Reading(0.0)).abandon()

    def upgraded(self) -> UpgradedConnection:
        """The connection itself, in another protocol."""
        attempt, proxy = self.attempt, self.attempt.outgoing.proxy
        assert attempt.stream is not None
        return UpgradedConnection(
            attempt.stream,
            self.rest,
            read_timeout=proxy.proxy_read_timeout,
            send_timeout=proxy.proxy_send_timeout,
            most=proxy.proxy_buffer_size,
            facts=attempt.facts,
            give_back=lambda: attempt.answered(False),
        )


class Attempt:
    """One try with one peer."""

    def __init__(self, outgoing: Outgoing, peer: Peer, turns: Turns) -> None:
        self.outgoing = outgoing
        self.peer = peer
        self.turns = turns
        self.facts = Try(peer.name, time.monotonic(), request=outgoing.head, tls=outgoing.tls)
        outgoing.facts.tries.append(self.facts)
        self.sent = False
        """Whether a part of the request may be with the peer."""
        self.sent_whole = False
        self.stream: SocketStream | None = None

    async def answer(self) -> Answer:
        """The answer of this peer; raises `Failed`."""
        stream = await self._connected()
        self.facts.connect_time = time.monotonic() - self.facts.began
        head, rest = await self._exchanged(stream)
        self._keep_session(stream)
        self.facts.header_time = time.monotonic() - self.facts.began
        if self.facts.status is None:
            self.facts.status = 200 if head.status == HTTP_0_9 else head.status
        self.facts.head = head
        return Answer(head, rest, self)

    async def _connected(self) -> SocketStream:
        outgoing, peer = self.outgoing, self.peer
        timeout = outgoing.proxy.proxy_connect_timeout
        stream = outgoing.kept.take(peer) if outgoing.kept is not None else None
        self.facts.kept = stream is not None
        if stream is None:
            outgoing.upstream.number()
            stream = await connect(peer, timeout, outgoing.proxy, outgoing.local)
            stream.opened = self.facts.began
        self.stream = stream
        if outgoing.tls is not None and not isinstance(stream, TLSStream):
            self.stream = tls = outgoing.tls.stream(stream, peer)
            tls.adopt(stream)
            await self._shake_hands(UpstreamHandshake(tls, outgoing.tls, peer), timeout)
        return self.stream

    async def _shake_hands(self, handshake: UpstreamHandshake, timeout: float) -> None:
        outgoing = self.outgoing
        outgoing.log.action = "SSL handshaking to upstream"
        self.facts.handshake = handshake.record
        try:
            await handshake.shake(timeout)
        except Failed:
            self._tell(handshake)
            raise
        self._tell(handshake)

    def _tell(self, handshake: UpstreamHandshake) -> None:
        outgoing = self.outgoing
        if outgoing.log.error_log.level is Level.DEBUG:
            outgoing.log.write(Level.DEBUG, handshake_line(handshake.record()))
        outgoing.upstream.watch.note(handshake.record)

    def _keep_session(self, stream: SocketStream) -> None:
        tls = self.outgoing.tls
        if tls is not None and tls.session_reuse and isinstance(stream, TLSStream):
            keep_session(self.peer, stream)

    async def _exchanged(self, stream: SocketStream) -> tuple[ResponseHead, bytes]:
        """The head of the answer to the request, and what came behind it."""
        outgoing, proxy = self.outgoing, self.outgoing.proxy
        body, streamed = outgoing.body, outgoing.streamed
        outgoing.log.action = SENDING
        self.sent = True
        if streamed is None and (body is None or body.length <= EAGER):
            data = outgoing.head if body is None else b"".join((outgoing.head, *body.blocks()))
            await stream.send_all(data, proxy.proxy_send_timeout)
            self.facts.bytes_sent += len(data)
            self.sent_whole = True
            return await self._read_head(stream, proxy.proxy_read_timeout)
        sending = Sending(
            stream, outgoing.head, body, streamed,
            timeout=proxy.proxy_send_timeout,
            read_timeout=proxy.proxy_read_timeout,
            log=outgoing.log,
            sent=self._count_sent,
        )  # fmt: skip
        head, rest = await sending.until(lambda: self._read_head(stream, math.inf))
        self.sent_whole = sending.whole
        return head, rest

    def _count_sent(self, length: int) -> None:
        self.facts.bytes_sent += length

    async def _read_head(self, stream: SocketStream, timeout: float) -> tuple[ResponseHead, bytes]:
        """The final head, within `timeout` seconds, and what came behind it."""
        log = self.outgoing.log
        method, limit = self.outgoing.method, self.outgoing.proxy.proxy_buffer_size
        buffer = bytearray()
        hinted = 0
        # Until something comes the request counts as being sent; new tickets are something.
        if isinstance(stream, TLSStream) and not stream.requests and stream.protocol == "TLSv1.3":
            log.action = READING_HEAD
        try:
            data = await stream.receive_some(timeout)
        except Failed:
            log.action = READING_HEAD
            raise
        deadline = 0.0
        while True:
            log.action = READING_HEAD
            if not data:
                raise Failed(CLOSED_EARLY)
            self.facts.bytes_received += len(data)
            buffer += data
            try:
                parsed = read_response_head(buffer, request_method=method, limit=limit)
                while parsed is not None and parsed.head.status == EARLY_HINTS:
                    hinted += parsed.length
                    await self._hint(parsed.head, hinted)
                    del buffer[: parsed.length]
                    parsed = read_response_head(buffer, request_method=method, limit=limit)
            except NotHTTP as error:
                log.write(Level.ERROR, error.text)
                return ResponseHead(HTTP_0_9, HTTP_0_9, "", ()), bytes(buffer)
            if parsed is not None:
                for note in parsed.notes:
                    log.write(Level.WARN, note)
                return parsed.head, bytes(buffer[parsed.length :])
            deadline = deadline or trio.current_time() + timeout
            data = await stream.receive_some(max(deadline - trio.current_time(), 0.0))

    async def _hint(self, head: ResponseHead, length: int) -> None:
        """Pass early hints on, while all of them together are not too long."""
        self.facts.status = head.status  # which stays, whatever the answer is
        if length > self.outgoing.proxy.proxy_buffer_size:
            self.outgoing.log.write(Level.INFO, "upstream sent too big early hints")
        else:
            await self.outgoing.hints(head.headers)

    def answered(self, reusable: bool) -> None:
        """Give the peer back after an answer; whether its connection is fit for another one."""
        self.turns.done(self.peer, failed=False)
        self.end(whole=True, reusable=reusable and self.sent_whole)

    def end(self, *, whole: bool, reusable: bool = False) -> None:
        """Be done with the connection: kept, ended in good order (`whole`), or dropped."""
        stream = self.stream
        if stream is None:
            return
        if self.sent and self.facts.header_time is None:
            # A TLS 1.3 ticket came with whatever came instead of an answer.
            self._keep_session(stream)
        if reusable and self.outgoing.kept is not None:
            self.outgoing.kept.put(self.peer, stream)
        elif whole:
            stream.shutdown()
        else:
            stream.close()
