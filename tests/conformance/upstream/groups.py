"""`upstream {}`: which peer is tried, and what a failed one means."""

from __future__ import annotations

from collections.abc import Iterator

from sniproxy.testing.zoo import Ending, Move, Upstream, animals
from sniproxy.testing.zoo.animals import CONNECTING, HANDSHAKING, READING_HEAD
from sniproxy.testing.zoo.behaviour import answer
from tests.conformance.scenario import Scenario, Table, request

TWO = "server PEER; server PEER2;"
VERIFY = (
    "proxy_ssl_verify on; proxy_ssl_trusted_certificate root.pem; proxy_ssl_name upstream.test;"
)
POST = request("POST", body="a=1")

CLOSING = Upstream(
    "closing",
    "answers 200, and that it keeps no connection",
    answers=Move(answer("closing\n", "Connection: close"), Ending.SILENCE),
)
LAST = Upstream("last", "answers 200 as the last of a group", answers=CLOSING.answers)


def disabled(action: str) -> str:
    return f"upstream server temporarily disabled{action}"


def passed_over(upstream: Upstream, action: str) -> tuple[str, str]:
    """The two lines of a peer that is given up: a time-out is told in the second place."""
    lines = (upstream.logged, disabled(action))
    return lines[::-1] if "timed out" in upstream.logged else lines


FAILING_FIRST: tuple[tuple[Upstream, str, str], ...] = (
    (animals.ABSENT, CONNECTING, ""),
    (animals.FULL, CONNECTING, "proxy_connect_timeout 150ms;"),
    (animals.PLAIN_HTTP, HANDSHAKING, ""),
    (animals.CLOSES, HANDSHAKING, ""),
    (animals.RESETS, HANDSHAKING, ""),
    (animals.SILENT, HANDSHAKING, "proxy_connect_timeout 400ms;"),
    (animals.NEEDS_SNI, HANDSHAKING, ""),
    (animals.SELF_SIGNED, HANDSHAKING, VERIFY),
    (animals.WRONG_HOST, HANDSHAKING, VERIFY),
    (animals.WANTS_CLIENT_12, HANDSHAKING, ""),
    (animals.WANTS_CLIENT_13, READING_HEAD, ""),
    (animals.NO_ANSWER, READING_HEAD, ""),
    (animals.RESETS_REQUEST, READING_HEAD, ""),
    (animals.MUTE, READING_HEAD, "proxy_read_timeout 400ms;"),
)


def failing_first() -> Iterator[Scenario]:
    """A first peer that fails leaves its lines beside the 200 of the second one."""
    for upstream, action, directives in FAILING_FIRST:
        yield Scenario(
            f"first-{upstream.name}",
            f"a peer that {upstream.does} is passed over, and is not asked again",
            directives,
            (upstream, LAST),
            group=TWO,
            repeat=2,
            logs=passed_over(upstream, action),
        )


NAMES = (
    Scenario(
        "name",
        "the group's name is the SNI, is verified, and is the Host sent",
        "proxy_ssl_server_name on; proxy_ssl_verify on; proxy_ssl_trusted_certificate root.pem;",
        (LAST,),
        group="server PEER;",
        sni="GROUP",
    ),
    Scenario(
        "name-replaced",
        "proxy_ssl_name replaces the group's name in the handshake alone",
        "proxy_ssl_server_name on; proxy_ssl_name other.groups.test;",
        (LAST,),
        group="server PEER;",
        sni="other.groups.test",
    ),
    Scenario(
        "name-not-verified",
        "the peer's certificate is asked for the group's name",
        "proxy_ssl_verify on; proxy_ssl_trusted_certificate root.pem;",
        (animals.WRONG_HOST,),
        group="server PEER;",
        status=502,
        logs=('upstream SSL certificate does not match "GROUP"' + HANDSHAKING,),
    ),
)

FAILING = (
    Scenario(
        "all-absent",
        "when all have failed the next request finds no live upstreams",
        upstreams=(animals.ABSENT, animals.ABSENT),
        group=TWO,
        repeat=2,
        status=502,
        logs=(
            *passed_over(animals.ABSENT, CONNECTING),
            *passed_over(animals.ABSENT, CONNECTING),
            f"no live upstreams{CONNECTING}",
        ),
    ),
    Scenario(
        "all-time-out",
        "the last failure makes the status: a time-out is 504",
        "proxy_connect_timeout 150ms;",
        (animals.ABSENT, animals.FULL),
        group=TWO,
        status=504,
        logs=(
            *passed_over(animals.ABSENT, CONNECTING),
            *passed_over(animals.FULL, CONNECTING),
        ),
    ),
    Scenario(
        "time-out-then-error",
        "the last failure makes the status: an error is 502",
        "proxy_connect_timeout 150ms;",
        (animals.FULL, animals.ABSENT),
        group=TWO,
        status=502,
        logs=(
            *passed_over(animals.FULL, CONNECTING),
            *passed_over(animals.ABSENT, CONNECTING),
        ),
    ),
    Scenario(
        "single",
        "max_fails does not apply to the only peer of a group",
        upstreams=(animals.ABSENT,),
        group="server PEER max_fails=1;",
        repeat=3,
        status=502,
        logs=(animals.ABSENT.logged,) * 3,
    ),
    Scenario(
        "max-fails-0",
        "max_fails=0 never disables a peer",
        upstreams=(animals.ABSENT, LAST),
        group="server PEER max_fails=0; server PEER2;",
        repeat=4,
        logs=(animals.ABSENT.logged,) * 2,
    ),
    Scenario(
        "max-fails-2",
        "max_fails=2 disables a peer when it fails for the second time",
        upstreams=(animals.ABSENT, LAST),
        group="server PEER max_fails=2 fail_timeout=30s; server PEER2;",
        repeat=4,
        logs=(animals.ABSENT.logged, animals.ABSENT.logged, disabled(CONNECTING)),
    ),
    Scenario(
        "three",
        "peers are tried until one answers",
        upstreams=(animals.ABSENT, animals.CLOSES, LAST),
        group="server PEER; server PEER2; server PEER3;",
        logs=(
            *passed_over(animals.ABSENT, CONNECTING),
            *passed_over(animals.CLOSES, HANDSHAKING),
        ),
    ),
)

CHOICE = (
    Scenario(
        "round-robin",
        "peers are used in turn",
        upstreams=(CLOSING, LAST),
        group=TWO,
        repeat=4,
    ),
    Scenario(
        "weight",
        "weights spread the turns smoothly",
        upstreams=(CLOSING, LAST, LAST),
        group="server PEER weight=4; server PEER2 weight=2; server PEER3;",
        repeat=7,
    ),
    Scenario(
        "backup-unused",
        "a backup is not asked while another is alive",
        upstreams=(CLOSING, LAST),
        group="server PEER backup; server PEER2;",
        repeat=2,
    ),
    Scenario(
        "backup",
        "a backup is asked when all others have failed",
        upstreams=(LAST, animals.ABSENT),
        group="server PEER backup; server PEER2;",
        repeat=2,
        logs=passed_over(animals.ABSENT, CONNECTING),
    ),
    Scenario(
        "down",
        "a peer that is down is not asked",
        upstreams=(CLOSING, LAST),
        group="server PEER down; server PEER2;",
        repeat=2,
    ),
    Scenario(
        "all-down",
        "a group whose only peer is down has no live upstreams",
        upstreams=(CLOSING,),
        group="server PEER down;",
        status=502,
        logs=(f"no live upstreams{CONNECTING}",),
    ),
)

NEXT = (
    Scenario(
        "next-off",
        "proxy_next_upstream off: the first failure is the answer",
        "proxy_next_upstream off;",
        (animals.ABSENT, LAST),
        group=TWO,
        status=502,
        logs=passed_over(animals.ABSENT, CONNECTING),
    ),
    Scenario(
        "next-timeout-only",
        "an error is not passed on to the next peer when only time-outs are",
        "proxy_next_upstream timeout;",
        (animals.CLOSES, LAST),
        group=TWO,
        status=502,
        logs=passed_over(animals.CLOSES, HANDSHAKING),
    ),
    Scenario(
        "next-error-only",
        "a time-out is not passed on to the next peer when only errors are",
        "proxy_next_upstream error; proxy_connect_timeout 150ms;",
        (animals.FULL, LAST),
        group=TWO,
        status=504,
        logs=passed_over(animals.FULL, CONNECTING),
    ),
    Scenario(
        "status-503",
        "a 503 is an answer like any other by default",
        upstreams=(animals.failing("503 Service Unavailable"), LAST),
        group=TWO,
        status=503,
        staying=1,
    ),
    Scenario(
        "next-503",
        "a 503 leads to the next peer if asked for",
        "proxy_next_upstream http_503;",
        (animals.failing("503 Service Unavailable"), LAST),
        group=TWO,
        logs=(disabled(READING_HEAD),),
    ),
    Scenario(
        "next-503-last",
        "the last peer's 503 is passed on as it is",
        "proxy_next_upstream http_503;",
        (
            animals.failing("503 Service Unavailable"),
            animals.failing("503 Service Unavailable"),
        ),
        group=TWO,
        status=503,
        logs=(disabled(READING_HEAD),),
        staying=1,
    ),
    Scenario(
        "next-404",
        "a 404 leads to the next peer without being a failure",
        "proxy_next_upstream http_404;",
        (animals.failing("404 Not Found"), LAST),
        group=TWO,
    ),
    Scenario(
        "next-invalid-header",
        "an invalid header leads to the next peer if asked for",
        "proxy_next_upstream invalid_header;",
        (animals.BAD_HEADER, LAST),
        group=TWO,
        logs=passed_over(animals.BAD_HEADER, READING_HEAD),
    ),
    Scenario(
        "invalid-header",
        "an invalid header is not passed on by default",
        upstreams=(animals.BAD_HEADER, LAST),
        group=TWO,
        status=502,
        logs=passed_over(animals.BAD_HEADER, READING_HEAD),
    ),
    Scenario(
        "cut-body",
        "nothing is repeated once a part of the answer has been sent",
        upstreams=(animals.CUT_BODY, LAST),
        group=TWO,
        logs=(animals.CUT_BODY.logged,),
    ),
    Scenario(
        "post-not-sent",
        "a POST that was not sent goes to the next peer, with its body",
        upstreams=(animals.CLOSES, LAST),
        group=TWO,
        requests=(POST,),
        logs=passed_over(animals.CLOSES, HANDSHAKING),
    ),
    Scenario(
        "post-sent",
        "a POST that was sent is not repeated",
        upstreams=(animals.NO_ANSWER, LAST),
        group=TWO,
        requests=(POST,),
        status=502,
        logs=passed_over(animals.NO_ANSWER, READING_HEAD),
    ),
    Scenario(
        "post-non-idempotent",
        "a POST that was sent is repeated under non_idempotent",
        "proxy_next_upstream error non_idempotent;",
        (animals.NO_ANSWER, LAST),
        group=TWO,
        requests=(POST,),
        logs=passed_over(animals.NO_ANSWER, READING_HEAD),
    ),
    Scenario(
        "put-sent",
        "a PUT is idempotent: it is repeated",
        upstreams=(animals.NO_ANSWER, LAST),
        group=TWO,
        requests=(request("PUT", body="a=1"),),
        logs=passed_over(animals.NO_ANSWER, READING_HEAD),
    ),
)


PLAIN = (
    Scenario(
        "plain-first-resets",
        "over plain HTTP too, a reset leads to the next peer",
        upstreams=(
            animals.replying("resets", then=Ending.RESET),
            animals.replying("fine", answer("fine\n", "Connection: close")),
        ),
        group=TWO,
        proxy_pass="http://GROUP",
        logs=(f"recv() failed (104: ){READING_HEAD}", disabled(READING_HEAD)),
    ),
)

TABLE = Table("groups", (*NAMES, *failing_first(), *FAILING, *CHOICE, *NEXT, *PLAIN))
