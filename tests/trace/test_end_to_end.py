"""Traces of requests to well-behaved and faulty upstreams."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

import sniproxy
from sniproxy.testing.client import ClientRecord, ClientTLSOptions, run_client
from sniproxy.testing.upstreams import UpstreamSpec, catalog, generate_certificates, open_upstreams
from sniproxy.trace import Trace, lines
from sniproxy.trace.steps import LocationStep, RedirectStep, UpstreamStep

NAMED = "proxy_ssl_server_name on; proxy_ssl_name upstream.test;"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traces")
    generate_certificates(folder)
    return folder


def text(trace: Trace) -> str:
    """The tree, without values that differ between runs."""
    return re.sub(r"\d+\.\d ms", "N ms", "\n".join(lines(trace)))


@dataclass
class Front:
    """A proxy with its traces."""

    certificates: Path
    proxy: sniproxy.Proxy
    traces: list[Trace] = field(default_factory=list)

    async def get(
        self,
        path: str = "/",
        *headers: str,
        host: str = "front.test",
        listener: int = 0,
        tls: ClientTLSOptions | None = None,
    ) -> Trace:
        """Send a request on a new connection, and return it with its trace."""
        before = len(self.traces)
        head = "".join(f"{line}\r\n" for line in (f"Host: {host}", *headers, "Connection: close"))
        request = f"GET {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1")
        context = None if tls is None else tls.context(self.certificates)
        name = None if tls is None else tls.server_name
        port = self.proxy.addresses[listener][1]
        await run_client(port, (request,), ClientRecord(), context, name)
        await self.proxy.wait_for(lambda: len(self.traces) > before)
        (trace,) = self.traces[before:]
        return trace


@asynccontextmanager
async def front(
    certificates: Path, inside: str, *upstreams: UpstreamSpec, before: str = "", listen: str = ""
) -> AsyncIterator[Front]:
    """A server with the directives `inside`, and a group of the upstreams. `ALONE` in `inside` is
    replaced by the address of the first one, without pooled connections."""
    async with open_upstreams(certificates) as upstream_server:
        peers = [await upstream_server.start(upstream) for upstream in upstreams]
        servers = " ".join(f"server 127.0.0.1:{peer.port};" for peer in peers)
        group = f"upstream backend {{ {servers} }}" if peers else ""
        alone = peers[0].address if peers else ""
        configuration = certificates / "nginx.conf"
        configuration.write_text(
            f"events {{}} http {{ {group} {before}\n"
            f"server {{ {listen or 'listen 127.0.0.1:0;'} server_name front.test;\n"
            f"{inside.replace('ALONE', alone)} }} }}"
        )
        traces: list[Trace] = []
        async with sniproxy.serve(configuration, trace=traces.append) as proxy:
            yield Front(certificates, proxy, traces)


def query(trace: Trace) -> UpstreamStep:
    (stop,) = [stop for stop in trace.steps if isinstance(stop, UpstreamStep)]
    return stop


async def test_without_sni(certificates: Path) -> None:
    inside = "location / { proxy_pass https://backend; }"
    async with front(certificates, inside, catalog.NEEDS_SNI) as site:
        trace = await site.get()
    rendered = text(trace)
    assert trace.answer is not None
    assert trace.answer.status == 502
    assert "SNI: none, since proxy_ssl_server_name is off" in rendered
    assert "name: backend, from the host of proxy_pass" in rendered
    assert "SSL alert number 112) after N ms" in rendered
    assert re.search(
        r"error log: .*\[error\] .*SSL alert number 112\) while SSL handshaking", rendered
    )
    assert "offered: no SNI, TLSv1.2 TLSv1.3, no ALPN, no session" in rendered
    assert "sent: " not in rendered
    assert re.search(r'access log: 127.0.0.1 - - .* "GET / HTTP/1.1" 502 ', rendered)


async def test_with_sni(certificates: Path) -> None:
    inside = f"location / {{ proxy_pass https://backend; {NAMED} proxy_set_header Host $host; }}"
    async with front(certificates, inside, catalog.NEEDS_SNI) as site:
        trace = await site.get("/a?b=c")
    rendered = text(trace)
    assert rendered.startswith(
        f"GET http://front.test:{site.proxy.addresses[0][1]}/a?b=c -> 200 in"
    )
    assert "SNI: upstream.test" in rendered
    assert "name: upstream.test, from proxy_ssl_name upstream.test" in rendered
    assert "$host = front.test" in rendered
    assert "negotiated: TLSv1.3, TLS_AES_256_GCM_SHA384, X25519, new session" in rendered
    assert "certificate: upstream.test, up_stream.test, " in rendered
    assert "sent: GET /a?b=c HTTP/1.1" in rendered
    assert "received: HTTP/1.1 200 OK" in rendered
    assert "response: HTTP/1.1 200 OK" in rendered
    (peer,) = query(trace).peers
    assert peer.request is not None
    assert ("Host", "front.test") in peer.request.fields
    assert not trace.error_log


async def test_a_certificate_that_is_not_believed(certificates: Path) -> None:
    inside = (
        f"location / {{ proxy_pass https://backend; {NAMED}"
        " proxy_ssl_verify on; proxy_ssl_trusted_certificate root.pem; }"
    )
    async with front(certificates, inside, catalog.SELF_SIGNED) as site:
        rendered = text(await site.get())
    assert "verified: upstream.test by root.pem, depth 1" in rendered
    assert "upstream SSL certificate verify error: (18:self-signed certificate)" in rendered
    assert 'verify result 18: self-signed certificate, for "upstream.test"' in rendered


async def test_a_resumed_session(certificates: Path) -> None:
    inside = f"location / {{ proxy_pass https://ALONE; {NAMED} }}"
    async with front(certificates, inside, catalog.GOOD) as site:
        await site.get()
        rendered = text(await site.get())
    assert "no ALPN, the cached session of this peer" in rendered
    assert "X25519, resumed session" in rendered


async def test_a_retained_connection(certificates: Path) -> None:
    inside = f"location / {{ proxy_pass https://backend; {NAMED} }}"
    async with front(certificates, inside, catalog.GOOD) as site:
        first = await site.get()
        second = await site.get()
    assert [query(one).peers[0].reused for one in (first, second)] == [False, True]
    assert "over a pooled connection" in text(second)


async def test_the_next_peer(certificates: Path) -> None:
    inside = f"location / {{ proxy_pass https://backend; {NAMED} }}"
    async with front(certificates, inside, catalog.NEEDS_SNI_CLOSES, catalog.GOOD) as site:
        first = await site.get()
    assert len(query(first).peers) == 1
    async with front(
        certificates, inside.replace(NAMED, ""), catalog.NEEDS_SNI, catalog.GOOD
    ) as site:
        trace = await site.get()
    failed, answered = query(trace).peers
    assert "alert number 112" in failed.failure
    assert failed.response is None
    assert answered.status == 200
    assert not answered.failure


async def test_other_protocols(certificates: Path) -> None:
    inside = "location / { fastcgi_pass ALONE; fastcgi_param SCRIPT $uri; }"
    async with front(certificates, inside, catalog.FASTCGI) as site:
        trace = await site.get("/a.php")
    step = query(trace)
    assert step.kind == "fastcgi_pass"
    assert step.variables == (("uri", "/a.php"),)
    assert step.peers[0].request is None
    assert "fastcgi_pass 127.0.0.1:" in text(trace)
    assert "received: HTTP/1.1 200 OK" in text(trace)
    inside = "location / { uwsgi_pass suwsgi://backend; }"
    async with front(certificates, inside, catalog.NEEDS_SNI) as site:
        rendered = text(await site.get())
    assert "SNI: none, since uwsgi_ssl_server_name is off" in rendered
    assert "name: backend, from the host of uwsgi_pass" in rendered


async def test_redirects_on_the_way(certificates: Path) -> None:
    inside = """
        error_page 404 /sorry;
        rewrite ^/outer/(.*) /old/$1;
        location / { return 404; }
        location /old/ { rewrite ^/old/(.*) /app/$1 last; }
        location /app/ {
            location ~ \\.php$ { proxy_pass https://backend; error_page 502 = @fallback; }
        }
        location = /sorry { return 200 sorry; }
        location @fallback { proxy_pass http://127.0.0.1:1; }
        location ^~ /plain/ { return 200 plain; }
    """
    async with front(certificates, inside, catalog.NEEDS_SNI) as site:
        trace = await site.get("/outer/x.php")
        plain = await site.get("/plain/x.php")
    way = [
        stop.location if isinstance(stop, LocationStep)
        else f"{stop.by} {stop.to}" if isinstance(stop, RedirectStep)
        else stop.kind
        for stop in trace.steps
    ]  # fmt: skip
    assert way == [
        "rewrite /old/x.php",
        "/old/",
        "rewrite /app/x.php",
        "~ \\.php$",
        "proxy_pass",
        "error_page 502 @fallback",
        "@fallback",
        "proxy_pass",
    ]
    (found,) = [s for s in trace.steps if isinstance(s, LocationStep) and s.path == "/app/x.php"]
    assert found.why == "first regular expression that matches; inside /app/"
    assert found.place.endswith("nginx.conf:9")
    (found,) = [s for s in plain.steps if isinstance(s, LocationStep)]
    assert found.why == "longest prefix, and ^~ asks no regular expression"
    assert plain.steps[-1].kind == "redirect"


async def test_a_cycle(certificates: Path) -> None:
    async with front(certificates, "location / { rewrite ^ /a last; }") as site:
        trace = await site.get()
    kinds = [stop.kind for stop in trace.steps]
    assert kinds == ["location", "redirect"] * 11
    assert "redirection cycle" in trace.error_log[0]


async def test_try_files_and_an_index(certificates: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "index.html").write_text("here")
    inside = f"""
        root {tmp_path};
        location / {{ try_files $uri /a/; }}
        location /a/ {{ }}
        location /kept {{ rewrite ^ /a/index.html break; }}
    """
    async with front(certificates, inside) as site:
        tried = await site.get("/none")
        pool = await site.get("/kept")
    reports = [
        line
        for line in text(tried).splitlines()
        if line[3:].startswith(("loc", "try", "ind", "fil"))
    ]
    assert [line[3:].partition(" /")[0] for line in reports] == [
        "location for",
        "try_files to",
        "location for",
        "files:",
        "index to",
        "location for",
        "files:",
    ]
    assert [stop.kind for stop in pool.steps] == ["location", "redirect", "files"]


async def test_which_server_and_which_certificate(certificates: Path) -> None:
    before = """
        server {
            listen 127.0.0.1:0 ssl default_server; server_name a.test;
            ssl_certificate good.pem; ssl_certificate_key good.key; return 200;
        }
    """
    inside = """
        server_name *.front.test ~^re\\d+\\.test$;
        ssl_certificate wrong-host.pem; ssl_certificate_key wrong-host.key; return 200;
    """
    listen = "listen 127.0.0.1:0 ssl;"
    async with front(certificates, inside, before=before, listen=listen) as site:

        async def get(name: str | None, host: str) -> Trace:
            return await site.get(host=host, tls=ClientTLSOptions(name))

        exact = await get("front.test", "front.test")
        wildcard = await get("x.front.test", "re1.test")
        default = await get(None, "other.test")
    assert exact.tls is not None
    assert exact.tls.certificate is not None
    assert exact.tls.certificate.source == "wrong-host.pem"
    assert exact.tls.certificate.names == ("other.test",)
    rendered = text(exact)
    assert 'by SNI: exact name "front.test"' in rendered
    assert "issued by CN=Test Root" in rendered
    assert "by SNI: wildcard *.front.test" in text(wildcard)
    assert "by Host: regular expression ~^re\\d+\\.test$" in text(wildcard)
    rendered = text(default)
    assert "SNI received: none" in rendered
    assert ": no SNI)" in rendered
    assert "no other has other.test among its names" in rendered
    assert "ssl_certificate good.pem" in rendered


async def test_a_client_that_does_not_get_in(certificates: Path) -> None:
    async with front(
        certificates, "ssl_reject_handshake on;", listen="listen 127.0.0.1:0 ssl;"
    ) as site:
        await run_client(
            site.proxy.addresses[0][1],
            (),
            ClientRecord(),
            ClientTLSOptions().context(certificates),
            "front.test",
        )
        await site.proxy.wait_for(lambda: bool(site.traces))
        (trace,) = site.traces
    rendered = text(trace)
    assert rendered.startswith(f"connection from {trace.client}: SSL handshake failed\n")
    assert "failed: handshake rejected" in rendered
    assert "SNI received: front.test" in rendered
    assert re.search(r"error log: .*\[info\] .* handshake rejected while SSL handshaking", rendered)


async def test_secrets_are_masked(certificates: Path) -> None:
    log = certificates / "access.log"
    before = f"log_format x '$http_cookie $request_uri'; access_log {log} x;"
    inside = """location / {
        proxy_pass http://backend; proxy_set_header X-Token $http_authorization;
        proxy_set_header X-Cookie $cookie_session; add_header Set-Cookie "own=verysecret";
    }"""
    async with front(certificates, inside, catalog.PLAIN, before=before) as site:
        trace = await site.get(
            "/?t=0123456789abcdef",
            "Authorization: Bearer 0123456789abcdef",
            "Cookie: session=fedcba9876543210",
        )
    rendered = text(trace)
    for secret in ("0123456789abcdef", "fedcba9876543210", "verysecret"):
        assert secret not in rendered
        assert secret not in repr(trace)
    assert "Authorization: (masked)" in rendered
    assert "X-Token: (masked)" in rendered
    assert "X-Cookie: (masked)" in rendered
    assert "Set-Cookie: (masked)" in rendered
    assert "$http_authorization = (masked)" in rendered


async def test_nothing_steers_a_terminal(certificates: Path) -> None:
    inside = "location / { proxy_pass http://backend; proxy_set_header X-Arg $arg_a; }"
    async with front(certificates, inside, catalog.PLAIN) as site:
        rendered = text(await site.get("/?a=%1b", "X-Evil: \x1b[31mred\x9b"))
    assert "\x1b" not in rendered
    assert "\x9b" not in rendered
    assert "X-Evil: \\x1B[31mred\\x9B" in rendered


async def test_requests_on_one_connection(certificates: Path) -> None:
    async with front(certificates, "location / { return 204; }") as site:
        request = b"GET /%d HTTP/1.1\r\nHost: front.test\r\n\r\n"
        last = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        await run_client(site.proxy.addresses[0][1], (request % 1, last % 2), ClientRecord())
        await site.proxy.wait_for(lambda: len(site.traces) == 2)
    first, second = site.traces
    assert (first.number, second.number) == (1, 2)
    assert first.connection == second.connection
    assert "request 2 on it" in text(second)


async def test_a_head_that_is_refused(certificates: Path) -> None:
    async with front(certificates, "location / { return 204; }") as site:
        await run_client(site.proxy.addresses[0][1], (b"GET / HTTP/1.1\r\n\r\n",), ClientRecord())
        await site.proxy.wait_for(lambda: bool(site.traces))
        (trace,) = site.traces
    assert trace.answer is not None
    assert trace.answer.status == 400
    assert not trace.steps
    assert "client sent HTTP/1.1 request without" in trace.error_log[0]


async def test_a_subrequest(certificates: Path) -> None:
    inside = """
        location / { auth_request /auth; proxy_pass http://backend; }
        location = /auth { proxy_pass http://backend/check; }
    """
    async with front(certificates, inside, catalog.PLAIN) as site:
        trace = await site.get("/a")
    first, second = [stop for stop in trace.steps if isinstance(stop, UpstreamStep)]
    assert (first.subrequest, second.subrequest) == ("/auth", "")
    assert "subrequest /auth: proxy_pass http://backend/check" in text(trace)


async def test_many_at_once(certificates: Path) -> None:
    inside = "location / { proxy_pass http://backend; }"
    async with front(certificates, inside, catalog.PLAIN) as site:
        async with trio.open_nursery() as nursery:
            for number in range(10):
                request = f"GET /{number} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                nursery.start_soon(
                    run_client, site.proxy.addresses[0][1], (request.encode(),), ClientRecord()
                )
        await site.proxy.wait_for(lambda: len(site.traces) == 10)
    for trace in site.traces:
        (peer,) = query(trace).peers
        assert trace.request is not None
        assert peer.request is not None
        path = trace.request.line.split()[1]
        assert peer.request.line.split()[1] == path


def test_in_a_thread() -> None:
    traces: list[Trace] = []
    configuration = "events {} http { server { listen 127.0.0.1:0; return 204; } }"
    with sniproxy.serve_in_thread(configuration, trace=traces.append) as proxy:
        urllib.request.urlopen(f"{proxy.urls[0]}/a", timeout=5).close()
        assert proxy.wait_for(lambda: bool(traces))
    assert traces[0].request is not None
    assert traces[0].request.line == "GET /a HTTP/1.1"
