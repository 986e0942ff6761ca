"""`server … resolve`: names whose addresses change, compared with nginx."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from sniproxy.portal import in_thread
from sniproxy.testing.dns import (
    NXDOMAIN,
    SERVFAIL,
    DNSQuery,
    DNSRecord,
    a,
    cname,
    open_name_server,
    reply,
    srv,
)
from tests.compare_nginx import NginxPair, Served, get, paired_with_nginx
from tests.upstream.echo import AddressEcho, address_echo

pytestmark = pytest.mark.nginx
_PATIENCE = 15.0

Zone = dict[tuple[str, str], Sequence[DNSRecord] | int | None]
"""By name and type: records, the code of an error, or None for no response."""


class Names:
    """A name server whose records the tests replace."""

    def __init__(self) -> None:
        self.zone: Zone = {}
        self.queried: list[str] = []

    def __call__(self, query: DNSQuery) -> Sequence[bytes]:
        self.queried.append(query.name)
        found = self.zone.get((query.name, query.type), NXDOMAIN)
        if found is None:
            return ()
        if isinstance(found, int):
            return [reply(query, code=found)]
        if len(found) > 20 and not query.tcp:
            return [reply(query, truncated=True)]
        return [reply(query, *found)]

    def address(self, name: str, *addresses: str) -> None:
        self.zone[name, "A"] = [a(address, 1) for address in addresses]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture(scope="module")
def echo() -> Iterator[AddressEcho]:
    with address_echo() as server:
        yield server


@pytest.fixture
def serve(names: Names, echo: AddressEcho, tmp_path: Path) -> Iterator[Callable[[str], NginxPair]]:
    """Serves a group by both programs."""
    with in_thread(lambda: open_name_server(names)) as (server, _):
        held = []

        def start(group: str) -> NginxPair:
            http = f"""
                resolver 127.0.0.1:{server.port} ipv6=off;
                log_format tried "$upstream_addr $upstream_status $status";
                access_log access.log tried;
                upstream group {{ {group.replace("ECHO", str(echo.port))} }}
                server {{ listen 127.0.0.1:@PORT@; location / {{ proxy_pass http://group; }} }}
            """
            context = paired_with_nginx(tmp_path, http)
            held.append(context)
            return context.__enter__()

        yield start
        for context in held:
            context.__exit__(None, None, None)


def used(served: Served, count: int = 12) -> list[str]:
    """The addresses that answer, or the statuses."""
    answers = served.ask([get("/")] * count)
    return [one.body if one.status == 200 else str(one.status) for one in answers]


def until(pair: NginxPair, addresses: set[str], count: int = 12) -> None:
    """Wait until both programs use exactly these addresses."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        found = [set(used(served, count)) for served in pair.both]
        if found == [addresses] * 2:
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def resolver_lines(served: Served, *, at_least: str) -> list[str]:
    """The lines about names in the error log, once there is one with `at_least`."""
    deadline = time.monotonic() + _PATIENCE
    lines: list[str] = []
    while not any(at_least in line for line in lines):
        assert time.monotonic() < deadline, lines
        lines += [
            re.sub(r"^.*?#\d+: ", "", line)
            for line in served.log("error.log")
            if "resolved" in line or "memory" in line
        ]
        time.sleep(0.02)
    return lines


def test_addresses_come_and_go(
    names: Names, serve: Callable[[str], NginxPair], echo: AddressEcho
) -> None:
    names.address("a.test", "127.0.0.2", "127.0.0.3")
    pair = serve("zone z 64k; server a.test:ECHO resolve; server 127.0.0.9:ECHO weight=2;")
    until(pair, {"127.0.0.2", "127.0.0.3", "127.0.0.9"})
    ours, nginxs = (used(served) for served in pair.both)
    assert sorted(ours) == sorted(nginxs)
    names.address("a.test", "127.0.0.3", "127.0.0.4", "127.0.0.5")
    until(pair, {"127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.9"})
    del names.zone["a.test", "A"]
    until(pair, {"127.0.0.9"})
    lines = [
        resolver_lines(served, at_least="a.test could not be resolved (3")[:1]
        for served in pair.both
    ]
    assert lines[0] == lines[1] == ["a.test could not be resolved (3: Host not found)"]


def test_failures_leave_the_addresses(names: Names, serve: Callable[[str], NginxPair]) -> None:
    names.address("a.test", "127.0.0.2")
    pair = serve("zone z 64k; resolver_timeout 1s; server a.test:ECHO resolve;")
    until(pair, {"127.0.0.2"})
    names.zone["a.test", "A"] = SERVFAIL
    message = "a.test could not be resolved (2: Server failure)"
    for served in pair.both:
        assert resolver_lines(served, at_least="resolved")[0] == message
        assert set(used(served)) == {"127.0.0.2"}
    names.zone["a.test", "A"] = None
    message = "a.test could not be resolved (110: Operation timed out)"
    for served in pair.both:
        resolver_lines(served, at_least=message)
        assert set(used(served)) == {"127.0.0.2"}


def test_group_without_addresses_has_no_live_upstreams(
    names: Names, serve: Callable[[str], NginxPair]
) -> None:
    pair = serve("zone z 64k; server a.test:ECHO resolve;")
    until(pair, {"502"}, 1)
    assert [served.log(lines=1)[0] for served in pair.both] == ["group 502 502"] * 2


@pytest.mark.parametrize("method", ["", "least_conn;", "hash $uri;", "hash $uri consistent;"])
def test_services_have_weights_and_backups(
    names: Names, serve: Callable[[str], NginxPair], echo: AddressEcho, method: str
) -> None:
    names.zone["_http._tcp.a.test", "SRV"] = [
        srv(20, 1, echo.port, "backup.test", 1),
        srv(10, 3, echo.port, "main.test", 1),
    ]
    names.address("main.test", "127.0.0.2", "127.0.0.3")
    names.address("backup.test", "127.0.0.4")
    pair = serve(f"{method} zone z 64k; server a.test service=http resolve;")
    hashed = method.startswith("hash")
    deadline = time.monotonic() + _PATIENCE
    while any("502" in used(served, 1) for served in pair.both):
        assert time.monotonic() < deadline
    ours, nginxs = (used(served, 20) for served in pair.both)
    assert ours == nginxs if hashed else sorted(ours) == sorted(nginxs)
    # Without the servers of the best priority those of the next are not backups any more.
    names.zone["_http._tcp.a.test", "SRV"] = [srv(20, 1, echo.port, "backup.test", 1)]
    until(pair, {"127.0.0.4"})


def test_targets_without_addresses_are_logged(
    names: Names, serve: Callable[[str], NginxPair], echo: AddressEcho
) -> None:
    names.zone["_http._tcp.a.test", "SRV"] = [
        srv(10, 1, echo.port, "gone.test", 1),
        srv(20, 0, echo.port, "main.test", 1),
    ]
    names.zone["main.test", "A"] = [cname("other.test", 1)]
    names.address("other.test", "127.0.0.5")
    pair = serve("zone z 64k; server a.test service=http resolve;")
    until(pair, {"127.0.0.5"})
    for served in pair.both:
        assert resolver_lines(served, at_least="gone.test")[0] == (
            "gone.test could not be resolved (3: Host not found) while resolving service http of "
            "a.test"
        )
    names.zone["main.test", "A"] = NXDOMAIN
    until(pair, {"502"})
    for served in pair.both:
        resolver_lines(
            served, at_least="service http of a.test could not be resolved (3: Host not found)"
        )


def test_thousand_addresses(names: Names, serve: Callable[[str], NginxPair]) -> None:
    many = [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(1000)]
    names.address("a.test", *many)
    pair = serve("zone z 1m; server a.test:ECHO resolve;")
    until(pair, set(many), 1000)


def test_zone_too_small_takes_what_fits(names: Names, serve: Callable[[str], NginxPair]) -> None:
    names.address("a.test", *(f"127.0.1.{number}" for number in range(1, 200)))
    pair = serve("zone z 64k; server a.test:ECHO resolve;")
    for served in pair.both:
        lines = resolver_lines(served, at_least="cannot add")
        assert lines[:2] == [
            'ngx_slab_alloc() failed: no memory in upstream zone "z"',
            'cannot add new server to upstream "group", memory exhausted',
        ]
        assert set(used(served, 5)).isdisjoint({"502"})


def test_connections_to_addresses_that_stay_are_used_again(
    names: Names, serve: Callable[[str], NginxPair], echo: AddressEcho
) -> None:
    names.address("a.test", "127.0.5.1", "127.0.5.2")
    pair = serve("zone z 64k; server a.test:ECHO resolve; keepalive 8;")
    until(pair, {"127.0.5.1", "127.0.5.2"})
    names.address("a.test", "127.0.5.2", "127.0.5.3")
    until(pair, {"127.0.5.2", "127.0.5.3"})
    assert echo.opened.count("127.0.5.2") == 2  # one of each program
    # nginx closes the other one at its timeout.
    assert echo.open.count("127.0.5.1") == 1


def test_trace_waits_for_the_addresses(names: Names, echo: AddressEcho, tmp_path: Path) -> None:
    names.address("a.test", "127.0.0.2")
    with in_thread(lambda: open_name_server(names)) as (server, _):
        file = tmp_path / "nginx.conf"
        file.write_text(f"""
            events {{}}
            http {{
                resolver 127.0.0.1:{server.port} ipv6=off;
                upstream group {{ zone z 64k; server a.test:{echo.port} resolve; }}
                server {{ listen 127.0.0.1:80; location / {{ proxy_pass http://group; }} }}
            }}
        """)
        traced = subprocess.run(
            [sys.executable, "-m", "sniproxy", "trace", "-c", file, "http://127.0.0.1/"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert f"peer 127.0.0.2:{echo.port}: 200" in traced.stdout
