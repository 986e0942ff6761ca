"""Several requests for one entry at the same time, and the limits of a cache."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import trio

from sniproxy.cache.manager import CacheManager
from sniproxy.cache.store import ResponseCache
from sniproxy.cache.zone import CacheZone
from sniproxy.logs.error import ErrorLog
from tests.cache.cached_site import CachedSite, CountingUpstream, counting_upstream
from tests.nginx import NGINX
from tests.programs import OURS, Program

both = pytest.mark.parametrize("program", [NGINX, OURS], ids=lambda program: program.name)
Answers = list[tuple[str, bytes]]


def first_expires(head: str, number: int) -> bytes:
    """The first response is expired when it arrives."""
    body = b"#%d" % number
    expires = b"X-Accel-Expires: @1\r\n" if number == 1 else b""
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (expires, len(body), body)


async def ask(site: CachedSite, answers: Answers, path: str = "/a", *fields: str) -> None:
    answers.append(await site.get(path, *fields))


async def requests_received(upstream: CountingUpstream, times: int) -> None:
    while len(upstream.requests) < times:
        await trio.sleep(0.005)


@pytest.mark.nginx
@both
async def test_a_lock_lets_one_request_fill_the_entry(program: Program, tmp_path: Path) -> None:
    answers: Answers = []
    async with counting_upstream() as upstream:
        site = CachedSite(tmp_path, upstream.port, "proxy_cache_lock on;")
        upstream.gate = trio.Event()
        async with site.served(program), trio.open_nursery() as nursery:
            nursery.start_soon(ask, site, answers)
            await upstream.received.wait()
            for _ in range(3):
                nursery.start_soon(ask, site, answers)
            upstream.gate.set()
        assert sorted(answers) == [("HIT", b"response 1")] * 3 + [("MISS", b"response 1")]


@pytest.mark.nginx
@both
async def test_a_request_that_waited_too_long_is_not_stored(
    program: Program, tmp_path: Path
) -> None:
    answers: Answers = []
    async with counting_upstream() as upstream:
        site = CachedSite(
            tmp_path, upstream.port, "proxy_cache_lock on; proxy_cache_lock_timeout 50ms;"
        )
        upstream.gate = trio.Event()
        async with site.served(program):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, site, answers)
                await upstream.received.wait()
                nursery.start_soon(ask, site, answers)
                await requests_received(upstream, 2)
                upstream.gate.set()
            assert [status for status, _ in answers] == ["MISS", "MISS"]
            assert (await site.get())[0] == "HIT"
        assert "cache lock timeout" in site.log()


@pytest.mark.nginx
@both
async def test_a_lock_that_is_too_old_lets_another_request_in(
    program: Program, tmp_path: Path
) -> None:
    answers: Answers = []
    async with counting_upstream() as upstream:
        site = CachedSite(tmp_path, upstream.port, "proxy_cache_lock on; proxy_cache_lock_age 0;")
        upstream.gate = trio.Event()
        async with site.served(program):
            async with trio.open_nursery() as nursery:
                for number in (1, 2):
                    nursery.start_soon(ask, site, answers)
                    await requests_received(upstream, number)
                upstream.gate.set()
            assert [status for status, _ in answers] == ["MISS", "MISS"]


@pytest.mark.nginx
@both
async def test_others_get_the_expired_response_while_one_request_updates_it(
    program: Program, tmp_path: Path
) -> None:
    answers: Answers = []
    async with counting_upstream() as upstream:
        upstream.respond = first_expires
        site = CachedSite(tmp_path, upstream.port, "proxy_cache_use_stale updating;")
        async with site.served(program):
            assert await site.get() == ("MISS", b"#1")
            upstream.gate = trio.Event()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, site, answers)
                await requests_received(upstream, 2)
                assert await site.get() == ("UPDATING", b"#1")
                upstream.gate.set()
            assert answers == [("EXPIRED", b"#2")]
            assert await site.get() == ("HIT", b"#2")


@pytest.mark.nginx
@both
async def test_a_background_update_does_not_delay_the_response(
    program: Program, tmp_path: Path
) -> None:
    async with counting_upstream() as upstream:
        upstream.respond = first_expires
        site = CachedSite(
            tmp_path,
            upstream.port,
            "proxy_cache_use_stale updating; proxy_cache_background_update on;",
        )
        async with site.served(program):
            assert await site.get() == ("MISS", b"#1")
            upstream.gate = trio.Event()
            stream = await trio.open_tcp_stream("127.0.0.1", site.port)
            async with stream:
                await stream.send_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
                received = b""
                while b"#1" not in received:
                    received += await stream.receive_some()
                assert b"X-Cache: STALE" in received
                await requests_received(upstream, 2)
                assert await site.get() == ("UPDATING", b"#1")
                upstream.gate.set()
                await stream.send_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
                received = b""
                while b"#2" not in received:
                    received += await stream.receive_some()
                assert b"X-Cache: HIT" in received


@pytest.mark.nginx
@both
async def test_a_client_that_leaves_does_not_end_the_storing(
    program: Program, tmp_path: Path
) -> None:
    async with counting_upstream() as upstream:
        site = CachedSite(tmp_path, upstream.port)
        upstream.halves = (
            b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 50_000,
            b"x" * 150_000,
        )
        upstream.gate = trio.Event()
        async with site.served(program):
            stream = await trio.open_tcp_stream("127.0.0.1", site.port)
            await stream.send_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
            await stream.receive_some()
            await stream.aclose()
            upstream.gate.set()
            while (await site.get())[0] != "HIT":
                await trio.sleep(0.01)
            assert len((await site.get())[1]) == 200_000


def cache_of(folder: Path, zone: CacheZone, max_size: int | None = None) -> ResponseCache:
    return ResponseCache("z", str(folder), (1, 2), zone, 60, max_size)


async def test_the_manager_removes_unused_responses(tmp_path: Path) -> None:
    zone, log = CacheZone(64 * 1024), ErrorLog(())
    cache = cache_of(tmp_path, zone)
    now = int(time.time())
    for number in range(3):
        file = Path(cache.file_of(number.to_bytes(16, "big")))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * 400)
        zone.look_up(number.to_bytes(16, "big"), 1, now + number * 100, 60)
        zone.finish_update(number.to_bytes(16, "big"), 350, 4096)
    assert await CacheManager(cache, log).clean(now + 161) == 10
    assert zone.usage() == (1, 4096)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
    zone.close()


async def test_the_manager_keeps_a_cache_below_its_size(tmp_path: Path) -> None:
    zone, log = CacheZone(64 * 1024), ErrorLog(())
    cache = cache_of(tmp_path, zone, max_size=3 * 4096)
    now = int(time.time())
    for number in range(10):
        zone.look_up(number.to_bytes(16, "big"), 1, now, 60)
        zone.finish_update(number.to_bytes(16, "big"), 350, 4096)
    await CacheManager(cache, log).clean(now)
    assert zone.usage() == (3, 3 * 4096)
    zone.close()


@pytest.mark.parametrize(
    ("name", "size", "stays", "known"),
    [
        ("0" * 32, 400, True, True),
        ("0" * 32, 100, False, False),
        ("0" * 32 + ".0000000012", 10, True, False),
        ("short", 400, False, False),
        ("z" * 32, 400, False, False),
    ],
)
def test_the_loader_enters_files_and_removes_others(
    name: str, size: int, stays: bool, known: bool, tmp_path: Path
) -> None:
    zone, log = CacheZone(64 * 1024), ErrorLog(())
    file = tmp_path / name
    file.write_bytes(b"x" * size)
    CacheManager(cache_of(tmp_path, zone), log).load_file(bytes(file), file.stat())
    assert (file.exists(), zone.usage()[0]) == (stays, int(known))
    zone.close()


async def test_a_stop_in_the_middle_of_a_slow_response_leaves_no_file(tmp_path: Path) -> None:
    """The response is being read ahead of its client, by a task of its own, when the site stops."""
    async with counting_upstream() as upstream:
        upstream.halves = (
            b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n" + bytes(12_000_000),
            b"",
        )
        upstream.gate = trio.Event()
        site = CachedSite(tmp_path, upstream.port, "", "use_temp_path=off")
        async with site.served(OURS):
            stream = await trio.open_tcp_stream("127.0.0.1", site.port)
            await stream.send_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
            await stream.receive_some()
            while sum(file.stat().st_size for file in site.files) < 8_000_000:
                await trio.sleep(0.005)
        await stream.aclose()
        assert not site.files
