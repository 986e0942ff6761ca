"""A peer's certificate in nginx's text formats, including malformed DER."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.testing.authority import Authority, Identity
from sniproxy.tls.der import DERError, Field, fields, first, object_name
from sniproxy.tls.peer_certificate import NameAttribute, PeerCertificate, oneline, rfc2253

UTF8, PRINTABLE, IA5, BMP, UNIVERSAL, BOOLEAN = 12, 19, 22, 30, 28, 1
NAMES = {"2.5.4.3": "CN", "2.5.4.10": "O"}


def attribute(tag: int, content: bytes, kind: str = "2.5.4.3") -> NameAttribute:
    return NameAttribute(kind, Field(tag, content, bytes((tag, len(content))) + content))


@pytest.mark.parametrize(
    ("tag", "content", "text"),
    [
        (PRINTABLE, b"client", "CN=client"),
        (UTF8, b' #a,b+c"d\\e<f>g;h= ', 'CN=\\ #a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h=\\ '),
        (UTF8, b"#a", "CN=\\#a"),
        (UTF8, b"a#", "CN=a#"),
        (UTF8, b"#", "CN=#"),
        (UTF8, b" ", "CN=\\ "),
        (UTF8, b"  ", "CN=\\ \\ "),
        (UTF8, b" a b ", "CN=\\ a b\\ "),
        (UTF8, b"", "CN="),
        (UTF8, "ö€".encode(), "CN=\\C3\\B6\\E2\\82\\AC"),
        (IA5, b"\xf6", "CN=\\C3\\B6"),
        (BMP, "ö€".encode("utf-16-be"), "CN=\\C3\\B6\\E2\\82\\AC"),
        (UNIVERSAL, "ö".encode("utf-32-be"), "CN=\\C3\\B6"),
        (BMP, b"\xd8\x00", "CN=#1E02D800"),
        (UTF8, b"a\0\t\x7f", "CN=a\\00\\09\\7F"),
        (BOOLEAN, b"\xff", "CN=#0101FF"),
    ],
)
def test_rfc2253_names(tag: int, content: bytes, text: str) -> None:
    assert rfc2253([[attribute(tag, content)]], NAMES.get) == text


def test_names_with_multivalued_components() -> None:
    name = [
        [attribute(PRINTABLE, b"one", "2.5.4.10")],
        [attribute(UTF8, b"a/b+c"), attribute(UTF8, b"x", "1.2.3")],
        [],
    ]
    assert rfc2253(name, NAMES.get) == ",1.2.3=#0C0178+CN=a/b\\+c,O=one"
    assert oneline(name[:2], NAMES.get) == "/O=one/CN=a\\/b\\+c+1.2.3=x"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0x2FFF), min_size=1),
        min_size=1,
        max_size=3,
    )
)
def test_openssl_prints_the_same_names(texts: list[str]) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, text[:60]) for text in texts])
    identity = Authority.root("a root").issue(subject=name)
    command = ["openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253"]
    run = subprocess.run(command, input=identity.certificate_pem(), capture_output=True, check=True)
    reports = run.stdout.decode("latin-1").removeprefix("subject=").removesuffix("\n")
    assert certificate(identity).subject == reports


def certificate(identity: Identity) -> PeerCertificate:
    return PeerCertificate(identity.certificate.public_bytes(Encoding.DER))


def test_all_texts_of_a_certificate() -> None:
    identity = Authority.root("a root").issue(common_name="client")
    seen, expected = certificate(identity), identity.certificate
    assert seen.pem == identity.certificate_pem().decode()
    assert (seen.subject, seen.issuer) == ("CN=client", "CN=a root")
    assert (seen.legacy_subject, seen.legacy_issuer) == ("/CN=client", "/CN=a root")
    assert int(seen.serial, 16) == expected.serial_number
    assert len(seen.serial) % 2 == 0
    assert seen.not_before == expected.not_valid_before_utc
    assert seen.not_after == expected.not_valid_after_utc


def der(tag: int, *content: bytes) -> bytes:
    inside = b"".join(content)
    length = len(inside)
    if length < 128:
        return bytes((tag, length)) + inside
    return bytes((tag, 0x82)) + length.to_bytes(2) + inside


def crude(serial: bytes = b"\x01", begins: bytes = b"", ends: bytes = b"") -> PeerCertificate:
    """A minimal certificate of version 1."""
    validity = der(0x30, begins or der(0x17, b"700101000000Z"), ends or der(0x17, b"700101000000Z"))
    inside = der(0x30, der(2, serial), der(0x30), der(0x30), validity, der(0x30))
    return PeerCertificate(der(0x30, inside))


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"\0", "00"), (b"\x01", "01"), (b"\0\xff", "FF"), (b"\x0a\xbc", "0ABC"), (b"\xff", "-01")],
)
def test_serial_numbers(content: bytes, text: str) -> None:
    assert crude(serial=content).serial == text


@pytest.mark.parametrize(
    ("tag", "text", "moment"),
    [
        (0x17, b"500203005552Z", (1950, 2, 3, 0, 55, 52)),
        (0x17, b"490203005552Z", (2049, 2, 3, 0, 55, 52)),
        (0x18, b"20500203005552Z", (2050, 2, 3, 0, 55, 52)),
        (0x18, b"20500203005552.5Z", (2050, 2, 3, 0, 55, 52)),
        (0x17, b"200203005552+0130", (2020, 2, 2, 23, 25, 52)),
        (0x17, b"200203005552-0100", (2020, 2, 3, 1, 55, 52)),
    ],
)
def test_validity_times(tag: int, text: bytes, moment: tuple[int, int, int, int, int, int]) -> None:
    assert crude(begins=der(tag, text)).not_before == datetime.datetime(
        *moment, tzinfo=datetime.UTC
    )


@pytest.mark.parametrize(
    "text", [b"", b"Z", b"999999999999Z", b"26xx01000000Z", b"200203005552+9x"]
)
def test_text_that_is_no_time_is_a_der_error(text: bytes) -> None:
    with pytest.raises(DERError):
        assert crude(ends=der(0x17, text)).not_after


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"\x30\x02\x30\x00", b"\x40\x00\x01"])
def test_certificate_that_is_cut_short_is_a_der_error(data: bytes) -> None:
    for name in ("serial", "issuer", "subject", "not_before"):
        with pytest.raises(DERError):
            getattr(PeerCertificate(data), name)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\x55\x04\x03", "2.5.4.3"),
        (b"\x2a\x86\x48\x86\xf7\x0d", "1.2.840.113549"),
        (b"\x88\x37\x03", "2.999.3"),
        (b"\x00", "0.0"),
    ],
)
def test_object_names(content: bytes, name: str) -> None:
    assert object_name(content) == name


@given(st.binary(max_size=40))
def test_any_bytes_are_fields_or_a_der_error(data: bytes) -> None:
    try:
        assert b"".join(field.encoded for field in fields(data)) == data
        first(data)
    except DERError:
        pass


def test_pem_has_lines_of_64(tmp_path: Path) -> None:
    lines = crude().pem.splitlines()
    assert lines[0] == "-----BEGIN CERTIFICATE-----"
    assert all(len(line) <= 64 for line in lines[1:-1])
