"""Upstreams and name servers behind a network that loses, resets or delays what is sent.

The upstream is in a network namespace of the test's. Needs root and `ip`, some tests `iptables`.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from sniproxy.portal import in_thread
from sniproxy.testing.dns import DNSQuery, a, open_name_server, reply
from tests.cli.processes import Served, ask, everything, served, wait_until
from tests.nginx import NGINX
from tests.programs import SNIPROXY, Command
from tests.robustness.far_upstream import DELAYED_THERE, HERE, THERE, UPSTREAM, FarUpstream
from tests.robustness.faults import (
    ALONE,
    HEAD,
    Visit,
    as_root,
    both,
    descriptors,
    is_well,
    little_cpu,
    messages,
    pause,
)

pytestmark = [
    as_root,
    pytest.mark.skipif(shutil.which("ip") is None, reason="needs ip"),
]
CONFIGURATION = (
    HEAD
    + f"""
http {{
    access_log off;
    proxy_connect_timeout 1s; proxy_read_timeout 1s; proxy_send_timeout 1s;
    proxy_http_version 1.1; proxy_set_header Connection "";
    upstream there {{ server {THERE}:{UPSTREAM} max_fails=0; keepalive 4; }}
    upstream both {{ server {THERE}:{UPSTREAM}; server {HERE}:HEREPORT backup; }}
    server {{
        listen 127.0.0.1:PORT;
        location / {{ return 200 well; }}
        location /there {{ proxy_pass http://there; }}
        location /large {{ proxy_read_timeout 20s; proxy_pass http://there; }}
        location /both {{ proxy_pass http://both; }}
    }}
}}
"""
)


def recovers(process: Served, before: int) -> None:
    """Without a restart: requests are answered, and no descriptor is left."""
    visit = Visit(process)
    wait_until(lambda: visit.get("/there") == 200)
    is_well(process)
    # The connections that are kept.
    wait_until(lambda: len(descriptors(process.process.pid)) <= before + 4)


def in_black_hole(program: Command, folder: Path, far: FarUpstream) -> tuple[list[int], list[str]]:
    folder.mkdir()
    with served(program, folder, CONFIGURATION.replace("HEREPORT", "9"), *ALONE) as process:
        pid = process.process.pid
        is_well(process)
        before = len(descriptors(pid))
        visit = Visit(process)
        assert visit.get("/there") == 200  # whose connection is kept
        far.swallow()
        try:
            with little_cpu(pid):
                clients = [process.connect() for _ in range(20)]
                for client in clients:
                    ask(client, "/there", connection="close")
                assert visit.get("/") == 200, "others are served"
                for client in clients:
                    with client:
                        visit.statuses.append(int(everything(client)[9:12]))
        finally:
            far.answer_again()
        lines = sorted(messages(process, "upstream timed out"))
        recovers(process, before)
        return visit.statuses, lines


@pytest.mark.nginx
def test_an_upstream_in_a_black_hole_times_out_as_in_nginx(
    far: FarUpstream, tmp_path: Path
) -> None:
    """One request was sent on the connection that was kept: the response does not come."""
    theirs = in_black_hole(NGINX, tmp_path / "nginx", far)
    ours = in_black_hole(SNIPROXY, tmp_path / "sniproxy", far)
    assert ours == theirs
    assert theirs[0][2:] == [504] * 20


@both
@pytest.mark.needs("iptables")
def test_an_upstream_whose_connections_are_reset(
    program: Command, far: FarUpstream, tmp_path: Path
) -> None:
    """Of a request on a kept connection too: another is opened, and is refused."""
    with served(program, tmp_path, CONFIGURATION.replace("HEREPORT", "9"), *ALONE) as process:
        pid = process.process.pid
        is_well(process)
        before = len(descriptors(pid))
        visit = Visit(process)
        assert visit.get("/there") == 200
        with (
            far.rule("-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"),
            little_cpu(pid),
        ):
            assert [visit.get("/there") for _ in range(10)] == [502] * 10
            assert visit.get("/") == 200
        # The kept connection is reset; new ones are refused.
        lines = [line.partition(", client")[0] for line in messages(process, " failed")]
        assert lines[0].startswith("[error] recv() failed (104: …) while reading response header")
        assert set(lines[1:]) == {"[error] connect() failed (111: …) while connecting to upstream"}
        recovers(process, before)


@both
@pytest.mark.needs("iptables")
def test_an_upstream_behind_a_link_that_loses_packets(
    program: Command, far: FarUpstream, tmp_path: Path
) -> None:
    """The kernel sends them again; nothing is lost and nothing is logged."""
    configuration = CONFIGURATION.replace("HEREPORT", "9").replace("_timeout 1s", "_timeout 20s")
    with served(program, tmp_path, configuration, *ALONE) as process:
        pid = process.process.pid
        is_well(process)
        before = len(descriptors(pid))
        visit = Visit(process)
        words = "-m statistic --mode random --probability 0.05 -j DROP"
        with far.rule(*words.split()), little_cpu(pid, 2.0):
            assert [visit.get("/large") for _ in range(20)] == [200] * 20
        assert {len(body) for body in visit.bodies} == {500_000}
        assert messages(process, "[error]") == []
        recovers(process, before)


LATENCY = 0.2
"""Seconds there and back."""
DISTANT = (
    HEAD
    + f"""
http {{
    log_format times "$status $upstream_connect_time $upstream_header_time $upstream_response_time";
    proxy_http_version 1.1; proxy_set_header Connection "";
    upstream distant {{ server {DELAYED_THERE}:{UPSTREAM}; keepalive 4; }}
    server {{
        listen 127.0.0.1:PORT;
        access_log off;
        location / {{ return 200 well; }}
        location /there {{ access_log access.log times; proxy_pass http://distant; }}
        location /large {{ proxy_pass http://distant; }}
        location /hasty {{
            proxy_connect_timeout {LATENCY * 500:.0f}ms;
            proxy_pass http://{DELAYED_THERE}:{UPSTREAM};
        }}
    }}
}}
"""
)


@both
@pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="needs /dev/net/tun")
def test_an_upstream_that_is_far_away(program: Command, far: FarUpstream, tmp_path: Path) -> None:
    """Times are logged as they are, a kept connection saves a round trip, others do not wait."""
    with (
        far.delayed(LATENCY / 2),
        served(program, tmp_path, DISTANT, *ALONE) as process,
        ExitStack() as opened,
    ):
        pid = process.process.pid
        visit = Visit(process)
        with little_cpu(pid, 1.0):
            assert [visit.get("/there") for _ in range(2)] == [200, 200]
            before = len(descriptors(pid))  # one connection is kept
            clients = [opened.enter_context(process.connect()) for _ in range(20)]
            for client in clients:
                ask(client, "/there", connection="close")
            began = time.monotonic()
            assert visit.get("/") == 200
            assert time.monotonic() - began < LATENCY
            assert {everything(client)[-5:] for client in clients} == {b"there"}
        # A timeout of half the latency.
        assert visit.get("/hasty") == 504
        assert [line.partition(", client")[0] for line in messages(process, "[error]")] == [
            "[error] upstream timed out (110: …) while connecting to upstream"
        ]
        assert visit.get("/large") == 200
        assert len(visit.bodies[-1]) == 500_000
        first, second, *others = (line.split() for line in process.read("access.log").splitlines())
        for times in (first, second, *others):
            status, connect, header, response = times[0], *map(float, times[1:])
            assert status == "200"
            assert connect == 0 or LATENCY * 0.9 <= connect < LATENCY * 3
            assert connect + LATENCY * 0.9 <= header <= response < LATENCY * 5
        assert float(first[1]) > 0 == float(second[1])
        is_well(process)
        wait_until(lambda: len(descriptors(pid)) <= before + 3)


@both
def test_the_next_server_takes_over_for_one_in_a_black_hole(
    program: Command, far: FarUpstream, tmp_path: Path
) -> None:
    """A request waits for the first timeout only; then the server is left out."""
    with socket.create_server((HERE, 0)) as backup:
        configuration = CONFIGURATION.replace("HEREPORT", str(backup.getsockname()[1]))
        with served(program, tmp_path, configuration, *ALONE) as process:
            far.swallow()
            try:
                for _ in range(3):
                    with process.connect() as client:
                        ask(client, "/both", connection="close")
                        with backup.accept()[0] as behind:
                            assert behind.recv(65536)
                            behind.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup")
                        assert everything(client).endswith(b"up")
            finally:
                far.answer_again()
            assert len(messages(process, "upstream timed out")) == 1
            is_well(process)


@both
def test_clients_whose_machine_is_gone(program: Command, far: FarUpstream, tmp_path: Path) -> None:
    """Half-open connections end by their timeouts, and cost no CPU time until then."""
    configuration = (
        HEAD
        + "http { access_log off; keepalive_timeout 2s; client_header_timeout 2s; send_timeout 2s;"
        + f" server {{ listen 127.0.0.1:PORT; listen {HERE}:PORT;"
        + " location / { return 200 well; } location /file { root .; } } }"
    )
    (tmp_path / "file").write_bytes(b"a" * 8_000_000)
    code = """
import socket, sys
clients = [socket.create_connection((sys.argv[1], int(sys.argv[2]))) for _ in range(30)]
for client in clients[:10]:
    client.sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    client.recv(65536)
for client in clients[10:20]:
    client.sendall(b"GET /file HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    client.recv(1000)
print("there", flush=True)
sys.stdin.read()
"""
    with served(program, tmp_path, configuration, *ALONE) as process:
        pid = process.process.pid
        is_well(process)
        before = len(descriptors(pid))
        command = ["ip", "netns", "exec", far.space, sys.executable, "-c", code]
        with subprocess.Popen(
            [*command, HERE, str(process.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as clients:
            assert clients.stdout is not None
            assert clients.stdin is not None
            assert clients.stdout.readline() == "there\n"
            wait_until(lambda: len(descriptors(pid)) >= before + 30)
            far.swallow()
            try:
                clients.kill()  # the kernel's FIN or RST is lost
                with little_cpu(pid, 0.5):
                    pause(1)
                    is_well(process)
                    wait_until(lambda: len(descriptors(pid)) <= before)
            finally:
                far.answer_again()
        is_well(process)


NAMES = (
    HEAD
    + """
http {
    access_log off;
    resolver 127.0.0.1:DNS valid=1s;
    resolver_timeout 1s;
    server {
        listen 127.0.0.1:PORT;
        location / { return 200 well; }
        location /name { set $name a.test; proxy_pass http://$name:UPSTREAM; }
    }
}
"""
)


def without_dns(
    program: Command, folder: Path, upstream: int, is_silent: bool
) -> tuple[list[int], list[str]]:
    folder.mkdir()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        if not is_silent:
            silent.close()
        configuration = NAMES.replace("DNS", str(port)).replace("UPSTREAM", str(upstream))
        with served(program, folder, configuration, *ALONE) as process:
            pid = process.process.pid
            visit = Visit(process)
            with little_cpu(pid, 0.5):
                visit.get("/name")
                visit.get("/")
            lines = [line.replace(str(port), "DNS") for line in messages(process, "resolve")]
            return visit.statuses, lines


@pytest.mark.nginx
@pytest.mark.parametrize("is_silent", [True, False], ids=["silent", "refused"])
def test_dns_that_is_down(is_silent: bool, upstream: int, tmp_path: Path) -> None:
    theirs = without_dns(NGINX, tmp_path / "nginx", upstream, is_silent)
    ours = without_dns(SNIPROXY, tmp_path / "sniproxy", upstream, is_silent)
    assert ours == theirs
    assert theirs[0] == [502, 200]


@both
def test_dns_that_comes_back(program: Command, upstream: int, tmp_path: Path) -> None:
    is_down = True

    def respond(query: DNSQuery) -> list[bytes]:
        if is_down:
            return []
        return [reply(query, a("127.0.0.1", 1))] if query.type == "A" else [reply(query)]

    with in_thread(lambda: open_name_server(respond)) as (dns, _):
        configuration = NAMES.replace("DNS", str(dns.port)).replace("UPSTREAM", str(upstream))
        with served(program, tmp_path, configuration, *ALONE) as process:
            visit = Visit(process)
            assert visit.get("/name") == 502
            is_down = False
            wait_until(lambda: visit.get("/name") == 200)
            is_well(process)
