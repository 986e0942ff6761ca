"""A client of the proxy that keeps what it was told."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

import trio
from cryptography import x509
from cryptography.x509.oid import NameOID

from sniproxy.testing.framing import message_length
from sniproxy.testing.wire import Channel, TLSWire, Wire, reason
from sniproxy.testing.zoo.script import Cues, Step, play


@dataclass(frozen=True, slots=True)
class ClientTLS:
    """The TLS of a client; files are those of the zoo's wardrobe, by name."""

    server_name: str | None = "front.test"
    """SNI; None sends none."""
    trusts: str | None = None
    """The authority that has to have issued the certificate; None takes any."""
    certificate: str | None = None
    """What the client shows of itself."""
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers: str = ""
    """OpenSSL's cipher list for TLS 1.2; "" leaves the library's."""
    group: str = ""
    """The one group for key exchange, as OpenSSL calls it; "" leaves the library's."""
    alpn: tuple[str, ...] = ()
    resumes: bool = False
    """A connection offers the session of the one before."""
    next_name: str | None = None
    """SNI of all connections but the first; None is the same."""
    address: str = "127.0.0.1"
    """Where the client connects to."""

    def context(self, certificates: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version, context.maximum_version = self.minimum, self.maximum
        context.check_hostname = False
        if self.trusts is None:
            context.verify_mode = ssl.CERT_NONE
        else:
            context.load_verify_locations(certificates / f"{self.trusts}.pem")
        if self.certificate is not None:
            own = certificates / f"{self.certificate}.pem"
            context.load_cert_chain(own, own.with_suffix(".key"))
        if self.ciphers:
            context.set_ciphers(self.ciphers)
        if self.group:
            context.set_ecdh_curve(self.group)
        if self.alpn:
            context.set_alpn_protocols(list(self.alpn))
        return context


@dataclass(slots=True)
class Reception:
    """How a proxy received a client; filled in as it happens."""

    handshake: str = ""
    """"finished", or in OpenSSL's words why not; "" without TLS."""
    protocol: str = ""
    cipher: str = ""
    alpn: str = ""
    resumed: bool = False
    certificate: str = ""
    """Common name of the certificate that was shown."""
    session: ssl.SSLSession | None = field(default=None, repr=False)
    """What the next connection may offer."""
    responses: list[bytes] = field(default_factory=list)
    parting: str = "still connected"
    """How the proxy ended it."""


async def visit(
    port: int,
    requests: tuple[bytes, ...],
    reception: Reception,
    context: ssl.SSLContext | None = None,
    server_name: str | None = None,
    ends: bool = False,
    session: ssl.SSLSession | None = None,
    address: str = "127.0.0.1",
    plays: tuple[Step, ...] = (),
    cues: Cues | None = None,
) -> None:
    """Connect to `address`, send the requests one after the other, and read to the end.

    A request is sent when the response to the one before is complete; with `ends` a FIN goes
    behind the last one. With `plays` the client goes through these steps instead, before it
    reads to the end. Raises OSError if the connection is refused.
    """
    wire = Wire(await trio.open_tcp_stream(address, port))
    channel: Channel = wire
    tls = None
    async with wire.stream:
        if context:
            tls = TLSWire(wire, context, server_name=server_name, session=session)
            try:
                await tls.handshake()
            except ssl.SSLError as error:
                reception.handshake = reason(error)
                reception.parting = "closed"
                await wire.finish()
                return
            channel = tls
            reception.handshake = "finished"
            reception.protocol = tls.tls.version() or ""
            reception.cipher = (tls.tls.cipher() or ("",))[0]
            reception.alpn = tls.tls.selected_alpn_protocol() or ""
            reception.resumed = bool(tls.tls.session_reused)
            reception.certificate = common_name(tls.tls.getpeercert(binary_form=True))
        if plays:
            await _play(channel, plays, cues or Cues(), reception, wire if ends else None)
        else:
            await _converse(channel, requests, reception, wire if ends else None)
        reception.session = tls.tls.session if tls else None
        if tls and tls.close_notify_received:
            reception.parting = "close_notify, closed"
        else:
            reception.parting = "reset" if wire.was_reset else "closed"


async def _converse(
    channel: Channel,
    requests: tuple[bytes, ...],
    reception: Reception,
    ending: Wire | None,
) -> None:
    data = b""
    for request in requests[:-1]:
        await channel.send(request)
        head_only = request.startswith(b"HEAD ")
        while (length := message_length(data, head_only=head_only)) is None:
            if not (more := await channel.read()):
                reception.responses.append(data)
                return
            data += more
        reception.responses.append(data[:length])
        data = data[length:]
    for request in requests[-1:]:
        await channel.send(request)
    if ending:
        await ending.stream.send_eof()
    while more := await channel.read():
        data += more
    reception.responses.append(data)


async def _play(
    channel: Channel,
    steps: tuple[Step, ...],
    cues: Cues,
    reception: Reception,
    ending: Wire | None,
) -> None:
    heard = bytearray()
    heard += await play(steps, channel, cues, heard.extend)
    if ending:
        await ending.stream.send_eof()
    while data := await channel.read():
        heard += data
    reception.responses.append(bytes(heard))


def common_name(der: bytes | None) -> str:
    if der is None:
        return ""
    subject = x509.load_der_x509_certificate(der).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
