"""Request heads: responses and log lines compared with nginx, received in pieces of any size."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sniproxy.http.pages import displayed_status, error_page
from sniproxy.http.request_head import (
    BadRequestError,
    HeadReader,
    HeadRules,
    LogNote,
    ParsedHead,
    read_request_head,
    read_simple_head,
)
from sniproxy.models import Level, RequestHead
from tests.http.oracle import Answer, Nginx, ScriptedUpstream
from tests.http.requests import ALL, FIELDS, PLAIN, SIZES, get

RULES = HeadRules()
TURNED_RULES = HeadRules(
    client_header_buffer_size=512,
    large_client_header_buffers=(2, 2048),
    ignore_invalid_headers=False,
    underscores_in_headers=True,
    merge_slashes=False,
    max_headers=5,
)

LOG_LENGTH = 1500
"""Characters compared of a log line: nginx truncates lines at 2048 bytes."""


def outcome(
    raw: bytes | bytearray, rules: HeadRules = RULES
) -> ParsedHead | BadRequestError | None:
    try:
        return read_request_head(raw, rules)
    except BadRequestError as refused:
        return refused


# Comparison with nginx


@dataclass(frozen=True)
class Seen:
    """A response and its log lines."""

    status: int
    body: bytes
    pool: bool
    log: list[str]


def nginx_seen(answer: Answer) -> Seen:
    log = [line[:LOG_LENGTH] for line in answer.lines("client sent")]
    return Seen(answer.status, answer.body, answer.pool, log)


def our_seen(result: ParsedHead | BadRequestError | None, server: str) -> Seen:
    if result is None:
        return Seen(0, b"", False, [])
    if isinstance(result, ParsedHead):
        request = result.request
        log = [_log_line(note, request.line, server) for note in result.notes]
        status, pool = (200, request.keepalive) if request.version > 9 else (0, False)
        body = b"" if request.method == "HEAD" else _rendered(request, server)
        return Seen(status, body, pool, log)
    log = [_log_line(note, result.line, server) for note in result.notes]
    last = LogNote(result.text, result.level, result.host, result.referrer)
    log.append(_log_line(last, result.line, server, result.action))
    page = b"" if result.method == "HEAD" else error_page(result.status)
    return Seen(displayed_status(result.status) if result.version > 9 else 0, page, False, log)


def _rendered(request: RequestHead, server: str) -> bytes:
    lengths = [request.header("content-length") or "", request.header("transfer-encoding") or ""]
    host = request.host or server
    parts = [request.method, request.target, request.path, request.args, host, *lengths]
    return "|".join(parts).encode("latin-1")


def _log_line(
    note: LogNote, line: str, server: str, action: str = "reading client request headers"
) -> str:
    text = f"{note.level.label}: {note.text} while {action}, client: 127.0.0.1, server: {server}"
    text += f', request: "{line}"' if line else ""
    text += f', host: "{note.host}"' if note.host is not None else ""
    text += f', referrer: "{note.referrer}"' if note.referrer is not None else ""
    return text[:LOG_LENGTH]


@pytest.mark.nginx
@pytest.mark.parametrize("name", ALL)
def test_nginx_responds_and_logs_the_same(nginx: Nginx, name: str) -> None:
    raw = ALL[name]
    assert our_seen(outcome(raw), "first.test") == nginx_seen(nginx.ask(raw))


@pytest.mark.nginx
@pytest.mark.parametrize("name", ALL)
def test_nginx_responds_the_same_with_other_settings(unmerged: Nginx, name: str) -> None:
    raw = ALL[name]
    assert our_seen(outcome(raw, TURNED_RULES), "") == nginx_seen(unmerged.ask(raw))


STRICT = "strict.test"
STRICT_RULES = HeadRules(max_headers=3)


@pytest.mark.nginx
@pytest.mark.parametrize(
    "raw",
    [
        b"GET //a HTTP/1.1\r\nX_Y: 1\r\nHost: strict.test\r\nX_Y: 2\r\n\r\n",
        b"GET http://strict.test/ HTTP/1.1\r\nX_Y: 1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\r\nHost: strict.test\r\nA: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\r\nHost: strict.test\r\nA: b\r\nA: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: other\r\nA: b\r\nA: b\r\nA: b\r\n\r\n",
    ],
)
def test_settings_of_the_named_server_apply_after_the_host_field(
    unmerged: Nginx, raw: bytes
) -> None:
    def rules_of(name: str) -> HeadRules:
        return STRICT_RULES if name == STRICT else TURNED_RULES

    try:
        ours: ParsedHead | BadRequestError | None = read_request_head(raw, TURNED_RULES, rules_of)
    except BadRequestError as refused:
        ours = refused
    server = STRICT if STRICT.encode() in raw else ""
    assert our_seen(ours, server) == nginx_seen(unmerged.ask(raw))


def first_refused(raw: bytes) -> int:
    """Length of the shortest prefix of `raw` that is rejected."""
    return next(n for n in range(len(raw) + 1) if isinstance(outcome(raw[:n]), BadRequestError))


REFUSED = [name for name in {**PLAIN, **FIELDS} if isinstance(outcome(ALL[name]), BadRequestError)]


@pytest.mark.nginx
@pytest.mark.parametrize("name", REFUSED)
def test_nginx_rejects_at_the_same_byte(nginx: Nginx, name: str) -> None:
    raw = ALL[name]
    length = first_refused(raw)
    assert not nginx.ask(raw[: length - 1]).raw
    refused = nginx.ask(raw[:length])
    assert our_seen(outcome(raw[:length]), "first.test") == nginx_seen(refused)


PIECES = [
    *("GET", "HEAD", "CONNECT", "X", " ", "  ", "/", "/a", "http://", "b", "[::1]", ":", "80"),
    *("?", "#", "%41", "%", "HTTP/1.1", "HTTP/1.0", "HTTP/2", "\r\n", "\n", "\r", "\0", "\x7f"),
    *("Host: a\r\n", "Host", "X-Y", "X_Y", "\xe4", "\r\n\r\n", "Content-Length: 0\r\n"),
    *("Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "\t", "..", "_", "@"),
]
BEGINNINGS = ["", "GET / HTTP/1.1\r\n", "GET /", "GET / HTTP/1.1\r\nHost: a\r\n", "GET http://b"]


@pytest.mark.nginx
@given(beginning=st.sampled_from(BEGINNINGS), pieces=st.lists(st.sampled_from(PIECES)))
@settings(
    max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nginx_treats_any_head_the_same(nginx: Nginx, beginning: str, pieces: list[str]) -> None:
    raw = "".join([beginning, *pieces]).encode("latin-1")
    ours = outcome(raw)
    if isinstance(ours, ParsedHead):
        raw = raw[: ours.length]  # nginx would continue with the next request
    if isinstance(ours, ParsedHead) and ours.request.chunked:
        raw += b"0\r\n\r\n"
    answer = nginx.ask(raw)
    if ours is None:  # notes about ignored lines come with the head
        assert not answer.raw
    else:
        assert our_seen(ours, "first.test") == nginx_seen(answer)


@pytest.mark.nginx
def test_nginx_passes_on_the_same_fields(nginx: Nginx, upstream: ScriptedUpstream) -> None:
    lines = ("A:  b c  ", "X-1: \t2\t", "X_Y: z", "Name", "a: d", "-:", "E@: f")
    raw = get(*lines, target="/proxy/")
    upstream.script = b"HTTP/1.0 204 No Content\r\n\r\n"
    nginx.ask(raw)
    seen = upstream.seen.decode("latin-1").split("\r\n")
    parsed = outcome(raw)
    assert isinstance(parsed, ParsedHead)
    passed = [f"{name}: {value}" for name, value in parsed.request.headers if name != "Host"]
    assert seen[2:-2] == passed


# Splitting


def essence(result: ParsedHead | BadRequestError | None) -> object:
    """The parts of a result that must not depend on how much was received."""
    if not isinstance(result, BadRequestError):
        return result
    facts = vars(result).copy()
    del facts["line"]
    return facts


@pytest.mark.parametrize("name", [*PLAIN, *FIELDS])
def test_prefix_is_incomplete_or_has_the_final_result(name: str) -> None:
    raw = ALL[name]
    whole = outcome(raw)
    for length in range(len(raw)):
        part = outcome(raw[:length])
        assert part is None or essence(part) == essence(whole)
        if isinstance(part, BadRequestError) and isinstance(whole, BadRequestError):
            assert whole.line.startswith(part.line)


def read_in_pieces(raw: bytes, cuts: list[int]) -> ParsedHead | BadRequestError | None:
    reader = HeadReader(RULES)
    try:
        for cut in [*sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]:
            parsed = reader.read(bytearray(raw[:cut]))
            if parsed is not None:
                return parsed
    except BadRequestError as refused:
        return refused
    return None


@given(st.sampled_from(sorted(ALL)), st.lists(st.integers(0, 50_000), max_size=20))
def test_result_is_independent_of_how_data_is_split(name: str, cuts: list[int]) -> None:
    assert essence(read_in_pieces(ALL[name], cuts)) == essence(outcome(ALL[name]))


@pytest.mark.parametrize("name", [*PLAIN, *FIELDS])
def test_result_is_the_same_byte_by_byte(name: str) -> None:
    raw = ALL[name]
    assert essence(read_in_pieces(raw, [*range(len(raw))])) == essence(outcome(raw))


@given(st.sampled_from(sorted(ALL)))
def test_a_simple_head_is_read_as_the_careful_reader_reads_it(name: str) -> None:
    simple = read_simple_head(ALL[name], RULES, None)
    if simple is not None:
        assert HeadReader(RULES).read(ALL[name]) == simple


@given(
    st.text("GETPOS /a.%?#2~-_:", max_size=12),
    st.lists(st.text("HostCnecilgh-LT_rafdTk:0 19,\t\x00é", max_size=18), max_size=4),
)
def test_any_simple_head_is_read_as_the_careful_reader_reads_it(
    target: str, lines: list[str]
) -> None:
    head = "\r\n".join([f"GET /{target} HTTP/1.1", "Host: a.test", *lines, "", ""])
    raw = head.encode("latin-1")
    simple = read_simple_head(raw, RULES, None)
    if simple is not None:
        assert HeadReader(RULES).read(raw) == simple


@given(st.sampled_from(sorted({**PLAIN, **FIELDS, **SIZES})), st.binary(max_size=20))
def test_data_after_the_head_is_not_consumed(name: str, rest: bytes) -> None:
    raw = ALL[name]
    whole = outcome(raw)
    if isinstance(whole, ParsedHead):
        assert outcome(raw[: whole.length] + rest) == whole


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_an_error_or_incomplete(raw: bytes) -> None:
    outcome(raw)


# Single cases


def test_typical_head() -> None:
    raw = (
        b"POST /a/../b%20c?d=%20 HTTP/1.1\r\nHost: Www.Example.test:8080\r\n"
        b"Content-Length: 3\r\nConnection: close\r\n\r\nxyz"
    )
    assert read_request_head(raw, RULES) == ParsedHead(
        RequestHead(
            line="POST /a/../b%20c?d=%20 HTTP/1.1",
            method="POST",
            target="/a/../b%20c?d=%20",
            path="/b c",
            args="d=%20",
            version=11,
            headers=(
                ("Host", "Www.Example.test:8080"),
                ("Content-Length", "3"),
                ("Connection", "close"),
            ),
            host="www.example.test",
            content_length=3,
            chunked=False,
            keepalive=False,
            names=("host", "content-length", "connection"),
        ),
        len(raw) - 3,
        (),
    )


def test_ignored_header_line_is_logged_with_the_context_at_that_time() -> None:
    parsed = outcome(b"GET / HTTP/1.1\r\nX_Y: 1\r\nHost: a\r\nReferer: r\r\nY_Z: 2\r\n\r\n")
    assert isinstance(parsed, ParsedHead)
    assert parsed.notes == (
        LogNote('client sent invalid header line: "X_Y: 1"', Level.INFO, None, None),
        LogNote('client sent invalid header line: "Y_Z: 2"', Level.INFO, "a", "r"),
    )
