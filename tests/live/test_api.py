"""The API of the live page: what it says of requests, and what it refuses."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sniproxy
from sniproxy.embed import ThreadProxy
from tests.live.running import PLAIN, LiveClient, fetch

Upstreams = Callable[[str], Any]
Start = Callable[..., tuple[ThreadProxy, LiveClient]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(config)` serves it with a live page."""
    with contextlib.ExitStack() as stack:

        def run(config: str) -> tuple[ThreadProxy, LiveClient]:
            proxy = stack.enter_context(
                sniproxy.serve_in_thread(config, live=True, state=tmp_path, prefix=tmp_path)
            )
            return proxy, LiveClient(proxy)

        yield run


@pytest.fixture
def plain(start: Start) -> tuple[ThreadProxy, LiveClient]:
    return start(PLAIN % ("http://127.0.0.1:9", ""))


def test_a_request_has_a_row(plain: tuple[ThreadProxy, LiveClient]) -> None:
    proxy, live = plain
    fetch(proxy, "/a?b=c")
    [row] = live.rows()
    assert (row["method"], row["host"], row["target"]) == ("GET", "front.test", "/a?b=c")
    assert (row["status"], row["server"], row["location"]) == (200, "front.test", "/")
    assert row["sni_in"] is row["sni_out"] is row["peer"] is None
    assert row["problem"] == ""


def test_a_failure_has_the_message_of_nginx_its_causes_and_cures(
    start: Start, tls_upstream: Upstreams
) -> None:
    upstream = tls_upstream("needs-sni-112")
    proxy, live = start(PLAIN % (upstream.url, "proxy_set_header Host upstream.test;"))
    assert fetch(proxy, "/to") == 502
    row = live.rows()[-1]
    assert row["problem"].startswith("SSL_do_handshake() failed")
    assert (row["sni_out"], row["peer"]) == (None, upstream.address)
    details = live.details(row["id"])
    [cause] = details["causes"]
    directives = [text for fix in cause["details"][0]["fixes"] for text in fix["directives"]]
    assert "proxy_ssl_server_name on;" in directives
    assert "proxy_ssl_name upstream.test;" in directives
    kinds = [step["kind"] for step in details["trace"]["steps"]]
    assert kinds == ["location", "proxy_pass"]
    assert details["trace"]["steps"][1]["names"]["not_sent"]
    failure = details["trace"]["steps"][1]["peers"][0]["handshake"]["failure"]
    assert failure["message"] == row["problem"]


def test_certificates_of_an_upstream_are_listed(start: Start, tls_upstream: Upstreams) -> None:
    upstream = tls_upstream("good")
    proxy, live = start(PLAIN % (upstream.url, ""))
    assert fetch(proxy, "/to") == 200
    [chain] = live.details(live.rows()[-1]["id"])["certificates"]["peers"]
    assert "upstream.test" in chain[0]["names"]
    assert chain[0]["not_before"] < chain[0]["not_after"]


def test_secrets_are_masked_until_the_token_reveals_them(
    plain: tuple[ThreadProxy, LiveClient],
) -> None:
    proxy, live = plain
    fetch(proxy, "/?token=query-secret", Cookie="id=cookie-secret", Authorization="Basic c2VjcmV0")
    number = live.rows()[-1]["id"]
    for path in ("/api/requests", f"/api/requests/{number}"):
        body = live.send(path).body
        for secret in (b"query-secret", b"cookie-secret", b"c2VjcmV0"):
            assert secret not in body
    assert live.send(f"/api/requests/{number}?reveal=1").status == 403
    request = live.details(number, reveal=True)["trace"]["request"]
    assert request["line"] == "GET /?token=query-secret HTTP/1.1"
    assert ["Cookie", "id=cookie-secret"] in request["fields"]
    assert ["Authorization", "Basic c2VjcmV0"] in request["fields"]


def test_bodies_are_recorded_up_to_a_limit(start: Start, tls_upstream: Upstreams) -> None:
    upstream = tls_upstream("good")
    proxy, live = start(PLAIN % (upstream.url, "client_body_buffer_size 1m;"))
    assert fetch(proxy, "/to", "POST", body="x" * 100_000) == 200
    bodies = live.details(live.rows()[-1]["id"])["bodies"]
    assert base64.b64decode(bodies["request"]["data"]) == b"x" * 65536
    assert bodies["request"]["length"] == 100_000
    assert not bodies["request"]["complete"]
    assert bodies["response"]["complete"]


def test_replay_sends_the_request_again(start: Start, tls_upstream: Upstreams) -> None:
    upstream = tls_upstream("good")
    proxy, live = start(PLAIN % (upstream.url, ""))
    fetch(proxy, "/to?a=1", "POST", body="some data", Cookie="id=secret")
    number = live.rows()[-1]["id"]
    assert live.send(f"/api/requests/{number}/replay", "POST").status == 403
    answer = live.send(f"/api/requests/{number}/replay", "POST", token=True)
    assert (answer.status, answer.value) == (200, {"status": 200})
    assert proxy.wait_for(lambda: len(proxy.access_log) == 2)
    rows = live.rows()
    assert [row["target"] for row in rows] == ["/to?a=1"] * 2
    again = live.details(rows[1]["id"], reveal=True)
    assert ["Cookie", "id=secret"] in again["trace"]["request"]["fields"]
    assert base64.b64decode(again["bodies"]["request"]["data"]) == b"some data"


def test_what_was_not_recorded_completely_is_not_replayed(
    start: Start, tls_upstream: Upstreams
) -> None:
    upstream = tls_upstream("good")
    proxy, live = start(PLAIN % (upstream.url, ""))
    fetch(proxy, "/to", "POST", body="x" * 100_000)
    number = live.rows()[-1]["id"]
    answer = live.send(f"/api/requests/{number}/replay", "POST", token=True)
    assert answer.status == 409
    assert answer.value == {"error": "the request was not recorded completely"}


def test_the_upstream_of_a_request_is_diagnosed(start: Start, tls_upstream: Upstreams) -> None:
    upstream = tls_upstream("needs-sni-112")
    proxy, live = start(PLAIN % (upstream.url, "proxy_ssl_name upstream.test;"))
    fetch(proxy, "/to")
    number = live.rows()[-1]["id"]
    answer = live.send(f"/api/requests/{number}/diagnose", "POST", token=True)
    assert answer.status == 200
    assert "proxy_ssl_server_name on;" in answer.value["text"]


def test_a_request_without_a_tls_upstream_cannot_be_diagnosed(
    plain: tuple[ThreadProxy, LiveClient],
) -> None:
    proxy, live = plain
    fetch(proxy, "/")
    answer = live.send(f"/api/requests/{live.rows()[0]['id']}/diagnose", "POST", token=True)
    assert answer.status == 409


TLS = """
events {}
http { ssl_certificate auto; server { listen 127.0.0.1:0 ssl; server_name a.test;
    location / { return 200 hello; } } }
"""


def test_connections_without_a_request_have_rows(start: Start) -> None:
    proxy, live = start(TLS)
    address = proxy.addresses[0]
    context = ssl.create_default_context()
    with socket.create_connection(address) as sock, pytest.raises(ssl.SSLError):
        context.wrap_socket(sock, server_hostname="a.test")  # it does not trust the CA
    socket.create_connection(address).close()
    with socket.create_connection(address) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 400")
    rows = live.rows()
    for _ in range(500):  # the server may see the end of a connection later
        if len(rows) >= 3:
            break
        rows = live.rows()
    kinds = {row["kind"]: row for row in rows}
    assert set(kinds) == {"handshake", "connection", "request"}
    assert kinds["request"]["status"] == 400
    assert kinds["handshake"]["problem"]


@pytest.mark.parametrize("path", ["/", "/app.js", "/api/requests", "/nothing", "/api/events"])
@pytest.mark.parametrize(
    "fields", [{"Host": "evil.test"}, {"Origin": "http://evil.test"}], ids=["host", "origin"]
)
def test_other_sites_are_refused(
    path: str, fields: dict[str, str], plain: tuple[ThreadProxy, LiveClient]
) -> None:
    answer = plain[1].send(path, fields=fields)
    assert answer.status == 403
    assert set(answer.value) == {"error"}


def test_every_response_has_a_strict_policy(plain: tuple[ThreadProxy, LiveClient]) -> None:
    for path in ("/", "/app.js", "/style.css", "/api/requests", "/api/upstreams", "/nothing"):
        headers = plain[1].send(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("text", ["0", "999", "-1", "1e3", "%F0", "1/x", "9" * 50])
def test_unknown_entries_are_not_found(text: str, plain: tuple[ThreadProxy, LiveClient]) -> None:
    assert plain[1].send(f"/api/requests/{text}").status == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(method: str, plain: tuple[ThreadProxy, LiveClient]) -> None:
    assert plain[1].send("/api/requests", method).status == 405


def test_long_heads_are_refused_or_recorded(plain: tuple[ThreadProxy, LiveClient]) -> None:
    proxy, live = plain
    assert fetch(proxy, "/", X="y" * 1_000_000) == 400
    assert fetch(proxy, "/?" + "z" * 1_000_000) == 414
    assert live.send("/api/requests", fields={"X": "y" * 1_000_000}).status == 400
    assert [row["status"] for row in live.rows()] == [400, 414]


def test_rows_are_sent_as_events(plain: tuple[ThreadProxy, LiveClient]) -> None:
    proxy, live = plain
    fetch(proxy, "/first")
    host, _, port = live.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as sock:
        sock.sendall(f"GET /api/events HTTP/1.1\r\nHost: {live.address}\r\n\r\n".encode())
        received = b""
        while b"/first" not in received:
            received += sock.recv(65536)
        assert b"Content-Type: text/event-stream" in received
        fetch(proxy, "/second")
        while b"/second" not in received:
            received += sock.recv(65536)
    assert received.index(b"event: hello") < received.index(b"event: rows")


def test_the_configuration_has_the_findings_of_the_lint(tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    text = PLAIN % ("https://127.0.0.1:9", "")
    file.write_text(text)
    with sniproxy.serve_in_thread(file, live=True) as proxy:
        live = LiveClient(proxy)
        found = live.send("/api/configuration").value
        [worker] = live.send("/api/upstreams").value["workers"]
    assert found["files"] == [{"name": str(file), "text": text}]
    assert [(one["line"], one["rule"]) for one in found["findings"]] == [(6, "sni-missing")]
    assert [peer["address"] for one in worker["upstreams"] for peer in one["peers"]] == [
        "127.0.0.1:9"
    ]


def test_upstreams_have_the_state_of_their_peers(start: Start, tmp_path: Path) -> None:
    proxy, live = start(f"""
        events {{}}
        http {{ proxy_cache_path {tmp_path}/cache keys_zone=one:1m inactive=5m;
            limit_req_zone $uri zone=slow:1m rate=30r/m; limit_conn_zone $host zone=many:1m;
            upstream shared {{ zone peers 64k; server 127.0.0.1:6; }}
            upstream app {{ server 127.0.0.1:9; server 127.0.0.1:8 down; server 127.0.0.1:7 backup;
                keepalive 2; }}
            server {{ listen 127.0.0.1:0;
                location / {{ proxy_pass http://app; proxy_cache one; limit_req zone=slow;
                    limit_conn many 9; }} }} }}
    """)
    assert fetch(proxy, "/") == 502
    found = live.send("/api/upstreams").value
    [worker] = found["workers"]
    assert (worker["index"], worker["is_ending"]) == (0, False)
    group, shared = worker["upstreams"]
    assert (shared["name"], shared["zone"], shared["places"]) == ("shared", "peers", [])
    assert [peer["address"] for peer in shared["peers"]] == ["127.0.0.1:6"]
    assert (group["name"], group["is_group"], group["idle_connections"]) == ("app", True, 0)
    states = {peer["address"]: (peer["state"], peer["backup"]) for peer in group["peers"]}
    assert states == {
        "127.0.0.1:9": ("failed", False),
        "127.0.0.1:8": ("down", False),
        "127.0.0.1:7": ("failed", True),
    }
    [cache] = found["caches"]
    assert (cache["name"], cache["folder"], cache["inactive"]) == ("one", f"{tmp_path}/cache", 300)
    assert 0 <= cache["keys"] <= cache["max_keys"]
    rates, counts = found["limits"]
    assert (rates["directive"], rates["name"], rates["key"], rates["rate"], rates["keys"]) == (
        "limit_req_zone", "slow", "$uri", 0.5, 1,
    )  # fmt: skip
    assert (counts["directive"], counts["name"], counts["keys"]) == ("limit_conn_zone", "many", 0)


def test_everything_needs_the_token_on_a_public_address(tmp_path: Path) -> None:
    with sniproxy.serve_in_thread(PLAIN % ("http://127.0.0.1:9", ""), live="0.0.0.0:0") as proxy:
        live = LiveClient(proxy)
        for path in ("/api/requests", "/api/events", "/api/upstreams", "/api/configuration"):
            assert live.send(path).status == 403
        assert live.send("/api/requests", token=True).status == 200
        assert live.send(f"/api/upstreams?token={live.token}").status == 200
        assert live.send("/api/upstreams?token=wrong").status == 403


STREAM = """
events {}
stream { server { listen 127.0.0.1:0; return hello; }
    server { listen 127.0.0.2:0; proxy_pass 127.0.0.1:9; } }
"""


@pytest.mark.parametrize("looks_before", [True, False])
def test_sessions_of_stream_have_rows(looks_before: bool, tmp_path: Path) -> None:
    with sniproxy.serve_in_thread(STREAM, live=True) as proxy:
        live = LiveClient(proxy)
        if looks_before:
            assert live.rows() == []
        for address, output in zip(proxy.addresses, (b"hello", b""), strict=True):
            with socket.create_connection(address, timeout=20) as sock:
                assert sock.recv(100) == output
        assert proxy.wait_for(lambda: len(proxy.sessions) == 2)
        good, bad = live.rows()
        assert (good["kind"], good["scheme"], good["status"]) == ("session", "tcp", 200)
        assert (good["sent"], good["problem"], good["peer"]) == (5, "", None)
        assert (bad["status"], bad["peer"]) == (502, "127.0.0.1:9")
        assert bad["problem"] == "connect() failed (111: Connection refused)"


def test_a_failed_grpc_call_has_its_status(start: Start, tls_upstream: Upstreams) -> None:
    upstream = tls_upstream("grpc-unavailable")
    proxy, live = start(f"""
        events {{}}
        http {{ server {{ listen 127.0.0.1:0; server_name front.test;
            location / {{ grpc_pass grpcs://{upstream.address}; }}
            location /plain {{ proxy_pass http://127.0.0.1:9; }} }} }}
    """)
    assert live.rows() == []
    assert fetch(proxy, "/a.B/C", "POST", TE="trailers", body="") == 200
    assert fetch(proxy, "/plain") == 502
    call, plain = live.rows()
    assert call["problem"].startswith("gRPC status 14 UNAVAILABLE")
    assert (call["peer_tls"], plain["peer_tls"]) == (True, False)


def test_a_refused_request_has_the_message_of_level_info(start: Start) -> None:
    proxy, live = start("""
        events {} http { ssl_certificate auto; server { listen 127.0.0.1:0 ssl; } }
    """)
    assert live.rows() == []
    assert fetch(proxy, "/") == 400
    [row] = live.rows()
    assert row["problem"].startswith("client sent plain HTTP request to HTTPS port")


@pytest.mark.needs("curl")
def test_requests_at_the_same_time_on_one_connection_are_distinguished(start: Start) -> None:
    """HTTP/2: the second request logs a line before the first one ends."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        proxy, live = start(f"""
            events {{}}
            http {{ ssl_certificate auto; proxy_read_timeout 300ms;
                upstream two {{ server 127.0.0.1:9; server 127.0.0.1:{port}; }}
                server {{ listen 127.0.0.1:0 ssl; http2 on; server_name front.test;
                    location /one {{ proxy_pass http://127.0.0.1:{port}; }}
                    location /two {{ proxy_pass http://two; proxy_read_timeout 900ms; }} }} }}
        """)
        assert live.rows() == []
        url = proxy.urls[0]
        command = ["curl", "-Zsk", "--http2", "-o", "/dev/null", "-o", "/dev/null"]
        subprocess.run([*command, f"{url}/one", f"{url}/two"], timeout=60, check=True)
        assert proxy.wait_for(lambda: len(proxy.access_log) == 2)
        rows = live.rows()
    assert len({row["connection"] for row in rows}) == 1
    assert [row["target"] for row in rows] == ["/one", "/two"]
    one, two = (live.details(row["id"])["trace"] for row in rows)
    assert "/two" not in json.dumps(one)
    assert "/one" not in json.dumps(two)
    assert "connect() failed" in two["error_log"][0]
    assert "upstream timed out" in two["error_log"][-1]
