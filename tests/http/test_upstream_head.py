"""Response heads of upstreams: what nginx passes on and logs."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sniproxy.http.response_head import (
    BadResponseError,
    NotHTTPError,
    ParsedResponse,
    read_response_head,
)
from sniproxy.models import FailureType, Level
from tests.http.oracle import Nginx, ScriptedUpstream
from tests.http.requests import get


def ok(*lines: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([status, *lines, "", ""]).encode("latin-1")


NO_BODY = "Content-Length: 0"

HEADS: dict[str, bytes] = {
    "ordinary": ok(NO_BODY, "X-A: b"),
    "lines ended by LF": b"HTTP/1.1 200 OK\nContent-Length: 0\nX-A: b\n\n",
    "own words": ok(NO_BODY, status="HTTP/1.1 200 All right"),
    "no words": ok(NO_BODY, status="HTTP/1.1 404"),
    "space for words": ok(NO_BODY, status="HTTP/1.1 404 "),
    "IIS words": ok(NO_BODY, status="HTTP/1.1 403.1 Execute forbidden"),
    "many spaces": ok(NO_BODY, status="HTTP/1.1   200   OK"),
    "spaces between the digits": ok(NO_BODY, status="HTTP/1.1 2 0 1 OK"),
    "high bytes in words": ok(NO_BODY, status="HTTP/1.1 200 \xe4"),
    "unknown status": ok(NO_BODY, status="HTTP/1.1 799 X"),
    "HTTP/1.0": ok("Connection: keep-alive", "X-A: b", status="HTTP/1.0 200 OK"),
    "HTTP/2.0": ok(NO_BODY, status="HTTP/2.0 200 OK"),
    "HTTP/1.00001": ok(NO_BODY, status="HTTP/1.00001 200 OK"),
    "HTTP/1.1000": ok(NO_BODY, status="HTTP/1.1000 200 OK"),
    "HTTP/0.9": ok(NO_BODY, status="HTTP/0.9 200 OK"),
    "HTTP/1": ok(NO_BODY, status="HTTP/1 200 OK"),
    "lower case": ok(NO_BODY, status="http/1.1 200 OK"),
    "two digits": ok(NO_BODY, status="HTTP/1.1 20 OK"),
    "four digits": ok(NO_BODY, status="HTTP/1.1 2000 OK"),
    "letters for digits": ok(NO_BODY, status="HTTP/1.1 abc OK"),
    "CR in the words": ok(NO_BODY, status="HTTP/1.1 200 O\rK"),
    "two CR at the end": ok(NO_BODY, status="HTTP/1.1 200 OK\r"),
    "no head at all": b"hello\r\n",
    "empty line before": b"\r\n" + ok(NO_BODY),
    "half a status line": b"HTTP/1.1 20",
    "half a field": b"HTTP/1.1 200 OK\r\nX-A: b",
    "half the end": b"HTTP/1.1 200 OK\r\nX-A: b\r\n\r",
    "nothing": b"",
    "odd names": ok(NO_BODY, "X_A: b", "X@: c", "-: d", "\xe4: e", "-\xe4: f", "@@: g", "X-Name"),
    "odd values": ok(NO_BODY, "X-A:   b c  ", "X-B: \tc\t", "X-C:", "X-D: \xff\x01"),
    "many CR": ok(NO_BODY, "X-A: b\r\r"),
    "status line twice": ok("HTTP/1.1 200 OK", NO_BODY, "HTTP/", "X-A: b"),
    "name of HTTP": ok(NO_BODY, "HTTPS/1: b"),
    "space in a name": ok(NO_BODY, "X A: b"),
    "space before the colon": ok(NO_BODY, "X-A : b"),
    "folded": ok(NO_BODY, "X-A: b", " c"),
    "no name": ok(": b"),
    "NUL in a value": ok(NO_BODY, "X-A: b\0c"),
    "CR in a value": ok(NO_BODY, "X-A: b  \rc"),
    "CR for a line": ok(NO_BODY, "\rx"),
    "Content-Length twice": ok("Content-Length: 0", "content-length: 0"),
    "Content-Length invalid": ok("Content-Length: 0x"),
    "Content-Length empty": ok("Content-Length:"),
    "Content-Length of 64 bits": ok("Content-Length: 9223372036854775808"),
    "Transfer-Encoding twice": ok("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "Transfer-Encoding gzip": ok("Transfer-Encoding: gzip"),
    "Transfer-Encoding empty": ok("Transfer-Encoding:"),
    "Content-Length, then chunked": ok(NO_BODY, "Transfer-Encoding: chunked"),
    "chunked, then Content-Length": ok("Transfer-Encoding: chunked", "Content-Length: x"),
    "chunked": ok("Transfer-Encoding: Chunked", "X-A: b") + b"0\r\n\r\n",
    **{
        f"{name} twice": ok(NO_BODY, f"{name}: a", f"{name.upper()}: b", "X-A: b")
        for name in (
            "Date",
            "Server",
            "ETag",
            "Expires",
            "Last-Modified",
            "Location",
            "Refresh",
            "Content-Type",
            "Status",
            "X-Accel-Expires",
            "X-Accel-Limit-Rate",
        )
    },
    "X-Other twice": ok(NO_BODY, "X-Other: a", "X-Other: b"),
    "Set-Cookie twice": ok(NO_BODY, "Set-Cookie: a=b", "Set-Cookie: c=d"),
    "100": ok(NO_BODY, status="HTTP/1.1 100 Continue"),
    "early hints": ok("Content-Length: x", status="HTTP/1.1 103 Early Hints") + ok(NO_BODY),
    "early hints of 1.0": ok(status="HTTP/1.0 103 Early Hints"),
    "as large as the buffer": ok(NO_BODY, "X-A: " + "b" * (4096 - 45)),
    "a byte larger": ok(NO_BODY, "X-A: " + "b" * (4096 - 44)),
    "no end of it": b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 5000,
    "bad byte behind the buffer": ok(NO_BODY, "X-A: " + "b" * 5000 + "\0"),
}


def read(raw: bytes) -> ParsedResponse | None:
    return read_response_head(raw, request_method="GET")


@dataclass(frozen=True)
class Seen:
    status_line: str
    fields: list[str]
    log: list[str]


PREMATURE = "error: upstream prematurely closed connection"

VISIBLE_FIELDS = (
    "x-",
    "set-cookie",
    "-",
    "\xe4",
    "@",
    "https/1",
    "etag",
    "expires",
    "last-modified",
)
"""Prefixes of fields that nginx passes on unchanged."""


def our_seen(raw: bytes) -> Seen:
    try:
        parsed = read(raw)
        if parsed and parsed.head.status == 103:
            parsed = read(raw[parsed.length :])
    except NotHTTPError as odd:
        return Seen("", [], [f"error: {odd.text}"])
    except BadResponseError as refused:
        log = [f"{Level.WARN.label}: {note}" for note in refused.notes]
        log.append(f"{refused.failure.level.label}: {refused.failure.text}")
        return Seen("502 Bad Gateway", [], log)
    if parsed is None:
        return Seen("502 Bad Gateway", [], [PREMATURE])
    fields = [f"{name}: {value}" for name, value in parsed.head.headers]
    log = [f"{Level.WARN.label}: {note}" for note in parsed.notes]
    return Seen(parsed.head.status_line, rendered(fields), log)


def rendered(fields: list[str]) -> list[str]:
    return [
        field
        for field in fields
        if field.lower().startswith(VISIBLE_FIELDS) and not field.lower().startswith("x-accel")
    ]


def nginx_seen(nginx: Nginx, upstream: ScriptedUpstream, raw: bytes) -> Seen:
    upstream.script = raw
    answer = nginx.ask(get(target="/proxy/"))
    log = answer.messages("upstream sent", "upstream prematurely")
    if log == [f"error: {NotHTTPError().text}"]:
        assert answer.raw == raw
        return Seen("", [], log)
    return Seen(answer.status_line, rendered(answer.fields), log)


@pytest.mark.nginx
@pytest.mark.parametrize("name", HEADS)
def test_nginx_passes_on_and_logs_the_same(
    nginx: Nginx, upstream: ScriptedUpstream, name: str
) -> None:
    assert our_seen(HEADS[name]) == nginx_seen(nginx, upstream, HEADS[name])


PIECES = [
    *("HTTP/1.1 200 OK\r\n", "HTTP/", "1.1", " ", "200", "X-A", ": ", "b", "\r\n", "\n", "\r"),
    *("\0", "\t", "_", "Content-Length: 0\r\n", "Content-Length", "Transfer-Encoding", "ETag: a\n"),
]


@pytest.mark.nginx
@given(
    beginning=st.sampled_from(["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200"]),
    pieces=st.lists(st.sampled_from(PIECES)),
)
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nginx_treats_any_head_the_same(
    nginx: Nginx, upstream: ScriptedUpstream, beginning: str, pieces: list[str]
) -> None:
    raw = "".join([beginning, *pieces]).encode("latin-1")
    theirs = nginx_seen(nginx, upstream, raw)
    ours = our_seen(raw)
    if ours.log == [PREMATURE]:  # notes about ignored lines come with the head
        assert theirs.log[-1:] == [PREMATURE]
    else:
        assert ours.log == theirs.log[: len(ours.log)]
    if ours.status_line:
        assert (ours.status_line, ours.fields) == (theirs.status_line, theirs.fields)


# Splitting


def outcome(raw: bytes) -> object:
    try:
        return read(raw)
    except NotHTTPError as odd:
        return odd.text
    except BadResponseError as refused:
        return (refused.failure, refused.notes)


@pytest.mark.parametrize("name", [name for name in HEADS if len(HEADS[name]) < 1000])
def test_prefix_is_incomplete_or_has_the_final_result(name: str) -> None:
    raw = HEADS[name]
    whole = outcome(raw)
    assert all(outcome(raw[:length]) in (None, whole) for length in range(len(raw)))


@given(st.sampled_from(sorted(HEADS)), st.binary(max_size=20))
def test_data_after_the_head_is_not_consumed(name: str, rest: bytes) -> None:
    whole = outcome(HEADS[name])
    if isinstance(whole, ParsedResponse):
        assert outcome(HEADS[name][: whole.length] + rest) == whole


# Single cases


@pytest.mark.parametrize(
    ("raw", "method", "keepalive"),
    [
        (ok("Content-Length: 5"), "GET", True),
        (ok("Transfer-Encoding: chunked"), "GET", True),
        (ok(), "GET", False),
        (ok(), "HEAD", True),
        (ok(status="HTTP/1.1 204 No Content"), "GET", True),
        (ok(status="HTTP/1.1 304 Not Modified"), "GET", True),
        (ok("Content-Length: 5", "Connection: Close"), "GET", False),
        (ok("Content-Length: 5", "Connection: x", "Connection: enclosed"), "GET", False),
        (ok("Content-Length: 5", status="HTTP/1.0 200 OK"), "GET", False),
        (ok("Connection: keep-alive", NO_BODY, status="HTTP/1.0 200 OK"), "GET", False),
        (ok(NO_BODY, status="HTTP/1.1 101 Switching Protocols"), "GET", False),
    ],
)
def test_keepalive_of_the_upstream_connection(raw: bytes, method: str, keepalive: bool) -> None:
    parsed = read_response_head(raw, request_method=method)
    assert parsed is not None
    assert parsed.head.keepalive is keepalive


def test_errors_are_invalid_header_failures() -> None:
    with pytest.raises(BadResponseError) as refused:
        read(ok("X A: b"))
    assert refused.value.failure.kind is FailureType.INVALID_HEADER
