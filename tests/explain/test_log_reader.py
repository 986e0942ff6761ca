"""Lines as people have them → what nginx wrote."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.explain.log_reader import MAX_ERROR_LINE, LogReader, LogRecord, completeness, records

TIME = "2024/07/15 17:14:08"
TEXT = (
    "upstream timed out (110: Connection timed out) while connecting to upstream, "
    'client: 192.0.2.1, server: a.test, request: "GET / HTTP/1.1", '
    'upstream: "https://192.0.2.9:443/", host: "a.test"'
)
LINE = f"{TIME} [error] 245105#0: *1324376 {TEXT}"
RECORD = LogRecord(TEXT, TIME, "error")
OTHER_TEXT = (
    'no live upstreams while connecting to upstream, client: 192.0.2.2, server: b.test, request: "'
    'GET / HTTP/1.1", upstream: "http://backend/", host: "b.test"'
)
OTHER = f"{TIME[:-1]}9 [crit] 1#1: *2 {OTHER_TEXT}"
OTHER_RECORD = LogRecord(OTHER_TEXT, f"{TIME[:-1]}9", "crit")


def completeness_score(record: LogRecord) -> int:
    return completeness(record.text)


def read(*lines: str) -> list[LogRecord]:
    return list(records("\n".join(lines), completeness_score))


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (LINE, RECORD),
        (f"{LINE}\r", RECORD),
        (f"web-1  | {LINE}", RECORD),
        (f"\x1b[36mweb-1  |\x1b[0m {LINE}", RECORD),
        (f"\x1b]0;title\x07\x1b[1;31m{LINE}", RECORD),
        (f"<187>Jul 15 17:14:08 host nginx: {LINE}", RECORD),
        (f"2024-07-15T17:14:08.1Z stderr F {LINE}", RECORD),
        (json.dumps({"log": f"{LINE}\n", "stream": "stderr"}), RECORD),
        (f"x {json.dumps({'msg': LINE, 'level': 'info'})}", RECORD),
        (LINE.replace('"', '\\"'), RECORD),
        ("nginx: [emerg] no servers", LogRecord("no servers", None, "emerg")),
        ("[error] 8#8: *3 no servers", LogRecord("no servers", None, "error")),
        (f"{TIME} [error] no servers", LogRecord("no servers", TIME, "error")),
        ("peer closed connection", LogRecord("peer closed connection")),
    ],
)
def test_a_line_is_read_with_any_prefix(line: str, record: LogRecord) -> None:
    assert read(line) == [record]


@pytest.mark.parametrize(
    "line",
    ["", "   ", '192.0.2.1 - - [15/Jul/2024:17:14:08 +0000] "GET /no live upstreams HTTP/1.1" 502'],
)
def test_lines_of_other_programs_have_no_record(line: str) -> None:
    assert read(line) == []


@pytest.mark.parametrize("at", range(LINE.index("up"), len(LINE)))
def test_a_line_wrapped_at_any_column_is_joined(at: int) -> None:
    """At a column a blank stays, at a word it goes (and no one knows where it was)."""
    assert read(LINE[:at], LINE[at:]) == [RECORD]
    if LINE[at] == " ":
        (record,) = read(LINE[:at], LINE[at:].lstrip())
        assert record.text.replace(" ", "") == TEXT.replace(" ", "")


def test_a_line_wrapped_after_its_time_is_joined() -> None:
    assert read(TIME, LINE.removeprefix(f"{TIME} ")) == [RECORD]


@pytest.mark.parametrize("width", [60, 72, 80])
def test_a_line_wrapped_several_times_is_joined(width: int) -> None:
    pieces = [LINE[at : at + width] for at in range(0, len(LINE), width)]
    assert read(OTHER, *pieces, OTHER) == [OTHER_RECORD, RECORD, OTHER_RECORD]


def test_an_interrupted_line_is_split() -> None:
    cut = LINE.index(", request")
    head = LogRecord(RECORD.text[: RECORD.text.index(", request")], TIME, "error")
    rest = LINE[cut:].lstrip()
    assert read(LINE[:cut] + OTHER, rest)[:2] == [head, OTHER_RECORD]


def test_unrelated_lines_are_not_joined() -> None:
    assert read(LINE, "Traceback (most recent call last):")[0] == RECORD
    cut = f"{TIME} [error] 1#1: *2 upstream timed out (110: Conn"
    assert read(cut, LINE) == [LogRecord("upstream timed out (110: Conn", TIME, "error"), RECORD]


def test_flush_yields_pending_records() -> None:
    reader = LogReader(completeness_score)
    assert list(reader.feed(LINE)) == [RECORD]
    assert list(reader.feed(LINE[:-3])) == []
    assert list(reader.flush()) == [LogRecord(TEXT[:-3], TIME, "error")]
    assert list(reader.flush()) == []


def test_a_long_line_is_taken_in_pieces() -> None:
    found = read("\0" * (MAX_ERROR_LINE * 3) + LINE)
    assert found[-1] == RECORD
    assert len(found) <= 5


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=200), max_size=5))
def test_anything_can_be_read(lines: list[str]) -> None:
    assert all(len(record.text) <= sum(map(len, lines)) + len(lines) for record in read(*lines))


@pytest.mark.parametrize("byte", ["\x85", "\x1c", "\x0c", "\x0b"])
def test_only_a_line_feed_ends_a_line(byte: str) -> None:
    text = TEXT.replace("GET / ", f"GET /\xc3{byte} ")
    assert read(LINE.replace(TEXT, text)) == [LogRecord(text, TIME, "error")]
