"""Upstreams that speak FastCGI, for `fastcgi_pass`."""

from __future__ import annotations

from sniproxy.testing.upstreams.catalog.log_messages import READING_BODY, READING_HEAD
from sniproxy.testing.upstreams.script import Expect, Send
from sniproxy.testing.upstreams.spec import Action, AfterSend, UpstreamSpec

END_OF_BODY = "\x01\x05\x00\x01\x00\x00\x00\x00"
"""The record at the end of a request."""
_STDOUT, _END_REQUEST = 6, 3
_HEAD = "Content-Type: text/plain\r\n"


def record(
    kind: int, content: str = "", *, padding: int = 0, version: int = 1, number: int = 1
) -> str:
    """A record with a character for each byte; `number` is the ID of the request."""
    length = len(content)
    header = (version, kind, number >> 8, number & 255, length >> 8, length & 255, padding, 0)
    return "".join(map(chr, header)) + content + "\0" * padding


_OVER = record(_STDOUT) + record(_END_REQUEST, "\0" * 8)


def _answers(
    name: str, description: str, answer: str, expected_log: str = "", status: int | None = None
) -> UpstreamSpec:
    return UpstreamSpec(
        name,
        description,
        expected_log,
        expected_status=status,
        tls=None,
        response=Action(then=AfterSend.CLOSE),
        script=(Expect(END_OF_BODY), Send(answer)),
        passed_by="fastcgi_pass",
    )


FASTCGI = _answers("fastcgi", "speaks FastCGI", record(_STDOUT, f"{_HEAD}\r\nhello\n") + _OVER)
FASTCGI_DIES = _answers(
    "fastcgi-dies",
    "speaks FastCGI, and its program dies within the response body",
    record(_STDOUT, f"{_HEAD}Content-Length: 100\r\n\r\nhello\n") + _OVER,
    f"upstream prematurely closed FastCGI stdout{READING_BODY}",
    200,
)
FASTCGI_DIES_AT_ONCE = _answers(
    "fastcgi-dies-at-once",
    "speaks FastCGI, and its program dies before it responds",
    _OVER,
    f"upstream prematurely closed FastCGI stdout{READING_HEAD}",
)
FASTCGI_CUT = _answers(
    "fastcgi-cut",
    "closes the connection within a FastCGI record of the response header",
    record(_STDOUT, f"{_HEAD}\r\nhello\n")[:20],
    f"upstream prematurely closed connection{READING_HEAD}",
)
