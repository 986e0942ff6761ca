"""What an upstream saw of one connection."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from sniproxy.tls.hello import ClientHello


class Parting(enum.Enum):
    """How the proxy left the connection.

    A FIN and a RST are not told apart: which of them a `close()` sends depends on whether a
    TLS 1.3 ticket has just arrived unread. Nor does it count whether a close_notify follows
    the upstream's own end: that depends on which the proxy saw first, the end or the answer.
    """

    STAYED = "still connected"
    CLOSE_NOTIFY = "close_notify, closed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Visit:
    """One connection to an upstream, as far as it has come."""

    hello: ClientHello | None = None
    """None without TLS, or when something else than a ClientHello came."""
    handshake: str = ""
    """"finished", or in OpenSSL's words why not; "" if it was never begun."""
    protocol: str = ""
    resumed: bool = False
    cipher: str = ""
    client_certificate: str | None = None
    """Its CN; None where the client showed none."""
    requests: tuple[bytes, ...] = ()
    """Each request's bytes; the last one may be incomplete."""
    raw: bytes = field(default=b"", repr=False)
    """All bytes that came, encrypted or not."""
    parting: Parting = Parting.STAYED

    @property
    def server_name(self) -> str | None:
        """The SNI of the hello."""
        if self.hello is None or self.hello.server_name is None:
            return None
        return self.hello.server_name.decode("latin-1")
