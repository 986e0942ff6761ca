"""Certificates of the test upstreams and of the clients, generated into a folder.

`generate_certificates(directory)` writes NAME.pem and NAME.key for every leaf, and NAME.pem for
the roots: `root` (to be trusted), `new-root` (self-signed, and cross-signed by `root`), `stranger`
(not to be trusted) and `client-root` (for client certificates). It also writes
`client-encrypted.key` with its passphrase in `passphrases`, certificate revocation lists, and
`issuer.key`, with which `issue_certificate` issues more.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import crypto

from sniproxy.testing.authority import Authority, Identity, Validity, pem, self_signed

from ...system import O_BINARY

ROOT_KEY = "issuer.key"
"""The key of `root.pem`; `root.key` would be taken for that of a server certificate."""
GOOD_NAME = "upstream.test"
GOOD_NAMES = (
    GOOD_NAME,
    "up_stream.test",
    "*.groups.test",
    "*.wild.test",
    "f*.part.test",
    "IP:127.0.0.1",
)
PASSPHRASE = "open sesame"
WRONG_PASSPHRASES = ("not this one", "nor this")
ODD_NAME = x509.Name(
    [
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "test")]),
        x509.RelativeDistinguishedName(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, ' #a,b+c"d\\e<f>g;h=i/j '),
                x509.NameAttribute(NameOID.USER_ID, "#1"),
            ]
        ),
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.LOCALITY_NAME, "Köln")]),
        x509.RelativeDistinguishedName(
            [x509.NameAttribute(NameOID.STREET_ADDRESS, "Straße €", _type=_ASN1Type.BMPString)]
        ),
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.SURNAME, " ")]),
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.GIVEN_NAME, "#")]),
        x509.RelativeDistinguishedName(
            [x509.NameAttribute(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), "unknown")]
        ),
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@b.test")]),
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.SERIAL_NUMBER, "7")]),
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "tab\there\x7f")]),
    ]
)
"""A subject that is awkward to print.

It has characters to escape, a multi-valued RDN, a BMPString, and an unknown attribute type.
"""
DH_PARAMETERS = """\
-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""
"""The 2048-bit group ffdhe2048 (RFC 7919)."""
WEAK_DH_PARAMETERS = """\
-----BEGIN DH PARAMETERS-----
MIGHAoGBAP//////////yQ/aoiFowjTExmKLgNwc0SkCTgiKZ8x0Agu+pjsTmyJR
Sgh5jjQE3e+VGbPNOkMbMCsKbfJfFDdP4TVtbVHCReSFtXZiXn7G9ExC6aY37WsL
/1y29Aa37e44a/taiZ+lrp8kEXxLH+ZJKGZR7OZTgf//////////AgEC
-----END DH PARAMETERS-----
"""
"""The 1024-bit Second Oakley Group (RFC 2409), which OpenSSL rejects as too small."""
MAX_INTERMEDIATES = 4
"""Number of intermediates in the longest chain."""


def ensure_certificates(directory: Path) -> Path:
    """Return `directory`, after generating the certificates if they are not there yet.

    Safe to call concurrently: the first process to finish wins, the others discard their result.
    Raises OSError if `directory` exists with other content.
    """
    if not (directory / "root.pem").exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as new:
            staging = Path(new) / "staging"
            staging.mkdir()
            generate_certificates(staging)
            try:
                staging.rename(directory)
            except OSError:
                if not (directory / "root.pem").exists():
                    raise
    return directory


def generate_certificates(directory: Path) -> None:
    """Write all certificates, keys, roots and revocation lists into `directory`."""
    root = Authority.root("Test Root")
    new_root = Authority.root("Test New Root")
    stranger = Authority.root("Stranger Root")
    client_root = Authority.root("Client Root")
    roots = {"root": root, "new-root": new_root, "stranger": stranger, "client-root": client_root}
    for name, authority in roots.items():
        (directory / f"{name}.pem").write_bytes(pem(authority.certificate))
    write_private(directory / ROOT_KEY, Identity(root.certificate, root.key).key_pem())
    below = root.intermediate("Test Intermediate")
    client_below = client_root.intermediate("Client Intermediate")
    leaves: dict[str, Identity] = {
        "good": root.issue(*GOOD_NAMES),
        "wrong-host": root.issue("other.test"),
        "expired": root.issue(GOOD_NAME, validity=Validity(-30, -1)),
        "early": root.issue(GOOD_NAME, validity=Validity(10, 30)),
        "expired-wrong-host": root.issue("other.test", validity=Validity(-30, -1)),
        "self-signed": self_signed(GOOD_NAME),
        "untrusted": stranger.issue(GOOD_NAME),
        "untrusted-with-root": stranger.issue(GOOD_NAME, with_root=True),
        "incomplete": below.issue(GOOD_NAME, with_chain=False),
        "with-root": root.issue(GOOD_NAME, with_root=True),
        "common-name": root.issue(common_name=GOOD_NAME),
        "common-name-hidden": root.issue("other.test", common_name=GOOD_NAME),
        "address-as-name": root.issue("127.0.0.1"),
        "ip-address": root.issue("IP:127.0.0.1"),
        "wildcard": root.issue(f"*.{GOOD_NAME}"),
        "cross-signed": new_root.cross_signed(root)
        .intermediate("Test New Intermediate")
        .issue(GOOD_NAME),
        "expired-authority": root.intermediate(
            "Test Expired Intermediate", validity=Validity(-30, -1)
        ).issue(GOOD_NAME),
        "short-path": root.intermediate("Test Last Intermediate", path_length=0)
        .intermediate("Test Intermediate Too Many")
        .issue(GOOD_NAME),
        "wrong-purpose": root.issue(GOOD_NAME, purposes=[ExtendedKeyUsageOID.CLIENT_AUTH]),
        "big-chain": replace(root.issue(GOOD_NAME), chain=(stranger.certificate,) * 80),
        "too-big-chain": replace(root.issue(GOOD_NAME), chain=(stranger.certificate,) * 400),
        "client": client_root.issue(common_name="client"),
        "client-stranger": stranger.issue(common_name="stranger"),
        "client-expired": client_root.issue(common_name="expired", validity=Validity(-30, -1)),
        "client-deep": client_below.issue(common_name="deep client"),
        "client-alone": client_below.issue(common_name="deep client", with_chain=False),
        "client-odd": client_root.issue(subject=ODD_NAME),
        "revoked": root.issue(GOOD_NAME),
        "rsa": root.issue(GOOD_NAME, common_name="rsa", key=rsa.generate_private_key(65537, 2048)),
        "front": root.issue("front.test", common_name="front"),
        "second": root.issue("second.test", "*.second.test", common_name="second"),
    }
    first = authority = root.intermediate("Test Intermediate 1")
    for depth in range(1, MAX_INTERMEDIATES + 1):
        if depth > 1:
            authority = authority.intermediate(f"Test Intermediate {depth}")
        leaves[f"deep-{depth}"] = authority.issue(GOOD_NAME)
    for name, identity in leaves.items():
        identity.write(directory, name)
    (directory / "client-encrypted.key").write_bytes(encrypted_key(leaves["client"]))
    (directory / "passphrases").write_text(f"not this one\n\n{PASSPHRASE}\r\n")
    (directory / "wrong-passphrases").write_text("".join(f"{w}\n" for w in WRONG_PASSPHRASES))
    (directory / "dh.pem").write_text(DH_PARAMETERS)
    (directory / "weak-dh.pem").write_text(WEAK_DH_PARAMETERS)
    write_revocation_lists(directory, root, stranger, first, leaves)


CertificatePaths = tuple[str | os.PathLike[str], str | os.PathLike[str]]
"""The files of a certificate, with its chain, and of its key."""
_numbers = itertools.count(1)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read."""
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | O_BINARY, 0o600), "wb"
    ) as file:
        file.write(data)


def issue_certificate(directory: Path, names: Sequence[str]) -> str:
    """Issue a certificate of the root for these names; returns its name in the folder.

    `IP:192.0.2.1` is an address.
    """
    certificate = x509.load_pem_x509_certificate((directory / "root.pem").read_bytes())
    key = serialization.load_pem_private_key((directory / ROOT_KEY).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    stem = _new_name()
    Authority(certificate, key).issue(*names).write(directory, stem)
    return stem


def copy_certificate(directory: Path, files: CertificatePaths) -> str:
    """Copy a certificate and its key into the folder; returns their name there."""
    stem = _new_name()
    certificate, key = (Path(file).read_bytes() for file in files)
    (directory / f"{stem}.pem").write_bytes(certificate)
    write_private(directory / f"{stem}.key", key)
    return stem


def _new_name() -> str:
    return f"issued-{os.getpid()}-{next(_numbers)}"


def encrypted_key(identity: Identity) -> bytes:
    """The private key, encrypted so that both wrong passphrases fail with "bad decrypt".

    One time in 256 decryption with a wrong passphrase yields valid padding, and OpenSSL reports
    an error in the content instead.
    """
    while True:
        key = identity.encrypted_key_pem(PASSPHRASE)
        if all(is_bad_decrypt(key, wrong) for wrong in WRONG_PASSPHRASES):
            return key


def is_bad_decrypt(key: bytes, passphrase: str) -> bool:
    """Whether OpenSSL reports "bad decrypt" for this passphrase."""
    try:
        crypto.load_privatekey(crypto.FILETYPE_PEM, key, passphrase.encode())
    except crypto.Error as error:
        return any(reason == "bad decrypt" for _, _, reason in error.args[0])
    return False


def write_revocation_lists(
    directory: Path,
    root: Authority,
    stranger: Authority,
    first: Authority,
    leaves: dict[str, Identity],
) -> None:
    """Write the revocation lists; `first` is the intermediate that issued `deep-1`."""
    lists = {
        "none-revoked": root.revocation_list(),
        "one-revoked": root.revocation_list(leaves["revoked"].certificate),
        "old": root.revocation_list(validity=Validity(-30, -1)),
        "coming": root.revocation_list(validity=Validity(10, 30)),
        "strange": stranger.revocation_list(),
        "both": root.revocation_list() + first.revocation_list(),
        "leaf-revoked": root.revocation_list()
        + first.revocation_list(leaves["deep-1"].certificate),
        "authority-revoked": root.revocation_list(first.certificate) + first.revocation_list(),
    }
    for name, pem_text in lists.items():
        (directory / f"{name}.crl").write_bytes(pem_text)
