"""Whatever goes on when a fixture ends: it ends within a second, and nothing is left."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import trio

from benchmarks.startup import ResourceCount
from sniproxy.embed import ThreadProxy
from sniproxy.testing.fixtures import DevelopmentCA, ProxyFactory, UpstreamFactory
from sniproxy.testing.upstreams import RunningUpstream, catalog

CONFIG = """
events {{}}
http {{
    ssl_certificate auto;
    server {{
        listen 127.0.0.1:0;
        listen 127.0.0.2:0 ssl;
        location / {{ proxy_pass {upstream.url}; proxy_buffering off; }}
        location /kept/ {{ proxy_pass {scheme}://kept; }}
        location /big/ {{ return 200 {big}; }}
    }}
    upstream kept {{ server {upstream.address}; keepalive 4; }}
}}
"""
GET = b"GET %s HTTP/1.1\r\nHost: front.test\r\n\r\n"
AT_MOST = 1.0
"""Seconds."""


@pytest.fixture(autouse=True)
def nothing_is_left(dev_ca: DevelopmentCA, _sniproxy_certificates: object) -> Iterator[None]:
    before, threads = ResourceCount.now(), set(threading.enumerate())
    yield
    assert ResourceCount.now().descriptors == before.descriptors
    # A thread that trio keeps for a while may end meanwhile; none may be new.
    assert set(threading.enumerate()) <= threads


Client = Callable[[ThreadProxy, ExitStack], socket.socket]


def plain(proxy: ThreadProxy, opened: ExitStack) -> socket.socket:
    return opened.enter_context(socket.create_connection(proxy.addresses[0]))


def sends(data: bytes) -> Client:
    def client(proxy: ThreadProxy, opened: ExitStack) -> socket.socket:
        sock = plain(proxy, opened)
        sock.sendall(data)
        return sock

    return client


def silent_on_tls(proxy: ThreadProxy, opened: ExitStack) -> socket.socket:
    return opened.enter_context(socket.create_connection(proxy.addresses[1]))


def idle_on_tls(proxy: ThreadProxy, opened: ExitStack) -> socket.socket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sock = context.wrap_socket(silent_on_tls(proxy, opened))
    return opened.enter_context(sock)


def served(path: bytes) -> Client:
    """One whose request was answered, and who stays."""

    def client(proxy: ThreadProxy, opened: ExitStack) -> socket.socket:
        sock = sends(GET % path)(proxy, opened)
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        return sock

    return client


CLIENTS = {
    "silent": plain,
    "half a request": sends(b"GET / HT"),
    "a request": sends(GET % b"/"),
    "a body to come": sends(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"),
    "no reader": sends(GET % b"/big/" * 2000),
    "silent on TLS": silent_on_tls,
    "idle on TLS": idle_on_tls,
}


def begin(
    serve: ProxyFactory,
    upstreams: UpstreamFactory,
    upstream: str,
    client: Client,
    opened: ExitStack,
) -> tuple[ThreadProxy, RunningUpstream]:
    peer = upstreams(upstream)
    scheme = peer.url.partition(":")[0]
    proxy = serve(CONFIG.format(upstream=peer, scheme=scheme, big="x" * 4000))
    opened.callback(client(proxy, opened).close)
    return proxy, peer


def ends_quickly(*fixtures: ProxyFactory | UpstreamFactory) -> None:
    began = time.perf_counter()
    for fixture in fixtures:
        fixture.__exit__(None, None, None)
    assert time.perf_counter() - began < AT_MOST


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("proxy_first", [True, False])
def test_teardown_closes_open_clients(
    client: str, proxy_first: bool, sniproxy_serve: ProxyFactory, tls_upstream: UpstreamFactory
) -> None:
    with ExitStack() as opened:
        begin(sniproxy_serve, tls_upstream, "no-response", CLIENTS[client], opened)
        fixtures = (sniproxy_serve, tls_upstream)
        ends_quickly(*fixtures if proxy_first else reversed(fixtures))


@pytest.mark.parametrize("proxy_first", [True, False])
@pytest.mark.parametrize("upstream", ["silent", "no-response", "drip", "stalled-body", "full"])
def test_teardown_closes_stuck_upstreams(
    upstream: str, proxy_first: bool, sniproxy_serve: ProxyFactory, tls_upstream: UpstreamFactory
) -> None:
    with ExitStack() as opened:
        _, peer = begin(sniproxy_serve, tls_upstream, upstream, CLIENTS["a request"], opened)
        if peer.spec is not catalog.FULL:
            assert peer.wait_for(lambda: peer.connections and peer.connections[0].hello)
        fixtures = (sniproxy_serve, tls_upstream)
        ends_quickly(*fixtures if proxy_first else reversed(fixtures))


@pytest.mark.parametrize("upstream", ["good", "plain"])
@pytest.mark.parametrize("proxy_first", [True, False])
def test_teardown_closes_keepalive_connections(
    upstream: str, proxy_first: bool, sniproxy_serve: ProxyFactory, tls_upstream: UpstreamFactory
) -> None:
    with ExitStack() as opened:
        _, peer = begin(sniproxy_serve, tls_upstream, upstream, served(b"/kept/"), opened)
        assert peer.open_connections == 1
        fixtures = (sniproxy_serve, tls_upstream)
        ends_quickly(*fixtures if proxy_first else reversed(fixtures))


async def test_teardown_of_a_cancelled_test(
    sniproxy_serve: ProxyFactory, tls_upstream: UpstreamFactory
) -> None:
    peer = tls_upstream("no-response")
    began = time.perf_counter()
    config = CONFIG.format(upstream=peer, scheme="https", big="x")
    with trio.move_on_after(0.2) as patience:
        async with (
            sniproxy_serve.in_trio(config) as proxy,
            await trio.open_tcp_stream(*proxy.addresses[0]) as client,
        ):
            await client.send_all(GET % b"/")
            await trio.sleep_forever()
    assert patience.cancelled_caught
    assert time.perf_counter() - began < AT_MOST
