"""Buffered log lines, and the header of syslog datagrams."""

from __future__ import annotations

import gzip
import tempfile
import time
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from sniproxy.logs.buffered import BufferedSink
from sniproxy.logs.sinks import FileSink, Sinks
from sniproxy.logs.syslog import SyslogServer
from sniproxy.models import Level

LINES = st.lists(st.text("ab\xff", max_size=12).map(lambda text: text + "\n"), max_size=30)


@given(LINES, st.integers(1, 40), st.sampled_from([None, 1, 9]))
def test_buffered_lines_keep_their_order(lines: list[str], size: int, level: int | None) -> None:
    with tempfile.NamedTemporaryFile() as file:
        sink = FileSink(file.name)
        buffered = BufferedSink(sink, size, level=level)
        for line in lines:
            buffered.write(line)
        buffered.flush()
        sink.close()
        raw = Path(file.name).read_bytes()
    text = gzip.decompress(raw) if level is not None and raw else raw
    assert text == "".join(lines).encode("latin-1")


def test_buffer_is_written_when_full(tmp_path: Path) -> None:
    sinks = Sinks()
    buffered = BufferedSink(sinks.file(str(tmp_path / "log")), 10)
    sinks.flushables.append(buffered)
    buffered.write("12345\n")
    assert (tmp_path / "log").read_text() == ""
    buffered.write("67890\n")
    assert (tmp_path / "log").read_text() == "12345\n"
    sinks.reopen()
    assert (tmp_path / "log").read_text() == "12345\n67890\n"
    buffered.write("a\n")
    sinks.close()
    assert (tmp_path / "log").read_text() == "12345\n67890\na\n"


async def test_buffer_is_flushed_after_the_flush_time(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    mock_clock.autojump_threshold = 0
    file = tmp_path / "log"
    buffered = BufferedSink(FileSink(str(file)), 100, flush=5)
    buffered.write("a\n")
    await trio.sleep(3)
    buffered.write("b\n")
    assert file.read_text() == ""
    await trio.sleep(2.1)
    assert file.read_text() == "a\nb\n"
    buffered.write("c\n")
    await trio.sleep(4)
    buffered.flush()
    buffered.write("d\n")
    await trio.sleep(2)
    assert file.read_text() == "a\nb\nc\n"
    await trio.sleep(4)
    assert file.read_text() == "a\nb\nc\nd\n"
    buffered.file.close()


@pytest.mark.parametrize(
    ("facility", "level", "priority"),
    [("local7", Level.INFO, 190), ("kern", Level.EMERG, 0), ("mail", Level.DEBUG, 23)],
)
def test_syslog_header(facility: str, level: Level, priority: int) -> None:
    now = time.mktime((2026, 2, 3, 4, 5, 6, 0, 0, -1))
    server = SyslogServer(0, "", facility, "tag", "host")
    assert server.header(level, now) == f"<{priority}>Feb  3 04:05:06 host tag: "
    assert SyslogServer(0, "", facility).header(level, now).endswith(" 04:05:06 nginx: ")
