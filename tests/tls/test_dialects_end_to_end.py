"""`ssl_error_dialect` set by `-g`: complete log lines of a running sniproxy."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.compare_nginx import Served, get, served
from tests.programs import SNIPROXY, InProcess

from . import peers
from .conftest import Files
from .error_capture.hellos import TLS12_HELLO, hello

PLAIN_HTTP = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"


def speaking(dialect: str) -> InProcess:
    return InProcess(f"ssl_error_dialect {dialect};")


def handshaking(words: str, upstream: int) -> str:
    return (
        f"{words} while SSL handshaking to upstream, client: 127.0.0.1, server: 7bu.top, "
        f'request: "GET / HTTP/1.1", upstream: "https://127.0.0.1:{upstream}/", '
        'host: "7bu.top", referrer: "https://7bu.top/"'
    )


def front(upstream: int, settings: str = "") -> str:
    return (
        "server { listen 127.0.0.1:@PORT@; server_name 7bu.top; location / { "
        f"proxy_pass https://127.0.0.1:{upstream}; proxy_ssl_server_name on; "
        f"proxy_ssl_name 7bu.top; {settings} }} }}"
    )


def line_of(server: Served) -> str:
    server.ask([get("/", "Referer: https://7bu.top/", host="7bu.top")])
    line = server.log("error.log", 1)[0]
    return re.sub(r"^\S+ \S+ \[error\] \S+ \*\d+ ", "", line)


WORDS = {
    "1.1.1": "error:1408F10B:SSL routines:ssl3_get_record:wrong version number",
    "3.0": "error:0A00010B:SSL routines::wrong version number",
    "3.5": "error:0A0000C6:SSL routines::packet length too long "
    "error:0A000139:SSL routines::record layer failure",
}


@pytest.mark.parametrize("dialect", WORDS)
def test_plain_http_upstream(dialect: str, tmp_path: Path) -> None:
    with (
        peers.listening(peers.sends(PLAIN_HTTP)) as port,
        served(speaking(dialect), tmp_path, front(port)) as server,
    ):
        failed = f"SSL_do_handshake() failed (SSL: {WORDS[dialect]})"
        assert line_of(server) == handshaking(failed, port)


def test_the_default_is_the_release_that_most_distributions_have(tmp_path: Path) -> None:
    """An alert tells the default from `native`, which reads `tls alert` with OpenSSL 4."""
    alert = bytes.fromhex("15 03 03 00 02 02 28")
    with (
        peers.listening(peers.sends(alert)) as port,
        served(InProcess(""), tmp_path, front(port)) as server,
    ):
        words = "error:0A000410:SSL routines::sslv3 alert handshake failure:SSL alert number 40"
        assert line_of(server) == handshaking(f"SSL_do_handshake() failed (SSL: {words})", port)


def test_untrusted_upstream_chain(files: Files, tmp_path: Path) -> None:
    settings = f"proxy_ssl_verify on; proxy_ssl_trusted_certificate {files.ca_file};"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.own.certificate, files.own.key)
    with (
        peers.listening(peers.serves(context)) as port,
        served(speaking("1.1.1"), tmp_path, front(port, settings)) as server,
    ):
        error = "upstream SSL certificate verify error: (18:self signed certificate)"
        assert line_of(server) == handshaking(error, port)


def test_client_that_rejects_the_certificate(files: Files, tmp_path: Path) -> None:
    http = (
        "server { listen 127.0.0.1:@PORT@ ssl; "
        f"ssl_certificate {files.leaf.certificate}; ssl_certificate_key {files.leaf.key}; "
        "ssl_protocols TLSv1.2; }"
    )
    alert = bytes([0x15, 3, 3, 0, 2, 2, 46])
    with served(speaking("1.1.1"), tmp_path, http) as server:
        with socket.create_connection(("127.0.0.1", server.ports[""])) as client:
            client.sendall(hello(TLS12_HELLO) + alert)
            client.shutdown(socket.SHUT_WR)
            peers.drain(client)
        (line,) = server.log("error.log", 1)
    assert "[info]" in line
    assert (
        "SSL_do_handshake() failed (SSL: error:14094416:SSL routines:ssl3_read_bytes:"
        "sslv3 alert certificate unknown:SSL alert number 46) while SSL handshaking, "
        "client: 127.0.0.1, server: 127.0.0.1:@PORT@"
    ) in line


def test_missing_certificate_file(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(
        "events {} http { server { listen 127.0.0.1:1 ssl; "
        "ssl_certificate /nonexistent/x.pem; ssl_certificate_key /nonexistent/x.key; } }"
    )
    words = ["-t", "-p", str(tmp_path), "-c", "nginx.conf", "-g", "ssl_error_dialect 1.1.1;"]
    command = [*SNIPROXY.command, *words]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert (
        'cannot load certificate "/nonexistent/x.pem": BIO_new_file() failed (SSL: '
        "error:02001002:system library:fopen:No such file or directory"
        ":fopen('/nonexistent/x.pem','r') "
        "error:2006D080:BIO routines:BIO_new_file:no such file)\n"
    ) in run.stderr


def test_unknown_dialect_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("events {}\nssl_error_dialect 0.9.8;\n")
    command = [*SNIPROXY.command, "-t", "-p", str(tmp_path), "-c", "nginx.conf"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f'invalid value "0.9.8" in {tmp_path}/nginx.conf:2\n' in run.stderr
