"""Error strings of each OpenSSL release, as in production logs, and the tables behind them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from OpenSSL import SSL

from sniproxy.config.directives.main import DIALECTS
from sniproxy.models import Level, Side
from sniproxy.tls.dialects import MAX_RECORD, NAMES, ReleaseDialect, find_dialect, is_too_long
from sniproxy.tls.errors import NATIVE, ORDINARY_REASONS, error_text, openssl_failure
from sniproxy.tls.openssl import queued_error

RELEASES = [name for name in NAMES if name != "native"]
HTTP = b"HTTP/"

SHAKING, READING, WRITING = "SSL_do_handshake", "SSL_read", "SSL_write"
UP, DOWN = Side.UPSTREAM, Side.CLIENT

FAILURES: list[tuple[Side, str, list[int], bytes, dict[str, str]]] = [
    # The upstream speaks plain HTTP: the most frequently reported line.
    (UP, SHAKING, [0x0A00010B], HTTP, {
        "1.1.1": "error:1408F10B:SSL routines:ssl3_get_record:wrong version number",
        "3.0": "error:0A00010B:SSL routines::wrong version number",
        "3.5": "error:0A0000C6:SSL routines::packet length too long "
               "error:0A000139:SSL routines::record layer failure",
    }),
    # Garbage that does not look like a long record.
    (UP, SHAKING, [0x0A00010B], b"220 m", {
        "1.1.1": "error:1408F10B:SSL routines:ssl3_get_record:wrong version number",
        "3.0": "error:0A00010B:SSL routines::wrong version number",
        "3.5": "error:0A00010B:SSL routines::wrong version number",
    }),
    # The upstream requires another SNI, or any.
    (UP, SHAKING, [0x0A000458], b"\x15\x03\x03\x00\x02", {
        "1.1.1": "error:14094458:SSL routines:ssl3_read_bytes:tlsv1 unrecognized name"
                 ":SSL alert number 112",
        "3.0": "error:0A000458:SSL routines::tlsv1 unrecognized name:SSL alert number 112",
        "3.5": "error:0A000458:SSL routines::tlsv1 unrecognized name:SSL alert number 112",
    }),
    (UP, SHAKING, [0x0A000410], b"", {
        "1.1.1": "error:14094410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure"
                 ":SSL alert number 40",
        "3.0": "error:0A000410:SSL routines::sslv3 alert handshake failure:SSL alert number 40",
        "3.5": "error:0A000410:SSL routines::ssl/tls alert handshake failure:SSL alert number 40",
    }),
    (UP, SHAKING, [0x0A000438], b"", {
        "1.1.1": "error:14094438:SSL routines:ssl3_read_bytes:tlsv1 alert internal error"
                 ":SSL alert number 80",
        "3.0": "error:0A000438:SSL routines::tlsv1 alert internal error:SSL alert number 80",
        "3.5": "error:0A000438:SSL routines::tlsv1 alert internal error:SSL alert number 80",
    }),
    # Protocol version, access denied, untrusted certificate, missing certificate.
    (UP, SHAKING, [0x0A00042E], b"", {
        "1.1.1": "error:1409442E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol version"
                 ":SSL alert number 70",
        "3.0": "error:0A00042E:SSL routines::tlsv1 alert protocol version:SSL alert number 70",
        "3.5": "error:0A00042E:SSL routines::tlsv1 alert protocol version:SSL alert number 70",
    }),
    (UP, SHAKING, [0x0A000419], b"", {
        "1.1.1": "error:14094419:SSL routines:ssl3_read_bytes:tlsv1 alert access denied"
                 ":SSL alert number 49",
        "3.0": "error:0A000419:SSL routines::tlsv1 alert access denied:SSL alert number 49",
        "3.5": "error:0A000419:SSL routines::tlsv1 alert access denied:SSL alert number 49",
    }),
    (UP, SHAKING, [0x0A000418], b"", {
        "1.1.1": "error:14094418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca"
                 ":SSL alert number 48",
        "3.0": "error:0A000418:SSL routines::tlsv1 alert unknown ca:SSL alert number 48",
        "3.5": "error:0A000418:SSL routines::tlsv1 alert unknown ca:SSL alert number 48",
    }),
    (UP, READING, [0x0A00045C], b"", {
        "1.1.1": "error:1409445C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required"
                 ":SSL alert number 116",
        "3.0": "error:0A00045C:SSL routines::tlsv13 alert certificate required"
               ":SSL alert number 116",
        "3.5": "error:0A00045C:SSL routines::tlsv13 alert certificate required"
               ":SSL alert number 116",
    }),
    # Records that violate the protocol.
    (UP, SHAKING, [0x0A000092, 0x0A000139], b"\x16\x03\x03\xff\xff", {
        "1.1.1": "error:1408F0C6:SSL routines:ssl3_get_record:packet length too long",
        "3.0": "error:0A0000C6:SSL routines::packet length too long",
        "3.5": "error:0A0000C6:SSL routines::packet length too long "
               "error:0A000139:SSL routines::record layer failure",
    }),
    (UP, READING, [0x1C800066, 0x0A000119, 0x0A000139], b"", {
        "1.1.1": "error:1408F119:SSL routines:ssl3_get_record:"
                 "decryption failed or bad record mac",
        "3.0": "error:1C800066:Provider routines::cipher operation failed "
               "error:0A000119:SSL routines::decryption failed or bad record mac",
        "3.5": "error:1C800066:Provider routines::cipher operation failed "
               "error:0A000119:SSL routines::decryption failed or bad record mac "
               "error:0A000139:SSL routines::record layer failure",
    }),
    (UP, SHAKING, [0x0A0000F4], b"", {
        "1.1.1": "error:141A10F4:SSL routines:ossl_statem_client_read_transition:"
                 "unexpected message",
        "3.0": "error:0A0000F4:SSL routines::unexpected message",
        "3.5": "error:0A0000F4:SSL routines::unexpected message",
    }),
    # Failures caused by clients.
    (DOWN, SHAKING, [0x0A00006C], b"", {
        "1.1.1": "error:141CF06C:SSL routines:tls_parse_ctos_key_share:bad key share",
        "3.0": "error:0A00006C:SSL routines::bad key share",
        "3.5": "error:0A00006C:SSL routines::bad key share",
    }),
    (DOWN, SHAKING, [0x0A0000C1], b"", {
        "1.1.1": "error:1417A0C1:SSL routines:tls_post_process_client_hello:no shared cipher",
        "3.0": "error:0A0000C1:SSL routines::no shared cipher",
        "3.5": "error:0A0000C1:SSL routines::no shared cipher",
    }),
    (DOWN, SHAKING, [0x0A000102], b"", {
        "1.1.1": "error:14209102:SSL routines:tls_early_post_process_client_hello:"
                 "unsupported protocol",
        "3.0": "error:0A000102:SSL routines::unsupported protocol",
        "3.5": "error:0A000102:SSL routines::unsupported protocol",
    }),
    (DOWN, SHAKING, [0x0A00006E], b"", {
        "1.1.1": "error:141B306E:SSL routines:tls_collect_extensions:bad extension",
        "3.0": "error:0A00006E:SSL routines::bad extension",
        "3.5": "error:0A00006E:SSL routines::bad extension",
    }),
    (DOWN, SHAKING, [0x0A000416], b"", {
        "1.1.1": "error:14094416:SSL routines:ssl3_read_bytes:sslv3 alert certificate unknown"
                 ":SSL alert number 46",
        "3.0": "error:0A000416:SSL routines::sslv3 alert certificate unknown"
               ":SSL alert number 46",
        "3.5": "error:0A000416:SSL routines::ssl/tls alert certificate unknown"
               ":SSL alert number 46",
    }),
    # For an unknown alert a release prints only its number.
    (DOWN, SHAKING, [0x0A000461], b"", {
        "1.1.1": "error:14094461:SSL routines:ssl3_read_bytes:reason(1121):SSL alert number 121",
        "3.0": "error:0A000461:SSL routines::reason(1121):SSL alert number 121",
        "3.5": "error:0A000461:SSL routines::reason(1121):SSL alert number 121",
    }),
]  # fmt: skip
"""Side, operation, queue of the linked library, first record header, expected strings.

The lines of 1.1.1 and 3.0 are those found in public logs.
"""


@pytest.mark.parametrize("name", RELEASES)
@pytest.mark.parametrize(("side", "operation", "codes", "header", "reports"), FAILURES)
def test_connection_failures_in_every_dialect(
    side: Side, operation: str, codes: list[int], header: bytes, reports: dict[str, str], name: str
) -> None:
    failure = openssl_failure(
        f"{operation}() failed",
        side,
        [queued_error(code) for code in codes],
        dialect=find_dialect(name),
        header=header,
    )
    assert failure.text == f"{operation}() failed (SSL: {reports[name]})"
    assert failure.level is (Level.ERROR if side is UP else Level.INFO)


STARTS: list[tuple[str, list[int], dict[int, str], dict[str, str]]] = [
    ('cannot load certificate "/x.pem": BIO_new_file() failed', [0x80000002, 0x10000080],
     {0x80000002: "calling fopen(/x.pem, r)"}, {
        "1.1.1": "error:02001002:system library:fopen:No such file or directory"
                 ":fopen('/x.pem','r') error:2006D080:BIO routines:BIO_new_file:no such file",
        "3.0": "error:80000002:system library::No such file or directory"
               ":calling fopen(/x.pem, r) error:10000080:BIO routines::no such file",
    }),
    ('cannot load certificate "/x.pem": PEM_read_bio_X509_AUX() failed', [0x0480006C],
     {0x0480006C: "Expecting: TRUSTED CERTIFICATE"}, {
        "1.1.1": "error:0909006C:PEM routines:get_name:no start line"
                 ":Expecting: TRUSTED CERTIFICATE",
        "3.0": "error:0480006C:PEM routines::no start line:Expecting: TRUSTED CERTIFICATE",
    }),
    ('cannot load certificate key "/x.key": PEM_read_bio_PrivateKey() failed', [0x1E08010C], {}, {
        "1.1.1": "error:0909006C:PEM routines:get_name:no start line"
                 ":Expecting: ANY PRIVATE KEY",
        "3.0": "error:1E08010C:DECODER routines::unsupported"
               ":No supported data to decode. Input type: PEM",
    }),
    ('SSL_CTX_use_PrivateKey("/x.key") failed', [0x05800074], {}, {
        "1.1.1": "error:0B080074:x509 certificate routines:X509_check_private_key:"
                 "key values mismatch",
        "3.0": "error:05800074:x509 certificate routines::key values mismatch",
    }),
    ('SSL_CTX_use_certificate("/x(1).crt") failed', [0x0A00018F], {}, {
        "1.1.1": "error:140AB18F:SSL routines:SSL_CTX_use_certificate:ee key too small",
        "3.0": "error:0A00018F:SSL routines::ee key too small",
    }),
    ('SSL_CTX_use_certificate("/x.crt") failed', [0x0A00018E], {}, {
        "1.1.1": "error:140AB18E:SSL routines:SSL_CTX_use_certificate:ca md too weak",
        "3.0": "error:0A00018E:SSL routines::ca md too weak",
    }),
    ('SSL_CTX_set_cipher_list("nope") failed', [0x0A0000B9], {}, {
        "1.1.1": "error:1410D0B9:SSL routines:SSL_CTX_set_cipher_list:no cipher match",
        "3.0": "error:0A0000B9:SSL routines::no cipher match",
    }),
]  # fmt: skip


@pytest.mark.parametrize("name", RELEASES)
@pytest.mark.parametrize(("operation", "codes", "data", "reports"), STARTS)
def test_startup_failures_in_every_dialect(
    operation: str, codes: list[int], data: dict[int, str], reports: dict[str, str], name: str
) -> None:
    queue = [queued_error(code) for code in codes]
    words = reports.get(name, reports["3.0"])  # 3.5 is unchanged here
    assert error_text(operation, queue, find_dialect(name), data) == f"{operation} (SSL: {words})"


VERIFY = {
    0: ("ok", "ok", "ok"),
    2: ("unable to get issuer certificate",) * 3,
    9: ("certificate is not yet valid",) * 3,
    10: ("certificate has expired",) * 3,
    18: ("self signed certificate", "self-signed certificate", "self-signed certificate"),
    19: (
        "self signed certificate in certificate chain",
        "self-signed certificate in certificate chain",
        "self-signed certificate in certificate chain",
    ),
    20: ("unable to get local issuer certificate",) * 3,
    21: ("unable to verify the first certificate",) * 3,
    22: ("certificate chain too long",) * 3,
    23: ("certificate revoked",) * 3,
}


@pytest.mark.parametrize("number", VERIFY)
def test_verify_errors_in_every_dialect(number: int) -> None:
    reports = tuple(find_dialect(name).verify(number) for name in ("1.1.1", "3.0", "3.5"))
    assert reports == VERIFY[number]


def test_unknown_verify_error() -> None:
    for name in NAMES:
        assert find_dialect(name).verify(9999) == "unknown certificate verification error"


# --- the tables ---


UNKNOWN_TO = {
    "1.1.1": {313},
    "3.0": {313},
    "3.5": set(),
}


def release(name: str) -> ReleaseDialect:
    found = find_dialect(name)
    assert isinstance(found, ReleaseDialect)
    return found


@pytest.mark.parametrize("name", RELEASES)
def test_tables_have_every_reason_that_determines_a_level(name: str) -> None:
    unknown = {n for n in ORDINARY_REASONS if not release(name).knows(20, n)}
    assert unknown == UNKNOWN_TO[name]


@pytest.mark.parametrize("name", RELEASES)
def test_tables_were_generated_with_the_linked_library(name: str) -> None:
    linked = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode()
    assert minor(release(name).reference) == minor(linked), (
        "OpenSSL has a new release: provoke the failures in it too (tests/tls/make_dialects.py)"
    )
    assert release(name).name.startswith(f"OpenSSL {name}")


def minor(version: str) -> Sequence[str]:
    return re.findall(r"OpenSSL (\d+\.\d+)", version)


def test_native_is_the_linked_library() -> None:
    assert find_dialect("native") is NATIVE


def test_directive_accepts_every_dialect() -> None:
    assert DIALECTS == NAMES


# --- rules ---


def test_when_3_5_reports_a_packet_length_too_long() -> None:
    longest = MAX_RECORD.to_bytes(2)
    assert not is_too_long(b"\x16\x03\x03" + longest)
    assert is_too_long(b"\x16\x03\x03" + (MAX_RECORD + 1).to_bytes(2))
    assert not is_too_long(b"")
    assert [name for name in NAMES if find_dialect(name).needs_record_header] == ["3.5"]


def test_unobserved_error_uses_the_most_frequent_function() -> None:
    unheard_of = [queued_error(0x0A000073)]
    text = error_text("SSL_read() failed", unheard_of, find_dialect("1.1.1"))
    assert ":ssl3_read_bytes:bad packet length" in text
    text = error_text("SSL_do_handshake() failed", unheard_of, find_dialect("1.1.1"))
    assert ":state_machine:bad packet length" in text


def test_empty_queue_has_no_errors() -> None:
    for name in NAMES:
        assert error_text("f() failed", [], find_dialect(name)) == "f() failed"
