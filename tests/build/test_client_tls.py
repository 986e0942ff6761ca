"""TLS settings of servers: errors and warnings at start, compared with `nginx -t`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sniproxy import config
from sniproxy.build import load
from sniproxy.build.paths import Paths
from sniproxy.models import ConfigError
from sniproxy.testing.upstreams import generate_certificates
from sniproxy.variables import is_variable
from tests.build.trusted import write_trusted
from tests.config.oracle import Verdict, nginx_verdict
from tests.tls.real_nginx import same_codes

PAIR = "ssl_certificate good.pem; ssl_certificate_key good.key;"
STRICT = "ssl_verify_client on;"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    generate_certificates(folder)
    (folder / "empty").write_bytes(b"")
    (folder / "text").write_bytes(b"hello\n")
    (folder / "long").write_bytes(b"x" * 4096 + b"\n")
    for size in (47, 48, 80, 81):
        (folder / f"ticket-{size}").write_bytes(b"k" * size)
    parameters = ("dhparam", "-dsaparam", "-out", folder / "dh-1024.pem", "1024")
    subprocess.run(["openssl", *parameters], check=True, capture_output=True)
    write_trusted(folder)
    return folder


def pair(certificate: str, key: str) -> str:
    return f"ssl_certificate {certificate}; ssl_certificate_key {key};"


REFUSED = [
    # OCSP.
    f"{PAIR} ssl_ocsp on; ssl_verify_client optional_no_ca;",
    f"{PAIR} ssl_ocsp on; ssl_ocsp_responder https://127.0.0.1/;",
    f"{PAIR} ssl_ocsp on; ssl_ocsp_responder http://127.0.0.1:x/;",
    f"{PAIR} ssl_ocsp_cache shared:a:1k;",
    # Certificates and keys.
    "",
    "ssl_certificate_key good.key;",
    "ssl_certificate good.pem;",
    "ssl_certificate good.pem; ssl_certificate second.pem; ssl_certificate_key good.key;",
    pair("good.pem", "second.key"),
    pair("nothing.pem", "good.key"),
    pair("good.pem", "nothing.key"),
    pair("empty", "good.key"),
    pair("text", "good.key"),
    pair("good.pem", "empty"),
    pair("good.pem", "good.pem"),
    pair('"data:hello"', "good.key"),
    pair("good.pem", '"data:hello"'),
    pair("$nothing", "good.key"),
    pair("good.pem", "$nothing"),
    pair("$", "good.key"),
    pair("${host", "good.key"),
    f"{pair('client.pem', 'client-encrypted.key')} ssl_password_file wrong-passphrases;",
    f"{PAIR} ssl_password_file nothing;",
    f"{PAIR} ssl_password_file long;",
    f"{PAIR} ssl_password_file passphrases; ssl_password_file passphrases;",
    # The order of errors.
    f"{pair('nothing.pem', 'good.key')} ssl_ciphers nonsense;",
    f"{pair('nothing.pem', 'good.key')} {STRICT}",
    f"{PAIR} {STRICT} ssl_crl nothing;",
    f"{PAIR} ssl_trusted_certificate nothing; ssl_crl nothing;",
    f"{PAIR} ssl_crl nothing; ssl_dhparam nothing;",
    f"{PAIR} ssl_dhparam nothing; ssl_ecdh_curve nonsense;",
    f"{PAIR} ssl_ecdh_curve nonsense; ssl_session_ticket_key nothing;",
    f"{pair('$host', '$host')} ssl_ciphers nonsense;",
    f"{pair('$host', '$host')} ssl_trusted_certificate nothing;",
    # Client verification.
    f"{PAIR} {STRICT}",
    f"{PAIR} ssl_verify_client optional;",
    f"{PAIR} ssl_verify_client maybe;",
    f"{PAIR} ssl_verify_client on; ssl_verify_client off;",
    f"{PAIR} {STRICT} ssl_client_certificate nothing;",
    f"{PAIR} {STRICT} ssl_client_certificate text;",
    f"{PAIR} {STRICT} ssl_client_certificate empty;",
    f"{PAIR} {STRICT} ssl_client_certificate '';",
    f"{PAIR} ssl_trusted_certificate nothing;",
    f"{PAIR} ssl_trusted_certificate text;",
    f"{PAIR} ssl_crl nothing;",
    f"{PAIR} ssl_crl text;",
    f"{PAIR} ssl_crl good.pem;",
    f"{PAIR} ssl_verify_depth x;",
    f"{PAIR} ssl_verify_depth -1;",
    # Protocols, ciphers, groups.
    f"{PAIR} ssl_protocols TLSv1.4;",
    f"{PAIR} ssl_protocols;",
    f"{PAIR} ssl_ciphers nonsense;",
    f"{PAIR} ssl_ciphers '';",
    f"{PAIR} ssl_prefer_server_ciphers maybe;",
    f"{PAIR} ssl_ecdh_curve nonsense;",
    f"{PAIR} ssl_ecdh_curve '';",
    f"{PAIR} ssl_dhparam nothing;",
    f"{PAIR} ssl_dhparam text;",
    f"{PAIR} ssl_dhparam good.pem;",
    f"{PAIR} ssl_dhparam dh-1024.pem;",
    f"{PAIR} ssl_conf_command Nonsense x;",
    f"{PAIR} ssl_conf_command Options Nonsense;",
    f"{PAIR} ssl_conf_command MinProtocol TLSv9;",
    f"{PAIR} ssl_conf_command Ciphersuites x;",
    f"{PAIR} ssl_conf_command Options;",
    # Sessions.
    f"{PAIR} ssl_session_cache nonsense;",
    f"{PAIR} ssl_session_cache shared;",
    f"{PAIR} ssl_session_cache shared:;",
    f"{PAIR} ssl_session_cache shared::1m;",
    f"{PAIR} ssl_session_cache shared:x;",
    f"{PAIR} ssl_session_cache shared:x:;",
    f"{PAIR} ssl_session_cache shared:x:1k;",
    f"{PAIR} ssl_session_cache builtin:;",
    f"{PAIR} ssl_session_cache builtin:x;",
    f"{PAIR} ssl_session_cache off off off;",
    f"{PAIR} ssl_session_tickets maybe;",
    f"{PAIR} ssl_session_timeout x;",
    f"{PAIR} ssl_session_ticket_key nothing;",
    f"{PAIR} ssl_session_ticket_key ticket-47;",
    f"{PAIR} ssl_session_ticket_key ticket-48; ssl_session_ticket_key ticket-81;",
    # Others.
    f"{PAIR} ssl_certificate_cache max=0;",
    f"{PAIR} ssl_certificate_cache valid=1;",
    f"{PAIR} ssl_certificate_cache max=1 valid=x;",
    f"{PAIR} ssl_certificate_cache nonsense;",
    f"{PAIR} ssl_stapling on; ssl_stapling_file nothing;",
    f"{PAIR} ssl_ocsp maybe;",
    f"{PAIR} ssl_ocsp_cache builtin;",
    f"{PAIR} ssl_ocsp_cache shared:x;",
    f"{PAIR} ssl_ocsp_cache shared:x:1k;",
    f"{PAIR} ssl_early_data maybe;",
    f"{PAIR} ssl_buffer_size x;",
    f"{PAIR} ssl_key_log text;",
    f"{PAIR} ssl on;",
    # ssl_reject_handshake.
    "ssl_reject_handshake maybe;",
    f"ssl_reject_handshake on; {pair('nothing', 'nothing')}",
    "ssl_reject_handshake on; ssl_certificate good.pem;",
    "ssl_reject_handshake on; ssl_ciphers nonsense;",
    f"ssl_reject_handshake on; {STRICT}",
]

ACCEPTED = [
    PAIR,
    f"{PAIR} ssl_ocsp on;",
    f"{PAIR} ssl_ocsp leaf; ssl_verify_client on; ssl_client_certificate root.pem;",
    f"{PAIR} ssl_ocsp_responder http://127.0.0.1/x; ssl_ocsp_cache shared:a:1m;",
    f"{PAIR} ssl_stapling on;",
    pair("trusted-good.pem", "good.key"),
    f"{PAIR} ssl_verify_client on; ssl_client_certificate trusted-root.pem;",
    f"{PAIR} ssl_verify_client on; ssl_client_certificate root.pem; "
    "ssl_trusted_certificate chain.pem;",
    f"{PAIR} {pair('rsa.pem', 'rsa.key')}",
    f"{PAIR} {pair('rsa.pem', 'good.key')}",
    f"{PAIR} ssl_certificate_key nothing;",
    pair('"data:CONTENT"', "good.key"),
    pair("$host", "good.key"),
    pair("nothing-$host", "nothing"),
    f"{pair('client.pem', 'client-encrypted.key')} ssl_password_file passphrases;",
    f"{PAIR} ssl_password_file empty;",
    f"{PAIR} ssl_verify_client optional_no_ca;",
    f"{PAIR} ssl_verify_client ON; ssl_trusted_certificate root.pem;",
    f"{PAIR} ssl_verify_client on; ssl_client_certificate root.pem; ssl_crl both.crl;",
    f"{PAIR} ssl_client_certificate nothing;",
    f"{PAIR} ssl_protocols SSLv2;",
    f"{PAIR} ssl_ecdh_curve secp384r1:X25519;",
    f"{PAIR} ssl_dhparam dh.pem;",
    f"{PAIR} ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;",
    f"{PAIR} ssl_session_cache shared:x:1m;",
    f"{PAIR} ssl_session_cache builtin:5 shared:y:1m;",
    f"{PAIR} ssl_session_cache none off;",
    f"{PAIR} ssl_session_cache off; ssl_session_cache off;",
    f"{PAIR} ssl_session_ticket_key ticket-48; ssl_session_ticket_key ticket-80;",
    f"{PAIR} ssl_session_timeout 1d; ssl_session_tickets off;",
    f"{PAIR} ssl_certificate_cache max=1 off;",
    f"{PAIR} ssl_stapling_file nothing;",
    f"{PAIR} ssl_stapling off; ssl_stapling_verify on; ssl_stapling_responder http://127.0.0.1/;",
    f"{PAIR} ssl_ocsp off; ssl_ocsp_responder nonsense; ssl_ocsp_cache shared:z:1m;",
    f"{PAIR} ssl_early_data on; ssl_buffer_size 4k; ssl_certificate_compression off;",
    f"{PAIR} ssl_ech_file nothing;",
    f"{PAIR} ssl_ech_file nothing; ssl_ech_file text;",
    "ssl_reject_handshake on;",
    f"ssl_reject_handshake on; {PAIR}",
    "ssl_reject_handshake on; ssl_certificate_key nothing; ssl_ech_file nothing;",
]

OUR_OWN_WAY = [
    (
        f"{PAIR} ssl_conf_command NumTickets 1;",
        '"ssl_conf_command" can not do "NumTickets" in sniproxy',
        (),
    ),
    (
        f"{PAIR} ssl_stapling on; ssl_certificate_compression on;",
        '"ssl_stapling" is incompatible with "ssl_certificate_compression"',
        (),
    ),
]


def configuration(certificates: Path, directives: str) -> str:
    directives = directives.replace("CONTENT", (certificates / "good.pem").read_text())
    server = f"listen 127.0.0.1:18443 ssl;\n{directives}\nlocation / {{ return 204; }}"
    return f"events {{}}\nhttp {{\nserver {{ {server} }}\n}}\n"


def our_verdict(certificates: Path, text: str) -> Verdict:
    file = certificates / "nginx.conf"
    file.write_text(text)
    try:
        loaded = config.load(file, is_variable=is_variable)
        prepared = load(loaded, Paths(str(certificates), str(certificates)))
    except ConfigError as error:
        return Verdict(same_codes(str(error).replace(str(file), "FILE")))
    return Verdict(None, (*loaded.warnings, *prepared.warnings))


@pytest.mark.nginx
@pytest.mark.parametrize("directives", REFUSED)
def test_errors_have_the_messages_of_nginx(certificates: Path, directives: str) -> None:
    text = configuration(certificates, directives)
    error = nginx_verdict(certificates, text.encode()).error
    assert error is not None
    assert our_verdict(certificates, text).error == same_codes(error)


@pytest.mark.nginx
@pytest.mark.parametrize("directives", ACCEPTED)
def test_warnings_are_those_of_nginx(certificates: Path, directives: str) -> None:
    text = configuration(certificates, directives)
    verdict = nginx_verdict(certificates, text.encode())
    assert verdict.error is None
    assert our_verdict(certificates, text) == verdict


@pytest.mark.parametrize(("directives", "error", "warnings"), OUR_OWN_WAY)
def test_verdicts_that_differ_from_nginx(
    certificates: Path, directives: str, error: str | None, warnings: tuple[str, ...]
) -> None:
    verdict = our_verdict(certificates, configuration(certificates, directives))
    assert verdict == Verdict(error, warnings)
