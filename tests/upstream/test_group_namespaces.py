"""Services in network namespaces, as containers have them, that move while requests run.

Needs root and `ip`; skipped without.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from sniproxy.portal import in_thread
from sniproxy.testing.dns import NXDOMAIN, DNSQuery, a, open_name_server, reply
from tests.compare_nginx import Served, get, served
from tests.nginx import NGINX
from tests.programs import OURS, Program

pytestmark = [
    pytest.mark.nginx,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="needs root"),
]
NETWORK = "10.213.77"
PORT = 8000
NAMES = ("shop", "login", "search")
_PATIENCE = 20.0
_SERVICE = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = sys.argv[1].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[2])), Handler).serve_forever()
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    """A bridge, with a namespace for each service."""

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self._bridge = f"sngb{tag}"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._addresses: dict[str, str] = {}

    def open(self) -> None:
        ip("link", "add", self._bridge, "type", "bridge")
        ip("addr", "add", f"{NETWORK}.1/24", "dev", self._bridge)
        ip("link", "set", self._bridge, "up")
        for number, name in enumerate(NAMES):
            space, inside, outside = self._space(name), f"sngi{number}{self._tag}", f"sngo{number}"
            outside += self._tag
            ip("netns", "add", space)
            ip("link", "add", outside, "type", "veth", "peer", "name", inside)
            ip("link", "set", outside, "master", self._bridge, "up")
            ip("link", "set", inside, "netns", space)
            ip("-n", space, "link", "set", inside, "name", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")
            # Without an address that stays, the kernel would remove all with the first one.
            ip("-n", space, "addr", "add", f"{NETWORK}.{201 + number}/24", "dev", "eth0")
            self.add(name, f"{NETWORK}.{11 + number}")
            command = [
                "ip",
                "netns",
                "exec",
                space,
                sys.executable,
                "-c",
                _SERVICE,
                name,
                str(PORT),
            ]
            self._processes.append(subprocess.Popen(command))

    def _space(self, name: str) -> str:
        return f"sng{self._tag}-{name}"

    def add(self, name: str, address: str) -> None:
        """Give a service another address, which its name has from now on."""
        ip("-n", self._space(name), "addr", "add", f"{address}/24", "dev", "eth0")
        self._addresses[name] = address

    def remove(self, name: str, address: str) -> None:
        ip("-n", self._space(name), "addr", "del", f"{address}/24", "dev", "eth0")

    def address(self, name: str) -> str:
        return self._addresses[name]

    def respond(self, query: DNSQuery) -> Sequence[bytes]:
        address = self._addresses.get(query.name.removesuffix(".test"))
        if address is None or query.type != "A":
            return [reply(query, code=0 if address else NXDOMAIN)]
        return [reply(query, a(address, 1))]

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", self._space(name)], check=False)
        for number in range(len(NAMES)):
            # They would go with the namespaces, but only once these have no sockets any more.
            subprocess.run(["ip", "link", "del", f"sngo{number}{self._tag}"], check=False)
        subprocess.run(["ip", "link", "del", self._bridge], check=False)


_numbers = itertools.count(os.getpid() % 1000)


@pytest.fixture
def network() -> Iterator[Network]:
    opened = Network(str(next(_numbers)))
    try:
        try:
            opened.open()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces: {error.stderr.decode()}")
        yield opened
    finally:
        opened.close()


def _lines(site: Served, mark: str) -> list[str]:
    """The new lines of the access log with `mark`, once there is one."""
    found: list[str] = []
    while not found:
        found = [line for line in site.log(lines=1) if mark in line]
    return found


@pytest.mark.parametrize("program", [OURS, NGINX], ids=lambda program: program.name)
def test_services_that_move(program: Program, network: Network, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        dns, _ = stack.enter_context(in_thread(lambda: open_name_server(network.respond)))
        groups = "".join(
            f"upstream {name} {{ zone {name} 64k; server {name}.test:{PORT} resolve; }}"
            for name in NAMES
        )
        locations = "".join(f"location /{name} {{ proxy_pass http://{name}; }}" for name in NAMES)
        http = f"""
            resolver 127.0.0.1:{dns.port} ipv6=off;
            log_format tried "$request_uri $upstream_addr $status"; access_log access.log tried;
            {groups} server {{ listen 127.0.0.1:@PORT@; {locations} }}
        """
        site = stack.enter_context(served(program, tmp_path, http))

        def until(name: str, address: str) -> None:
            """Wait until the requests for a service go to an address."""
            deadline = time.monotonic() + _PATIENCE
            while True:
                site.ask([get(f"/{name}?until")])
                (line,) = _lines(site, "?until")
                if line == f"/{name}?until {address}:{PORT} 200":
                    return
                assert time.monotonic() < deadline, line
                time.sleep(0.02)

        for name in NAMES:
            until(name, network.address(name))
        over, between = threading.Event(), threading.Lock()
        statuses: list[int] = []

        def clients() -> None:
            while not over.is_set():
                with between:
                    answers = site.ask([get(f"/{name}") for name in NAMES])
                statuses.extend(one.status for one in answers)
                assert [one.body for one in answers] == list(NAMES)

        running = threading.Thread(target=clients)
        running.start()
        try:
            for number, name in enumerate(NAMES):
                old = network.address(name)
                network.add(name, f"{NETWORK}.{101 + number}")
                until(name, network.address(name))
                with between:
                    network.remove(name, old)
        finally:
            over.set()
            running.join(_PATIENCE)
        assert len(statuses) > 50
        assert set(statuses) == {200}
        for name in NAMES:
            until(name, network.address(name))
