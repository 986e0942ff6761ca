"""One try: a connection to one peer, the request on it, the head of the answer.

connect ─► handshake, verify ─► send ─► read the head ─► ResponseBody
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ..config.directives.proxy import Proxy
from ..facts import Facts, Try
from ..http.upstream_head import EARLY_HINTS, NotHTTP, read_response_head
from ..logs.error import ConnectionLog
from ..message import Failed, Level, ResponseHead
from ..tls.stream import SocketStream, TLSStream
from .body import CLOSED_EARLY, ResponseBody
from .connector import (
    UpstreamHandshake,
    UpstreamTLS,
    connect,
    handshake_line,
    keep_session,
)
from .keepalive import LocationConnections
from .peers import Peer, Turns, Upstream

HTTP_0_9 = 9


class RequestBody(Protocol):
    """A request body that was read whole, so that every try can send it again."""

    length: int

    def blocks(self) -> Iterable[bytes]: ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What one request sends to whichever peer answers it."""

    upstream: Upstream
    kept: LocationConnections | None
    """The connections that may be used again; None where each is used once."""
    tls: UpstreamTLS | None
    scheme: str
    uri: str
    head: bytes
    body: RequestBody | None
    proxy: Proxy
    facts: Facts
    log: ConnectionLog

    def shown(self, name: str) -> str:
        """`https://127.0.0.1:443/uri`, as log lines show where a request went."""
        separator = ":" if name.startswith("unix:") else ""
        return f"{self.scheme}://{name}{separator}{self.uri}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response whose head is in; the body is still with the peer."""

    head: ResponseHead
    body: ResponseBody


class Attempt:
    """One try with one peer."""

    def __init__(self, outgoing: Outgoing, peer: Peer, turns: Turns) -> None:
        self.outgoing = outgoing
        self.peer = peer
        self.turns = turns
        self.facts = Try(peer.name, time.monotonic())
        outgoing.facts.tries.append(self.facts)
        self.sent = False
        """Whether a part of the request may be with the peer."""
        self.stream: SocketStream | None = None
        self.kept = False
        """Whether the connection was open before."""

    async def answer(self) -> Answer:
        """The answer of this peer; raises `Failed`."""
        stream = await self._connected()
        self.facts.connect_time = time.monotonic() - self.facts.began
        await self._send(stream)
        head, rest = await self._read_head(stream)
        self._keep_session(stream)
        self.facts.header_time = time.monotonic() - self.facts.began
        self.facts.status = head.status
        self.facts.headers = head.headers
        body = ResponseBody(
            stream,
            head,
            rest,
            method=self.outgoing.facts.request.method,
            timeout=self.outgoing.proxy.proxy_read_timeout,
            facts=self.facts,
            log=self.outgoing.log,
            give_back=self._answered,
        )
        return Answer(head, body)

    async def _connected(self) -> SocketStream:
        outgoing, peer = self.outgoing, self.peer
        timeout = outgoing.proxy.proxy_connect_timeout
        stream = outgoing.kept.take(peer) if outgoing.kept is not None else None
        self.kept = stream is not None
        if stream is None:
            outgoing.upstream.number()
            stream = await connect(peer, timeout)
            stream.opened = self.facts.began
        self.stream = stream
        if outgoing.tls is not None and not isinstance(stream, TLSStream):
            self.stream = tls = outgoing.tls.stream(stream, peer)
            tls.requests, tls.opened = stream.requests, stream.opened
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

    async def _send(self, stream: SocketStream) -> None:
        outgoing = self.outgoing
        outgoing.log.action = "sending request to upstream"
        self.sent = True
        timeout = outgoing.proxy.proxy_send_timeout
        pending = outgoing.head
        for block in outgoing.body.blocks() if outgoing.body is not None else ():
            await stream.send_all(pending + block, timeout)
            self.facts.bytes_sent += len(pending) + len(block)
            pending = b""
        if pending:
            await stream.send_all(pending, timeout)
            self.facts.bytes_sent += len(pending)

    async def _read_head(self, stream: SocketStream) -> tuple[ResponseHead, bytes]:
        """The final head (early hints are read over), and what came behind it."""
        log, proxy = self.outgoing.log, self.outgoing.proxy
        log.action = "reading response header from upstream"
        buffer = bytearray()
        limit = proxy.proxy_buffer_size
        method = self.outgoing.facts.request.method
        while True:
            data = await stream.receive_some(proxy.proxy_read_timeout)
            if not data:
                raise Failed(CLOSED_EARLY)
            self.facts.bytes_received += len(data)
            buffer += data
            try:
                parsed = read_response_head(buffer, request_method=method, limit=limit)
                while parsed is not None and parsed.head.status == EARLY_HINTS:
                    del buffer[: parsed.length]
                    parsed = read_response_head(buffer, request_method=method, limit=limit)
            except NotHTTP as error:
                log.write(Level.ERROR, error.text)
                return ResponseHead(HTTP_0_9, HTTP_0_9, "", ()), bytes(buffer)
            if parsed is not None:
                for note in parsed.notes:
                    log.write(Level.WARN, note)
                return parsed.head, bytes(buffer[parsed.length :])

    def _answered(self, reusable: bool) -> None:
        self.turns.done(self.peer, failed=False)
        self.end(whole=True, reusable=reusable)

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
