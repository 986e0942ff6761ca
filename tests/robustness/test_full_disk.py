"""The disk is full under logs, bodies, the cache, and the development CA."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from sniproxy.tls.ca import STATE_VARIABLE
from tests.cli.processes import PATIENCE, Served, ask, everything, served, wait_until
from tests.nginx import NGINX
from tests.programs import SNIPROXY, Command
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
    serving_bytes,
    small_disk,
)

pytestmark = as_root
NO_SPACE = "(28: "

CONFIGURATION = (
    HEAD
    + """
http {
    access_log disk/access.log;
    client_body_temp_path disk/bodies;
    proxy_temp_path disk/answers;
    proxy_cache_path disk/cache keys_zone=pages:1m use_temp_path=off;
    server {
        listen 127.0.0.1:PORT;
        location = / { return 200 well; }
        location /body { client_body_buffer_size 1k; proxy_pass http://127.0.0.1:UPSTREAM; }
        location /unbuffered { proxy_request_buffering off; proxy_pass http://127.0.0.1:UPSTREAM; }
        location /cached {
            proxy_pass http://127.0.0.1:UPSTREAM; proxy_cache pages; proxy_cache_valid 1h;
            add_header X-Cache $upstream_cache_status;
        }
        location /large { proxy_pass http://127.0.0.1:UPSTREAM; }
        location /stored { root disk; proxy_pass http://127.0.0.1:UPSTREAM; proxy_store on; }
    }
}
"""
)
BODY = b"a" * 100_000 + b"z"


def play(
    program: Command, folder: Path, upstream: int, path: str, body: bytes
) -> tuple[list[int], list[str], list[str]]:
    """Statuses of a request on a full disk, then with space; the log lines; the files left."""
    folder.mkdir()
    with small_disk(folder / "disk") as disk:
        configuration = CONFIGURATION.replace("UPSTREAM", str(upstream))
        with served(program, folder, configuration, *ALONE) as process:
            visit = Visit(process)
            visit.get("/")
            before = len(descriptors(process.process.pid))
            disk.fill()
            visit.get(path, body)
            visit.get("/")
            lines = messages(process, NO_SPACE)
            disk.free()
            visit.get(path, body)
            visit.get(path, body)
            assert messages(process, NO_SPACE) == lines
            is_well(process)
            wait_until(lambda: len(descriptors(process.process.pid)) <= before + 1)
            left = [
                file.relative_to(disk.folder).parts[0]
                for file in disk.folder.rglob("*")
                if file.is_file() and file.name != "access.log"
            ]
        return visit.statuses, lines, left


REQUESTS = {
    "a request body": ("/body", BODY),
    "a request body that is not buffered": ("/unbuffered", BODY),
}


@pytest.mark.nginx
@pytest.mark.parametrize("what", REQUESTS)
def test_a_request_without_space_fails_as_in_nginx(
    what: str, upstream: int, tmp_path: Path
) -> None:
    theirs = play(NGINX, tmp_path / "nginx", upstream, *REQUESTS[what])
    ours = play(SNIPROXY, tmp_path / "sniproxy", upstream, *REQUESTS[what])
    print(theirs, ours)
    assert ours == theirs


@pytest.mark.nginx
@pytest.mark.parametrize("path", ["/cached", "/stored"])
def test_a_response_that_cannot_be_stored_is_sent(path: str, upstream: int, tmp_path: Path) -> None:
    """nginx logs the same, but closes the connection: its client receives nothing."""
    theirs = play(NGINX, tmp_path / "nginx", upstream, path, b"")
    ours = play(SNIPROXY, tmp_path / "sniproxy", upstream, path, b"")
    assert (theirs[0][1], ours[0][1]) == (0, 200)
    assert (ours[0][2:], ours[1:]) == (theirs[0][2:], theirs[1:])
    assert len(ours[1]) == 1


@both
def test_lines_that_find_no_space_are_lost(program: Command, tmp_path: Path) -> None:
    """Neither requests nor later lines are: nginx too ignores the error."""
    with small_disk(tmp_path / "disk") as disk:
        configuration = CONFIGURATION.replace("UPSTREAM", "9")
        configuration = configuration.replace("error_log error.log", "error_log disk/error.log")
        with served(program, tmp_path, configuration, *ALONE) as process:
            visit = Visit(process)
            assert visit.get("/") == 200
            disk.fill()
            # A page of tmpfs that is in use still takes lines.
            assert {visit.get("/") for _ in range(100)} == {200}
            assert {visit.get("/body") for _ in range(50)} == {502}
            log = disk.folder / "access.log"
            size = log.stat().st_size
            visit.get("/")
            assert log.stat().st_size == size, "the disk is full"
            disk.free()

            def is_logged() -> bool:
                # nginx writes nothing to a log for a second after it found no space.
                visit.get("/?later")
                return "GET /?later HTTP/1.1" in log.read_text()

            wait_until(is_logged)
            assert process.stop() == 0
            assert process.read("stderr.log") == ""


def stalling_client(process: Served, path: str) -> socket.socket:
    """A client with a small window that reads nothing for now."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(PATIENCE)
    client.connect(("127.0.0.1", process.port))
    ask(client, path, connection="close")
    return client


@pytest.mark.long
@both
def test_a_response_for_a_slow_client_that_finds_no_space(program: Command, tmp_path: Path) -> None:
    """sniproxy reads the upstream more slowly then, and all arrives; nginx cuts the response."""
    whole = b"c" * 8_000_000
    head = b"HTTP/1.0 200 OK\r\nContent-Length: 8000000\r\n\r\n"
    with (
        small_disk(tmp_path / "disk") as disk,
        serving_bytes(head + whole) as upstream,
        served(
            program, tmp_path, CONFIGURATION.replace("UPSTREAM", str(upstream)), *ALONE
        ) as process,
    ):
        is_well(process)
        pid = process.process.pid
        before = len(descriptors(pid))
        disk.fill()
        with stalling_client(process, "/large") as client:
            wait_until(lambda: NO_SPACE in process.read("error.log"))
            with little_cpu(pid):
                pause(0.5)
            is_well(process)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024 * 1024)
            received = everything(client)
        body = received.partition(b"\r\n\r\n")[2]
        if program is SNIPROXY:
            assert body == whole
        else:
            assert len(body) < len(whole)
        wait_until(lambda: len(descriptors(pid)) <= before)
        assert len(messages(process, NO_SPACE)) == 1
        is_well(process)


CA = HEAD + "http { server { listen 127.0.0.1:PORT ssl; ssl_certificate auto; } }"


@pytest.mark.long
def test_a_ca_without_space_is_one_line(tmp_path: Path) -> None:
    """Nothing is left that would be refused later: with space it starts."""
    (tmp_path / "nginx.conf").write_text(CA.replace("PORT", "8443"))
    command = [*SNIPROXY.command, "-t", "-p", f"{tmp_path}/", "-c", "nginx.conf"]
    with small_disk(tmp_path / "disk") as disk:
        environment = os.environ | {STATE_VARIABLE: str(disk.folder / "state")}
        disk.fill()
        full = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        print(full.stderr)
        assert full.returncode == 1
        assert "[emerg]" in full.stderr
        assert "No space left on device" in full.stderr
        assert "Traceback" not in full.stderr
        disk.free()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
