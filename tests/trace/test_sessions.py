"""Traces of sessions of `stream {}`."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import sniproxy
from sniproxy.testing import UpstreamFactory
from sniproxy.testing.upstreams import catalog, generate_certificates
from sniproxy.trace import Trace, lines
from sniproxy.trace.selection import select
from sniproxy.trace.short_line import short_line

CONFIG = """
events {{}}
stream {{
    map $ssl_preread_server_name $site {{ upstream.test group; default 127.0.0.1:1; }}
    upstream group {{ server {upstream}; }}
    server {{ listen 127.0.0.1:0; ssl_preread on; proxy_pass $site; }}
    server {{
        listen 127.0.0.2:0 ssl;
        ssl_certificate {folder}/good.pem;
        ssl_certificate_key {folder}/good.key;
        proxy_pass group;
        proxy_ssl on;
        proxy_ssl_name upstream.test;
    }}
    server {{ listen 127.0.0.2:0 ssl; server_name second.test; return "goodbye"; }}
    server {{ listen 127.0.0.3:0; return "hello $remote_addr"; }}
}}
"""
Visit = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    generate_certificates(folder)
    return folder


@pytest.fixture
def traces() -> list[Trace]:
    return []


@pytest.fixture
def visit(
    folder: Path,
    traces: list[Trace],
    tls_upstream: UpstreamFactory,
) -> Iterator[Visit]:
    """Makes a session, and returns its trace as text, without what differs between runs."""
    upstream = tls_upstream(catalog.NEEDS_SNI.name)
    config = CONFIG.format(upstream=upstream.address, folder=folder)
    with sniproxy.serve_in_thread(config, trace=traces.append) as proxy:

        def make(listener: int, name: str | None, data: bytes = b"") -> str:
            before = len(traces)
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with socket.create_connection(proxy.addresses[listener]) as client, suppress(OSError):
                client.settimeout(5)
                if name is not None:
                    with context.wrap_socket(client, server_hostname=name) as tls:
                        tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
                        tls.recv(100)
                else:
                    client.sendall(data)
                    client.recv(100)
            proxy.wait_for(lambda: len(traces) > before)
            text = "\n".join(lines(traces[-1])).replace(upstream.address, "UPSTREAM")
            return re.sub(r"\d+\.\d ms", "N ms", text)

        yield make


def test_session_by_sni(visit: Visit, traces: list[Trace]) -> None:
    text = visit(0, "nobody.test")
    assert text.startswith("session tcp://127.0.0.1:0 -> 502 in N ms")
    assert "ssl_preread: SNI nobody.test" in text
    assert "offered: TLSv1.3" in text
    assert "$site = 127.0.0.1:1" in text
    assert "peer 127.0.0.1:1: connect() failed (111: Connection refused) after N ms" in text
    assert select("is:failed sni:nobody status:502 peer::1")(traces[-1])
    line = short_line(traces[-1], "12:00", colour=False)
    assert line.startswith("12:00  502  session tcp://127.0.0.1:0  SNI nobody.test → ")
    assert line.endswith("connect() failed (111: Connection refused)")


def test_session_through_a_group(visit: Visit, traces: list[Trace]) -> None:
    text = visit(0, "upstream.test")
    assert "upstream: group" in text
    assert "peer UPSTREAM: 200" in text
    assert "to its first byte, N ms to its end" in text
    assert not select("is:failed")(traces[-1])


def test_plain_session_has_no_hello(visit: Visit, traces: list[Trace]) -> None:
    assert "ssl_preread: no ClientHello" in visit(0, None, b"GET / HTTP/1.0\r\n\r\n")
    assert not select("sni:none")(traces[-1])


def test_tls_on_both_sides(visit: Visit) -> None:
    text = visit(1, "unknown.test")
    assert "SNI received: unknown.test" in text
    assert "no other has unknown.test among its names" in text
    assert "name: upstream.test, from proxy_ssl_name upstream.test" in text
    assert "SNI: none, since proxy_ssl_server_name is off" in text
    assert "SSL alert number 112) after N ms" in text


def test_server_by_the_sni_of_a_handshake(visit: Visit) -> None:
    text = visit(1, "second.test")
    assert 'server: second.test (by SNI: exact name "second.test")' in text
    assert "return 'goodbye'" in text


def test_failed_handshake_is_one_trace(visit: Visit, traces: list[Trace]) -> None:
    text = visit(1, None, b"GET / HTTP/1.0\r\n\r\n")
    assert text.startswith("session tcp://127.0.0.2:0 -> 500 in N ms")
    assert "SSL handshake with the client: failed: SSL_do_handshake() failed" in text
    assert len(traces) == 1


def test_text(visit: Visit) -> None:
    assert "return 'hello $remote_addr'" in visit(2, None, b"x")
