"""`proxy_next_upstream`: every class of failure, what was sent before, how often, how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sniproxy.testing.upstreams import AfterSend, UpstreamSpec, catalog
from sniproxy.testing.upstreams.catalog import CONNECTING, READING_HEAD, fixed_response
from sniproxy.testing.upstreams.spec import response
from tests.conformance.scenario import Scenario, Table, request
from tests.conformance.upstream.groups import disabled

REFUSED = f"connect() failed (111: ){CONNECTING}"
PREMATURE = f"upstream prematurely closed connection{READING_HEAD}"
TIMED_OUT = f"upstream timed out (110: ){READING_HEAD}"

FINE = fixed_response("fine", response("fine\n", "Connection: close"))
ABSENT = replace(catalog.ABSENT, tls=None)
CUT = fixed_response("cut")
MUTE = fixed_response("mute", then=AfterSend.SILENCE)
INVALID = fixed_response(
    "invalid", b"HTTP/1.1 200 OK\r\nBad Header: x\r\nContent-Length: 0\r\n\r\n"
)
TOO_BIG = fixed_response("too-big", b"HTTP/1.1 200 OK\r\nA: " + b"x" * 5000)
STATUSES = ("500 E", "502 E", "503 E", "504 E", "403 E", "404 E", "429 E", "501 E", "400 E")


def status(text: str) -> UpstreamSpec:
    return fixed_response(
        f"status-{text[:3]}", response("failed\n", "Connection: close", status=text)
    )


def passing(name: str, rule: str, *upstreams: UpstreamSpec, **rest: object) -> Scenario:
    servers = [
        f"server PEER{number if number > 1 else ''};" for number in range(1, len(upstreams) + 1)
    ]
    defaults = {"group": " ".join(servers), "proxy_pass": "http://GROUP", "upstreams": upstreams}
    return Scenario(name, rule, **(defaults | rest))  # type: ignore[arg-type]


def classes() -> Iterator[Scenario]:
    """One word each, with what it is for and with what it is not for."""
    for text in STATUSES:
        code = text[:3]
        first = status(text)
        yield passing(
            f"default-{code}", f"a {code} is an answer by default", first, FINE, status=int(code)
        )
        if code in ("501", "400"):
            continue
        failure = code not in ("403", "404")
        yield passing(
            f"word-{code}",
            f"http_{code} passes a {code} on" + ("" if failure else ", and it is no failure"),
            first,
            FINE,
            directives=f"proxy_next_upstream http_{code};",
            logs=(disabled(READING_HEAD),) if failure else (),
        )
        yield passing(
            f"last-{code}",
            f"the last peer's {code} is the answer",
            first,
            first,
            directives=f"proxy_next_upstream http_{code};",
            status=int(code),
            logs=(disabled(READING_HEAD),) if failure else (),
        )
        yield passing(
            f"post-{code}",
            f"a POST that was answered with {code} is not repeated",
            first,
            FINE,
            directives=f"proxy_next_upstream http_{code};",
            requests=(request("POST", body="a=1"),),
            status=int(code),
        )
        yield passing(
            f"post-repeated-{code}",
            f"a POST that was answered with {code} is repeated where non_idempotent is said",
            first,
            FINE,
            directives=f"proxy_next_upstream http_{code} non_idempotent;",
            requests=(request("POST", body="a=1"),),
            logs=(disabled(READING_HEAD),) if failure else (),
        )
    for word, upstream, logs, ending in (
        ("error", CUT, (PREMATURE, disabled(READING_HEAD)), 502),
        ("timeout", MUTE, (disabled(READING_HEAD), TIMED_OUT), 504),
        (
            "invalid_header",
            INVALID,
            (f'upstream sent invalid header: "Bad\\x20..."{READING_HEAD}', disabled(READING_HEAD)),
            502,
        ),
    ):
        timeout = "proxy_read_timeout 150ms;"
        yield passing(
            f"only-{word}",
            f"{word} alone passes on what it is for",
            upstream,
            FINE,
            directives=f"proxy_next_upstream {word}; {timeout}",
            logs=logs,
        )
        others = " ".join(sorted({"error", "timeout", "invalid_header"} - {word}))
        yield passing(
            f"without-{word}",
            f"without {word} it is not passed on",
            upstream,
            FINE,
            directives=f"proxy_next_upstream {others} http_502 http_504; {timeout}",
            status=ending,
            logs=logs,
        )
    yield passing(
        "too-big",
        "a head that does not fit is an invalid one",
        TOO_BIG,
        FINE,
        directives="proxy_next_upstream invalid_header;",
        logs=(f"upstream sent too big header{READING_HEAD}", disabled(READING_HEAD)),
    )
    yield passing(
        "off-with-others",
        "off turns all others off",
        ABSENT,
        FINE,
        directives="proxy_next_upstream error off timeout;",
        status=502,
        logs=(REFUSED, disabled(CONNECTING)),
    )
    yield passing(
        "all-words",
        "every word at once",
        ABSENT,
        status("500 E"),
        INVALID,
        FINE,
        directives="proxy_next_upstream error timeout invalid_header http_500 http_502 http_503"
        " http_504 http_403 http_404 http_429 non_idempotent updating;",
        logs=(
            REFUSED,
            disabled(CONNECTING),
            disabled(READING_HEAD),
            f'upstream sent invalid header: "Bad\\x20..."{READING_HEAD}',
            disabled(READING_HEAD),
        ),
    )


def methods() -> Iterator[Scenario]:
    """What was sent may have been done."""
    for method in ("POST", "LOCK", "PATCH"):
        yield passing(
            f"sent-{method}",
            f"a {method} that was sent is not repeated",
            CUT,
            FINE,
            requests=(request(method, body="a=1"),),
            status=502,
            logs=(PREMATURE, disabled(READING_HEAD)),
        )
        yield passing(
            f"unsent-{method}",
            f"a {method} that was not sent is",
            ABSENT,
            FINE,
            requests=(request(method, body="a=1"),),
            logs=(REFUSED, disabled(CONNECTING)),
        )
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
        head = fixed_response("fine-head", response("fine\n", "Connection: close", with_body=False))
        yield passing(
            f"sent-{method}",
            f"a {method} that was sent is repeated",
            CUT,
            head if method == "HEAD" else FINE,
            requests=(request(method),),
            logs=(PREMATURE, disabled(READING_HEAD)),
        )


def bounds() -> Iterator[Scenario]:
    """How many peers, and how long."""
    dead = (ABSENT, ABSENT, ABSENT, FINE)
    for tries in (1, 2, 3):
        yield passing(
            f"tries-{tries}",
            f"proxy_next_upstream_tries {tries} is as many peers",
            *dead,
            directives=f"proxy_next_upstream_tries {tries};",
            status=502,
            logs=(REFUSED, disabled(CONNECTING)) * tries,
        )
    yield passing(
        "tries-4",
        "the fourth try is the one that is answered",
        *dead,
        directives="proxy_next_upstream_tries 4;",
        logs=(REFUSED, disabled(CONNECTING)) * 3,
    )
    yield passing(
        "tries-9",
        "there are no more tries than peers",
        ABSENT,
        ABSENT,
        directives="proxy_next_upstream_tries 9;",
        status=502,
        logs=(REFUSED, disabled(CONNECTING)) * 2,
    )
    yield passing(
        "tries-backup",
        "backups count among the tries",
        ABSENT,
        FINE,
        group="server PEER; server PEER2 backup;",
        directives="proxy_next_upstream_tries 1;",
        status=502,
        logs=(REFUSED, disabled(CONNECTING)),
    )
    yield passing(
        "time",
        "no peer is tried once proxy_next_upstream_timeout is over",
        MUTE,
        FINE,
        directives="proxy_next_upstream_timeout 100ms; proxy_read_timeout 200ms;",
        status=504,
        logs=(disabled(READING_HEAD), TIMED_OUT),
    )
    yield passing(
        "time-enough",
        "before that one is",
        MUTE,
        FINE,
        directives="proxy_next_upstream_timeout 5s; proxy_read_timeout 100ms;",
        logs=(disabled(READING_HEAD), TIMED_OUT),
    )
    yield passing(
        "nobody-left",
        "who has failed with all is told so, and the next one that nobody is there",
        ABSENT,
        CUT,
        MUTE,
        directives="proxy_read_timeout 100ms;",
        repeat=2,
        status=(504, 502),
        logs=(
            REFUSED,
            disabled(CONNECTING),
            PREMATURE,
            disabled(READING_HEAD),
            disabled(READING_HEAD),
            TIMED_OUT,
            f"no live upstreams{CONNECTING}",
        ),
    )
    yield passing(
        "fails-once-more",
        "a peer with max_fails=2 is asked again after its first failure",
        CUT,
        FINE,
        group="server PEER max_fails=2; server PEER2;",
        repeat=4,
        logs=(PREMATURE, PREMATURE, disabled(READING_HEAD)),
    )


TABLE = Table("passing-on", (*classes(), *methods(), *bounds()))
