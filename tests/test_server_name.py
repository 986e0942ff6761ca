"""`names` against the reference's tables, and `check_host` against OpenSSL's own."""

from __future__ import annotations

import ctypes
import ctypes.util
import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from sniproxy.server_name import (
    CertificateNames,
    certificate_names,
    check_host,
    is_ipv4,
    sent_server_name,
    without_port,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("origin.test", "origin.test"),
        ("origin.test:8443", "origin.test"),
        ("a:b:c", "a"),
        (":443", ""),
        ("", ""),
        ("[::1]", "[::1]"),
        ("[::1]:443", "[::1]"),
        ("[::1", "[::1"),
        ("::1", ""),
        ("Origin.Test.", "Origin.Test."),
    ],
)
def test_port_is_stripped_from_name(text: str, name: str) -> None:
    assert without_port(text) == name


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("origin.test", "origin.test"),
        ("UPPER.test.", "UPPER.test."),
        ("under_score", "under_score"),
        ("", None),
        ("127.0.0.1", None),
        ("[::1]", None),
        ("1.2.3", "1.2.3"),
        ("1.2.3.256", "1.2.3.256"),
        ("::1", "::1"),
    ],
)
def test_sni_that_is_sent(name: str, sent: str | None) -> None:
    assert sent_server_name(name, proxy_ssl_server_name=True) == sent
    assert sent_server_name(name, proxy_ssl_server_name=False) is None


@pytest.mark.parametrize(
    ("text", "is_address"),
    [
        ("1.2.3.4", True),
        ("01.2.3.4", True),
        ("1.2.3", False),
        ("1..3.4", False),
        ("a.b.c.d", False),
    ],
)
def test_ipv4_addresses_are_recognized(text: str, is_address: bool) -> None:
    assert is_ipv4(text) is is_address


KEY = ec.generate_private_key(ec.SECP256R1())


def make_certificate(dns: list[str], common: list[str]) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn) for cn in common])
    now = datetime.datetime(2026, 1, 1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    if dns:
        names = x509.SubjectAlternativeName([x509.DNSName(n) for n in dns])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(KEY, hashes.SHA256())


class OpenSSL:
    """X509_check_host of the system's libcrypto: the binding does not carry it."""

    def __init__(self) -> None:
        self.lib = ctypes.CDLL(ctypes.util.find_library("crypto"))
        self.lib.d2i_X509.restype = ctypes.c_void_p
        self.lib.X509_free.argtypes = [ctypes.c_void_p]
        self.lib.X509_check_host.argtypes = [
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_void_p,
        ]

    def check_host(self, certificate: x509.Certificate, name: str) -> bool:
        der = certificate.public_bytes(serialization.Encoding.DER)
        start = ctypes.c_char_p(der)
        parsed = self.lib.d2i_X509(None, ctypes.byref(start), ctypes.c_long(len(der)))
        text = name.encode("latin-1")
        answer = self.lib.X509_check_host(parsed, text, len(text), 0, None)
        self.lib.X509_free(parsed)
        return bool(answer == 1)


@pytest.mark.parametrize(
    ("dns", "common", "name", "matches"),
    [
        (["a.test"], [], "a.test", True),
        (["a.test"], [], "A.TEST", True),
        (["a.test"], [], "a.test.", False),
        (["a.test"], [], "", False),
        (["*.a.test"], [], "x.a.test", True),
        (["*.a.test"], [], "x.y.a.test", False),
        (["*.a.test"], [], "a.test", False),
        (["*.a.test"], [], ".a.test", True),
        (["x.a.test"], [], ".a.test", True),
        (["*.test"], [], "a.test", False),
        (["f*.a.test"], [], "foo.a.test", True),
        (["*o.a.test"], [], "foo.a.test", True),
        (["f*o.a.test"], [], "foo.a.test", False),
        (["xn--*.a.test"], [], "xn--a.a.test", False),
        (["*a.a.test"], [], "xn--a.a.test", False),
        (["*.a.test"], [], "xn--a.a.test", True),
        (["*.a.test"], [], "*.a.test", True),
        (["*.a_b.test"], [], "x.a_b.test", False),
        (["under_score.test"], [], "under_score.test", True),
        (["127.0.0.1"], [], "127.0.0.1", True),
        ([], ["127.0.0.1"], "127.0.0.1", True),
        (["other.test"], ["a.test"], "a.test", False),
        ([], ["b.test", "a.test"], "a.test", True),
        ([], ["*.a.test"], "x.a.test", True),
        ([], [], "a.test", False),
    ],
)
def test_check_host_matches_certificate_names(
    dns: list[str], common: list[str], name: str, matches: bool
) -> None:
    certificate = make_certificate(dns, common)
    assert check_host(certificate_names(certificate), name) is matches
    if name:
        assert OpenSSL().check_host(certificate, name) is matches


def test_name_with_nul_never_matches() -> None:
    assert not check_host(CertificateNames(("a.test\0.evil.test",)), "a.test")
    assert not check_host(CertificateNames(("a.test",)), "a.test\0.evil.test")


labels = st.text("aAbx*n-_.0", max_size=6) | st.sampled_from(
    ["xn--", "xn--a", "a", "*", "a*", "*a"]
)
hosts = st.lists(labels, min_size=1, max_size=4).map(".".join).filter(bool)


@settings(max_examples=400, deadline=None)
@given(pattern=hosts, name=hosts)
def test_check_host_agrees_with_openssl(pattern: str, name: str) -> None:
    certificate = make_certificate([pattern], [])
    expected = OpenSSL().check_host(certificate, name)
    assert check_host(certificate_names(certificate), name) is expected


@settings(max_examples=200, deadline=None)
@given(first=labels, rest=st.sampled_from(["a.test", "b.a.test"]), data=st.data())
def test_wildcards_agree_with_openssl(first: str, rest: str, data: st.DataObject) -> None:
    pattern = f"{first}.{rest}"
    name = f"{data.draw(labels)}.{rest}"
    certificate = make_certificate([pattern], [])
    expected = OpenSSL().check_host(certificate, name)
    assert check_host(certificate_names(certificate), name) is expected


@pytest.mark.parametrize("name", ["xn--a", "xn-a", "axn--a", "XN--a"])
@pytest.mark.parametrize("first", ["*", "*a", "a*", "x*", "xn*"])
def test_partial_wildcards_match_no_internationalized_label(first: str, name: str) -> None:
    certificate = make_certificate([f"{first}.a.test"], [])
    expected = OpenSSL().check_host(certificate, f"{name}.a.test")
    assert check_host(certificate_names(certificate), f"{name}.a.test") is expected
