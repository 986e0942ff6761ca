"""A connection to a peer: connect, TLS handshake, session; for requests and for stream sessions."""

from __future__ import annotations

import socket
import time
from typing import Any, Protocol

from ..config.directives.upstream_target import LocalAddress
from ..config.directives.upstream_tls import ConnectionSettings
from ..context import UpstreamState
from ..logs.error import ConnectionLog
from ..models import Failure, Handshake, Level, ProxyError
from ..observer import Observer
from ..tls.stream import SocketStream, TLSStream
from .connector import UpstreamTLSConfig, connect, handshake_line, keep_session, verify
from .selector import Peer, Upstream


class PeerRequest(Protocol):
    """What connects: a request to an upstream, or a session."""

    @property
    def ctx(self) -> Any: ...
    @property
    def settings(self) -> ConnectionSettings: ...
    @property
    def upstream(self) -> Upstream: ...
    @property
    def local_address(self) -> LocalAddress | None: ...
    @property
    def log(self) -> ConnectionLog: ...
    @property
    def observer(self) -> Observer | None: ...


class PeerConnection(UpstreamState):
    """An attempt with a peer, and its connection."""

    alpn: bytes = b""
    """The protocols to offer in the TLS handshake, in wire format."""
    kind: int = socket.SOCK_STREAM
    """Type of the socket."""
    stream: SocketStream | None = None
    _handshake_started: float | None = None
    """POSIX time; None if this attempt made no TLS handshake."""
    _handshake_duration = 0.0
    _handshake_failure: Failure | None = None

    def __init__(self, peer: Peer, tls: UpstreamTLSConfig | None) -> None:
        super().__init__(peer.name, time.monotonic())
        self.peer = peer
        self.tls: UpstreamTLSConfig | None = tls

    async def connect(self, request: PeerRequest, preamble: bytes = b"") -> SocketStream:
        """Connect, send what comes before TLS, and make the TLS handshake. Raises `ProxyError`."""
        tls, timeout = self.tls, request.settings.connect_timeout
        request.upstream.next_connection_id()
        stream = await connect(
            self.peer, timeout, request.settings, request.local_address, self.kind
        )
        stream.opened = self.started
        self.stream = stream
        if tls is None:
            return stream
        if preamble:
            await stream.send_all(preamble, timeout)
        self.stream = stream = tls.stream(stream, self.peer, self.alpn)
        request.log.action = "SSL handshaking to upstream"
        self._handshake_started, started = time.time(), time.monotonic()
        try:
            await stream.do_handshake(timeout)
            if tls.session_reuse:
                keep_session(self.peer, stream)
            if tls.verify:
                verify(stream, tls.name)
        except ProxyError as failed:
            self._handshake_failure = failed.failure
            raise
        finally:
            self._handshake_duration = time.monotonic() - started
            if request.log.error_log.level is Level.DEBUG or request.observer is not None:
                self._report_handshake(request)
        return stream

    def _report_handshake(self, request: PeerRequest) -> None:
        handshake = self.handshake()
        assert handshake is not None
        request.log.write(Level.DEBUG, handshake_line(handshake))
        observer = request.observer
        if observer is not None and observer.wants_handshakes:
            observer.upstream_handshake_finished(request.ctx, self, handshake)

    def handshake(self) -> Handshake | None:
        """The TLS handshake, finished or failed; None if this attempt made none."""
        if self._handshake_started is None:
            return None
        assert isinstance(self.stream, TLSStream)
        assert self.tls is not None
        return self.stream.handshake(
            self.address,
            verified_name=self.tls.name if self.tls.verify else None,
            began=self._handshake_started,
            duration=self._handshake_duration,
            failure=self._handshake_failure,
        )

    def keep_session(self) -> None:
        """Store the TLS session, to offer it to the peer next time (`proxy_ssl_session_reuse`)."""
        if self.tls is not None and self.tls.session_reuse and isinstance(self.stream, TLSStream):
            keep_session(self.peer, self.stream)
