"""Reading ahead of a slow client: in memory, in a file, and what limits it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from sniproxy.models import BodyReadError
from sniproxy.upstream.spool import SpooledBody, SpoolLimits
from tests.compare_nginx import get, paired_with_nginx
from tests.upstream.fakes import Lines

PIECES = [bytes([number]) * 100 for number in range(50)]


class Source:
    """A body whose pieces are always there; it may end with an error."""

    def __init__(self, pieces: list[bytes], *, is_cut: bool = False) -> None:
        self.pieces = list(pieces)
        self.is_cut = is_cut
        self.discarded = False

    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self.pieces and self.is_cut:
            raise BodyReadError
        return self.pieces.pop(0) if self.pieces else b""

    def discard(self) -> None:
        self.discarded = True


def spooled(
    source: Source, *, memory: int = 300, file: int = 0, folder: str | None = None
) -> tuple[SpooledBody, Lines]:
    lines = Lines()
    return SpooledBody(source, SpoolLimits(memory, file, folder), "/", lines.log()), lines


async def rest(body: SpooledBody) -> bytes:
    found = b""
    while piece := await body.read():
        found += piece
    return found


async def test_a_fast_client_reads_directly() -> None:
    source = Source(PIECES)
    body, _ = spooled(source)
    assert await body.read() == PIECES[0]
    await trio.testing.wait_all_tasks_blocked()
    assert len(source.pieces) == 49


@pytest.mark.parametrize(("file", "left"), [(0, 47), (1000, 37), (1 << 30, 0)])
async def test_the_limits_are_observed(tmp_path: Path, file: int, left: int) -> None:
    source = Source(PIECES)
    body, lines = spooled(source, file=file, folder=str(tmp_path))
    body.read_ahead()
    body.read_ahead()
    await trio.testing.wait_all_tasks_blocked()
    assert len(source.pieces) == left
    assert len(os.listdir(tmp_path)) == bool(file)
    assert await rest(body) == b"".join(PIECES)
    body.discard()
    assert source.discarded
    assert os.listdir(tmp_path) == []
    assert [line.partition(f"{tmp_path}")[0] for line in lines.lines] == (
        ["an upstream response is buffered to a temporary file "] if file else []
    )


async def test_the_file_is_used_again_when_it_was_read(tmp_path: Path) -> None:
    source = Source(PIECES)
    body, _ = spooled(source, file=500, folder=str(tmp_path))
    body.read_ahead()
    found = b""
    while piece := await body.read():
        found += piece
        await trio.testing.wait_all_tasks_blocked()
    assert found == b"".join(PIECES)
    body.discard()


async def test_an_error_follows_what_was_read() -> None:
    body, _ = spooled(Source(PIECES, is_cut=True), memory=10_000)
    body.read_ahead()
    await trio.testing.wait_all_tasks_blocked()
    assert b"".join([await body.read() for _ in PIECES]) == b"".join(PIECES)
    with pytest.raises(BodyReadError):
        await body.read()
    body.discard()


async def test_without_a_file_the_client_slows_the_upstream_down(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    body, lines = spooled(Source(PIECES), file=10_000, folder=str(tmp_path / "file"))
    body.read_ahead()
    await trio.testing.wait_all_tasks_blocked()
    assert lines.lines[0].startswith("pwrite() to a temporary file failed (17: File exists)")
    assert await rest(body) == b"".join(PIECES)
    body.discard()


async def test_nothing_is_read_after_the_body_was_discarded() -> None:
    source = Source(PIECES)
    body, _ = spooled(source)
    body.read_ahead()
    body.discard()
    await trio.testing.wait_all_tasks_blocked()
    assert len(source.pieces) == len(PIECES)


@contextlib.contextmanager
def sender(length: int) -> Iterator[tuple[int, threading.Event]]:
    """An upstream that sends as fast as it can; its port, and whether all was taken."""
    sent = threading.Event()

    def serve() -> None:
        client, _ = listening.accept()
        with client:
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
            client.sendall(bytes(length))
            sent.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1], sent
        thread.join(10)


@pytest.mark.nginx
def test_a_fast_upstream_does_not_wait_for_a_slow_client(tmp_path: Path) -> None:
    length = 12_000_000
    http = "server {{ listen 127.0.0.1:@PORT@; location / {{ proxy_pass http://127.0.0.1:{}; }} }}"
    for name in ("ours", "nginx"):
        with sender(length) as (port, sent):
            folder = tmp_path / name
            folder.mkdir()
            with paired_with_nginx(folder, http.format(port)) as pair:
                with getattr(pair, name).connected() as client:
                    client.sendall(get("/", "Connection: close"))
                    assert sent.wait(10)
                    received = 0
                    while data := client.recv(1 << 20):
                        received += len(data)
                assert received > length
                lines = getattr(pair, name).log("error.log", 1)
                assert any("buffered to a temporary file" in line for line in lines)
