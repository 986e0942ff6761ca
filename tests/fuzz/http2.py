"""Hostile frames of HTTP/2: `python -m tests.fuzz http2 --seconds 60`.

Half of the visitors spoil frames, bit by bit or as a whole; the others send valid requests, which
must be answered. What the upstream receives must be a request of nginx's grammar.
"""

from __future__ import annotations

import random
import sys

import trio

from tests.fuzz.bench import Run, main
from tests.fuzz.http import spoiling_upstream
from tests.fuzz.mutation import pieces, spoilt
from tests.http2_frames import START, data, exchange, fields, headers, raw, reset, settings, window

SITE = """
events {}
error_log stderr emerg;
http {
    access_log off;
    client_header_timeout 300ms;
    client_body_timeout 300ms;
    keepalive_timeout 300ms;
    send_timeout 300ms;
    client_max_body_size 64k;
    http2 on;
    server {
        listen 127.0.0.1:PORT;
        location / {
            proxy_pass http://127.0.0.1:UPSTREAM;
            proxy_read_timeout 300ms;
        }
        location /stream {
            proxy_pass http://127.0.0.1:UPSTREAM;
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_read_timeout 300ms;
        }
        location /return { return 200 "$request_uri $args $http_host $http2"; }
    }
}
"""

POST = fields(("content-length", "5"), ("cookie", "a=b"), method="POST", path="/stream/x")
FRAMES = (
    headers(1, fields(("x-a", "b"), path="/return?a=1")),
    headers(1, POST, ends=False) + data(1, b"hel") + data(1, b"lo", ends=True, padding=3),
    headers(1, fields(method="POST", path="/p"), ends=False) + data(1, b"x" * 9000, ends=True),
    headers(1, fields(), complete=False) + raw(9, 4, 1, b"\x00\x01a\x01b"),
    headers(1, fields(path="/stream")) + reset(1) + headers(3, fields(path="/return")),
    settings(INITIAL_WINDOW_SIZE=0) + headers(1, fields(path="/return")) + window(1, 5),
    window(0, 2**31 - 1) + raw(6, 0, 0, b"12345678") + raw(2, 0, 3, b"\0\0\0\1\5"),
    b"".join(headers(1 + 2 * n, fields(path="/return")) + reset(1 + 2 * n) for n in range(40)),
)


async def visit(run: Run, chance: random.Random) -> str:
    if chance.random() < 0.3:
        sent = START + headers(1, fields(path="/return"))
        lines = await exchange(run.port, sent, streams=1, piece=chance.choice((0, 1, 7)))
        return "answered" if any("status: 200" in line for line in lines) else repr(lines)
    content = b"".join(chance.choices(FRAMES, k=chance.randint(1, 3)))
    spoiled = START + spoilt(content, chance)
    stream = await trio.open_tcp_stream("127.0.0.1", run.port)
    async with stream:
        try:
            for piece in pieces(spoiled, chance):
                await stream.send_all(piece)
            if chance.random() < 0.3:
                return "left early"
            if chance.random() < 0.5:
                await stream.send_eof()
            received = b""
            while answer := await stream.receive_some():
                received += answer
        except trio.BrokenResourceError:
            return "reset"
    return "frames" if received else "nothing"


def run_fuzzer() -> int:
    """Attack the site for the time given by the command line; returns the exit status."""
    return main("http2", SITE, visit, spoiling_upstream)


if __name__ == "__main__":
    sys.exit(run_fuzzer())
