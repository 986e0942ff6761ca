"""Certificates, keys and lists that cannot be loaded: messages compared with `nginx -t`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sniproxy.models import ConfigError
from sniproxy.tls.certificates import CertificateSource, read_password_file
from sniproxy.tls.conf_commands import Command
from sniproxy.tls.contexts import server_context, upstream_context
from sniproxy.tls.errors import NATIVE, Dialect

from . import authority
from .conftest import Files
from .oracles import INSTALLED, WHEEL, Oracle
from .real_nginx import judge, refusal


@pytest.fixture(scope="module")
def odd(files: Files) -> Path:
    """A directory of files with unexpected content."""
    folder = files.folder / "odd"
    folder.mkdir()
    good = Path(files.leaf.certificate).read_bytes()
    bad = authority.pem(files.ca.certificate).replace(b"M", b"*", 3)
    key = load_pem_private_key(Path(files.leaf.key).read_bytes(), None)
    (folder / "empty").write_bytes(b"")
    (folder / "garbage").write_bytes(b"hello\n")
    (folder / "bad").write_bytes(bad)
    (folder / "good-bad").write_bytes(good + bad)
    (folder / "encrypted").write_bytes(authority.key_pem(key, b"secret"))  # type: ignore[arg-type]
    (folder / "wrong").write_bytes(b"wrong\n\nwronger\r\n")
    (folder / "long").write_bytes(b"x" * 4096 + b"\n")
    return folder


@dataclass(frozen=True)
class Server:
    """An `ssl` server: its settings for sniproxy and nginx; FILES is replaced in both."""

    certificate: str = "FILES/leaf.crt"
    key: str = "FILES/leaf.key"
    password_file: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    """Names without the prefix `ssl_`."""
    commands: tuple[Command, ...] = ()

    def nginx(self, path: Callable[[str], str]) -> str:
        directives = {
            "certificate": self.certificate,
            "certificate_key": self.key,
            "password_file": self.password_file,
            **self.settings,
        }
        text = "".join(
            f'ssl_{k.replace("groups", "ecdh_curve")} "{path(v)}";'
            for k, v in directives.items()
            if v
        )
        text += "".join(f'ssl_conf_command "{k}" "{v}";' for k, v in self.commands)
        return f"server {{ listen 127.0.0.1:1 ssl; {text} }}"

    def ours(self, path: Callable[[str], str], dialect: Dialect = NATIVE) -> None:
        passphrases: tuple[str, ...] = ()
        if self.password_file:
            passphrases = read_password_file(path(self.password_file))
        source = CertificateSource(path(self.certificate), path(self.key), passphrases)
        settings: dict[str, Any] = {name: path(value) for name, value in self.settings.items()}
        server_context(
            certificates=[source], conf_commands=self.commands, dialect=dialect, **settings
        )


@dataclass(frozen=True)
class Location:
    """The upstream settings of a location."""

    settings: dict[str, str]
    certificate: str = ""
    key: str = ""
    commands: tuple[Command, ...] = ()

    def nginx(self, path: Callable[[str], str]) -> str:
        directives = {"certificate": self.certificate, "certificate_key": self.key, **self.settings}
        text = "".join(f'proxy_ssl_{k} "{path(v)}";' for k, v in directives.items() if v)
        text += "".join(f'proxy_ssl_conf_command "{k}" "{v}";' for k, v in self.commands)
        location = f"location / {{ proxy_pass https://127.0.0.1; {text} }}"
        return f"server {{ listen 127.0.0.1:1; {location} }}"

    def ours(self, path: Callable[[str], str], dialect: Dialect = NATIVE) -> None:
        settings: dict[str, Any] = {name: path(value) for name, value in self.settings.items()}
        settings["verify"] = settings.get("verify") == "on"
        if self.certificate:
            settings["certificate"] = CertificateSource(path(self.certificate), path(self.key))
        upstream_context(conf_commands=self.commands, dialect=dialect, **settings)


TRUSTED = {"verify": "on", "trusted_certificate": "FILES/ca.pem"}

REFUSED: list[Server | Location] = [
    Server(certificate="/nonexistent/x"),
    Server(certificate="FILES/odd/empty"),
    Server(certificate="FILES/odd/garbage"),
    Server(certificate="FILES/odd/bad"),
    Server(certificate="FILES/odd/good-bad"),
    Server(certificate="FILES"),
    Server(certificate="data:hello"),
    Server(certificate="data:"),
    Server(key="/nonexistent/x"),
    Server(key="FILES/odd/empty"),
    Server(key="FILES/odd/garbage"),
    Server(key="FILES/own.key"),
    Server(key="data:hello"),
    Server(key=""),
    Server(settings={"ciphers": "nope"}),
    Server(settings={"groups": "X25519:nope"}),
    Server(settings={"trusted_certificate": "/nonexistent/x"}),
    Server(settings={"trusted_certificate": "FILES/odd/empty"}),
    Server(settings={"trusted_certificate": "FILES/odd/good-bad"}),
    Server(settings={"verify_client": "on"}),
    Server(settings={"verify_client": "optional", "client_certificate": "/nonexistent/x"}),
    Server(settings={"crl": "/nonexistent/x"}),
    Server(settings={"crl": "FILES/odd/empty"}),
    Server(settings={"crl": "FILES/ca.pem"}),
    Server(certificate="/nonexistent/x", settings={"ciphers": "nope"}),
    Server(certificate="/nonexistent/x", settings={"groups": "nope"}),
    Location({"verify": "on"}),
    Location({"verify": "on", "trusted_certificate": "/nonexistent/x"}),
    Location({"verify": "on", "trusted_certificate": "FILES/odd/empty"}),
    Location({**TRUSTED, "crl": "/nonexistent/x"}),
    Location({"ciphers": "nope"}),
    Location({}, certificate="/nonexistent/x"),
    Location({}, certificate="/nonexistent/x", key="/nonexistent/y"),
    Location({}, certificate="FILES/leaf.crt", key="FILES/own.key"),
    Location({"ciphers": "nope"}, commands=(("Options", "nope"),)),
    Location({}, commands=(("Options", "PrioritizeChaCha"), ("Options", "nope"))),
    Server(settings={"groups": "nope"}, commands=(("Options", "nope"),)),
    *(
        Location({}, commands=((name, value),))
        for name, value in (
            ("Nope", "x"),
            ("-cipher", "HIGH"),
            ("cipher", "HIGH"),
            ("MinProtocol", "nope"),
            ("MinProtocol", "tlsv1.2"),
            ("minprotocol", ""),
            ("MaxProtocol", "TLSv1.4"),
            ("CipherString", "nope"),
            ("CipherString", ""),
            ("Ciphersuites", "nope"),
            ("Groups", "nope"),
            ("Groups", ""),
            ("Curves", "X25519:nope"),
            ("SignatureAlgorithms", "nope"),
            ("SignatureAlgorithms", ""),
            ("Options", "nope"),
            ("Options", ""),
            ("Options", "Bugs,,Compression"),
            ("Options", "Bugs,"),
            ("Options", "- Bugs"),
            ("Options", "+-Bugs"),
            ("Options", "DHSingl"),
        )
    ),
]

ACCEPTED = (
    ("MinProtocol", "TLSv1.3"),
    ("MinProtocol", "None"),
    ("MinProtocol", "SSLv3"),
    ("MinProtocol", "DTLSv1.2"),
    ("MAXPROTOCOL", "TLSv1.2"),
    ("CipherString", "HIGH:!aNULL@SECLEVEL=1"),
    ("Ciphersuites", "TLS_AES_128_GCM_SHA256:nope"),
    ("Ciphersuites", ""),
    ("Groups", "P-256:?nope"),
    ("groups", "X25519:P-384"),
    ("Curves", "secp521r1"),
    ("SignatureAlgorithms", "ECDSA+SHA256:rsa_pss_rsae_sha256"),
    ("Options", "SessionTicket , -EmptyFragments,+Bugs, -KTLS"),
    ("Options", "Compression,ServerPreference,NoResumptionOnRenegotiation,DHSingle,ECDHSingle"),
    ("Options", "UnsafeLegacyRenegotiation,UnsafeLegacyServerConnect,ClientRenegotiation"),
    ("Options", "-EncryptThenMac,NoRenegotiation,AllowNoDHEKEX,PreferNoDHEKEX,PrioritizeChaCha"),
    ("Options", "MiddleboxCompat,-AntiReplay,-ExtendedMasterSecret,-CANames,KTLS"),
    ("Options", "TxCertificateCompression,-RxCertificateCompression,KTLSTxZerocopySendfile"),
    ("Options", "-SessionTicket,IgnoreUnexpectedEOF"),
)


NEWER = {"trusted_certificate", "client_certificate", "verify_client", "crl", "groups"}
"""Settings that nginx before 1.27 loads differently, or OpenSSL 3.0 rejects with more errors."""


def is_old(case: Server | Location) -> bool:
    """Whether an older nginx reports the same error."""
    named = {*case.settings, *(name.lower() for name, _ in case.commands)}
    return not named & {*NEWER, "curves"}


@pytest.mark.nginx
@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_load_errors_have_the_messages_of_nginx(
    case: Server | Location, files: Files, odd: Path, tmp_path: Path
) -> None:
    refused_as_by(WHEEL, case, files, tmp_path)


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("case", [case for case in REFUSED if is_old(case)], ids=str)
def test_installed_nginx_reports_the_same_load_errors(
    case: Server | Location, files: Files, odd: Path, tmp_path: Path
) -> None:
    refused_as_by(INSTALLED, case, files, tmp_path)


def refused_as_by(oracle: Oracle, case: Server | Location, files: Files, tmp_path: Path) -> None:
    def path(text: str) -> str:
        return text.replace("FILES", str(files.folder))

    with pytest.raises(ConfigError) as refused:
        case.ours(path, oracle.dialect)
    assert str(refused.value) == refusal(tmp_path, case.nginx(path), oracle.command)


@pytest.mark.nginx
@pytest.mark.parametrize("command", ACCEPTED, ids=" ".join)
def test_openssl_commands_are_applied(command: Command, tmp_path: Path) -> None:
    case = Location({}, commands=(command,))
    case.ours(str)
    assert judge(tmp_path, case.nginx(str)) is None


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("VerifyMode", "Peer"), '"proxy_ssl_conf_command" can not do "VerifyMode" in sniproxy'),
        (
            ("Options", "KTLS,-MiddleboxCompat"),
            '"proxy_ssl_conf_command Options" can not do "-MiddleboxCompat" in sniproxy',
        ),
        (
            ("options", "StrictCertCheck"),
            '"proxy_ssl_conf_command options" can not do "StrictCertCheck" in sniproxy',
        ),
    ],
)
def test_openssl_commands_without_binding_are_rejected_by_name(
    command: Command, words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        upstream_context(conf_commands=[command])
    assert str(refused.value) == words


@pytest.mark.nginx
@pytest.mark.parametrize("name", ["nonexistent", "long"])
def test_unreadable_password_file_is_an_error_with_its_line(
    name: str, files: Files, odd: Path, tmp_path: Path
) -> None:
    http = Server(password_file=str(odd / name)).nginx(
        lambda text: text.replace("FILES", str(files.folder))
    )
    theirs = refusal(tmp_path, http)
    file, line = theirs.rpartition(" in ")[2].split(":")
    with pytest.raises(ConfigError) as refused:
        read_password_file(str(odd / name), file, int(line))
    assert str(refused.value) == theirs


def test_passphrases_are_tried_in_turn(files: Files, odd: Path) -> None:
    source = CertificateSource(files.leaf.certificate, str(odd / "encrypted"), ("wrong", "secret"))
    server_context(certificates=[source])


def test_wrong_passphrases_are_an_error(files: Files, odd: Path) -> None:
    # Some releases queue the error twice: their decoders try twice.
    source = CertificateSource(files.leaf.certificate, str(odd / "encrypted"), ("a", "b"))
    with pytest.raises(ConfigError, match=r"PKCS12 routines::.*:maybe wrong password"):
        server_context(certificates=[source])


def test_encrypted_key_without_passphrase_does_not_prompt(files: Files, odd: Path) -> None:
    source = CertificateSource(files.leaf.certificate, str(odd / "encrypted"))
    with pytest.raises(ConfigError, match=r"PEM_read_bio_PrivateKey\(\) failed .*bad password"):
        server_context(certificates=[source])


def test_empty_password_file_means_the_empty_passphrase(odd: Path) -> None:
    assert read_password_file(str(odd / "empty")) == ("",)
    assert read_password_file(str(odd / "wrong")) == ("wrong", "wronger")
