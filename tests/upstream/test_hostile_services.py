"""SRV responses that lie or are malformed, beside nginx: the same lines, and no new addresses."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Iterator, Sequence

import pytest

from sniproxy.portal import in_thread
from sniproxy.testing.dns import (
    SERVFAIL,
    DNSQuery,
    DNSRecord,
    a,
    cname,
    name_bytes,
    open_name_server,
    reply,
    srv,
)
from tests.compare_nginx import NginxPair, Served, get, paired_with_nginx
from tests.upstream.echo import address_echo

pytestmark = pytest.mark.nginx
_PATIENCE = 15.0

GOOD = srv(1, 1, 1, "main.test", 1)
_FIXED = struct.pack("!HHH", 1, 1, 1)
REPLIES: dict[str, dict[str, object]] = {
    "servfail": {"code": SERVFAIL},
    "nothing": {},
    "address": {"records": [a("127.0.0.9", 1)]},
    "address-and-service": {"records": [a("127.0.0.9", 1), srv(1, 1, 1, "none.test", 1)]},
    "alias": {"records": [cname("_http._tcp.other.test", 1)]},
    "short-data": {"records": [DNSRecord("SRV", b"\0\1", 1)]},
    "no-target": {"records": [DNSRecord("SRV", _FIXED, 1)]},
    "root": {"records": [DNSRecord("SRV", _FIXED + b"\0", 1)]},
    "cut-target": {"records": [DNSRecord("SRV", _FIXED + b"\x20abc", 1)]},
    "loop": {"records": [DNSRecord("SRV", _FIXED + b"\xc0\x2e", 1)]},
    "long-length": {"records": [DNSRecord("SRV", _FIXED + name_bytes("x.test"), 1, length=900)]},
    "class": {"records": [DNSRecord("SRV", _FIXED + name_bytes("x.test"), 1, record_class=3)]},
    "wrong-id": {"records": [GOOD], "wrong_id": 1},
    "other-name": {"records": [GOOD], "name": name_bytes("_http._tcp.evil.test")},
    "two-questions": {"records": [GOOD], "questions": 2},
    "flags": {"records": [GOOD], "flags": 0x0100},
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxPair]:
    """One group for each response, which has an address before the responses are wrong."""
    with address_echo() as echo:
        queried: dict[str, int] = {}

        def respond(query: DNSQuery) -> Sequence[bytes]:
            if query.type == "A":
                address = {"main.test": "127.0.0.2"}.get(query.name)
                return [reply(query, a(address, 1)) if address else reply(query, code=3)]
            name = query.name.split(".")[2]
            queried[name] = queried.get(name, 0) + 1
            options = dict(REPLIES.get(name, {"code": 3}))
            if queried[name] <= 2:  # once for each program
                return [reply(query, srv(1, 1, echo.port, "main.test", 1))]
            records = options.pop("records", [])
            assert isinstance(records, list)
            return [reply(query, *records, **options)]  # type: ignore[arg-type]

        with in_thread(lambda: open_name_server(respond)) as (dns, _):
            groups = "".join(
                f"upstream {name} {{ zone {name} 64k; resolver_timeout 1s;"
                f" server {name}.test service=http resolve; }}\n"
                for name in REPLIES
            )
            locations = "".join(
                f"location /{name} {{ proxy_pass http://{name}; }}" for name in REPLIES
            )
            http = f"""
                resolver 127.0.0.1:{dns.port} ipv6=off;
                {groups} server {{ listen 127.0.0.1:@PORT@; {locations} }}
            """
            with paired_with_nginx(tmp_path_factory.mktemp("hostile"), http) as both:
                yield both


@pytest.fixture(scope="module")
def lines(pair: NginxPair) -> list[dict[str, list[str]]]:
    """The first lines of each program about each name."""
    return [_lines(served) for served in pair.both]


def _lines(served: Served) -> dict[str, list[str]]:
    deadline = time.monotonic() + _PATIENCE
    found: dict[str, list[str]] = {name: [] for name in REPLIES}
    other: dict[str, None] = {}
    finals = dict.fromkeys(REPLIES, False)
    while not all(finals.values()) and time.monotonic() < deadline:
        for line in served.log("error.log"):
            text = re.sub(r"^.*?#\d+: |\d{3,}", "", line)
            name = next((one for one in REPLIES if f" {one}.test" in f" {text}"), None)
            if "client:" in text:
                continue
            if name is None and "DNS" in text:
                other.setdefault(text)
            if name is None:
                continue
            finals[name] = True
            if text not in found[name]:
                found[name].append(text)
        time.sleep(0.02)
    found["other"] = sorted(other)
    return found


@pytest.mark.parametrize("name", [*REPLIES, "other"])
def test_lines_are_those_of_nginx(lines: list[dict[str, list[str]]], name: str) -> None:
    ours, nginxs = (found[name] for found in lines)
    assert ours == nginxs


@pytest.mark.parametrize("name", REPLIES)
def test_responses_are_those_of_nginx(
    pair: NginxPair, lines: list[dict[str, list[str]]], name: str
) -> None:
    ours, nginxs = (
        [(one.status, one.body if one.status == 200 else "") for one in answers]
        for answers in pair.ask([get(f"/{name}")] * 2)
    )
    assert ours == nginxs
