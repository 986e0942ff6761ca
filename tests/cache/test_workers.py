"""Workers share a cache and the counters of limits, also across a reload and a worker's death."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.cli.processes import Served, ask, everything, served, wait_until
from tests.cli.test_master import workers
from tests.nginx import NGINX
from tests.programs import SNIPROXY, Command

CONFIGURATION = """
pid run.pid; user root; worker_processes 2; error_log error.log info; daemon off; master_process on;
events { }
http {
    access_log off;
    proxy_cache_path cache keys_zone=z:1m;
    limit_req_zone $uri zone=rate:64k rate=1r/m;
    server {
        listen 127.0.0.1:PORT;
        add_header X-Cache $upstream_cache_status always;
        add_header X-Worker $pid always;
        location /a {
            proxy_pass http://127.0.0.1:PORT/origin;
            proxy_cache z;
            proxy_cache_valid 1h;
        }
        location /origin { add_header X-Cache ""; return 200 "origin"; }
        location /limited {
            limit_req zone=rate burst=3 nodelay;
            proxy_pass http://127.0.0.1:PORT/origin;
        }
    }
}
"""
both = pytest.mark.parametrize("program", [NGINX, SNIPROXY], ids=lambda program: program.name)


def get(process: Served, path: str) -> bytes:
    with process.connect() as client:
        ask(client, path, connection="close")
        return everything(client)


def worker_of(response: bytes) -> int:
    return int(response.partition(b"X-Worker: ")[2].partition(b"\r")[0])


def from_every_worker(process: Served, path: str) -> list[bytes]:
    """Responses until both workers have answered."""
    pids: set[int] = set()
    responses: list[bytes] = []
    while len(pids) < 2 and len(responses) < 500:
        responses.append(get(process, path))
        pids.add(worker_of(responses[-1]))
    return responses


@pytest.mark.nginx
@both
def test_a_response_is_stored_for_all_workers(program: Command, tmp_path: Path) -> None:
    with served(program, tmp_path, CONFIGURATION) as process:
        wait_until(lambda: len(workers(process)) >= 2)  # nginx has a cache manager too
        assert b"X-Cache: MISS" in get(process, "/a")
        assert all(b"X-Cache: HIT" in answer for answer in from_every_worker(process, "/a"))
        before = workers(process)
        process.send(signal.SIGHUP)
        wait_until(lambda: len(workers(process)) >= 2 and not workers(process) & before)
        assert all(b"X-Cache: HIT" in answer for answer in from_every_worker(process, "/a"))
        os.kill(worker_of(get(process, "/a")), signal.SIGKILL)
        wait_until(lambda: "exited on signal 9" in process.read("error.log"))
        assert all(b"X-Cache: HIT" in answer for answer in from_every_worker(process, "/a"))
        assert process.stop() == 0


@pytest.mark.nginx
@both
def test_a_rate_is_counted_for_all_workers_and_after_a_reload(
    program: Command, tmp_path: Path
) -> None:
    with served(program, tmp_path, CONFIGURATION) as process:
        wait_until(lambda: len(workers(process)) >= 2)  # nginx has a cache manager too
        statuses = [get(process, "/limited")[9:12] for _ in range(12)]
        assert statuses == [b"200"] * 4 + [b"503"] * 8
        before = workers(process)
        process.send(signal.SIGHUP)
        wait_until(lambda: len(workers(process)) >= 2 and not workers(process) & before)
        assert get(process, "/limited")[9:12] == b"503"
        assert process.stop() == 0
