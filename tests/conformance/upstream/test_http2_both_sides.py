"""HTTP/2 on both sides: frames of a client and of an upstream, on nginx and on sniproxy."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import trio

from sniproxy.testing.upstreams import (
    AfterSend,
    UpstreamSpec,
    generate_certificates,
    upstreams_in_thread,
)
from sniproxy.testing.upstreams import http2_session as upstream
from sniproxy.testing.upstreams.spec import Action, Http2Spec, ReceivedRequest
from tests.compare_nginx import served
from tests.http2_frames import START, data, exchange, fields, headers, settings, window
from tests.nginx import NGINX
from tests.programs import OURS, Program

OK = ((":status", "200"), ("content-type", "application/grpc"))
TRAILERS = (("grpc-status", "0"), ("grpc-message", "fine"))
CALL = fields(
    ("te", "trailers"), ("content-type", "application/grpc"), method="POST", path="/a.B/C"
)
MODULES = {
    "grpc": "grpc_pass grpc://{};",
    "proxy": "proxy_pass http://{}; proxy_http_version 2; proxy_pass_trailers on;"
    " proxy_request_buffering off;",
}

Answer = Callable[[int, ReceivedRequest], bytes]


@dataclass(frozen=True, slots=True)
class Case:
    """Frames of both sides, and the rule of nginx's that they prove."""

    name: str
    rule: str
    answer: Answer
    sent: bytes
    streams: int = 1
    directives: str = ""
    early: bool = False
    start: bytes = upstream.settings()
    acknowledges: bool = True
    then: AfterSend = AfterSend.WAIT


def replies(frames: Callable[[int], bytes]) -> Answer:
    return lambda stream, request: frames(stream)


WHOLE = replies(
    lambda stream: (
        upstream.headers(stream, OK)
        + upstream.data(stream, b"hello", ends=False)
        + upstream.headers(stream, TRAILERS, ends=True)
    )
)
ONLY_TRAILERS = replies(lambda stream: upstream.headers(stream, (*OK, *TRAILERS), ends=True))
SIMPLE_CALL = START + headers(1, CALL, ends=False) + data(1, b"\0\0\0\0\0", ends=True)
LARGE = b"x" * 60_000


def large(stream: int, request: ReceivedRequest) -> bytes:
    return upstream.headers(stream, OK) + upstream.data(stream, LARGE)


def length(stream: int, request: ReceivedRequest) -> bytes:
    return upstream.headers(stream, OK) + upstream.data(stream, str(len(request.body)).encode())


CASES = (
    Case("call", "Trailers follow the body.", WHOLE, SIMPLE_CALL),
    Case("trailers-only", "A response of trailers ends with its head.", ONLY_TRAILERS, SIMPLE_CALL),
    Case(
        "no-te",
        "Trailers are passed on if the client does not ask for them, too.",
        WHOLE,
        START + headers(1, fields(method="GET", path="/a.B/C")),
    ),
    Case(
        "added-trailer",
        "Trailers of the configuration come beside those of the upstream.",
        WHOLE,
        SIMPLE_CALL,
        directives="add_trailer X-T $upstream_trailer_grpc_status;",
    ),
    Case(
        "hidden-trailer",
        "Hidden fields are hidden in trailers.",
        WHOLE,
        SIMPLE_CALL,
        directives="MODULE_hide_header Grpc-Message;",
    ),
    Case(
        "two-calls",
        "Each stream has a connection of its own.",
        WHOLE,
        START
        + headers(1, CALL, ends=False)
        + data(1, b"a", ends=True)
        + headers(3, CALL, ends=False)
        + data(3, b"b", ends=True),
        streams=2,
    ),
    Case(
        "large-response",
        "DATA is split into frames of 8k within the window of the client.",
        large,
        SIMPLE_CALL,
    ),
    Case(
        "client-window",
        "DATA waits for the client.",
        large,
        START[:24]
        + settings(INITIAL_WINDOW_SIZE=1000)
        + headers(1, CALL, ends=False)
        + data(1, b"a", ends=True)
        + window(1, 100_000),
    ),
    Case(
        "upload",
        "A body of several frames arrives whole.",
        length,
        START
        + headers(1, CALL, ends=False)
        + b"".join(data(1, b"y" * 10_000) for _ in range(6))
        + data(1, b"", ends=True),
    ),
    Case(
        "small-windows",
        "A body is sent within the windows of the upstream.",
        length,
        START
        + headers(1, CALL, ends=False)
        + b"".join(data(1, b"y" * 10_000) for _ in range(6))
        + data(1, b"", ends=True),
        start=upstream.settings(initial_window_size=10),
    ),
    Case(
        "early-answer",
        "A response may end before the body of the request has.",
        WHOLE,
        START + headers(1, CALL, ends=False) + data(1, b"abc"),
        early=True,
    ),
    Case(
        "reset-in-body",
        "A reset of the upstream resets the client's stream.",
        replies(
            lambda stream: (
                upstream.headers(stream, OK)
                + upstream.data(stream, b"part", ends=False)
                + upstream.reset(stream, 11)
            )
        ),
        SIMPLE_CALL,
    ),
    Case(
        "refused",
        "A refusal is a 502.",
        replies(lambda stream: upstream.reset(stream, 7)),
        SIMPLE_CALL,
    ),
    Case(
        "head",
        "A HEAD has neither a body nor trailers.",
        replies(lambda stream: upstream.headers(stream, (*OK, *TRAILERS), ends=True)),
        START + headers(1, fields(method="HEAD", path="/a.B/C")),
    ),
    Case(
        "no-content",
        "A 204 ends with its head.",
        replies(lambda stream: upstream.headers(stream, ((":status", "204"),), ends=True)),
        SIMPLE_CALL,
    ),
    Case(
        "length-0",
        "A declared length of 0 ends the response with its head.",
        replies(
            lambda stream: (
                upstream.headers(stream, (*OK, ("content-length", "0")))
                + upstream.headers(stream, TRAILERS, ends=True)
            )
        ),
        SIMPLE_CALL,
    ),
    Case(
        "early-hints",
        "Early hints are passed on.",
        replies(
            lambda stream: (
                upstream.headers(stream, ((":status", "103"), ("link", "</a>")))
                + upstream.headers(stream, OK, ends=True)
            )
        ),
        SIMPLE_CALL,
        directives="early_hints 1;",
    ),
)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    generate_certificates(folder)
    return folder


@dataclass(frozen=True, slots=True)
class Outcome:
    """What both sides received, and the logs."""

    client: list[str]
    upstream: list[str]
    errors: list[str]
    accesses: list[str]


def run(program: Program, folder: Path, case: Case, module: str, certificates: Path) -> Outcome:
    folder.mkdir()
    spec = UpstreamSpec(
        "speaks",
        "speaks HTTP/2",
        tls=None,
        http2=Http2Spec(case.answer, case.start, case.early, case.acknowledges),
        response=Action(then=case.then),
    )
    with upstreams_in_thread(certificates) as upstreams:
        peer = upstreams.start(spec)
        passes = MODULES[module].format(peer.address)
        directives = case.directives.replace("MODULE", module)
        http = (
            "log_format all '$request $status $body_bytes_sent $upstream_status "
            "$sent_trailer_grpc_status $upstream_trailer_grpc_status';"
            "access_log access.log all;"
            "server { listen 127.0.0.1:@PORT@; http2 on; http2_body_preread_size 65535; "
            f"location / {{ {passes} {directives} }} }}"
        )
        with served(program, folder, http) as proxy:
            port = proxy.ports[""]
            lines = trio.run(partial(exchange, port, case.sent, streams=case.streams))
            errors = proxy.log("error.log")
            accesses = proxy.log(lines=max(case.streams, 1))
            peer.wait_for(lambda: not peer.open_connections)
        seen = [line for record in peer.connections for line in frames_of(record.frames)]
        if case.early:  # whether the body arrives before the answer depends on time
            seen = [line for line in seen if "bytes of DATA" not in line]
        requests = [str(request) for request in peer.requests]
    plain = [re.sub(r"^\S+ \S+ (\[\w+\]) \S+ \*\d+ ", r"\1 ", line) for line in errors]
    messages = [line.replace(str(peer.port), "PEER") for line in plain if "[notice]" not in line]
    return Outcome(client_frames(lines), [*seen, *requests], messages, sorted(accesses))


def client_frames(lines: list[str]) -> list[str]:
    """Frames by their streams, without windows; how DATA is split depends on time."""
    found, totals = [], Counter[str]()
    for line in lines:
        match = re.match(r"DATA (\d+)( end)? (\d+)", line)
        if match:
            totals[match[1]] += int(match[3])
        if match and match[2]:
            found.append(f"DATA {match[1]} ends")
        elif not match and not line.startswith("WINDOW_UPDATE"):
            found.append(line)
    return sorted(
        [*found, *(f"{total} bytes of DATA {stream}" for stream, total in totals.items())]
    )


def frames_of(lines: tuple[str, ...]) -> list[str]:
    """Frames without those whose place depends on time; DATA as its sum."""
    found, total = [], 0
    for line in lines:
        match = re.fullmatch(r"DATA (\d+) flags (\d): (\d+)", line)
        if match:
            total += int(match[3])
        elif not line.startswith(("WINDOW_UPDATE", "SETTINGS 0 flags 1")):
            found.append(line)
    return [*found, f"{total} bytes of DATA"]


@pytest.mark.nginx
@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_sides_see_what_nginx_shows_them(
    case: Case, module: str, tmp_path: Path, certificates: Path
) -> None:
    nginx = run(NGINX, tmp_path / "nginx", case, module, certificates)
    ours = run(OURS, tmp_path / "sniproxy", case, module, certificates)
    assert ours == nginx, case.rule


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(
    "program",
    [OURS, pytest.param(NGINX, marks=pytest.mark.nginx)],
    ids=lambda program: program.name,
)
def test_a_body_waits_for_a_window_as_long_as_for_the_socket(
    program: Program, module: str, tmp_path: Path, certificates: Path
) -> None:
    spec = UpstreamSpec(
        "closed",
        "never opens its window",
        tls=None,
        http2=Http2Spec(
            replies(lambda stream: b""), upstream.settings(initial_window_size=0), early=True
        ),
    )
    with upstreams_in_thread(certificates) as upstreams:
        passes = MODULES[module].format(upstreams.start(spec).address)
        http = (
            "server { listen 127.0.0.1:@PORT@; "
            f"location / {{ {passes} {module}_send_timeout 200ms; }} }}"
        )
        with served(program, tmp_path, http) as proxy:
            head = b"POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 70000\r\n\r\n"
            (answer,) = proxy.ask([head + b"x" * 70_000])
            lines = proxy.log("error.log", 1)
    assert answer.status == 504
    assert [line for line in lines if "timed out" in line and "while sending request" in line]
