"""Groups of `stream {}` beside nginx: sequences of peers, `zone`, `least_time`, resolved names."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from sniproxy.portal import in_thread
from sniproxy.testing.dns import NXDOMAIN, DNSQuery, DNSRecord, a, open_name_server, reply, srv
from tests.compare_nginx import NginxPair, Served, get, paired_with_nginx
from tests.upstream.echo import AddressEcho, address_echo

pytestmark = pytest.mark.nginx
_PATIENCE = 15.0

METHODS = {
    "rr": "",
    "least-conn": "least_conn;",
    "hash": "hash $server_addr;",
    "connect": "least_time connect;",
    "connect-inflight": "least_time connect inflight;",
    "first-byte": "least_time first_byte;",
    "first-byte-inflight": "least_time first_byte inflight;",
    "last-byte": "least_time last_byte;",
    "last-byte-inflight": "least_time last_byte inflight;",
}
SERVERS = {
    "weights": "server 127.0.0.2:ECHO weight=5; server 127.0.0.3:ECHO weight=2; "
    "server 127.0.0.4:ECHO;",
    "failing": "server 127.0.0.6:1 max_fails=3; server 127.0.0.3:ECHO weight=2; "
    "server 127.0.0.7:1 fail_timeout=1h; server 127.0.0.8:ECHO max_fails=0;",
    "single": "server 127.0.0.2:ECHO;",
}
GROUPS = {
    f"{method}.{servers}.{zone or 'alone'}": f"{zone and f'zone {zone} 256k;'} {METHODS[method]} "
    f"{SERVERS[servers]}"
    for method in METHODS
    for servers in SERVERS
    for zone in ("", "shared")
}
SESSIONS = 12
REPEATS = 3


@pytest.fixture(scope="module")
def echo() -> Iterator[AddressEcho]:
    with address_echo() as server:
        yield server


@pytest.fixture(scope="module")
def pair(echo: AddressEcho, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxPair]:
    with serving(echo, tmp_path_factory.mktemp("groups"), list(GROUPS)) as both:
        yield both


@contextlib.contextmanager
def serving(echo: AddressEcho, folder: Path, groups: Sequence[str]) -> Iterator[NginxPair]:
    """Both programs with these groups, each on the port of its number."""
    parts = ["log_format tried '$upstream_addr $status'; access_log access.log tried;"]
    for number, name in enumerate(groups):
        inside = GROUPS[name].replace("zone shared", f"zone z{number // 10}")
        parts.append(f"upstream {name} {{ {inside} }}")
        parts.append(f"server {{ listen 127.0.0.1:@PORT{number}@; proxy_pass {name}; }}")
    text = "\n".join(parts).replace("ECHO", str(echo.port))
    with paired_with_nginx(folder, text, "stream") as both:
        yield both


def session(served: Served, port: str = "") -> str:
    """The address that answers in one session; "" if the session ends without an answer."""
    received = b""
    with served.connected(port) as client, contextlib.suppress(ConnectionResetError):
        client.sendall(get("/"))
        while data := client.recv(65536):
            received += data
            head, end, body = received.partition(b"\r\n\r\n")
            if end and len(body) == int(head.rpartition(b"Content-Length: ")[2]):
                return body.decode()
    return ""


@pytest.mark.parametrize("group", GROUPS)
def test_sequence_of_peers_is_that_of_nginx(
    pair: NginxPair, group: str, echo: AddressEcho, tmp_path: Path
) -> None:
    """Measured times may differ on a busy machine: then two new programs are compared."""
    ours, nginxs = sequences(pair, list(GROUPS).index(group))
    for number in range(REPEATS if "least_time" in GROUPS[group] else 0):
        if ours == nginxs:
            break
        folder = tmp_path / str(number)
        folder.mkdir()
        with serving(echo, folder, [group]) as fresh:
            ours, nginxs = sequences(fresh, 0)
    assert ours == nginxs


def sequences(pair: NginxPair, number: int) -> tuple[list[str], list[str]]:
    """What our program and nginx log about sessions with a group."""
    found: list[str] = []
    for served in pair.both:
        for _ in range(SESSIONS):
            session(served, str(number))
            # The session is over, and its peer free, when it is logged.
            found += served.log(lines=1)
    return found[:SESSIONS], found[SESSIONS:]


@pytest.mark.parametrize(
    ("method", "avoids_slow"), [("connect", False), ("first_byte", True), ("last_byte", True)]
)
def test_slow_peers_are_avoided(
    echo: AddressEcho, tmp_path: Path, method: str, avoids_slow: bool
) -> None:
    """A slow response is no slow connection."""
    text = (
        "log_format tried '$upstream_addr'; access_log access.log tried;"
        f"upstream g {{ least_time {method}; server 127.0.3.1:{echo.port};"
        f" server 127.0.3.2:{echo.port}; }} server {{ listen 127.0.0.1:@PORT@; proxy_pass g; }}"
    )
    echo.slow["127.0.3.1"] = 0.1
    with paired_with_nginx(tmp_path, text, "stream") as pair:
        for served in pair.both:
            peers = []
            for _ in range(8):
                peers.append(session(served))
                served.log(lines=1)
            assert (peers.count("127.0.3.1") == 1) is avoids_slow, (served.program, peers)


class Names:
    """A name server whose records the tests replace."""

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], Sequence[DNSRecord]] = {}

    def __call__(self, query: DNSQuery) -> Sequence[bytes]:
        found = self.zone.get((query.name, query.type))
        return [reply(query, code=NXDOMAIN) if found is None else reply(query, *found)]

    def address(self, name: str, *addresses: str) -> None:
        self.zone[name, "A"] = [a(address, 1) for address in addresses]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def serve(names: Names, echo: AddressEcho, tmp_path: Path) -> Iterator[Callable[[str], NginxPair]]:
    """Serves a group by both programs."""
    with in_thread(lambda: open_name_server(names)) as (server, _):
        held = []

        def start(group: str) -> NginxPair:
            text = f"""
                resolver 127.0.0.1:{server.port} ipv6=off;
                log_format tried "$upstream_addr $status";
                access_log access.log tried;
                upstream group {{ {group.replace("ECHO", str(echo.port))} }}
                server {{ listen 127.0.0.1:@PORT@; proxy_pass group; }}
            """
            context = paired_with_nginx(tmp_path, text, "stream")
            held.append(context)
            return context.__enter__()

        yield start
        for context in held:
            context.__exit__(None, None, None)


def until(pair: NginxPair, addresses: set[str]) -> None:
    """Wait until both programs use exactly these addresses."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        found = [{session(served) for _ in range(12)} for served in pair.both]
        if found == [addresses] * 2:
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_addresses_come_and_go(names: Names, serve: Callable[[str], NginxPair]) -> None:
    names.address("a.test", "127.0.0.2", "127.0.0.3")
    pair = serve("zone z 64k; server a.test:ECHO resolve; server 127.0.0.9:ECHO weight=2;")
    until(pair, {"127.0.0.2", "127.0.0.3", "127.0.0.9"})
    names.address("a.test", "127.0.0.3", "127.0.0.4")
    until(pair, {"127.0.0.3", "127.0.0.4", "127.0.0.9"})
    del names.zone["a.test", "A"]
    until(pair, {"127.0.0.9"})
    for served in pair.both:
        errors = served.log("error.log")
        assert any("a.test could not be resolved (3: Host not found)" in line for line in errors)


def test_group_without_addresses_has_no_live_upstreams(
    serve: Callable[[str], NginxPair],
) -> None:
    pair = serve("zone z 64k; server a.test:ECHO resolve;")
    until(pair, {""})
    assert [served.log(lines=1)[-1] for served in pair.both] == ["group 502"] * 2


@pytest.mark.parametrize("method", ["", "least_conn;", "least_time first_byte;"])
def test_services_have_ports_and_backups(
    names: Names, serve: Callable[[str], NginxPair], echo: AddressEcho, method: str
) -> None:
    names.zone["_echo._tcp.a.test", "SRV"] = [
        srv(20, 1, echo.port, "backup.test", 1),
        srv(10, 3, echo.port, "main.test", 1),
    ]
    names.address("main.test", "127.0.0.2", "127.0.0.3")
    names.address("backup.test", "127.0.0.4")
    pair = serve(f"{method} zone z 64k; server a.test service=echo resolve;")
    until(pair, {"127.0.0.2", "127.0.0.3"})
    names.zone["_echo._tcp.a.test", "SRV"] = [srv(20, 1, echo.port, "backup.test", 1)]
    until(pair, {"127.0.0.4"})
