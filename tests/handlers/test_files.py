"""Errors while a file is sent, which cannot be provoked in a running nginx."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sniproxy.handlers.file_body import BLOCK, FileBody, OpenFile
from sniproxy.logs.error import ConnectionLog, ErrorLog, LogTarget
from sniproxy.models import BodyReadError, Level


class Lines:
    """A sink that stores its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, text: str) -> None:
        self.lines.append(text)

    @property
    def messages(self) -> list[str]:
        return [line.partition(": *1 ")[2].partition(" while ")[0] for line in self.lines]


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def log(lines: Lines) -> ConnectionLog:
    target = LogTarget(lines, Level.DEBUG)
    log = ConnectionLog(ErrorLog([target]), 1, "127.0.0.1", "127.0.0.1:80")
    log.action = "sending response to client"
    return log


def opened(path: Path, data: bytes) -> OpenFile:
    path.write_bytes(data)
    return OpenFile(str(path))


async def everything(body: FileBody) -> list[bytes]:
    pieces = []
    while piece := await body.read():
        pieces.append(piece)
    body.discard()
    return pieces


def run(body: FileBody) -> list[bytes]:
    """Reading never waits, so one step of the coroutine is enough."""
    reading = everything(body)
    try:
        reading.send(None)
    except StopIteration as end:
        result: list[bytes] = end.value
        return result
    raise AssertionError("reading a file has waited")


def test_file_is_read_in_blocks(tmp_path: Path, log: ConnectionLog) -> None:
    data = os.urandom(2 * BLOCK + 1)
    pieces = run(FileBody(opened(tmp_path / "a", data), log))
    assert [len(piece) for piece in pieces] == [BLOCK, BLOCK, 1]
    assert b"".join(pieces) == data


def test_parts_of_a_file(tmp_path: Path, log: ConnectionLog) -> None:
    body = FileBody(opened(tmp_path / "a", b"0123456789"), log)
    assert run(body.of([b"<", (2, 4), b"|", (0, 1), b">"])) == [b"<", b"23", b"|", b"0", b">"]


def test_empty_file(tmp_path: Path, log: ConnectionLog) -> None:
    assert run(FileBody(opened(tmp_path / "a", b""), log)) == []


def test_truncated_file_breaks_the_body(tmp_path: Path, log: ConnectionLog, lines: Lines) -> None:
    file = opened(tmp_path / "a", b"0123456789")
    os.truncate(tmp_path / "a", 4)
    with pytest.raises(BodyReadError):
        run(FileBody(file, log))
    file.close()
    assert lines.messages == [f'pread() read only 4 of 10 from "{tmp_path}/a"']
    assert "[alert]" in lines.lines[0]


def test_read_error_breaks_the_body(
    tmp_path: Path, log: ConnectionLog, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = opened(tmp_path / "a", b"0123456789")

    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", broken)
    with pytest.raises(BodyReadError):
        run(FileBody(file, log))
    file.close()
    assert lines.messages == [f'pread() "{tmp_path}/a" failed (5: {os.strerror(errno.EIO)})']


def test_opening_a_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    file = OpenFile(str(tmp_path / "a"))
    assert not file.is_regular
    file.close()


def test_file_name_ends_at_a_nul(tmp_path: Path) -> None:
    file = opened(tmp_path / "a", b"x")
    file.close()
    OpenFile(f"{tmp_path}/a\0b").close()


def test_files_are_closed(tmp_path: Path, log: ConnectionLog) -> None:
    file = opened(tmp_path / "a", b"x")
    descriptor = file.descriptor
    body = FileBody(file, log)
    body.discard()
    body.discard()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
