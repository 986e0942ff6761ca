"""What an upstream records about each connection."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from sniproxy.tls.client_hello import ClientHello


class CloseKind(enum.StrEnum):
    """How the proxy closed the connection. It compares with strings: `"closed"`.

    FIN and RST are not distinguished: `close()` sends either one, depending on whether a TLS 1.3
    ticket is still unread. A close_notify is not recorded if it comes after the upstream has
    closed, as that is a race between the response and its end.
    """

    OPEN = "still connected"
    CLOSE_NOTIFY = "close_notify, closed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class ConnectionRecord:
    """One connection to an upstream, finished or still open."""

    hello: ClientHello | None = None
    """None without TLS, or if something other than a ClientHello was received."""
    handshake: str = ""
    """"finished", or OpenSSL's reason for the failure; "" if there was no handshake."""
    protocol: str = ""
    resumed: bool = False
    cipher: str = ""
    client_certificate: str | None = None
    """Common name of the client certificate; None without one."""
    requests: tuple[bytes, ...] = ()
    """The bytes of each request; the last request may be incomplete."""
    frames: tuple[str, ...] = ()
    """A line for each HTTP/2 frame received."""
    raw: bytes = field(default=b"", repr=False)
    """All bytes received from the socket; with TLS, encrypted."""
    closed_by: CloseKind = CloseKind.OPEN

    @property
    def server_name(self) -> str | None:
        """The SNI in the ClientHello; None without one."""
        if self.hello is None or self.hello.server_name is None:
            return None
        return self.hello.server_name.decode("latin-1")
