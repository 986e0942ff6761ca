"""Groups with `zone`, `sticky`, `least_time` and all methods: the sequence of peers is nginx's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.compare_nginx import Answer, NginxPair, get, paired_with_nginx
from tests.upstream.echo import AddressEcho, address_echo

pytestmark = pytest.mark.nginx

METHODS = {
    "rr": "",
    "least-conn": "least_conn;",
    "ip-hash": "ip_hash;",
    "hash": "hash $arg_k;",
    "ring": "hash $arg_k consistent;",
    "time": "least_time header;",
    "time-inflight": "least_time header inflight;",
    "time-last": "least_time last_byte;",
    "time-last-inflight": "least_time last_byte inflight;",
}
SERVERS = {
    "plain": "server 127.0.0.2:ECHO; server 127.0.0.3:ECHO; server 127.0.0.4:ECHO;",
    "weights": "server 127.0.0.2:ECHO weight=5; server 127.0.0.3:ECHO weight=2; "
    "server 127.0.0.4:ECHO;",
    "down": "server 127.0.0.2:ECHO down; server 127.0.0.3:ECHO max_conns=1; "
    "server 127.0.0.4:ECHO weight=3; server 127.0.0.5:ECHO drain;",
    "failing": "server 127.0.0.6:ECHO max_fails=3; server 127.0.0.3:ECHO weight=2; "
    "server 127.0.0.7:ECHO fail_timeout=1h; server 127.0.0.8:ECHO max_fails=0;",
    "single": "server 127.0.0.2:ECHO;",
    "single-down": "server 127.0.0.2:ECHO down;",
    "single-drain": "server 127.0.0.2:ECHO drain;",
}
BACKUPS = {
    "all-down": "server 127.0.0.2:ECHO down; server 127.0.0.3:ECHO backup; "
    "server 127.0.0.4:ECHO backup weight=2;",
    "all-failing": "server 127.0.0.6:ECHO fail_timeout=1h; server 127.0.0.7:ECHO fail_timeout=1h; "
    "server 127.0.0.4:ECHO backup; server 127.0.0.5:ECHO backup down;",
}
STICKY = {
    "no-sticky": "",
    "route": "sticky route $arg_r;",
    "cookie": "sticky cookie srv path=/;",
}
WITH_BACKUPS = {"rr", "least-conn", *(name for name in METHODS if name.startswith("time"))}

GROUPS = {
    f"{method}.{servers}.{sticky}.{zone or 'alone'}": f"{zone and f'zone {zone} 128k;'}"
    f"{METHODS[method]} {({**SERVERS, **BACKUPS})[servers]} {STICKY[sticky]}"
    for method in METHODS
    for servers in (*SERVERS, *(BACKUPS if method in WITH_BACKUPS else ()))
    for sticky in STICKY
    for zone in ("", "shared")
    if (sticky, zone) != ("no-sticky", "") or method.startswith("time")
}
REQUESTS = 40
REPEATS = 3


@pytest.fixture(scope="module")
def echo() -> Iterator[AddressEcho]:
    with address_echo() as server:
        server.failing |= {"127.0.0.6", "127.0.0.7", "127.0.0.8"}
        yield server


@pytest.fixture(scope="module")
def pair(echo: AddressEcho, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxPair]:
    with serving(echo, tmp_path_factory.mktemp("groups"), GROUPS) as both:
        yield both


@contextmanager
def serving(echo: AddressEcho, folder: Path, served: Iterable[str]) -> Iterator[NginxPair]:
    """Both programs with these groups."""
    groups: list[str] = []
    locations: list[str] = []
    for name in served:
        inside = GROUPS[name]
        # A zone with too many groups would be too small in nginx.
        inside = inside.replace("zone shared", f"zone z{len(groups) // 20}")
        groups.append(f"upstream {name} {{ {inside} }}\n")
        locations.append(f"location /{name} {{ proxy_pass http://{name}; }}\n")
    http = f"""
        log_format tried "$uri $upstream_addr $upstream_status $status";
        access_log access.log tried;
        {"".join(groups)}
        server {{ listen 127.0.0.1:@PORT@; keepalive_requests 100000; {"".join(locations)} }}
    """.replace("ECHO", str(echo.port))
    with paired_with_nginx(folder, http) as both:
        yield both


def summary(answers: list[Answer]) -> list[tuple[int, str, str | None]]:
    return [
        (one.status, one.body if one.status == 200 else "", one.header("Set-Cookie"))
        for one in answers
    ]


def requests(group: str, number: int) -> Iterator[bytes]:
    """Requests with and without sessions, of real, draining and unknown servers."""
    routes = ("", "", "&r=nobody")
    for count in range(number):
        yield get(f"/{group}?k={count % 7}{routes[count % 3]}")


@pytest.mark.parametrize("group", GROUPS)
def test_sequence_of_peers_is_that_of_nginx(
    pair: NginxPair, group: str, echo: AddressEcho, tmp_path: Path
) -> None:
    """Measured times may differ on a busy machine: then two new programs are compared."""
    ours, nginxs = sequences(pair, group)
    for number in range(REPEATS if group.startswith("time") else 0):
        if ours == nginxs:
            break
        folder = tmp_path / str(number)
        folder.mkdir()
        with serving(echo, folder, [group]) as fresh:
            ours, nginxs = sequences(fresh, group)
    assert ours == nginxs


def sequences(pair: NginxPair, group: str) -> tuple[object, object]:
    """What our program and nginx answer and log."""
    ours, nginxs = pair.ask(requests(group, REQUESTS))
    first = summary(ours), summary(nginxs)
    # What the cookies or routes of these responses lead to.
    cookies = [one.header("Set-Cookie") for one in nginxs]
    sids = [text.partition("=")[2].partition(";")[0] for text in cookies if text]
    again = [
        get(f"/{group}?k={count % 5}&r={sid}", f"Cookie: srv={sid}")
        for count, sid in enumerate(sids)
    ]
    ours, nginxs = pair.ask(again)
    second = summary(ours), summary(nginxs)
    logs = pair.logs(lines=REQUESTS + len(again))
    return (first[0], second[0], logs[0]), (first[1], second[1], logs[1])


@pytest.mark.parametrize("method", METHODS)
def test_sequence_of_200_requests(pair: NginxPair, method: str) -> None:
    ours, nginxs = pair.ask(requests(f"{method}.weights.cookie.shared", 200))
    assert summary(ours) == summary(nginxs)
    pair.logs(lines=200)
