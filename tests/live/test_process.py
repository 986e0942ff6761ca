"""The live page of a process: `--live` and `live_page`, reloads, several workers."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measure import free_port
from sniproxy.build import listeners
from sniproxy.cli import main

CONFIG = """
%s
user %s;
error_log error.log notice;
pid sniproxy.pid;
events {}
http { access_log off; ssl_certificate auto;
    upstream shared { zone peers 64k; server 127.0.0.1:9; server 127.0.0.1:7; }
    server { listen 127.0.0.1:%d; location / { return 200 hello; }
        location /shared { proxy_pass http://shared; }
        location /failing { proxy_pass http://127.0.0.1:9; } }
    server { listen 127.0.0.1:%d ssl; } }
"""


@dataclass(frozen=True, slots=True)
class Process:
    """A running sniproxy, with the addresses of its parts."""

    process: subprocess.Popen[str]
    folder: Path
    port: int
    tls_port: int
    live: str
    url: str
    """The URL of the live page, with its token."""

    def get(self, path: str) -> int:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        client.request("GET", path)
        status = client.getresponse().status
        client.close()
        return status

    def api(self, path: str) -> Any:
        client = http.client.HTTPConnection(self.live, timeout=20)
        client.request("GET", path)
        found = json.loads(client.getresponse().read())
        client.close()
        return found

    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api("/api/requests")["requests"]
        return found

    def wait_for_rows(self, number: int) -> list[dict[str, Any]]:
        """The rows, once there are so many of them: entries of other workers come later."""
        for _ in range(2000):
            if len(found := self.rows()) >= number:
                return found
        raise TimeoutError(f"{len(found)} rows instead of {number}: {found}")


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def run(*arguments: str, directives: str = "") -> Process:
            ports = free_port(), free_port()
            user = "root" if os.geteuid() == 0 else "nobody"
            (tmp_path / "nginx.conf").write_text(CONFIG % (directives, user, *ports))
            command = [sys.executable, "-m", "sniproxy", "-p", f"{tmp_path}/", "-c", "nginx.conf"]
            process = stack.enter_context(
                subprocess.Popen(
                    [*command, *arguments],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    env={**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)},
                )
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("  live page: http://"), line
            address = line.partition("://")[2].partition("/")[0]
            return Process(process, tmp_path, *ports, address, line.partition(": ")[2].strip())

        yield run


def test_requests_before_the_page_is_opened_are_listed(start: Start) -> None:
    process = start(f"--live=127.0.0.1:{free_port()}")
    for path in ("/1", "/2", "/failing"):
        process.get(path)
    with socket.create_connection(("127.0.0.1", process.tls_port)) as sock:
        context = ssl.create_default_context()
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(sock, server_hostname="a.test")
    rows = process.wait_for_rows(4)
    assert [row["target"] for row in rows] == ["/1", "/2", "/failing", ""]
    assert [row["kind"] for row in rows] == ["request"] * 3 + ["handshake"]
    assert rows[2]["problem"] == "connect() failed (111: Connection refused)"
    assert all(0 <= row["seconds"] < 20 for row in rows)
    process.get("/3")
    assert process.wait_for_rows(5)[-1]["target"] == "/3"


def test_requests_on_one_connection_are_distinguished_later(start: Start) -> None:
    process = start(f"--live=127.0.0.1:{free_port()}")
    client = http.client.HTTPConnection("127.0.0.1", process.port, timeout=20)
    for path in ("/failing", "/good"):
        client.request("GET", path)
        client.getresponse().read()
    bad, good = process.rows()
    client.close()
    assert bad["connection"] == good["connection"]
    assert (bad["problem"] != "", good["problem"]) == (True, "")
    trace = process.api(f"/api/requests/{good['id']}")["trace"]
    assert trace["error_log"] == []


def test_of_many_requests_the_last_and_the_failed_ones_are_listed(start: Start) -> None:
    process = start("--live", f"127.0.0.1:{free_port()}")
    process.get("/failing")
    for number in range(100):
        process.get(f"/{number}")
    targets = [row["target"] for row in process.rows()]
    assert targets == ["/failing", *[f"/{number}" for number in range(36, 100)]]


def test_the_page_has_the_requests_of_all_workers_and_survives_a_reload(start: Start) -> None:
    process = start(
        directives=f"worker_processes 3; master_process on; live_page 127.0.0.1:{free_port()};"
    )
    for number in range(12):
        process.get(f"/{number}")
    rows = process.wait_for_rows(12)
    assert {row["target"] for row in rows} == {f"/{number}" for number in range(12)}
    process.process.send_signal(signal.SIGHUP)
    log = process.folder / "error.log"
    while "gracefully shutting down" not in log.read_text():
        pass
    process.get("/after")
    assert "/after" in {row["target"] for row in process.wait_for_rows(13)}
    process.process.send_signal(signal.SIGQUIT)
    assert process.process.wait(20) == 0
    assert "[alert]" not in log.read_text()


def test_another_program_takes_the_page_over(start: Start) -> None:
    """USR2, then QUIT to the old master: the page stays at its URL, and answers all the time."""
    process = start(directives=f"master_process on; live_page 127.0.0.1:{free_port()};")
    process.get("/old")
    log, pid_file = process.folder / "error.log", process.folder / "sniproxy.pid"
    old = pid_file.read_text()
    process.process.send_signal(signal.SIGUSR2)
    while "the old binary process serves the live page" not in log.read_text():
        assert process.api("/api/requests")["ring"]
    new = int(pid_file.read_text())
    assert new != int(old)
    ring = process.api("/api/requests")["ring"]
    process.process.send_signal(signal.SIGQUIT)
    assert process.process.wait(20) == 0
    process.get("/new")
    assert "/new" in {row["target"] for row in process.wait_for_rows(1)}
    assert process.api("/api/requests")["ring"] != ring
    token = process.url.partition("token=")[2]
    client = http.client.HTTPConnection(process.live, timeout=20)
    client.request("POST", "/api/requests/1/replay", headers={"X-Live-Token": token})
    assert client.getresponse().status == 200
    client.close()
    os.kill(new, signal.SIGQUIT)
    while pid_file.exists():
        pass
    assert "[emerg]" not in log.read_text()


def test_a_program_that_does_not_start_leaves_the_page(start: Start) -> None:
    process = start(directives=f"master_process on; live_page 127.0.0.1:{free_port()};")
    (process.folder / "nginx.conf").write_text("foo;")
    log = process.folder / "error.log"
    process.process.send_signal(signal.SIGUSR2)
    while "exited with code 1" not in log.read_text():
        assert process.api("/api/requests")["ring"]
    assert process.api("/api/requests")["ring"]
    process.process.send_signal(signal.SIGQUIT)
    assert process.process.wait(20) == 0


@pytest.mark.parametrize("master", ["on", "off"])
def test_an_open_page_survives_a_reload_and_a_quit(master: str, start: Start) -> None:
    """A browser that listens for events delays neither HUP nor QUIT."""
    process = start(directives=f"master_process {master}; live_page 127.0.0.1:{free_port()};")
    host, _, port = process.live.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as events:
        events.sendall(f"GET /api/events HTTP/1.1\r\nHost: {process.live}\r\n\r\n".encode())
        assert b"event: hello" in events.recv(65536) + events.recv(65536)
        process.process.send_signal(signal.SIGHUP)
        log = process.folder / "error.log"
        while "reconfiguring" not in log.read_text():
            pass
        process.get("/after")
        assert "/after" in {row["target"] for row in process.wait_for_rows(1)}
        process.process.send_signal(signal.SIGQUIT)
        assert process.process.wait(20) == 0


def test_the_upstreams_of_all_workers_are_listed(start: Start) -> None:
    process = start(
        directives=f"worker_processes 3; master_process on; live_page 127.0.0.1:{free_port()};"
    )
    process.get("/shared")
    workers = process.api("/api/upstreams")["workers"]
    assert [worker["index"] for worker in workers] == [0, 1, 2]
    assert len({worker["process"] for worker in workers}) == 3
    # Each worker sees the failures in the memory of the zone, whoever has had them.
    for worker in workers:
        [group] = [one for one in worker["upstreams"] if one["name"] == "shared"]
        assert group["zone"] == "peers"
        assert sorted(peer["fails"] for peer in group["peers"]) == [1, 1]
    process.process.send_signal(signal.SIGHUP)
    before = {worker["process"] for worker in workers}
    while True:
        workers = process.api("/api/upstreams")["workers"]
        after = {worker["process"] for worker in workers if not worker["is_ending"]}
        if len(after) == 3 and not after & before:
            break
    process.process.send_signal(signal.SIGQUIT)
    assert process.process.wait(20) == 0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("127.0.0.1:99999", 'invalid port in "127.0.0.1:99999" of the "live_page" directive'),
        ("unix:/x", 'an address and a port expected in "unix:/x" of the "live_page" directive'),
        ("a;b:80", 'an address and a port expected in "a;b:80" of the "live_page" directive'),
    ],
)
def test_wrong_addresses_are_refused(
    value: str, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "nginx.conf"
    for text, arguments in ((f'live_page "{value}";', []), ("", [f"--live={value}"])):
        file.write_text(f"{text} pid {tmp_path}/pid; events {{}}")
        assert main(["-c", str(file), *arguments]) == 1
        assert message in capfd.readouterr().err


def test_an_address_in_use_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "BIND_PAUSE", 0.0)
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid; events {{}}")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        words = ["-c", str(tmp_path / "nginx.conf"), "--live", f"127.0.0.1:{port}"]
        assert main(words) == 1
    message = f"bind() to 127.0.0.1:{port} failed (98: Address already in use)"
    assert message in capfd.readouterr().err
