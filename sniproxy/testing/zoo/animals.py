"""The animals: each a good upstream, or one that goes wrong in one way.

The `logged` lines are those of nginx 1.31 with OpenSSL 3.3, from runs.
"""

from __future__ import annotations

import ssl

from sniproxy.testing.zoo.behaviour import (
    TLS,
    Ending,
    Listens,
    Move,
    Question,
    Refusal,
    Upstream,
    alert,
    answer,
)
from sniproxy.testing.zoo.wardrobe import GOOD_NAME

TLS12 = ssl.TLSVersion.TLSv1_2
TLS13 = ssl.TLSVersion.TLSv1_3

CONNECTING = " while connecting to upstream"
HANDSHAKING = " while SSL handshaking to upstream"
READING_HEAD = " while reading response header from upstream"
READING_BODY = " while reading upstream"


def handshake_failed(code: str, reason: str) -> str:
    return f"SSL_do_handshake() failed (SSL: error:{code}:SSL routines::{reason}){HANDSHAKING}"


def verify_failed(number: int, words: str) -> str:
    return f"upstream SSL certificate verify error: ({number}:{words}){HANDSHAKING}"


def name_missing(name: str) -> str:
    return f'upstream SSL certificate does not match "{name}"{HANDSHAKING}'


HANDSHAKE_TIMED_OUT = "upstream timed out (110: Operation timed out)" + HANDSHAKING
CLOSED_IN_HANDSHAKE = "peer closed connection in SSL handshake" + HANDSHAKING
WRONG_VERSION = handshake_failed("0A00010B", "wrong version number")
UNRECOGNIZED = handshake_failed("0A000458", "tlsv1 unrecognized name:SSL alert number 112")
HANDSHAKE_FAILURE = handshake_failed(
    "0A000410", "ssl/tls alert handshake failure:SSL alert number 40"
)
INTERNAL_ERROR = handshake_failed("0A000438", "tlsv1 alert internal error:SSL alert number 80")


# All is well.

GOOD = Upstream("good", "answers 200 to everything, over TLS 1.2 or 1.3")
GOOD_12 = Upstream("good-1.2", "speaks TLS 1.2 only", tls=TLS(maximum=TLS12))
GOOD_13 = Upstream("good-1.3", "speaks TLS 1.3 only", tls=TLS(minimum=TLS13))
PLAIN = Upstream("plain", "answers 200 to everything, without TLS", tls=None)

# Those that look at the SNI.


def needs_sni(name: str, does: str, move: Move, logged: str) -> Upstream:
    return Upstream(
        f"needs-sni-{name}",
        f"wants the SNI {GOOD_NAME}; to any other hello it {does}",
        logged,
        refuses=Refusal(move, unless=(GOOD_NAME,)),
    )


NEEDS_SNI = needs_sni("112", "answers unrecognized_name", Move(alert(112)), UNRECOGNIZED)
NEEDS_SNI_40 = needs_sni("40", "answers handshake_failure", Move(alert(40)), HANDSHAKE_FAILURE)
NEEDS_SNI_80 = needs_sni("80", "answers internal_error", Move(alert(80)), INTERNAL_ERROR)
NEEDS_SNI_CLOSES = needs_sni("closes", "answers by closing", Move(), CLOSED_IN_HANDSHAKE)
NEEDS_SNI_RESETS = needs_sni(
    "resets",
    "answers with a reset",
    Move(then=Ending.RESET),
    f"peer closed connection in SSL handshake (104: Connection reset by peer){HANDSHAKING}",
)
NEEDS_SNI_SILENT = needs_sni(
    "silent", "says nothing", Move(then=Ending.SILENCE), HANDSHAKE_TIMED_OUT
)

# Those with a certificate that is no good (to a proxy that verifies, and wants GOOD_NAME).


def dressed(certificate: str, does: str, logged: str) -> Upstream:
    return Upstream(certificate, does, logged, tls=TLS(certificate))


WRONG_HOST = dressed("wrong-host", "is certified as other.test", name_missing(GOOD_NAME))
EXPIRED = dressed(
    "expired", "is certified until yesterday", verify_failed(10, "certificate has expired")
)
EARLY = dressed(
    "early", "is certified from next week on", verify_failed(9, "certificate is not yet valid")
)
EXPIRED_WRONG_HOST = dressed(
    "expired-wrong-host",
    "is certified until yesterday, as other.test",
    verify_failed(10, "certificate has expired"),
)
SELF_SIGNED = dressed(
    "self-signed", "certifies itself", verify_failed(18, "self-signed certificate")
)
UNTRUSTED = dressed(
    "untrusted",
    "is certified by a stranger",
    verify_failed(21, "unable to verify the first certificate"),
)
UNTRUSTED_WITH_ROOT = dressed(
    "untrusted-with-root",
    "is certified by a stranger, whose root it sends",
    verify_failed(19, "self-signed certificate in certificate chain"),
)
INCOMPLETE = dressed(
    "incomplete",
    "forgets its intermediate certificate",
    verify_failed(21, "unable to verify the first certificate"),
)
WITH_ROOT = dressed("with-root", "sends the trusted root too", "")
COMMON_NAME = dressed("common-name", "has its name as CN, and no subjectAltName", "")
COMMON_NAME_HIDDEN = dressed(
    "common-name-hidden", "has its name as CN, another as SAN", name_missing(GOOD_NAME)
)
ADDRESS_AS_NAME = dressed("address-as-name", "has 127.0.0.1 as a DNS name", "")


def deep(intermediates: int) -> Upstream:
    """A chain of so many intermediates; good if `proxy_ssl_verify_depth` allows as many."""
    return dressed(
        f"deep-{intermediates}",
        f"sends a chain with {intermediates} intermediates",
        verify_failed(20, "unable to get local issuer certificate"),
    )


# Those that want a client certificate.

WANTS_CLIENT_12 = Upstream(
    "wants-client-1.2",
    "insists on a client certificate, in TLS 1.2",
    HANDSHAKE_FAILURE,
    tls=TLS(client_authority="client-root", maximum=TLS12),
)
WANTS_CLIENT_13 = Upstream(
    "wants-client-1.3",
    "insists on a client certificate, in TLS 1.3",
    "SSL_read() failed (SSL: error:0A00045C:SSL routines::tlsv13 alert certificate required:"
    f"SSL alert number 116){READING_HEAD}",
    tls=TLS(client_authority="client-root", minimum=TLS13),
)

# Those that never come to a handshake.

ABSENT = Upstream(
    "absent",
    "is not there",
    f"connect() failed (111: Connection refused){CONNECTING}",
    listens=Listens.ABSENT,
)
FULL = Upstream(
    "full",
    "has a full queue: connecting leads to nothing",
    f"upstream timed out (110: Operation timed out){CONNECTING}",
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
    refuses=Refusal(Move(then=Ending.SILENCE)),
)


def alerting(number: int, logged: str) -> Upstream:
    return Upstream(
        f"alert-{number}",
        f"answers every hello with alert {number}",
        logged,
        refuses=Refusal(Move(alert(number))),
    )


# Those that go wrong after the handshake.


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
