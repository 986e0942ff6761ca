"""The command against every kind of broken upstream, and its words pasted into both programs."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest

import sniproxy
from sniproxy.explain import catalog
from sniproxy.testing.zoo import TLS, Move, Upstream, animals
from sniproxy.testing.zoo.behaviour import Ending, answer
from tests.beside import get, served
from tests.diagnose.conftest import Diagnose, Housed
from tests.nginx import NGINX

NAME = ("--name", "upstream.test")
ROOT = ("--ca", "root.pem")
CLIENT = ("--cert", "client.pem", "--key", "client.key")

OLD = Upstream(
    "old",
    "speaks TLS 1.1 at most",
    tls=TLS(
        minimum=ssl.TLSVersion.TLSv1,
        maximum=ssl.TLSVersion.TLSv1_1,
        ciphers="DEFAULT:@SECLEVEL=0",
    ),
)
LONG_WINDED = Upstream(
    "long-winded",
    "answers with a header of 6 kB",
    answers=Move(answer("ok\n", "X-Long: " + "x" * 6000), Ending.WAIT),
)

HELLO = b"\x16\x03"
"""How a ClientHello begins, which PLAIN takes for a request."""


@dataclass(frozen=True, slots=True)
class Case:
    upstream: Upstream
    options: tuple[str, ...]
    status: int
    cause: str
    answer: int = 200
    """What the proxies give with the directives pasted."""

    @property
    def name(self) -> str:
        return f"{self.upstream.name}{'+' if self.options else ''}{'+'.join(self.options)}"


CURED = [
    *(
        Case(upstream, NAME, 3, "sni-missing")
        for upstream in (
            animals.NEEDS_SNI,
            animals.NEEDS_SNI_40,
            animals.NEEDS_SNI_80,
            animals.NEEDS_SNI_CLOSES,
            animals.NEEDS_SNI_RESETS,
            animals.NEEDS_SNI_SILENT,
        )
    ),
    Case(animals.NEEDS_SNI, (*NAME, "--no-request"), 3, "sni-missing"),
    Case(animals.NEEDS_SNI, (*NAME, *ROOT), 3, "sni-missing"),
    Case(animals.PLAIN, (), 3, "plain-http-upstream"),
    Case(animals.PLAIN, NAME, 3, "plain-http-upstream"),
    Case(animals.PLAIN_HTTP, (), 3, "plain-http-upstream", 400),
    Case(animals.PLAIN_HTTP, ("--no-request",), 3, "plain-http-upstream", 400),
    Case(animals.deep(1), (*NAME, *ROOT), 3, "verify-not-configured"),
    Case(animals.deep(3), (*NAME, *ROOT), 3, "verify-not-configured"),
    Case(animals.SELF_SIGNED, (*NAME, "--ca", "self-signed.pem"), 3, "verify-not-configured"),
    Case(animals.UNTRUSTED, (*NAME, "--ca", "stranger.pem"), 3, "verify-not-configured"),
    Case(animals.WRONG_HOST, ("--name", "other.test", *ROOT), 3, "verify-not-configured"),
    Case(animals.WANTS_CLIENT_12, CLIENT, 3, "client-certificate-needed"),
    Case(animals.WANTS_CLIENT_13, CLIENT, 3, "client-certificate-needed"),
    Case(animals.WANTS_CLIENT_13, (*CLIENT, "--no-request"), 3, "client-certificate-needed"),
    Case(OLD, (), 3, "protocol-version"),
    Case(LONG_WINDED, (), 3, "header-too-big"),
    Case(animals.GOOD, (), 0, ""),
    Case(animals.EXPIRED, (), 0, ""),
]

HOPELESS = [
    Case(animals.ABSENT, (), 4, "connect-failed"),
    Case(animals.FULL, (), 4, "connect-failed"),
    Case(animals.NEEDS_SNI, (), 4, "sni-missing"),
    Case(animals.NEEDS_SNI, ("--name", "unknown.test"), 4, "handshake-refused"),
    Case(animals.GARBAGE, (), 4, "plain-http-upstream"),
    Case(animals.CLOSES, NAME, 4, "handshake-closed"),
    Case(animals.RESETS, NAME, 4, "handshake-closed"),
    Case(animals.HANGS_UP, NAME, 4, "handshake-closed"),
    Case(animals.SILENT, NAME, 4, "handshake-closed"),
    Case(animals.alerting(40, ""), NAME, 4, "handshake-refused"),
    Case(animals.WRONG_HOST, (*NAME, *ROOT), 4, "name-mismatch"),
    Case(animals.EXPIRED, (*NAME, *ROOT), 4, "verify-expired"),
    Case(animals.SELF_SIGNED, (*NAME, *ROOT), 4, "verify-chain"),
    Case(animals.UNTRUSTED, (*NAME, *ROOT), 4, "verify-chain"),
    Case(animals.INCOMPLETE, (*NAME, *ROOT), 4, "verify-chain"),
    Case(animals.WANTS_CLIENT_12, NAME, 4, "client-certificate-needed"),
    Case(animals.WANTS_CLIENT_13, (), 4, "client-certificate-needed"),
    Case(animals.WANTS_CLIENT_13, ("--no-request",), 4, "client-certificate-needed"),
    Case(animals.MUTE, (), 4, "timeout"),
    Case(animals.NO_ANSWER, (), 4, "upstream-closed"),
    Case(animals.NOT_HTTP, (), 4, "not-http1-upstream"),
]


def words(case: Case, port: int, wardrobe: Path) -> list[str]:
    options = [
        str(wardrobe / word) if word.endswith((".pem", ".key")) else word for word in case.options
    ]
    return [f"https://127.0.0.1:{port}/", *options]


@pytest.mark.parametrize("case", [*CURED, *HOPELESS], ids=lambda case: case.name)
def test_status_and_cause(case: Case, housed: Housed, diagnose: Diagnose, wardrobe: Path) -> None:
    with housed(case.upstream) as (peer,):
        said = diagnose(*words(case, peer.port, wardrobe), "--json")
        assert (said.status, said.data["cause"] or "") == (case.status, case.cause), said.text
        assert len(peer.visits) <= 12
        requests = [request for visit in peer.visits for request in visit.requests]
        asked = [request for request in requests if not request.startswith(HELLO)]
        assert all(request.endswith(b"\r\n\r\n") for request in asked)
        assert not (asked and "--no-request" in case.options)


@pytest.mark.parametrize("case", CURED, ids=lambda case: case.name)
def test_the_directives_cure_sniproxy(
    case: Case, housed: Housed, diagnose: Diagnose, wardrobe: Path
) -> None:
    with housed(case.upstream) as (peer,):
        said = diagnose(*words(case, peer.port, wardrobe))
        location = pasted(said.directives, peer.port)
        text = f"events {{}} http {{ server {{ listen 127.0.0.1:0; {location} }} }}"
        with sniproxy.serve_in_thread(text) as proxy:
            assert status_of(proxy.addresses[0][1]) == case.answer, (location, proxy.error_log)


@pytest.mark.parametrize("case", CURED, ids=lambda case: case.name)
def test_the_directives_cure_sniproxy_in_toml(
    case: Case, housed: Housed, diagnose: Diagnose, wardrobe: Path
) -> None:
    with housed(case.upstream) as (peer,):
        said = diagnose(*words(case, peer.port, wardrobe), "--format", "toml")
        lines = (
            said.directives if case.status else [f'proxy_pass = "https://127.0.0.1:{peer.port}"']
        )
        head = ["[[http.server]]", 'listen = "127.0.0.1:0"', '[http.server.location."/"]']
        with sniproxy.serve_in_thread("\n".join([*head, *lines]), syntax="toml") as proxy:
            assert status_of(proxy.addresses[0][1]) == case.answer, (lines, proxy.error_log)


@pytest.mark.nginx
@pytest.mark.parametrize("case", CURED, ids=lambda case: case.name)
def test_the_directives_cure_nginx(
    case: Case, housed: Housed, diagnose: Diagnose, wardrobe: Path, tmp_path: Path
) -> None:
    with housed(case.upstream) as (peer,):
        said = diagnose(*words(case, peer.port, wardrobe))
        location = pasted(said.directives, peer.port)
        text = f"server {{ listen 127.0.0.1:@PORT@; {location} }}"
        with served(NGINX, tmp_path, text) as nginx:
            (got,) = nginx.ask([get("/")])
        assert got.status == case.answer, location


def test_causes_are_those_of_the_catalog() -> None:
    assert {case.cause for case in [*CURED, *HOPELESS]} - {""} <= set(catalog().causes)


def pasted(directives: list[str], port: int) -> str:
    """A location with what was printed; of one that works as it is, with nothing but its URL."""
    lines = directives
    if not any(line.startswith("proxy_pass") for line in lines):
        lines = [f"proxy_pass https://127.0.0.1:{port};"]
    return "location / {\n" + "\n".join(lines) + "\n}"


def status_of(port: int, path: str = "/", host: str = "front.test") -> int:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        client.request("GET", path, headers={"Host": host})
        return client.getresponse().status
    finally:
        client.close()
