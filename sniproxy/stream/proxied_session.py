"""The state of a session that is passed to an upstream, over all its attempts."""

from __future__ import annotations

import time

from ..config.directives.stream_proxy import StreamProxySettings
from ..config.directives.upstream_target import LocalAddress
from ..observer import Observer
from ..upstream.connector import PeerConnection
from ..upstream.selector import RequestSelector, Upstream
from .datagram_relay import DatagramRelay
from .relay import Relay
from .session import StreamSession
from .session_context import SessionContext
from .session_log import SessionLog, SessionTraffic


class ProxiedSession:
    """A session that is passed to an upstream, with all its attempts."""

    def __init__(
        self, settings: StreamProxySettings, session: StreamSession, upstream: Upstream
    ) -> None:
        self.session = session
        self.ctx: SessionContext = session.ctx
        self.log: SessionLog = session.log
        self.observer: Observer | None = session.running.observer
        self.settings = settings
        self.upstream = upstream
        self.local_address: LocalAddress | None = None
        self.selector: RequestSelector = upstream.selector(session.ctx)
        if self.settings.next_upstream_tries:
            limit = self.settings.next_upstream_tries
            self.selector.tries_left = min(self.selector.tries_left, limit)
        self.started = time.monotonic()
        self.read_ahead = False
        """Whether data was read from the client while the first connection is made."""
        self.pending = b""
        """Data of the client that was read and not sent."""
        self.preamble_sent = 0
        """Bytes of the PROXY protocol that were sent before TLS."""
        self.relay: Relay | None = None

    def traffic(self) -> SessionTraffic:
        relay = self.relay
        if relay is None:
            return SessionTraffic(self.ctx.received, 0, 0, self.preamble_sent)
        up, down = relay.up, relay.down
        received = self.ctx.received + up.received
        return SessionTraffic(received, down.sent, down.received, self.preamble_sent + up.sent)

    def watch_first_byte(self, relay: Relay | DatagramRelay, attempt: PeerConnection) -> None:
        """Tell the selector when the upstream has sent something, if it wants to know."""
        if not self.selector.wants_head:
            return

        def on_first_byte() -> None:
            assert relay.first_byte_at is not None
            attempt.header_time = relay.first_byte_at - attempt.started
            self.selector.head_received(attempt)

        relay.on_first_byte = on_first_byte
