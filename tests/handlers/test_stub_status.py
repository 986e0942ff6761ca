"""`stub_status` and its variables, beside the system's nginx."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compare_nginx import Served, served
from tests.handlers.filter_pair import SYSTEM, compare, get, needs_system_nginx
from tests.programs import OURS

CONFIGURATION = """
    log_format x "$connections_active $connections_reading $connections_writing "
                 "$connections_waiting"; access_log access.log x;
    server { listen 127.0.0.1:@PORT@;
        location /status { stub_status; }
        location /old { stub_status on; }
        location /own { return 200 "$connections_active $connections_waiting"; } }"""
PAGE = re.compile(
    r"Active connections: (\d+) \nserver accepts handled requests\n (\d+) (\d+) (\d+) \n"
    r"Reading: (\d+) Writing: (\d+) Waiting: (\d+) \n"
)


def answer(client: socket.socket, target: str = "/status") -> str:
    """The body of the response to one request on an open connection."""
    client.sendall(get(target))
    received = b""
    while b"\r\n\r\n" not in received:
        received += client.recv(4096)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(re.search(rb"Content-Length: (\d+)", head)[1])  # type: ignore[index]
    while len(body) < length:
        body += client.recv(4096)
    return body.decode()


def numbers(client: socket.socket) -> tuple[int, ...]:
    found = PAGE.fullmatch(answer(client))
    assert found is not None
    return tuple(int(number) for number in found.groups())


def one_connection(running: Served) -> list[tuple[int, ...]]:
    with running.connected() as client:
        return [numbers(client), numbers(client)]


def beside_an_idle_one(running: Served) -> list[tuple[int, ...]]:
    with running.connected() as idle, running.connected() as client:
        answer(idle)
        return [numbers(client), numbers(client)]


def beside_a_head_that_is_cut(running: Served) -> list[tuple[int, ...]]:
    with running.connected() as cut, running.connected() as client:
        answer(cut)
        cut.sendall(b"GET / HT")
        seen = [numbers(client)]
        while seen[-1][4] == 0:  # until it has been read
            seen[-1] = numbers(client)
        return [(one[0], *one[4:]) for one in seen]


def own_connection(running: Served) -> list[tuple[int, ...]]:
    with running.connected() as client:
        return [tuple(map(int, answer(client, "/own").split()))]


@needs_system_nginx
@pytest.mark.nginx
@pytest.mark.parametrize(
    "steps", [one_connection, beside_an_idle_one, beside_a_head_that_is_cut, own_connection]
)
def test_connections_are_counted_as_by_nginx(
    tmp_path: Path, steps: Callable[[Served], list[tuple[int, ...]]]
) -> None:
    seen = []
    for program in (OURS, SYSTEM):
        room = tmp_path / program.name
        room.mkdir()
        with served(program, room, CONFIGURATION) as running:
            before = one_connection(running)[-1]
            found = steps(running)
            lines = running.log(lines=4)
            # Elsewhere the line of one connection may come before what another does.
            seen.append((found, lines if steps is one_connection else []))
        assert before[:3] <= before[1:4]
    assert seen[0] == seen[1]


@needs_system_nginx
@pytest.mark.nginx
def test_the_page_is_answered_as_by_nginx(tmp_path: Path) -> None:
    requests = [get("/s", method=method) for method in ("GET", "HEAD", "POST", "DELETE")]
    requests += [get("/s", "Range: bytes=0-1"), get("/s", version="1.0"), get("/old")]
    locations = "location /s { stub_status; } location /old { stub_status off; }"
    compare(tmp_path, locations, requests, SYSTEM)
