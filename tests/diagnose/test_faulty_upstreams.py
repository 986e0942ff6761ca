"""The command against every kind of broken upstream, and its words pasted into both programs."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest

import sniproxy
from sniproxy.explain import catalog
from sniproxy.testing.upstreams import TLS, Action, UpstreamSpec
from sniproxy.testing.upstreams import catalog as upstream_catalog
from sniproxy.testing.upstreams.spec import AfterSend, response
from tests.compare_nginx import get, served
from tests.diagnose.conftest import Diagnose, RunUpstreams
from tests.nginx import NGINX

NAME = ("--name", "upstream.test")
ROOT = ("--ca", "root.pem")
CLIENT = ("--cert", "client.pem", "--key", "client.key")

TLS10_ONLY = UpstreamSpec(
    "old",
    "speaks TLS 1.1 at most",
    tls=TLS(
        min_version=ssl.TLSVersion.TLSv1,
        max_version=ssl.TLSVersion.TLSv1_1,
        ciphers="DEFAULT:@SECLEVEL=0",
    ),
)
LONG_WINDED = UpstreamSpec(
    "long-winded",
    "answers with a header of 6 kB",
    response=Action(response("ok\n", "X-Long: " + "x" * 6000), AfterSend.WAIT),
)

HELLO = b"\x16\x03"
"""How a ClientHello begins, which PLAIN takes for a request."""


@dataclass(frozen=True, slots=True)
class Case:
    upstream: UpstreamSpec
    options: tuple[str, ...]
    status: int
    cause: str
    response: int = 200
    """What the proxies give with the directives pasted."""

    @property
    def name(self) -> str:
        return f"{self.upstream.name}{'+' if self.options else ''}{'+'.join(self.options)}"


CURED = [
    *(
        Case(upstream, NAME, 3, "sni-missing")
        for upstream in (
            upstream_catalog.NEEDS_SNI,
            upstream_catalog.NEEDS_SNI_40,
            upstream_catalog.NEEDS_SNI_80,
            upstream_catalog.NEEDS_SNI_CLOSES,
            upstream_catalog.NEEDS_SNI_RESETS,
            upstream_catalog.NEEDS_SNI_SILENT,
        )
    ),
    Case(upstream_catalog.NEEDS_SNI, (*NAME, "--no-request"), 3, "sni-missing"),
    Case(upstream_catalog.NEEDS_SNI, (*NAME, *ROOT), 3, "sni-missing"),
    Case(upstream_catalog.PLAIN, (), 3, "plain-http-upstream"),
    Case(upstream_catalog.PLAIN, NAME, 3, "plain-http-upstream"),
    Case(upstream_catalog.PLAIN_HTTP, (), 3, "plain-http-upstream", 400),
    Case(upstream_catalog.PLAIN_HTTP, ("--no-request",), 3, "plain-http-upstream", 400),
    Case(upstream_catalog.deep_chain(1), (*NAME, *ROOT), 3, "verify-not-configured"),
    Case(upstream_catalog.deep_chain(3), (*NAME, *ROOT), 3, "verify-not-configured"),
    Case(
        upstream_catalog.SELF_SIGNED, (*NAME, "--ca", "self-signed.pem"), 3, "verify-not-configured"
    ),
    Case(upstream_catalog.UNTRUSTED, (*NAME, "--ca", "stranger.pem"), 3, "verify-not-configured"),
    Case(upstream_catalog.WRONG_HOST, ("--name", "other.test", *ROOT), 3, "verify-not-configured"),
    Case(upstream_catalog.WANTS_CLIENT_12, CLIENT, 3, "client-certificate-needed"),
    Case(upstream_catalog.WANTS_CLIENT_13, CLIENT, 3, "client-certificate-needed"),
    Case(
        upstream_catalog.WANTS_CLIENT_13, (*CLIENT, "--no-request"), 3, "client-certificate-needed"
    ),
    Case(TLS10_ONLY, (), 3, "protocol-version"),
    Case(LONG_WINDED, (), 3, "header-too-big"),
    Case(upstream_catalog.HTTP_2, (), 3, "not-http1-upstream"),
    Case(upstream_catalog.NEEDS_ALPN, (), 3, "upstream-alpn"),
    Case(upstream_catalog.GRPC_NEEDS_SNI, ("--grpc", *NAME), 3, "sni-missing"),
    Case(upstream_catalog.GOOD, (), 0, ""),
    Case(upstream_catalog.EXPIRED, (), 0, ""),
]

HOPELESS = [
    Case(upstream_catalog.HTTP2_GOAWAY, (), 4, "invalid-response"),
    Case(upstream_catalog.GRPC_NEEDS_SNI, ("--grpc",), 4, "sni-missing"),
    Case(upstream_catalog.ABSENT, (), 4, "connect-failed"),
    Case(upstream_catalog.FULL, (), 4, "connect-failed"),
    Case(upstream_catalog.NEEDS_SNI, (), 4, "sni-missing"),
    Case(upstream_catalog.NEEDS_SNI, ("--name", "unknown.test"), 4, "sni-wrong-name"),
    Case(upstream_catalog.NOT_TLS, (), 4, "plain-http-upstream"),
    Case(upstream_catalog.CLOSES, NAME, 4, "handshake-closed"),
    Case(upstream_catalog.RESETS, NAME, 4, "handshake-closed"),
    Case(upstream_catalog.HANGS_UP, NAME, 4, "handshake-closed"),
    Case(upstream_catalog.SILENT, NAME, 4, "timeout"),
    Case(upstream_catalog.sends_alert(40, ""), NAME, 4, "handshake-refused"),
    Case(upstream_catalog.WRONG_HOST, (*NAME, *ROOT), 4, "name-mismatch"),
    Case(upstream_catalog.EXPIRED, (*NAME, *ROOT), 4, "verify-expired"),
    Case(upstream_catalog.SELF_SIGNED, (*NAME, *ROOT), 4, "verify-chain"),
    Case(upstream_catalog.UNTRUSTED, (*NAME, *ROOT), 4, "verify-chain"),
    Case(upstream_catalog.INCOMPLETE, (*NAME, *ROOT), 4, "verify-chain"),
    Case(upstream_catalog.WANTS_CLIENT_12, NAME, 4, "client-certificate-needed"),
    Case(upstream_catalog.WANTS_CLIENT_13, (), 4, "client-certificate-needed"),
    Case(upstream_catalog.WANTS_CLIENT_13, ("--no-request",), 4, "client-certificate-needed"),
    Case(upstream_catalog.NO_RESPONSE, (), 4, "timeout"),
    Case(upstream_catalog.CLOSES_ON_REQUEST, (), 4, "upstream-closed"),
    Case(upstream_catalog.NOT_HTTP, (), 4, "not-http1-upstream"),
]


def words(case: Case, port: int, certificates: Path) -> list[str]:
    options = [
        str(certificates / word) if word.endswith((".pem", ".key")) else word
        for word in case.options
    ]
    return [f"https://127.0.0.1:{port}/", *options]


@pytest.mark.parametrize("case", [*CURED, *HOPELESS], ids=lambda case: case.name)
def test_status_and_cause(
    case: Case, run_upstreams: RunUpstreams, diagnose: Diagnose, certificates: Path
) -> None:
    with run_upstreams(case.upstream) as (peer,):
        output = diagnose(*words(case, peer.port, certificates), "--json")
        assert (output.status, output.data["cause"] or "") == (case.status, case.cause), output.text
        assert len(peer.connections) <= 12
        requests = [request for visit in peer.connections for request in visit.requests]
        query = [request for request in requests if not request.startswith(HELLO)]
        assert all(request.endswith(b"\r\n\r\n") for request in query)
        assert not (query and "--no-request" in case.options)


def test_a_call_distinguishes_grpc_from_http1(
    run_upstreams: RunUpstreams, diagnose: Diagnose
) -> None:
    with run_upstreams(upstream_catalog.GRPC, upstream_catalog.GOOD) as (grpc, http1):
        works = diagnose(f"https://{grpc.address}", "--grpc")
        assert works.status == 0
        ((call,),) = [record.requests for record in grpc.connections]
        assert call.startswith(b"POST / HTTP/2\r\n")
        assert b"content-type: application/grpc\r\nte: trailers" in call
        fails = diagnose(f"https://{http1.address}", "--grpc", "--json")
    assert (fails.status, fails.data["cause"]) == (4, "not-http1-upstream")
    assert "speaks HTTP/1 only" in fails.data["verdict"]


@pytest.mark.parametrize("case", CURED, ids=lambda case: case.name)
def test_the_directives_cure_sniproxy(
    case: Case, run_upstreams: RunUpstreams, diagnose: Diagnose, certificates: Path
) -> None:
    with run_upstreams(case.upstream) as (peer,):
        output = diagnose(*words(case, peer.port, certificates))
        location = pasted(output.directives, peer.port)
        text = f"events {{}} http {{ server {{ listen 127.0.0.1:0; {location} }} }}"
        with sniproxy.serve_in_thread(text) as proxy:
            assert status_of(proxy.addresses[0][1]) == case.response, (location, proxy.error_log)


@pytest.mark.parametrize("case", CURED, ids=lambda case: case.name)
def test_the_directives_cure_sniproxy_in_toml(
    case: Case, run_upstreams: RunUpstreams, diagnose: Diagnose, certificates: Path
) -> None:
    with run_upstreams(case.upstream) as (peer,):
        output = diagnose(*words(case, peer.port, certificates), "--for", "toml")
        lines = (
            output.directives if case.status else [f'proxy_pass = "https://127.0.0.1:{peer.port}"']
        )
        head = ["[[http.server]]", 'listen = "127.0.0.1:0"', '[http.server.location."/"]']
        with sniproxy.serve_in_thread("\n".join([*head, *lines]), syntax="toml") as proxy:
            assert status_of(proxy.addresses[0][1]) == case.response, (lines, proxy.error_log)


@pytest.mark.nginx
@pytest.mark.parametrize("case", CURED, ids=lambda case: case.name)
def test_the_directives_cure_nginx(
    case: Case, run_upstreams: RunUpstreams, diagnose: Diagnose, certificates: Path, tmp_path: Path
) -> None:
    with run_upstreams(case.upstream) as (peer,):
        output = diagnose(*words(case, peer.port, certificates))
        location = pasted(output.directives, peer.port)
        text = f"server {{ listen 127.0.0.1:@PORT@; {location} }}"
        with served(NGINX, tmp_path, text) as nginx:
            (got,) = nginx.ask([get("/")])
        assert got.status == case.response, location


def test_causes_are_those_of_the_catalog() -> None:
    assert {case.cause for case in [*CURED, *HOPELESS]} - {""} <= set(catalog().causes)


def pasted(directives: list[str], port: int) -> str:
    """A location with what was printed; of one that works as it is, with nothing but its URL."""
    lines = directives
    if not any(line.startswith(("proxy_pass", "grpc_pass")) for line in lines):
        lines = [f"proxy_pass https://127.0.0.1:{port};"]
    return "location / {\n" + "\n".join(lines) + "\n}"


def status_of(port: int, path: str = "/", host: str = "front.test") -> int:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        client.request("GET", path, headers={"Host": host})
        return client.getresponse().status
    finally:
        client.close()
