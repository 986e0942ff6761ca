"""No descriptor is free: requests fail one by one in nginx's words, and it goes on by itself."""

from __future__ import annotations

import re
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.processes import Served, ask, everything, served, wait_until
from tests.nginx import NGINX
from tests.programs import SNIPROXY, Command
from tests.robustness.faults import (
    ALONE,
    HEAD,
    Visit,
    both,
    descriptors,
    is_well,
    little_cpu,
    messages,
    pause,
    without_descriptors,
)

NO_DESCRIPTOR = "(24: "
"""Of a message; the text behind it is that of the C library."""

CONFIGURATION = (
    HEAD
    + """
http {
    access_log logs/access.log;
    client_body_temp_path bodies;
    proxy_temp_path answers;
    proxy_cache_path cache keys_zone=pages:1m use_temp_path=off;
    resolver 127.0.0.1:DNS;
    resolver_timeout 1s;
    server {
        listen 127.0.0.1:PORT;
        location = / { return 200 well; }
        location /file { root .; }
        location /password { auth_basic a; auth_basic_user_file file; }
        location /upstream { proxy_pass http://127.0.0.1:UPSTREAM; }
        location /body { client_body_buffer_size 1k; proxy_pass http://127.0.0.1:UPSTREAM; }
        location /name { set $name a.test; proxy_pass http://$name; }
        location /cached {
            proxy_pass http://127.0.0.1:UPSTREAM; proxy_cache pages; proxy_cache_valid 1h;
        }
    }
}
"""
)


def starve(
    program: Command, folder: Path, upstream: int, path: str, left: int, body: bytes
) -> tuple[list[int], list[str]]:
    """The status of a request while no descriptors are free, then once they are; the log lines."""
    folder.mkdir()
    (folder / "file").write_text("a:{PLAIN}b\n")
    (folder / "logs").mkdir()
    configuration = CONFIGURATION.replace("UPSTREAM", str(upstream)).replace("DNS", "9")
    with served(program, folder, configuration, *ALONE) as process:
        visit = Visit(process)
        pid = process.process.pid
        visit.get("/")
        before = len(descriptors(pid))
        # One for the client.
        with without_descriptors(pid, left + 1):
            visit.get(path, body)
        visit.get(path, body)
        is_well(process)
        wait_until(lambda: len(descriptors(pid)) <= before + 1)
        return visit.statuses, messages(process, NO_DESCRIPTOR)


REQUESTS = {
    "a connection to an upstream": ("/upstream", 0, b""),
    "a file": ("/file", 0, b""),
    "a request body": ("/body", 0, b"a" * 5000 + b"z"),
}


@pytest.mark.nginx
@pytest.mark.parametrize("what", REQUESTS)
def test_a_request_without_descriptors_fails_as_in_nginx(
    what: str, upstream: int, tmp_path: Path
) -> None:
    path, left, body = REQUESTS[what]
    theirs = starve(NGINX, tmp_path / "nginx", upstream, path, left, body)
    ours = starve(SNIPROXY, tmp_path / "sniproxy", upstream, path, left, body)
    assert ours == theirs
    assert theirs[1] != []


@pytest.mark.nginx
def test_a_response_that_cannot_be_stored_is_sent(upstream: int, tmp_path: Path) -> None:
    """nginx logs the same, but closes the connection: its client receives nothing."""
    theirs = starve(NGINX, tmp_path / "nginx", upstream, "/cached", 1, b"")
    ours = starve(SNIPROXY, tmp_path / "sniproxy", upstream, "/cached", 1, b"")
    assert (theirs[0], ours[0]) == ([200, 0, 200], [200, 200, 200])
    assert [re.sub("[0-9a-f]{32}", "KEY", line) for line in ours[1]] == [
        re.sub("[0-9a-f]{32}", "KEY", line) for line in theirs[1]
    ]


@both
def test_accepting_waits_for_descriptors(program: Command, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    configuration = CONFIGURATION.replace("UPSTREAM", "9").replace("DNS", "9")
    with served(program, tmp_path, configuration, *ALONE) as process, ExitStack() as opened:
        pid = process.process.pid
        others = opened.enter_context(process.connect())
        ask(others)
        assert b"200 OK" in others.recv(65536)
        before = len(descriptors(pid))
        with without_descriptors(pid):
            clients = [opened.enter_context(process.connect()) for _ in range(20)]
            for client in clients:
                ask(client, connection="close")
            wait_until(lambda: "accept4() failed (24: " in process.read("error.log"))
            with little_cpu(pid):
                pause(1)
                ask(others)
                assert b"200 OK" in others.recv(65536), "others are served"
        assert all(everything(client).endswith(b"well") for client in clients)
        assert 1 <= len(messages(process, "accept4()")) <= 10
        assert "[crit] accept4() failed (24: …)" in messages(process, "accept4()")
        assert len(descriptors(pid)) == before
        is_well(process)


@both
def test_logs_are_reopened_once_there_are_descriptors(program: Command, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    configuration = CONFIGURATION.replace("UPSTREAM", "9").replace("DNS", "9")
    with served(program, tmp_path, configuration, *ALONE) as process:
        pid, logs = process.process.pid, tmp_path / "logs"
        is_well(process)
        (logs / "access.log").rename(logs / "old.log")
        with without_descriptors(pid):
            process.send(signal.SIGUSR1)
            wait_until(lambda: NO_DESCRIPTOR in process.read("error.log"))
        is_well(process)
        wait_until(lambda: (logs / "old.log").read_text().count("\n") == 2)
        process.send(signal.SIGUSR1)
        wait_until((logs / "access.log").exists)
        is_well(process)
        wait_until(lambda: (logs / "access.log").read_text().count("\n") == 1)
        lines = messages(process, NO_DESCRIPTOR)
        assert '[emerg] open() "logs/access.log" failed (24: …)' in lines


def test_a_reload_without_descriptors_keeps_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    configuration = CONFIGURATION.replace("UPSTREAM", "9").replace("DNS", "9")
    with served(SNIPROXY, tmp_path, configuration, *ALONE) as process:
        pid = process.process.pid
        is_well(process)
        before = len(descriptors(pid))
        with without_descriptors(pid):
            process.send(signal.SIGHUP)
            wait_until(lambda: NO_DESCRIPTOR in process.read("error.log"))
        is_well(process)
        wait_until(lambda: len(descriptors(pid)) == before)
        reload(process, tmp_path)
        wait_until(lambda: len(descriptors(pid)) == before)


def reload(process: Served, folder: Path) -> None:
    """Reload with another response, and wait for it."""
    file = folder / "nginx.conf"
    file.write_text(file.read_text().replace("200 well", "200 fine"))
    process.send(signal.SIGHUP)
    visit = Visit(process)
    wait_until(lambda: visit.get("/") == 200 and visit.bodies[-1] == b"fine")
