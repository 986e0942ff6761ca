"""The TLS sessions kept for upstream peers, one each (`proxy_ssl_session_reuse`).

nginx keeps the last session that a peer gave and offers it to the next connection, whichever
location that is for: context, name and verification of the two may differ, and a resumed
session brings the result of the first verification along. A failed try drops it.

A session stays good only if its connection was closed as if in good order, which
`TLSStream.close` sees to; and a TLS 1.3 ticket comes with the first bytes read, so a session
is taken when the response is in.
"""

from __future__ import annotations

from collections.abc import Hashable

from .openssl import Session
from .stream import TLSStream


class PeerSessions:
    """The sessions of the peers of one upstream; a peer is any hashable value."""

    def __init__(self) -> None:
        self._sessions: dict[Hashable, Session] = {}

    def offer(self, peer: Hashable) -> Session | None:
        """What to offer to `peer` (`TLSStream(session=…)`)."""
        return self._sessions.get(peer)

    def keep(self, peer: Hashable, stream: TLSStream) -> None:
        """Takes the session of `stream`, unless the peer gave none: the last one stays then."""
        session = stream.session
        if session is not None:
            self._sessions[peer] = session

    def drop(self, peer: Hashable) -> None:
        self._sessions.pop(peer, None)
