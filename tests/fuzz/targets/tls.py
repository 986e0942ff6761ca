"""ClientHellos, DER, OCSP responses, and headers of the PROXY protocol."""

from __future__ import annotations

import time
from functools import cache, partial

from cryptography import x509

from sniproxy.ocsp.message import CheckedCertificate, OCSPResponseError, check_response
from sniproxy.proxy_protocol import InvalidProxyHeaderError, TLVError, read_proxy_header
from sniproxy.stream.preread import HelloReader, PrereadResult, _parse, read_simple_hello
from sniproxy.stream.preread import PrereadHello as Hello
from sniproxy.tls.client_hello import (
    HelloRecords,
    NotTLSError,
    ServerNameError,
    parse_client_hello,
    peek_server_name,
)
from sniproxy.tls.der import OBJECT, DERError, fields, object_name
from sniproxy.tls.peer_certificate import PeerCertificate
from tests.fuzz.targets.target import CORPUS, Target, outcome, prefixes

TLV_NAMES = ("alpn", "authority", "unique_id", "netns", "ssl_verify", "ssl_cn", "0xee", "ssl_0x22")


def client_hello(data: bytes) -> None:
    """The name is the same however it is read; a parsed hello is a complete one."""

    def gradually() -> object:
        records = HelloRecords()
        for received in prefixes(data):
            if (name := peek_server_name(received, records)) is not None:
                return name
        return None

    parsed = outcome(lambda: parse_client_hello(data), NotTLSError)
    peeked = outcome(lambda: peek_server_name(data), NotTLSError)
    assert outcome(gradually, NotTLSError) == peeked
    malformed = isinstance(peeked, tuple) and peeked[0] == ServerNameError.__name__
    if parsed is None:
        assert peeked is None
    elif not isinstance(parsed, tuple) and not malformed:
        assert peeked == (parsed.server_name or b"").decode("latin-1")  # type: ignore[attr-defined]


def preread(data: bytes) -> None:
    """`ssl_preread` reads the same however a hello arrives; simple ones are read alike."""

    def whole() -> tuple[PrereadResult, Hello]:
        reader = HelloReader()
        return reader.feed(data), reader.hello

    def gradually() -> tuple[PrereadResult, Hello]:
        reader = HelloReader()
        result = PrereadResult.INCOMPLETE
        for received in prefixes(data):
            result = reader.feed(received)
            if result is not PrereadResult.INCOMPLETE:
                break
        return result, reader.hello

    expected, actual = whole(), gradually()
    assert actual[0] is expected[0]
    if expected[0] is PrereadResult.HELLO:
        assert actual[1] == expected[1]
    simple = Hello()
    if read_simple_hello(data, simple):
        thorough = Hello()
        parser = _parse(thorough)
        wanted, position = next(parser), 5
        try:
            while True:
                position, wanted = (
                    position + wanted,
                    parser.send(data[position : position + wanted]),
                )
        except StopIteration:
            assert thorough == simple


def der(data: bytes) -> None:
    """Fields are inside each other, and a certificate that cannot be read is `DERError`."""

    def walk(content: bytes, depth: int) -> None:
        for field in fields(content):
            assert len(field.content) < len(field.encoded) <= len(content)
            if field.tag == OBJECT:
                outcome(partial(object_name, field.content), DERError)
            if field.tag & 0x20 and depth < 20:
                walk(field.content, depth + 1)

    outcome(lambda: walk(data, 0), DERError)
    certificate = PeerCertificate(data)
    for name in ("subject", "issuer", "legacy_subject", "serial", "not_before", "not_after"):
        outcome(partial(getattr, certificate, name), DERError)
    assert certificate.fingerprint
    assert certificate.pem


@cache
def _checked() -> CheckedCertificate:
    """The certificate of the OCSP response in the corpus, and its issuer."""
    folder = CORPUS.parent / "ocsp_certificates"
    certificate, issuer = (
        x509.load_der_x509_certificate((folder / name).read_bytes())
        for name in ("certificate.der", "issuer.der")
    )
    return CheckedCertificate(certificate, issuer, (issuer,), (issuer,))


def ocsp_response(data: bytes) -> None:
    for trust in (True, False):
        status = outcome(
            partial(check_response, data, _checked(), time.time(), trust_chain=trust),
            OCSPResponseError,
        )
        assert status is not None


def proxy_header(data: bytes) -> None:
    """A header ends within the data, and its addresses can be used."""
    try:
        header, end = read_proxy_header(data)
    except InvalidProxyHeaderError:
        return
    assert 0 < end <= len(data)
    if header is None:
        return
    assert 0 <= header.client_port <= 65535
    assert 0 <= header.server_port <= 65535
    for name in TLV_NAMES:
        outcome(partial(header.tlv, name), TLVError)


TARGETS = (
    Target("client_hello", client_hello),
    Target("preread", preread),
    Target("der", der),
    Target("ocsp_response", ocsp_response),
    Target("proxy_header", proxy_header),
)
