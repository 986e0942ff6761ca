"""`upstream {}`: which peer is tried, and what a failed one means."""

from __future__ import annotations

from collections.abc import Iterator

from sniproxy.testing.upstreams import Action, AfterSend, UpstreamSpec, catalog
from sniproxy.testing.upstreams.catalog import CONNECTING, HANDSHAKING, READING_HEAD
from sniproxy.testing.upstreams.spec import response
from tests.conformance.scenario import Scenario, Table, request

TWO = "server PEER; server PEER2;"
VERIFY = (
    "proxy_ssl_verify on; proxy_ssl_trusted_certificate root.pem; proxy_ssl_name upstream.test;"
)
POST = request("POST", body="a=1")

CLOSING = UpstreamSpec(
    "closing",
    "answers 200, and that it keeps no connection",
    response=Action(response("closing\n", "Connection: close"), AfterSend.SILENCE),
)
LAST = UpstreamSpec("last", "answers 200 as the last of a group", response=CLOSING.response)


def disabled(action: str) -> str:
    return f"upstream server temporarily disabled{action}"


def passed_over(upstream: UpstreamSpec, action: str) -> tuple[str, str]:
    """The two lines of a peer that is given up: a time-out is told in the second place."""
    lines = (upstream.expected_log, disabled(action))
    return lines[::-1] if "timed out" in upstream.expected_log else lines


FAILING_FIRST: tuple[tuple[UpstreamSpec, str, str], ...] = (
    (catalog.ABSENT, CONNECTING, ""),
    (catalog.FULL, CONNECTING, "proxy_connect_timeout 150ms;"),
    (catalog.PLAIN_HTTP, HANDSHAKING, ""),
    (catalog.CLOSES, HANDSHAKING, ""),
    (catalog.RESETS, HANDSHAKING, ""),
    (catalog.SILENT, HANDSHAKING, "proxy_connect_timeout 400ms;"),
    (catalog.NEEDS_SNI, HANDSHAKING, ""),
    (catalog.SELF_SIGNED, HANDSHAKING, VERIFY),
    (catalog.WRONG_HOST, HANDSHAKING, VERIFY),
    (catalog.WANTS_CLIENT_12, HANDSHAKING, ""),
    (catalog.WANTS_CLIENT_13, READING_HEAD, ""),
    (catalog.CLOSES_ON_REQUEST, READING_HEAD, ""),
    (catalog.RESETS_REQUEST, READING_HEAD, ""),
    (catalog.NO_RESPONSE, READING_HEAD, "proxy_read_timeout 400ms;"),
)


def failing_first() -> Iterator[Scenario]:
    """A first peer that fails leaves its lines beside the 200 of the second one."""
    for upstream, action, directives in FAILING_FIRST:
        yield Scenario(
            f"first-{upstream.name}",
            f"a peer that {upstream.description} is passed over, and is not asked again",
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
        (catalog.WRONG_HOST,),
        group="server PEER;",
        status=502,
        logs=('upstream SSL certificate does not match "GROUP"' + HANDSHAKING,),
    ),
)

FAILING = (
    Scenario(
        "all-absent",
        "when all have failed the next request finds no live upstreams",
        upstreams=(catalog.ABSENT, catalog.ABSENT),
        group=TWO,
        repeat=2,
        status=502,
        logs=(
            *passed_over(catalog.ABSENT, CONNECTING),
            *passed_over(catalog.ABSENT, CONNECTING),
            f"no live upstreams{CONNECTING}",
        ),
    ),
    Scenario(
        "all-time-out",
        "the last failure makes the status: a time-out is 504",
        "proxy_connect_timeout 150ms;",
        (catalog.ABSENT, catalog.FULL),
        group=TWO,
        status=504,
        logs=(
            *passed_over(catalog.ABSENT, CONNECTING),
            *passed_over(catalog.FULL, CONNECTING),
        ),
    ),
    Scenario(
        "time-out-then-error",
        "the last failure makes the status: an error is 502",
        "proxy_connect_timeout 150ms;",
        (catalog.FULL, catalog.ABSENT),
        group=TWO,
        status=502,
        logs=(
            *passed_over(catalog.FULL, CONNECTING),
            *passed_over(catalog.ABSENT, CONNECTING),
        ),
    ),
    Scenario(
        "single",
        "max_fails does not apply to the only peer of a group",
        upstreams=(catalog.ABSENT,),
        group="server PEER max_fails=1;",
        repeat=3,
        status=502,
        logs=(catalog.ABSENT.expected_log,) * 3,
    ),
    Scenario(
        "max-fails-0",
        "max_fails=0 never disables a peer",
        upstreams=(catalog.ABSENT, LAST),
        group="server PEER max_fails=0; server PEER2;",
        repeat=4,
        logs=(catalog.ABSENT.expected_log,) * 2,
    ),
    Scenario(
        "max-fails-2",
        "max_fails=2 disables a peer when it fails for the second time",
        upstreams=(catalog.ABSENT, LAST),
        group="server PEER max_fails=2 fail_timeout=30s; server PEER2;",
        repeat=4,
        logs=(catalog.ABSENT.expected_log, catalog.ABSENT.expected_log, disabled(CONNECTING)),
    ),
    Scenario(
        "three",
        "peers are tried until one answers",
        upstreams=(catalog.ABSENT, catalog.CLOSES, LAST),
        group="server PEER; server PEER2; server PEER3;",
        logs=(
            *passed_over(catalog.ABSENT, CONNECTING),
            *passed_over(catalog.CLOSES, HANDSHAKING),
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
        upstreams=(LAST, catalog.ABSENT),
        group="server PEER backup; server PEER2;",
        repeat=2,
        logs=passed_over(catalog.ABSENT, CONNECTING),
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
        (catalog.ABSENT, LAST),
        group=TWO,
        status=502,
        logs=passed_over(catalog.ABSENT, CONNECTING),
    ),
    Scenario(
        "next-timeout-only",
        "an error is not passed on to the next peer when only time-outs are",
        "proxy_next_upstream timeout;",
        (catalog.CLOSES, LAST),
        group=TWO,
        status=502,
        logs=passed_over(catalog.CLOSES, HANDSHAKING),
    ),
    Scenario(
        "next-error-only",
        "a time-out is not passed on to the next peer when only errors are",
        "proxy_next_upstream error; proxy_connect_timeout 150ms;",
        (catalog.FULL, LAST),
        group=TWO,
        status=504,
        logs=passed_over(catalog.FULL, CONNECTING),
    ),
    Scenario(
        "status-503",
        "a 503 is an answer like any other by default",
        upstreams=(catalog.fails_with_status("503 Service Unavailable"), LAST),
        group=TWO,
        status=503,
        open_connections=1,
    ),
    Scenario(
        "next-503",
        "a 503 leads to the next peer if asked for",
        "proxy_next_upstream http_503;",
        (catalog.fails_with_status("503 Service Unavailable"), LAST),
        group=TWO,
        logs=(disabled(READING_HEAD),),
    ),
    Scenario(
        "next-503-last",
        "the last peer's 503 is passed on as it is",
        "proxy_next_upstream http_503;",
        (
            catalog.fails_with_status("503 Service Unavailable"),
            catalog.fails_with_status("503 Service Unavailable"),
        ),
        group=TWO,
        status=503,
        logs=(disabled(READING_HEAD),),
        open_connections=1,
    ),
    Scenario(
        "next-404",
        "a 404 leads to the next peer without being a failure",
        "proxy_next_upstream http_404;",
        (catalog.fails_with_status("404 Not Found"), LAST),
        group=TWO,
    ),
    Scenario(
        "next-invalid-header",
        "an invalid header leads to the next peer if asked for",
        "proxy_next_upstream invalid_header;",
        (catalog.BAD_HEADER, LAST),
        group=TWO,
        logs=passed_over(catalog.BAD_HEADER, READING_HEAD),
    ),
    Scenario(
        "invalid-header",
        "an invalid header is not passed on by default",
        upstreams=(catalog.BAD_HEADER, LAST),
        group=TWO,
        status=502,
        logs=passed_over(catalog.BAD_HEADER, READING_HEAD),
    ),
    Scenario(
        "cut-body",
        "nothing is repeated once a part of the answer has been sent",
        upstreams=(catalog.CUT_BODY, LAST),
        group=TWO,
        logs=(catalog.CUT_BODY.expected_log,),
    ),
    Scenario(
        "post-not-sent",
        "a POST that was not sent goes to the next peer, with its body",
        upstreams=(catalog.CLOSES, LAST),
        group=TWO,
        requests=(POST,),
        logs=passed_over(catalog.CLOSES, HANDSHAKING),
    ),
    Scenario(
        "post-sent",
        "a POST that was sent is not repeated",
        upstreams=(catalog.CLOSES_ON_REQUEST, LAST),
        group=TWO,
        requests=(POST,),
        status=502,
        logs=passed_over(catalog.CLOSES_ON_REQUEST, READING_HEAD),
    ),
    Scenario(
        "post-non-idempotent",
        "a POST that was sent is repeated under non_idempotent",
        "proxy_next_upstream error non_idempotent;",
        (catalog.CLOSES_ON_REQUEST, LAST),
        group=TWO,
        requests=(POST,),
        logs=passed_over(catalog.CLOSES_ON_REQUEST, READING_HEAD),
    ),
    Scenario(
        "put-sent",
        "a PUT is idempotent: it is repeated",
        upstreams=(catalog.CLOSES_ON_REQUEST, LAST),
        group=TWO,
        requests=(request("PUT", body="a=1"),),
        logs=passed_over(catalog.CLOSES_ON_REQUEST, READING_HEAD),
    ),
)


PLAIN = (
    Scenario(
        "plain-first-resets",
        "over plain HTTP too, a reset leads to the next peer",
        upstreams=(
            catalog.fixed_response("resets", then=AfterSend.RESET),
            catalog.fixed_response("fine", response("fine\n", "Connection: close")),
        ),
        group=TWO,
        proxy_pass="http://GROUP",
        logs=(f"recv() failed (104: ){READING_HEAD}", disabled(READING_HEAD)),
    ),
)

TABLE = Table("groups", (*NAMES, *failing_first(), *FAILING, *CHOICE, *NEXT, *PLAIN))
