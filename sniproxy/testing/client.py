"""A recording HTTP client for tests of the proxy."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

import trio
from cryptography import x509
from cryptography.x509.oid import NameOID

from sniproxy.testing.http_framing import message_length
from sniproxy.testing.streams import BIOTLSStream, ByteStream, RecordingStream, ssl_reason
from sniproxy.testing.upstreams.script import Signals, Step, run_script


@dataclass(frozen=True, slots=True)
class ClientTLSOptions:
    """TLS settings of a client. Certificates are named as in `upstreams/certificates.py`."""

    server_name: str | None = "front.test"
    """The SNI; None sends none."""
    trusted_ca: str | None = None
    """The CA to verify the certificate with; None accepts any certificate."""
    certificate: str | None = None
    """The client certificate; None sends none."""
    min_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    max_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers: str = ""
    """OpenSSL cipher list for TLS 1.2; "" is the library's default."""
    group: str = ""
    """The only group for key exchange, by OpenSSL's name; "" is the library's default."""
    alpn: tuple[str, ...] = ()
    resume: bool = False
    """Whether each connection offers the session of the one before it."""
    next_server_name: str | None = None
    """The SNI of all connections but the first; None is `server_name`."""
    address: str = "127.0.0.1"
    """The IP address to connect to."""

    def context(self, certificates: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version, context.maximum_version = self.min_version, self.max_version
        context.check_hostname = False
        if self.trusted_ca is None:
            context.verify_mode = ssl.CERT_NONE
        else:
            context.load_verify_locations(certificates / f"{self.trusted_ca}.pem")
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
class ClientRecord:
    """What a client has seen of one connection; filled in while it runs."""

    handshake: str = ""
    """"finished", or OpenSSL's reason for the failure; "" without TLS."""
    protocol: str = ""
    cipher: str = ""
    alpn: str = ""
    resumed: bool = False
    certificate: str = ""
    """Common name of the server certificate."""
    session: ssl.SSLSession | None = field(default=None, repr=False)
    """The session that a later connection can offer."""
    responses: list[bytes] = field(default_factory=list)
    closed_by: str = "still connected"
    """How the proxy closed the connection."""


async def run_client(
    port: int,
    requests: tuple[bytes, ...],
    record: ClientRecord,
    context: ssl.SSLContext | None = None,
    server_name: str | None = None,
    half_close: bool = False,
    session: ssl.SSLSession | None = None,
    address: str = "127.0.0.1",
    script: tuple[Step, ...] = (),
    signals: Signals | None = None,
    preamble: bytes = b"",
) -> None:
    """Connect to `address`, send the requests, and read until the proxy closes the connection.

    Each request is sent when the response to the one before it is complete; with `half_close` a
    FIN follows the last one. `preamble` is sent before TLS. If there is a `script`, its steps
    replace the requests. `record` is filled in with what is seen. Raises OSError if the connection
    is refused.
    """
    raw = RecordingStream(await trio.open_tcp_stream(address, port))
    channel: ByteStream = raw
    tls = None
    async with raw.stream:
        if preamble:
            await raw.send(preamble)
        if context:
            tls = BIOTLSStream(raw, context, server_name=server_name, session=session)
            try:
                await tls.handshake()
            except ssl.SSLError as error:
                record.handshake = ssl_reason(error)
                record.closed_by = "closed"
                await raw.finish()
                return
            channel = tls
            record.handshake = "finished"
            record.protocol = tls.tls.version() or ""
            record.cipher = (tls.tls.cipher() or ("",))[0]
            record.alpn = tls.tls.selected_alpn_protocol() or ""
            record.resumed = bool(tls.tls.session_reused)
            record.certificate = common_name(tls.tls.getpeercert(binary_form=True))
        if script:
            await _run_steps(
                channel, script, signals or Signals(), record, raw if half_close else None
            )
        else:
            await _send_requests(channel, requests, record, raw if half_close else None)
        record.session = tls.tls.session if tls else None
        if tls and tls.close_notify_received:
            record.closed_by = "close_notify, closed"
        else:
            record.closed_by = "reset" if raw.was_reset else "closed"


async def _send_requests(
    channel: ByteStream,
    requests: tuple[bytes, ...],
    record: ClientRecord,
    half_close: RecordingStream | None,
) -> None:
    data = b""
    for request in requests[:-1]:
        await channel.send(request)
        head_only = request.startswith(b"HEAD ")
        while (length := message_length(data, head_only=head_only)) is None:
            if not (more := await channel.read()):
                record.responses.append(data)
                return
            data += more
        record.responses.append(data[:length])
        data = data[length:]
    for request in requests[-1:]:
        await channel.send(request)
    if half_close:
        await half_close.stream.send_eof()
    while more := await channel.read():
        data += more
    record.responses.append(data)


async def _run_steps(
    channel: ByteStream,
    steps: tuple[Step, ...],
    signals: Signals,
    record: ClientRecord,
    half_close: RecordingStream | None,
) -> None:
    received = bytearray()
    received += await run_script(steps, channel, signals, received.extend)
    if half_close:
        await half_close.stream.send_eof()
    while data := await channel.read():
        received += data
    record.responses.append(bytes(received))


def common_name(der: bytes | None) -> str:
    """The common name of the subject of a certificate; "" without a certificate."""
    if der is None:
        return ""
    subject = x509.load_der_x509_certificate(der).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
