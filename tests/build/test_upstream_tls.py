"""TLS settings for upstreams: errors at start, compared with `nginx -t`."""

from __future__ import annotations

from pathlib import Path

import pytest

from sniproxy import config
from sniproxy.build import load
from sniproxy.build.paths import Paths
from sniproxy.models import ConfigError
from sniproxy.testing.upstreams import catalog, generate_certificates, upstreams_in_thread
from sniproxy.variables import is_variable
from tests.build.trusted import write_trusted
from tests.compare_nginx import get, paired_with_nginx
from tests.config.oracle import nginx_verdict
from tests.tls.real_nginx import same_codes

VERIFY = "proxy_ssl_verify on;"
TRUSTED = "proxy_ssl_trusted_certificate root.pem;"
PASS = "proxy_pass https://127.0.0.1;"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    generate_certificates(folder)
    (folder / "empty").write_bytes(b"")
    (folder / "long").write_bytes(b"x" * 4096 + b"\n")
    write_trusted(folder)
    return folder


def certificate(name: str, key: str = "") -> str:
    return f"proxy_ssl_certificate {name}; proxy_ssl_certificate_key {key or name};"


REFUSED = [
    # Missing, empty and invalid files.
    certificate("nothing.pem", "client.key"),
    certificate("client.pem", "nothing.key"),
    certificate("empty", "client.key"),
    certificate("client.pem", "empty"),
    certificate("client.key", "client.key"),
    certificate("client.pem", "client.pem"),
    certificate("client.pem", "client-stranger.key"),
    certificate('"data:hello"', "client.key"),
    certificate("client.pem", '"data:hello"'),
    certificate('""') + certificate('""'),
    "proxy_ssl_certificate client.pem;",
    "proxy_ssl_certificate $host;",
    certificate("client.pem", "client-encrypted.key")
    + "proxy_ssl_password_file wrong-passphrases;",
    # Verification settings.
    VERIFY,
    f"{VERIFY} proxy_ssl_trusted_certificate '';",
    f"{VERIFY} proxy_ssl_name $host;",
    f"{VERIFY} proxy_ssl_trusted_certificate nothing.pem;",
    f"{VERIFY} proxy_ssl_trusted_certificate empty;",
    f"{VERIFY} proxy_ssl_trusted_certificate root.crl;",
    f"{VERIFY} proxy_ssl_trusted_certificate $host;",
    f"{VERIFY} {TRUSTED} proxy_ssl_crl nothing.crl;",
    f"{VERIFY} {TRUSTED} proxy_ssl_crl root.pem;",
    f"{VERIFY} {TRUSTED} proxy_ssl_crl empty;",
    # Passphrases: the file is read where it is named.
    "proxy_ssl_password_file nothing;",
    "proxy_ssl_password_file long;",
    f"{certificate('nothing.pem')} proxy_ssl_password_file nothing;",
    # OpenSSL commands: applied last, in order.
    "proxy_ssl_conf_command Nonsense x;",
    "proxy_ssl_conf_command MinProtocol TLSv1.4;",
    "proxy_ssl_conf_command Options Nonsense;",
    "proxy_ssl_conf_command Options KTLS; proxy_ssl_conf_command Groups nonsense;",
    f"proxy_ssl_conf_command Options Nonsense; {certificate('nothing.pem')}",
    f"proxy_ssl_conf_command Options Nonsense; {VERIFY} proxy_ssl_trusted_certificate nothing;",
    "proxy_ssl_ciphers nonsense;",
    f"proxy_ssl_ciphers nonsense; {certificate('nothing.pem')}",
    f"proxy_ssl_ciphers nonsense; {VERIFY} proxy_ssl_trusted_certificate nothing;",
    f"{certificate('nothing.pem')} {VERIFY} proxy_ssl_trusted_certificate nothing;",
    # Certificate cache.
    "proxy_ssl_certificate_cache on;",
    "proxy_ssl_certificate_cache max=0;",
    "proxy_ssl_certificate_cache max=;",
    "proxy_ssl_certificate_cache max;",
    "proxy_ssl_certificate_cache max=x;",
    "proxy_ssl_certificate_cache max=-1;",
    "proxy_ssl_certificate_cache valid=3;",
    "proxy_ssl_certificate_cache inactive=3 valid=3;",
    "proxy_ssl_certificate_cache max=3 valid=x;",
    "proxy_ssl_certificate_cache max=3 valid=1ms;",
    "proxy_ssl_certificate_cache max=3 inactive=;",
    "proxy_ssl_certificate_cache off nonsense;",
    "proxy_ssl_certificate_cache max=3 inactive=1 valid=1 off;",
    "proxy_ssl_certificate_cache off; proxy_ssl_certificate_cache off;",
    # The directive itself.
    "proxy_ssl_password_file passphrases; proxy_ssl_password_file passphrases;",
    "proxy_ssl_crl a; proxy_ssl_crl a;",
    "proxy_ssl_certificate a; proxy_ssl_certificate a;",
    "proxy_ssl_conf_command Options;",
    "proxy_ssl_conf_command Options KTLS Bugs;",
    "proxy_ssl_verify_depth -1;",
    "proxy_ssl_protocols TLSv1.4;",
    "proxy_ssl_protocols;",
    "proxy_ssl_session_reuse maybe;",
]

ACCEPTED = [
    certificate("client.pem", "client.key"),
    certificate("$host", "client.key"),
    certificate("client.pem", "$host"),
    certificate("nothing-$host", "nothing"),
    certificate('""', "nothing"),
    "proxy_ssl_certificate_key nothing;",
    f"{certificate('client.pem', 'client-encrypted.key')} proxy_ssl_password_file passphrases;",
    f"{certificate('client.pem', 'client.key')} proxy_ssl_password_file empty;",
    f"{certificate('$host', '$host')} proxy_ssl_certificate_cache max=1;",
    "proxy_ssl_certificate_cache off max=3;",
    "proxy_ssl_certificate_cache max=3 off;",
    "proxy_ssl_certificate_cache max=3 inactive=1h30m valid=0;",
    "proxy_ssl_trusted_certificate nothing; proxy_ssl_crl nothing;",
    certificate("trusted-client.pem", "client.key"),
    certificate("rejected-client.pem", "client.key"),
    certificate("chain.pem", "client.key"),
    f"{VERIFY} proxy_ssl_trusted_certificate trusted-root.pem;",
    f"{VERIFY} proxy_ssl_trusted_certificate rejected-root.pem;",
    f"{VERIFY} proxy_ssl_trusted_certificate chain.pem;",
    f"{VERIFY} {TRUSTED} proxy_ssl_name $host; proxy_ssl_verify_depth 0;",
    f"{VERIFY} {TRUSTED} proxy_ssl_crl both.crl;",
    f"{VERIFY} {TRUSTED} proxy_ssl_crl '';",
    "proxy_ssl_protocols SSLv2 SSLv3 TLSv1 TLSv1.1 TLSv1.2 TLSv1.3 TLSv1.3;",
    "proxy_ssl_conf_command Options PrioritizeChaCha; proxy_ssl_conf_command Options KTLS;",
]


def configuration(directives: str) -> str:
    return (
        "events {}\nhttp {\naccess_log off;\n"
        f"server {{\nlisten 127.0.0.1:18080;\nlocation / {{\n{PASS} {directives}\n}}\n}}\n}}\n"
    )


def our_verdict(certificates: Path, text: str) -> str | None:
    file = certificates / "nginx.conf"
    file.write_text(text)
    try:
        load(
            config.load(file, is_variable=is_variable), Paths(str(certificates), str(certificates))
        )
    except ConfigError as error:
        return same_codes(str(error).replace(str(file), "FILE"))
    return None


def nginx_verdict_on(certificates: Path, text: str) -> str | None:
    error = nginx_verdict(certificates, text.encode()).error
    return None if error is None else same_codes(error)


@pytest.mark.nginx
@pytest.mark.parametrize("directives", REFUSED)
def test_nginx_reports_the_same_errors(directives: str, certificates: Path) -> None:
    text = configuration(directives)
    theirs = nginx_verdict_on(certificates, text)
    assert theirs is not None
    assert our_verdict(certificates, text) == theirs


@pytest.mark.nginx
@pytest.mark.parametrize("ca", ["trusted-root.pem", "rejected-root.pem"])
def test_trust_settings_decide_about_the_upstream(
    ca: str, certificates: Path, tmp_path: Path
) -> None:
    with upstreams_in_thread(certificates) as server:
        upstream = server.start(catalog.GOOD)
        http = f"""access_log off; server {{ listen 127.0.0.1:@PORT@; location / {{
            proxy_pass https://127.0.0.1:{upstream.port}; proxy_ssl_verify on;
            proxy_ssl_name upstream.test;
            proxy_ssl_trusted_certificate {certificates / ca}; }} }}"""
        with paired_with_nginx(tmp_path, http) as pair:
            ours, nginx = pair.ask([get("/")])
            assert [answer.status for answer in ours] == [answer.status for answer in nginx]
            assert ours[0].status == (200 if ca.startswith("trusted") else 502)


@pytest.mark.nginx
@pytest.mark.parametrize("directives", ACCEPTED)
def test_nginx_accepts_it_too(directives: str, certificates: Path) -> None:
    text = configuration(directives)
    assert nginx_verdict_on(certificates, text) is None
    assert our_verdict(certificates, text) is None


@pytest.mark.nginx
def test_files_are_loaded_only_for_tls_upstreams(certificates: Path) -> None:
    text = configuration(f"{VERIFY} {certificate('nothing')}").replace("https://", "http://")
    assert our_verdict(certificates, text) is None
    assert nginx_verdict_on(certificates, text) is None


@pytest.mark.parametrize(
    ("directives", "words"),
    [
        (
            "proxy_ssl_conf_command VerifyMode Peer;",
            '"proxy_ssl_conf_command" can not do "VerifyMode" in sniproxy',
        ),
        (
            certificate("client.pem", "store:file:client.key"),
            'cannot load certificate key "store:file:client.key": loading "store:..." '
            "certificate keys is not supported",
        ),
        (
            certificate("client.pem", "engine:pkcs11:key"),
            'cannot load certificate key "engine:pkcs11:key": loading "engine:..." '
            "certificate keys is not supported",
        ),
    ],
)
def test_unsupported_settings_are_rejected_by_name(
    directives: str, words: str, certificates: Path
) -> None:
    assert our_verdict(certificates, configuration(directives)) == words
