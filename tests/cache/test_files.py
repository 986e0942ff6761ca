"""Cache files on disk: nginx and sniproxy read each other's, and survive damaged ones alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from sniproxy.cache.file_format import HEADER_SIZE, CacheFileHeader
from tests.cache.cached_site import CachedSite, counting_upstream, replace_bytes
from tests.nginx import NGINX
from tests.programs import OURS, Program

PROGRAMS = (NGINX, OURS)
ORDERS = [pytest.param(NGINX, OURS, id="nginx-first"), pytest.param(OURS, NGINX, id="ours-first")]


@pytest.mark.nginx
@pytest.mark.parametrize(("first", "second"), ORDERS)
async def test_each_program_reads_the_other_ones_files(
    first: Program, second: Program, tmp_path: Path
) -> None:
    async with counting_upstream() as upstream:
        upstream.respond = lambda head, number: (
            b'HTTP/1.1 200 OK\r\nVary: X-V\r\nETag: "e"\r\nContent-Length: 2\r\n\r\n#%d' % number
        )
        site = CachedSite(tmp_path, upstream.port)
        async with site.served(first):
            assert await site.get("/a") == ("MISS", b"#1")
            assert await site.get("/a", "X-V: 1") == ("MISS", b"#2")
            assert await site.get("/b") == ("MISS", b"#3")
        async with site.served(second):
            assert await site.get("/a") == ("HIT", b"#1")
            assert await site.get("/a", "X-V: 1") == ("HIT", b"#2")
            assert await site.get("/b") == ("HIT", b"#3")


@pytest.mark.nginx
async def test_files_are_equal_byte_for_byte_but_for_the_time(tmp_path: Path) -> None:
    contents = []
    async with counting_upstream() as upstream:
        upstream.respond = lambda head, number: (
            b"HTTP/1.1 200 OK\r\nServer: x\r\nVary:  Accept-Encoding\r\n"
            b'Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\nETag: W/"e"\r\n'
            b"Cache-Control: max-age=60, stale-if-error=7\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\n\r\n"
        )
        for program in PROGRAMS:
            folder = tmp_path / program.name
            folder.mkdir()
            site = CachedSite(folder, upstream.port)
            async with site.served(program):
                await site.get("/a", "Accept-Encoding: gzip,  br")
            (file,) = site.files
            data = file.read_bytes()
            header = CacheFileHeader.unpack(data)
            assert header.valid_until == header.date + 60
            header.valid_until = header.date = header.milliseconds = 0
            contents.append((file.relative_to(folder), header, data[HEADER_SIZE:]))
    assert contents[0] == contents[1]


CLOSED_BY_NGINX = "another end of head"
"""After a restart, nginx closes the connection without a response; sniproxy asks the upstream."""


def replace_by_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "cut in the header": lambda file: file.write_bytes(file.read_bytes()[:100]),
    "cut in the key": lambda file: file.write_bytes(file.read_bytes()[: HEADER_SIZE + 5]),
    "cut in the head": lambda file: file.write_bytes(file.read_bytes()[:-30]),
    "cut in the body": lambda file: file.write_bytes(file.read_bytes()[:-3]),
    "another version": lambda file: replace_bytes(file, 0, b"\x04"),
    "another checksum": lambda file: replace_bytes(file, 48, b"\0\0\0\0"),
    "another key": lambda file: replace_bytes(file, HEADER_SIZE + 6, b"?"),
    "another end of head": lambda file: replace_bytes(file, 56, b"\xff\x0f"),
    "garbage as head": lambda file: replace_bytes(file, HEADER_SIZE + 9, b"garbage"),
    "a folder": replace_by_folder,
    "gone": lambda file: file.unlink(),
}


@pytest.mark.nginx
@pytest.mark.parametrize(
    ("damage", "restart"),
    [
        pytest.param(damage, restart, id=f"{name}-{'restarted' if restart else 'running'}")
        for name, damage in DAMAGE.items()
        for restart in (False, True)
        if not (restart and name == CLOSED_BY_NGINX)
    ],
)
async def test_a_damaged_file_is_treated_as_by_nginx(
    damage: Callable[[Path], object], restart: bool, tmp_path: Path
) -> None:
    seen = []
    async with counting_upstream() as upstream:
        upstream.respond = lambda head, number: (
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"
        )
        for program in PROGRAMS:
            folder = tmp_path / program.name
            folder.mkdir()
            site = CachedSite(folder, upstream.port)
            upstream.requests.clear()
            async with site.served(program):
                responses = [await site.get()]
                if not restart:
                    damage(site.files[0])
                    responses += [await site.get(), await site.get()]
            if restart:
                damage(site.files[0])
                async with site.served(program):
                    responses += [await site.get(), await site.get()]
            lines = [
                re.sub(r"^\S+ \S+ (\[\w+\]) \S+ \*\d+ ", r"\1 ", line)
                for line in site.log().replace(str(folder), "").splitlines()
                if re.search(
                    r"\[(crit|error|alert|warn|info)\].*cache file|open\(\)|pread\(\)", line
                )
            ]
            seen.append((responses, lines, len(upstream.requests)))
    assert seen[1] == seen[0]


@pytest.mark.nginx
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
async def test_a_purge_script_removes_the_file_of_a_key(program: Program, tmp_path: Path) -> None:
    async with counting_upstream() as upstream:
        site = CachedSite(tmp_path, upstream.port)
        async with site.served(program):
            await site.get("/a")
            await site.get("/b")
            for file in site.files:
                if b"\nKEY: /a\n" in file.read_bytes():
                    file.unlink()
            assert await site.get("/a") == ("MISS", b"response 3")
            assert await site.get("/b") == ("HIT", b"response 2")


async def test_a_file_is_complete_or_not_there(tmp_path: Path) -> None:
    """While a body arrives its file has another name; if it breaks off, the file is removed."""
    async with counting_upstream() as upstream:
        upstream.respond = lambda head, number: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"
        upstream.gate = trio.Event()
        site = CachedSite(tmp_path, upstream.port, "proxy_read_timeout 1s;", "use_temp_path=off")
        async with site.served(OURS), trio.open_nursery() as nursery:
            nursery.start_soon(site.get)
            await upstream.received.wait()
            upstream.gate.set()
            while not site.files:
                await trio.sleep(0)
            assert [file.suffix == "" for file in site.files] == [False]
        assert not site.files
