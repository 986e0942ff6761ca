"""Those that go wrong after the handshake."""

from __future__ import annotations

from sniproxy.testing.zoo.animals.words import READING_BODY, READING_HEAD
from sniproxy.testing.zoo.behaviour import TLS, Ending, Move, Question, Upstream, answer


def answering(name: str, does: str, move: Move, logged: str, tls: TLS | None = TLS()) -> Upstream:  # noqa: B008
    return Upstream(name, does, logged, tls=tls, answers=move)


_PREMATURE = f"upstream prematurely closed connection{READING_HEAD}"
_PREMATURE_BODY = f"upstream prematurely closed connection{READING_BODY}"
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
    f"upstream timed out (110: Operation timed out){READING_HEAD}",
)
CUT_HEAD = answering(
    "cut-head", "closes inside the response head", Move(b"HTTP/1.1 200 OK\r\nServ"), _PREMATURE
)
CUT_BODY = answering("cut-body", "closes inside the body", Move(_HALF), _PREMATURE_BODY)
CUT_BODY_RUDE = answering(
    "cut-body-rude",
    "closes inside the body, without close_notify",
    Move(_HALF, Ending.CUT),
    _PREMATURE_BODY,
)
STALLED_BODY = answering(
    "stalled-body",
    "stops inside the body",
    Move(_HALF, Ending.SILENCE),
    f"upstream timed out (110: Operation timed out){READING_BODY}",
)
NOT_HTTP = answering(
    "not-http",
    "answers with something else than HTTP",
    Move(b"ERR unknown command\r\n"),
    f"upstream sent no valid HTTP/1.0 header{READING_HEAD}",
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


def replying(name: str, *parts: bytes, then: Ending = Ending.CLOSE) -> Upstream:
    """One that gives a fixed answer, over plain HTTP."""
    return Upstream(name, "gives a fixed answer", tls=None, answers=Move(b"".join(parts), then))


def failing(status: str) -> Upstream:
    """A healthy upstream whose application fails: `status` is "503 Service Unavailable"."""

    def reply(question: Question) -> bytes:
        return answer(f"{status}\n", status=status, with_body=question.method != "HEAD")

    return Upstream(f"status-{status[:3]}", f"answers {status}", answers=Move(reply, Ending.WAIT))
