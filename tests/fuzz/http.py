"""Hostile HTTP on both sides: `python -m tests.fuzz http --seconds 60`.

Half of the visitors spoil a request; the others ask properly for what is behind an upstream that
spoils its responses. What the upstream receives is judged: every head that reaches it must be one
that nginx's grammar takes, framed without a doubt.
"""

from __future__ import annotations

import random
import re
import sys

import trio

from tests.fuzz.bench import Run, main
from tests.fuzz.mutation import pieces, spoilt

SITE = """
events {}
error_log stderr emerg;
http {
    access_log off;
    client_header_timeout 300ms;
    client_body_timeout 300ms;
    keepalive_timeout 300ms;
    client_max_body_size 64k;
    server {
        listen 127.0.0.1:PORT;
        location / {
            proxy_pass http://127.0.0.1:UPSTREAM;
            proxy_read_timeout 300ms;
        }
        location /return { return 200 "$request_uri $args $http_host"; }
        location /rewrite {
            rewrite ^/rewrite/(.*)$ /$1?a=$1 break;
            proxy_pass http://127.0.0.1:UPSTREAM;
        }
    }
}
"""

REQUESTS = (
    b"GET / HTTP/1.1\r\nHost: front.test\r\n\r\n",
    b"GET /a/../b%20c//d?x=1#f HTTP/1.1\r\nHost: front.test:80\r\nX-A: b\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    b"GET http://other.test/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"HEAD /return/x HTTP/1.1\r\nHost: h\r\nCookie: a=b\r\nReferer: r\r\n\r\n",
    b"GET /rewrite/%2e%2e/x HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /\r\n",
)

RESPONSES = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/x\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70000,
    b"ERR not http\r\n",
)

SENT = re.compile(rb"[A-Z_-]+ [^\x00-\x20]+ HTTP/1\.1\r\n(?:[^\x00\r\n:]+:[^\x00\r\n]*\r\n)*\r\n")
FRAMING = re.compile(rb"^(content-length|transfer-encoding):", re.MULTILINE | re.IGNORECASE)


async def visit(run: Run, chance: random.Random) -> str:
    properly = chance.random() < 0.5
    request = chance.choice(REQUESTS)
    sent = [request] if properly else pieces(spoilt(request, chance), chance)
    stream = await trio.open_tcp_stream("127.0.0.1", run.port)
    async with stream:
        try:
            for piece in sent:
                await stream.send_all(piece)
            if chance.random() < 0.2:
                return "left early"
            if chance.random() < 0.7:
                await stream.send_eof()
            answer = await stream.receive_some()
            while answer and await stream.receive_some():
                pass
        except trio.BrokenResourceError:
            return "reset"
    status = answer[9:12].decode("latin-1")
    return status if answer[:5] == b"HTTP/" and status.isdigit() else "no status"


async def spoiling_upstream(run: Run) -> None:
    chance = random.Random(run.port)

    async def serve(stream: trio.SocketStream) -> None:
        try:
            with trio.move_on_after(2):
                received = b""
                while b"\r\n\r\n" not in received:
                    data = await stream.receive_some()
                    if not data:
                        return
                    received += data
                _judge(run, received.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
                for piece in pieces(spoilt(chance.choice(RESPONSES), chance), chance):
                    await stream.send_all(piece)
                await stream.send_eof()
                while await stream.receive_some():
                    pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(stream)

    await trio.serve_tcp(serve, run.upstream_port, host="127.0.0.1")


def _judge(run: Run, head: bytes) -> None:
    if not SENT.fullmatch(head) or len(FRAMING.findall(head)) > 1:
        run.troubles.append(f"the upstream was sent {head!r}")


def run_fuzzer() -> int:
    """Attack the site for the time given by the command line; returns the exit status."""
    return main("http", SITE, visit, spoiling_upstream)


if __name__ == "__main__":
    sys.exit(run_fuzzer())
