"""Those that never come to a handshake."""

from __future__ import annotations

from sniproxy.testing.zoo.animals.words import (
    CLOSED_IN_HANDSHAKE,
    CONNECTING,
    HANDSHAKE_TIMED_OUT,
    HANDSHAKING,
    IMPATIENT,
    WRONG_VERSION,
)
from sniproxy.testing.zoo.behaviour import Ending, Listens, Move, Refusal, Upstream, alert, answer

ABSENT = Upstream(
    "absent",
    "is not there",
    f"connect() failed (111: Connection refused){CONNECTING}",
    listens=Listens.ABSENT,
)
FULL = Upstream(
    "full",
    "has a full queue: connecting leads to nothing",
    f"upstream timed out (110: Connection timed out){CONNECTING}",
    IMPATIENT,
    504,
    listens=Listens.FULL,
)
PLAIN_HTTP = Upstream(
    "plain-http",
    "speaks plain HTTP to a hello",
    WRONG_VERSION,
    refuses=Refusal(Move(answer("This is not TLS.\n", status="400 Bad Request"))),
)
GARBAGE = Upstream(
    "garbage",
    "answers a hello with bytes that mean nothing",
    WRONG_VERSION,
    refuses=Refusal(Move(bytes(range(64, 128)))),
)
# To this one nginx has two answers: a FIN that overtakes the event of the connect is read as a
# closed response, about once in 200 times on a busy machine. CLOSES is the one to compare.
HANGS_UP = Upstream(
    "hangs-up",
    "closes as soon as it has accepted",
    CLOSED_IN_HANDSHAKE,
    refuses=Refusal(Move(), at_once=True),
)
CLOSES = Upstream("closes", "closes after the hello", CLOSED_IN_HANDSHAKE, refuses=Refusal(Move()))
RESETS = Upstream(
    "resets",
    "resets the connection after the hello",
    f"peer closed connection in SSL handshake (104: Connection reset by peer){HANDSHAKING}",
    refuses=Refusal(Move(then=Ending.RESET)),
)
SILENT = Upstream(
    "silent",
    "accepts, and says nothing",
    HANDSHAKE_TIMED_OUT,
    IMPATIENT,
    504,
    refuses=Refusal(Move(then=Ending.SILENCE)),
)


def alerting(number: int, logged: str) -> Upstream:
    return Upstream(
        f"alert-{number}",
        f"answers every hello with alert {number}",
        logged,
        refuses=Refusal(Move(alert(number))),
    )
