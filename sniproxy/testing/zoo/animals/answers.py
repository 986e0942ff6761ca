"""Those that go wrong after the handshake."""

from __future__ import annotations

from dataclasses import replace

from sniproxy.testing.zoo.animals.words import IMPATIENT, READING_BODY, READING_HEAD
from sniproxy.testing.zoo.behaviour import Ending, Move, Question, Upstream, answer, echo


def answering(
    name: str, does: str, move: Move, logged: str = "", when: str = "", gives: int | None = None
) -> Upstream:
    return Upstream(name, does, logged, when, gives, answers=move)


_PREMATURE = f"upstream prematurely closed connection{READING_HEAD}"
_PREMATURE_BODY = f"upstream prematurely closed connection{READING_BODY}"
_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_GOAWAY = bytes((0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1))
"""PROTOCOL_ERROR."""
_HALF = answer("x" * 100)[:-90]

NO_ANSWER = answering("no-answer", "closes instead of answering", Move(), _PREMATURE)
NO_ANSWER_CUT = answering(
    "no-answer-cut",
    "closes without close_notify instead of answering",
    Move(then=Ending.CUT),
    _PREMATURE,
)
RESETS_REQUEST = answering(
    "resets-request",
    "resets the connection instead of answering",
    Move(then=Ending.RESET),
    _PREMATURE,
)
MUTE = answering(
    "mute",
    "reads the request and never answers",
    Move(then=Ending.SILENCE),
    f"upstream timed out (110: Connection timed out){READING_HEAD}",
    IMPATIENT,
    504,
)
CUT_HEAD = answering(
    "cut-head", "closes inside the response head", Move(b"HTTP/1.1 200 OK\r\nServ"), _PREMATURE
)
CUT_BODY = answering("cut-body", "closes inside the body", Move(_HALF), _PREMATURE_BODY, gives=200)
CUT_BODY_RUDE = answering(
    "cut-body-rude",
    "closes inside the body, without close_notify",
    Move(_HALF, Ending.CUT),
    _PREMATURE_BODY,
    gives=200,
)
STALLED_BODY = answering(
    "stalled-body",
    "stops inside the body",
    Move(_HALF, Ending.SILENCE),
    f"upstream timed out (110: Connection timed out){READING_BODY}",
    IMPATIENT,
    200,
)
NOT_HTTP = answering(
    "not-http",
    "answers with something else than HTTP",
    Move(b"ERR unknown command\r\n"),
    f"upstream sent no valid HTTP/1.0 header{READING_HEAD}",
    gives=0,
)
BAD_HEADER = answering(
    "bad-header",
    "sends a malformed header line",
    Move(b"HTTP/1.1 200 OK\r\nBad Header: x\r\nContent-Length: 0\r\n\r\n"),
    f'upstream sent invalid header: "Bad\\x20..."{READING_HEAD}',
)
DOUBLE_LENGTH = answering(
    "double-length",
    "sends Content-Length twice",
    Move(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    'upstream sent duplicate header line: "Content-Length: 2", '
    f'previous value: "Content-Length: 1"{READING_HEAD}',
)
HTTP_2 = answering(
    "http-2",
    "speaks HTTP/2, and nothing else",
    Move(_SETTINGS + _GOAWAY),
    f"upstream sent no valid HTTP/1.0 header{READING_HEAD}",
    gives=0,
)
BIG_HEADER = answering(
    "big-header",
    "sends a header of 16 kB",
    Move(answer("", f"X-Big: {'x' * 16384}"), Ending.WAIT),
    f"upstream sent too big header{READING_HEAD}",
)
DRIP = answering(
    "drip",
    "answers one byte a second",
    Move(echo, Ending.WAIT, pace=1.0),
    f"upstream timed out (110: Connection timed out){READING_HEAD}",
    IMPATIENT,
    504,
)
NO_CLOSE_NOTIFY = answering(
    "no-close-notify",
    "ends its answer, whose length it has not told, without close_notify",
    Move(b"HTTP/1.1 200 OK\r\nServer: zoo\r\n\r\nall of it\n", Ending.CUT),
)
CLOSES_KEPT = answering(
    "closes-kept",
    "closes each connection after its answer, without saying so before",
    Move(answer("once\n")),
)
TIRED = replace(
    answering(
        "tired",
        "answers one request of a connection, and closes it at the next",
        Move(echo, Ending.WAIT),
        _PREMATURE,
        gives=200,
    ),
    most=1,
)


def replying(name: str, *parts: bytes, then: Ending = Ending.CLOSE) -> Upstream:
    """One that gives a fixed answer, over plain HTTP."""
    return Upstream(name, "gives a fixed answer", tls=None, answers=Move(b"".join(parts), then))


def by_path(question: Question) -> bytes:
    status = question.path.rpartition("/")[2]
    known = len(status) == 3 and status.isdecimal() and "200" <= status < "600"
    return answer(f"{status}\n", status=status) if known else echo(question)


BY_PATH = Upstream(
    "by-path",
    "answers …/NUMBER with that status, all else with 200",
    answers=Move(by_path, Ending.WAIT),
)


def failing(status: str) -> Upstream:
    """A healthy upstream whose application fails: `status` is "503 Service Unavailable"."""

    def reply(question: Question) -> bytes:
        return answer(f"{status}\n", status=status, with_body=question.method != "HEAD")

    return Upstream(f"status-{status[:3]}", f"answers {status}", answers=Move(reply, Ending.WAIT))
