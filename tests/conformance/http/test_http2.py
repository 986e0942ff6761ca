"""Frames of HTTP/2 by rule: sent to nginx and to sniproxy, whose frames and logs are compared.

A case names its rule in a sentence. nginx is asked first: what it does is what is expected.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from sniproxy.testing.upstreams import reserve_port
from tests.http2_frames import (
    PREFACE,
    START,
    data,
    exchange,
    fields,
    headers,
    raw,
    reset,
    settings,
    window,
)
from tests.nginx import NGINX
from tests.programs import OURS, Program

SITE = """
pid nginx.pid;
error_log error.log info;
events {{}}
http {{
    log_format all '$connection "$request" $status $bytes_sent $body_bytes_sent $request_length '
                   '$server_protocol $http2 $request_uri $http_host [$http_cookie] '
                   '$connection_requests $request_completion $sent_http_connection';
    server {{
        listen 127.0.0.1:{front};
        http2 on;
        server_name h.test;
        access_log access.log all;
        keepalive_requests 5;
        http2_max_concurrent_streams 4;
        location / {{ return 200 "hello"; }}
        location /204 {{ return 204; }}
        location /301 {{ return 301 /x; }}
        location /444 {{ return 444; }}
        location /added {{ add_header X-Added Yes; add_trailer X-T $status; return 200 "hello"; }}
        location /files/ {{ alias {folder}/; }}
        location /small/ {{ http2_chunk_size 1k; alias {folder}/; }}
        location /large/ {{ http2_chunk_size 20k; alias {folder}/; }}
        location /three {{ http2_chunk_size 3; return 200 "hello"; }}
        location /up {{ proxy_pass http://127.0.0.1:{back}; client_max_body_size 10; }}
        location /silent {{ proxy_pass http://127.0.0.1:{silent}; }}
    }}
    server {{
        listen 127.0.0.1:{back};
        access_log off;
        location / {{ add_header X-Body $content_length; return 200 "$request_method $uri"; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """Frames of a client, and the rule of nginx's that they prove."""

    name: str
    rule: str
    sent: bytes
    streams: int = 1
    """Number of streams that end."""
    starts: bytes = START
    tail: bytes = b""
    """What is sent after the streams have ended."""


def refused(name: str, rule: str, *more: tuple[str, str], **changed: str | None) -> Case:
    """A request head that is answered with an error page."""
    return Case(name, rule, headers(1, fields(*more, **changed)))


def broken(name: str, rule: str, sent: bytes, starts: bytes = START) -> Case:
    """Frames that end the connection."""
    return Case(name, rule, sent, 100, starts)


POST = fields(method="POST", path="/up")
POST3 = fields(("content-length", "3"), method="POST", path="/up")

CASES = (
    Case("get", "A GET is answered by HEADERS and DATA.", headers(1, fields())),
    Case("head", "A HEAD is answered by HEADERS alone.", headers(1, fields(method="HEAD"))),
    Case("no-content", "A 204 has neither DATA nor a type.", headers(1, fields(path="/204"))),
    Case("redirect", "A redirect is absolute.", headers(1, fields(path="/301?a"))),
    Case("444", "A 444 resets the stream.", headers(1, fields(path="/444"))),
    Case(
        "added", "Added fields are in lower case, trailers end.", headers(1, fields(path="/added"))
    ),
    Case("file", "A file is sent in frames of 8k.", headers(1, fields(path="/files/f.txt"))),
    Case("chunk-size", "http2_chunk_size limits frames.", headers(1, fields(path="/small/f.txt"))),
    Case("chunk-of-3", "A short answer is split, too.", headers(1, fields(path="/three"))),
    Case(
        "large-chunk",
        "A frame has at most what the client takes.",
        headers(1, fields(path="/large/f.txt")),
    ),
    Case(
        "large-frames",
        "A client may take larger frames.",
        headers(1, fields(path="/large/f.txt")),
        starts=PREFACE + settings(MAX_FRAME_SIZE=100_000),
    ),
    Case(
        "window",
        "DATA waits for the window of the stream.",
        headers(1, fields(path="/files/f.txt")) + window(1, 16000),
        starts=PREFACE + settings(INITIAL_WINDOW_SIZE=5000),
    ),
    Case(
        "upstream",
        "The upstream receives HTTP/1.1 with joined cookies.",
        headers(1, fields(("cookie", "a=1"), ("te", "trailers"), ("cookie", "b=2"), path="/up")),
    ),
    Case(
        "table-size",
        "A change of the table size is acknowledged in the next header block.",
        headers(1, fields()),
        starts=PREFACE + settings(HEADER_TABLE_SIZE=0),
    ),
    Case("host", "Host replaces :authority.", headers(1, fields(("host", "o:8"), authority=None))),
    Case(
        "cut",
        "Continued header blocks are joined.",
        raw(1, 1, 1, b"\x82\x86\x84") + raw(9, 4, 1, b"\x41\x06h.test"),
    ),
    refused("no-path", ":path is required.", path=None),
    refused("no-method", ":method is required.", method=None),
    refused("no-scheme", ":scheme is required.", scheme=None),
    refused("no-authority", ":authority or Host is required.", authority=None),
    refused("two-hosts", "Host and :authority must be equal.", ("host", "other.test")),
    refused("unknown-pseudo", "No other field may begin with a colon.", (":foo", "x")),
    refused("late-pseudo", "A pseudo-field may not follow others.", ("a", "b"), (":path", "/")),
    refused("double-path", ":path may be sent once.", (":path", "/")),
    refused("double-authority", ":authority may be sent once.", (":authority", "h.test")),
    refused("method", "A method is in upper case.", method="get"),
    refused("path", "A path begins with a slash.", path="foo"),
    refused("empty-path", "A path is not empty.", (":path", ""), path=None),
    refused("dots", "A path may not leave the root.", path="/a/../.."),
    refused("scheme", "A scheme begins with a letter.", scheme="1x"),
    refused("authority", "An authority is a valid host.", authority="a b"),
    refused("upper-case", "A name is in lower case.", ("Foo", "x")),
    refused("underscore", "A field with an underscore is ignored.", ("fo_o", "x")),
    refused("connection", "Connection is refused.", ("connection", "close")),
    refused("transfer-encoding", "Transfer-Encoding is refused.", ("transfer-encoding", "chunked")),
    refused("upgrade", "Upgrade is refused.", ("upgrade", "x")),
    refused("te", "TE has no other value than trailers.", ("te", "gzip")),
    refused("length", "Content-Length is a number.", ("content-length", "x")),
    refused(
        "double-length",
        "Content-Length may be sent once.",
        ("content-length", "1"),
        ("content-length", "1"),
    ),
    refused("trace", "TRACE is refused.", method="TRACE"),
    refused("no-body", "A declared body must follow.", ("content-length", "3")),
    Case(
        "body", "A body is passed on.", headers(1, POST3, ends=False) + data(1, b"abc", ends=True)
    ),
    Case(
        "no-length",
        "A body without a length is passed on with one.",
        headers(1, POST, ends=False) + data(1, b"abc", ends=True),
    ),
    Case(
        "padded",
        "Padding is no part of a body.",
        headers(1, POST3, ends=False) + data(1, b"abc", ends=True, padding=7),
    ),
    Case(
        "longer",
        "A body longer than declared is refused.",
        headers(1, POST3, ends=False) + data(1, b"abcd", ends=True),
    ),
    Case(
        "shorter",
        "A body shorter than declared is refused.",
        headers(1, POST3, ends=False) + data(1, b"ab", ends=True),
    ),
    Case(
        "too-large",
        "client_max_body_size applies without a declared length.",
        headers(1, POST, ends=False) + data(1, b"x" * 11, ends=True),
    ),
    Case(
        "unread",
        "A stream whose body is not read is reset after the response.",
        headers(1, fields(("content-length", "3"), method="POST"), ends=False),
    ),
    Case(
        "canceled",
        "A reset stream is logged as 499.",
        headers(1, fields(path="/silent")),
        0,
        tail=reset(1),
    ),
    Case(
        "unknown-frame", "A frame of unknown type is ignored.", raw(85, 0, 1) + headers(1, fields())
    ),
    Case("idle-data", "DATA for an idle stream is ignored.", data(1, b"x"), 0),
    Case("idle-reset", "RST_STREAM for an idle stream is ignored.", reset(1), 0),
    Case("goaway", "GOAWAY of a client is ignored.", raw(7, 0, 0, b"\0" * 8), 0),
    Case(
        "late-data",
        "DATA for a closed stream is ignored.",
        headers(1, fields()),
        tail=data(1, b"x"),
    ),
    Case("ping", "PING is answered.", raw(6, 0, 0, b"12345678"), 0),
    broken(
        "refused",
        "A client whose streams are refused again and again is refused itself.",
        b"".join(headers(1 + 2 * n, fields(path="/silent")) for n in range(110)),
    ),
    broken(
        "priorities",
        "A client that sends nearly nothing but frames of no use is refused.",
        raw(2, 0, 1, b"\0\0\0\3\0") * 200,
    ),
    broken("even", "A client's streams are odd.", headers(2, fields())),
    broken("again", "A stream is opened once.", headers(1, fields()) + headers(1, fields())),
    broken("ping-length", "PING has 8 bytes.", raw(6, 0, 0, b"x")),
    broken("ping-stream", "PING has no stream.", raw(6, 0, 1, b"12345678")),
    broken("window-0", "A window is not increased by 0.", window(0, 1)[:-1] + b"\0"),
    broken("window-over", "A window has 31 bits.", raw(8, 0, 0, b"\x7f\xff\xff\xff")),
    broken("window-length", "WINDOW_UPDATE has 4 bytes.", raw(8, 0, 0, b"x")),
    broken("reset-length", "RST_STREAM has 4 bytes.", raw(3, 0, 1, b"x")),
    broken("reset-stream", "RST_STREAM has a stream.", raw(3, 0, 0, b"1234")),
    broken("continuation", "CONTINUATION follows HEADERS.", raw(9, 4, 1)),
    broken("push", "A client does not push.", raw(5, 4, 1, b"\0\0\0\2")),
    broken("settings-length", "SETTINGS are multiples of 6 bytes.", raw(4, 0, 0, b"x")),
    broken("settings-stream", "SETTINGS have no stream.", raw(4, 0, 1)),
    broken("settings-ack", "An acknowledgement has no content.", raw(4, 1, 0, b"x" * 6)),
    broken(
        "settings-window", "INITIAL_WINDOW_SIZE has 31 bits.", settings(INITIAL_WINDOW_SIZE=2**31)
    ),
    broken("settings-frame", "MAX_FRAME_SIZE is at least 16384.", settings(MAX_FRAME_SIZE=5)),
    broken("settings-push", "ENABLE_PUSH is 0 or 1.", settings(ENABLE_PUSH=2)),
    broken("dependency", "A stream does not depend on itself.", raw(2, 0, 1, b"\0\0\0\1\0")),
    broken("empty-block", "A header block is not empty.", raw(1, 5, 1)),
    broken("data-stream", "DATA has a stream.", raw(0, 0, 0, b"x")),
    broken("no-preface", "Another preface is HTTP/1.", b"", PREFACE.replace(b"SM", b"XX")),
    Case(
        "keepalive-requests",
        "GOAWAY follows the last request that is allowed, and the connection is closed.",
        b"".join(headers(1 + 2 * n, fields()) for n in range(6)),
        100,
    ),
    Case(
        "concurrent",
        "A stream too many is refused.",
        b"".join(headers(1 + 2 * n, fields(path="/silent")) for n in range(5)),
        1,
        tail=b"".join(reset(1 + 2 * n) for n in range(4)),
    ),
)


@dataclass(slots=True)
class Result:
    """What one program did."""

    frames: dict[str, list[str]]
    errors: dict[str, list[str]]
    accesses: dict[str, list[str]]


async def run_cases(
    program: Program, prefix: Path, cases: Sequence[Case], ports: list[int]
) -> Result:
    """Run the cases one after the other; logs are ordered by connection."""
    front, back, silent = ports
    (prefix / "f.txt").write_text("x" * 20000)
    file = prefix / "nginx.conf"
    file.write_text(SITE.format(front=front, back=back, silent=silent, folder=prefix))
    frames, first = {}, {}
    async with program.serving(prefix, file), trio.open_nursery() as nursery:
        await nursery.start(accept_silently, silent)
        for case in cases:
            frames[case.name] = await exchange(
                front, case.starts + case.sent, streams=case.streams, tail=case.tail
            )
            marker = await exchange(
                front, START + headers(1, fields(path=f"/at/{case.name}")), streams=1
            )
            assert marker[-1].endswith("hello"), marker
            first[case.name] = f"/at/{case.name}"
        with trio.fail_after(10):
            while f"/at/{cases[-1].name} " not in _text(prefix / "access.log"):
                await trio.sleep(0.005)
        nursery.cancel_scope.cancel()
    return Result(frames, *_logs(prefix, cases, front, silent))


async def accept_silently(port: int, task_status: trio.TaskStatus[None]) -> None:
    """An upstream that takes connections and never answers."""

    async def serve(stream: trio.SocketStream) -> None:
        while await stream.receive_some():
            pass

    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
    task_status.started()
    await trio.serve_listeners(serve, listeners)


def _text(file: Path) -> str:
    return file.read_text("latin-1") if file.exists() else ""


def _logs(
    prefix: Path, cases: Sequence[Case], front: int, silent: int
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The lines of each case: those of connections before the one that marks its end."""
    accesses = [line.partition(" ") for line in _text(prefix / "access.log").splitlines()]
    ends: list[tuple[int, str]] = []
    for number, _, line in accesses:
        marked = re.match(r'"GET /at/(\S+) ', line)
        if marked:
            ends.append((int(number), marked[1]))
    errors: dict[str, list[str]] = defaultdict(list)
    by_case: dict[str, list[str]] = defaultdict(list)

    def case_of(number: int) -> str:
        return next((name for end, name in ends if number <= end), cases[-1].name)

    for number, _, line in accesses:
        if not line.startswith('"GET /at/'):
            by_case[case_of(int(number))].append(line)
    pattern = r"\[(\w+)\] [^ ]+ \*(\d+) (.*)"
    for level, number, text in re.findall(pattern, _text(prefix / "error.log")):
        text = text.replace(f":{front}", ":FRONT").replace(f":{silent}", ":SILENT")
        # nginx is still connecting when sniproxy has sent the request already.
        text = re.sub(
            "while (connecting to|sending request to|reading response header from) upstream",
            "while asking",
            text,
        )
        if "epoll" not in text and "event method" not in text:
            errors[case_of(int(number))].append(f"{level} {text}")
    return errors, by_case


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """What both programs did, by name."""
    found = {}
    with contextlib.ExitStack() as stack:
        reserved = [stack.enter_context(reserve_port()) for _ in range(3)]
        ports = [each.getsockname()[1] for each in reserved]
        for program in (NGINX, OURS):
            prefix = tmp_path_factory.mktemp(program.name)
            found[program.name] = trio.run(run_cases, program, prefix, CASES, ports)
    return found


@pytest.mark.nginx
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_sniproxy_answers_frames_as_nginx_does(case: Case, results: dict[str, Result]) -> None:
    nginx, ours = results["nginx"], results["sniproxy"]
    assert _sorted(ours.frames[case.name]) == _sorted(nginx.frames[case.name]), case.rule
    assert sorted(ours.errors[case.name]) == sorted(nginx.errors[case.name]), case.rule
    lines, expected = (sorted(map(_split_sent, each.accesses[case.name])) for each in (ours, nginx))
    assert [line for line, _ in lines] == [line for line, _ in expected], case.rule
    for (_, sent), (_, by_nginx) in zip(lines, expected, strict=True):
        assert abs(sent - by_nginx) <= 1, (case.rule, sent, by_nginx)


def _split_sent(line: str) -> tuple[str, int]:
    """A line of the access log without `$bytes_sent`, and that number.

    It depends on the time: digits of the Date field are coded by 5 or 6 bits.
    """
    match = re.fullmatch(r'("[^"]*" \d+ )(\d+)( .*)', line)
    assert match, line
    return match[1] + match[3], int(match[2])


def _sorted(lines: list[str]) -> list[str]:
    """The frames of each stream in their order; streams are independent."""
    return sorted(lines, key=lambda line: int((re.findall(r" (\d+)", line) or [0])[0]))
