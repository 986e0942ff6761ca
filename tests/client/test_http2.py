"""HTTP/2 connections as a whole: ALPN, concurrency, aborts, limits and the end of a connection."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import h2.connection
import h2.events
import h2.settings
import httpx
import pytest
import trio

import sniproxy
from tests.http2_frames import (
    PREFACE,
    START,
    data,
    exchange,
    fields,
    headers,
    reset,
    settings,
    window,
)

SITE = """
events {}
http {
    ssl_certificate auto;
    keepalive_timeout TIMEOUT;
    server {
        listen 127.0.0.1:0;
        http2 on;
        location / { return 200 "$http2 $server_protocol"; }
        location /up {
            proxy_pass http://127.0.0.1:UPSTREAM;
            proxy_read_timeout 5s;
            proxy_http_version 1.1;
            proxy_pass_trailers on;
            early_hints 1;
        }
        location /large { alias LARGE; }
    }
    server {
        listen 127.0.0.2:0 ssl;
        server_name one.test;
        location / { return 200 "$http2 $server_protocol"; }
    }
    server {
        listen 127.0.0.2:0 ssl;
        server_name two.test;
        http2 on;
        location / { return 200 "$http2 $server_protocol"; }
    }
    server {
        listen 127.0.0.3:0 ssl http2;
        location / { return 200 "$http2 $server_protocol"; }
    }
}
"""


@contextlib.asynccontextmanager
async def site(upstream: int = 9, timeout: str = "75s") -> AsyncIterator[sniproxy.Proxy]:
    text = SITE.replace("UPSTREAM", str(upstream)).replace("TIMEOUT", timeout)
    async with sniproxy.serve(text.replace("LARGE", __file__)) as proxy:
        yield proxy


@pytest.mark.parametrize(
    ("address", "name", "offer", "chosen"),
    [
        (1, "one.test", ["h2", "http/1.1"], "http/1.1"),
        (1, "two.test", ["http/1.1", "h2"], "h2"),
        (1, "two.test", ["http/1.1"], "http/1.1"),
        (1, "two.test", [], None),
        (2, "any.test", ["h2"], "h2"),
    ],
)
async def test_alpn_offers_h2_where_the_server_of_the_sni_has_it(
    address: int, name: str, offer: list[str], chosen: str | None
) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if offer:
        context.set_alpn_protocols(offer)
    async with site() as proxy:
        host, port = proxy.addresses[address]
        tcp = await trio.open_tcp_stream(host, port)
        async with trio.SSLStream(tcp, context, server_hostname=name) as stream:
            await stream.do_handshake()
            assert stream.selected_alpn_protocol() == chosen
            if chosen == "h2":
                await stream.send_all(START + headers(1, fields(authority=name)))
                assert await stream.receive_some()
        await proxy.wait_for(lambda: chosen != "h2" or proxy.access_log)


async def test_alpn_of_a_server_without_http2_refuses_h2_alone() -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    async with site() as proxy:
        tcp = await trio.open_tcp_stream(*proxy.addresses[1])
        stream = trio.SSLStream(tcp, context, server_hostname="one.test")
        with pytest.raises(trio.BrokenResourceError):
            await stream.do_handshake()
        await trio.aclose_forcefully(stream)


@pytest.mark.parametrize("piece", [1, 5, 23, 24, 0])
async def test_preface_without_tls_selects_http2_however_it_arrives(piece: int) -> None:
    async with site() as proxy:
        port = proxy.addresses[0][1]
        lines = await exchange(port, START + headers(1, fields()), streams=1, piece=piece)
        assert lines[-1].startswith("DATA 1 end")
        assert lines[-1].endswith("h2c HTTP/2.0")


async def test_httpx_speaks_http2() -> None:
    async with (
        site() as proxy,
        httpx.AsyncClient(http1=False, http2=True) as client,
        trio.open_nursery() as nursery,
    ):
        for _ in range(20):
            nursery.start_soon(_get, client, proxy.urls[0])


async def _get(client: httpx.AsyncClient, url: str) -> None:
    response = await client.get(url)
    assert response.http_version == "HTTP/2"
    assert response.text == "h2c HTTP/2.0"


async def test_http1_stays_available() -> None:
    async with site() as proxy, httpx.AsyncClient() as client:
        assert (await client.get(proxy.urls[0])).text == " HTTP/1.1"


@contextlib.asynccontextmanager
async def silent_upstream(ended: trio.Event) -> AsyncIterator[tuple[int, trio.Event]]:
    """An upstream that never answers; `ended` is set when its connection ends."""
    received = trio.Event()

    async def serve(stream: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            while await stream.receive_some():
                received.set()
        ended.set()

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield listener.socket.getsockname()[1], received
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("how", ["reset", "closed"])
async def test_an_abort_of_the_client_cancels_the_request_to_the_upstream(how: str) -> None:
    ended = trio.Event()
    async with silent_upstream(ended) as (port, received), site(port) as proxy:
        stream = await trio.open_tcp_stream(*proxy.addresses[0])
        await stream.send_all(START + headers(1, fields(path="/up")))
        with trio.fail_after(5):
            await received.wait()
            if how == "reset":
                await stream.send_all(reset(1))
            else:
                await stream.aclose()
            await ended.wait()
        await proxy.wait_for(lambda: proxy.access_log)
        assert '"GET /up HTTP/2.0" 499 0 ' in proxy.access_log[0]
        await stream.aclose()


HEAD = "HEADERS 1 :status: 200; server: nginx/1.31.3"


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            ["HEADERS 1 :status: 103; link: </a>", HEAD + "; content-length: 2", "DATA 1 end 2 ok"],
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: v\r\n\r\n",
            [HEAD, "DATA 1 2 ok", "HEADERS 1 end x-t: v"],
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok",
            [HEAD + "; content-length: 20", "DATA 1 2 ok", "RST_STREAM 1 2"],
        ),
        (
            b"HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n",
            ["HEADERS 1 :status: 101; server: nginx/1.31.3", "DATA 1 end 0 "],
        ),
        (
            b"HTTP/1.1 200 OK\r\nX-Upper: V\r\nConnection: close\r\nKeep-Alive: 3\r\n"
            b"Content-Length: 0\r\n\r\n",
            ["HEADERS 1 end :status: 200; server: nginx/1.31.3; content-length: 0; x-upper: V"],
        ),
    ],
    ids=["early-hints", "trailers", "cut", "upgrade", "fields"],
)
async def test_responses_of_upstreams_are_framed_as_in_nginx(
    sent: bytes, received: list[str]
) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(sent)

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        async with site(listener.socket.getsockname()[1]) as proxy:
            request = START + headers(1, fields(path="/up"))
            lines = await exchange(proxy.addresses[0][1], request, streams=1)
            assert lines[1:] == received
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("timeout", ["client_body_timeout", "send_timeout"])
async def test_a_stream_that_times_out_is_reset(timeout: str) -> None:
    text = (
        "events {} http { server { listen 127.0.0.1:0; http2 on; %s 50ms; location / "
        "{ proxy_pass http://127.0.0.1:9; } location /file { alias %s; } } }"
    )
    async with sniproxy.serve(text % (timeout, __file__)) as proxy:
        asks = headers(1, fields(method="POST"), ends=False)
        if timeout == "send_timeout":
            asks = headers(1, fields(path="/file"))
        sent = PREFACE + settings(INITIAL_WINDOW_SIZE=100) + asks
        lines = await exchange(proxy.addresses[0][1], sent, streams=1)
        assert lines[-1] == "RST_STREAM 1 1"
        [record] = [each for each in proxy.error_log if "timed out" in each.message]
        assert record.message == "client timed out (110: Connection timed out)"


async def test_one_stream_does_not_wait_for_another() -> None:
    async with silent_upstream(trio.Event()) as (port, _), site(port) as proxy:
        sent = START + headers(1, fields(path="/up")) + headers(3, fields())
        lines = await exchange(proxy.addresses[0][1], sent, streams=1)
        assert lines[-1].startswith("DATA 3 end")


async def test_a_slow_client_stops_only_its_own_stream() -> None:
    async with site() as proxy:
        sent = (
            START
            + settings(INITIAL_WINDOW_SIZE=10)
            + headers(1, fields(path="/large"))
            + headers(3, fields())
            + window(3, 100)
        )
        lines = await exchange(proxy.addresses[0][1], sent, streams=1)
        assert [line for line in lines if line.startswith("DATA 3 end")]
        sent_first = [line for line in lines if line.startswith("DATA 1")]
        assert [line.split()[2] for line in sent_first] == ["10"]


async def test_goaway_precedes_the_end_of_an_idle_connection() -> None:
    async with site(timeout="50ms") as proxy:
        stream = await trio.open_tcp_stream(*proxy.addresses[0])
        await stream.send_all(START + headers(1, fields()))
        received = b""
        with trio.fail_after(5):
            while piece := await stream.receive_some():
                received += piece
        assert received.endswith(b"\0\0\x08\7\0\0\0\0\0\0\0\0\1\0\0\0\0")
        await stream.aclose()


async def test_reload_sends_goaway_and_finishes_the_requests() -> None:
    client = h2.connection.H2Connection()
    client.initiate_connection()
    async with site() as proxy:
        stream = await trio.open_tcp_stream(*proxy.addresses[0])
        client.send_headers(1, fields(method="POST", path="/"))
        await stream.send_all(client.data_to_send())
        events: list[h2.events.Event] = []
        with trio.fail_after(5):
            while not any(isinstance(event, h2.events.StreamReset) for event in events):
                events += client.receive_data(await stream.receive_some())
            await proxy.reload(
                SITE.replace("UPSTREAM", "9").replace("TIMEOUT", "9s").replace("LARGE", __file__)
            )
            while received := await stream.receive_some():
                events += client.receive_data(received)
        assert any(isinstance(event, h2.events.ConnectionTerminated) for event in events)
        await stream.aclose()


async def test_a_response_under_way_is_finished_after_goaway() -> None:
    client = h2.connection.H2Connection()
    client.initiate_connection()
    client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
    client.send_headers(1, fields(path="/large"), end_stream=True)
    events: list[h2.events.Event] = []
    ended = h2.events.ConnectionTerminated
    async with site() as proxy, await trio.open_tcp_stream(*proxy.addresses[0]) as stream:
        await stream.send_all(client.data_to_send())
        with trio.fail_after(5):
            while not any(isinstance(event, h2.events.DataReceived) for event in events):
                events += client.receive_data(await stream.receive_some())
            await proxy.reload(SITE.replace("UPSTREAM", "9").replace("TIMEOUT", "9s"))
            while not any(isinstance(event, ended) for event in events):
                events += client.receive_data(await stream.receive_some())
            assert not any(isinstance(event, h2.events.StreamEnded) for event in events)
            await stream.send_all(window(1, 1_000_000))
            received = b""
            while piece := await stream.receive_some():
                received += piece
    sent = Path(__file__).read_bytes()
    assert received.endswith(sent[-100:])


async def test_too_many_refused_streams_end_the_connection() -> None:
    async with silent_upstream(trio.Event()) as (port, _), site(port) as proxy:
        received = b"".join(headers(1 + 2 * n, fields(path="/up")) for n in range(300))
        lines = await exchange(proxy.addresses[0][1], START + received, streams=1000)
        assert sum(line.startswith("RST_STREAM") for line in lines) == 129
        assert [line for line in lines if line.startswith("GOAWAY")] == ["GOAWAY 515 0"]
        assert any("too many refused streams" in record.message for record in proxy.error_log)


async def test_a_body_beyond_its_window_breaks_the_stream() -> None:
    async with site() as proxy:
        sent = START + headers(1, fields(method="POST", path="/large"), ends=False)
        sent += b"".join(data(1, b"x" * 16384) for _ in range(5))
        await exchange(proxy.addresses[0][1], sent, streams=1)
