from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from sniproxy.tls.certificates import CertificateSource

from . import authority
from .authority import Pair


@dataclass(frozen=True)
class Files:
    """Certificates used by most tests, generated once."""

    folder: Path
    ca: Pair
    intermediate: Pair
    ca_file: str
    crl_file: str
    leaf: CertificateSource
    """For w.test, issued by the CA."""
    deep: CertificateSource
    """For w.test, issued by the intermediate, which is included."""
    lonely: CertificateSource
    """For w.test, issued by the intermediate, which is missing."""
    own: CertificateSource
    """For w.test, self-signed."""
    old: CertificateSource
    """For w.test, expired."""
    rsa: CertificateSource
    """For w.test, with an RSA key."""
    client: CertificateSource
    revoked: CertificateSource


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("tls")
    ca = authority.make(ca=True, common_name="Test CA")
    intermediate = authority.make(ca=True, common_name="Intermediate", issuer=ca)
    deep = authority.make("w.test", issuer=intermediate)
    old = authority.make(
        "w.test",
        issuer=ca,
        starts=authority.NOW - 9 * authority.DAY,
        ends=authority.NOW - authority.DAY,
    )
    revoked = authority.make("w.test", issuer=ca)
    (folder / "ca.pem").write_bytes(authority.pem(ca.certificate))
    (folder / "crl.pem").write_bytes(authority.revocation_list(ca, revoked))
    return Files(
        folder=folder,
        ca=ca,
        intermediate=intermediate,
        ca_file=str(folder / "ca.pem"),
        crl_file=str(folder / "crl.pem"),
        leaf=authority.make("w.test", issuer=ca).write(folder, "leaf"),
        deep=deep.write(folder, "deep", intermediate.certificate),
        lonely=deep.write(folder, "lonely"),
        own=authority.make("w.test").write(folder, "own"),
        old=old.write(folder, "old"),
        rsa=authority.make("w.test", issuer=ca, use_rsa=True).write(folder, "rsa"),
        client=authority.make("client", issuer=ca).write(folder, "client"),
        revoked=revoked.write(folder, "revoked"),
    )
