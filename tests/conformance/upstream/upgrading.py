"""Connections that switch to another protocol, and those that are not to."""

from __future__ import annotations

from sniproxy.testing.client import ClientTLS
from sniproxy.testing.zoo import Ending, Upstream
from sniproxy.testing.zoo.behaviour import TLS, Move
from sniproxy.testing.zoo.script import Hear, Say, Step
from tests.conformance.scenario import Scenario, Table

THROUGH = "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"
ASKS = (
    "GET PATH HTTP/1.1\r\nHost: front.test\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"
)
SWITCHES = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: y\r\nServer: up\r\n\r\n"
)
UPGRADED = " while proxying upgraded connection"


def upgrading(
    name: str,
    rule: str,
    upstream: tuple[Step, ...],
    client: tuple[Step, ...],
    directives: str = THROUGH,
    *,
    then: Ending = Ending.CLOSE,
    status: int = 101,
    logs: tuple[str, ...] = (),
    ends: bool = False,
    tls: bool = False,
) -> Scenario:
    return Scenario(
        name,
        rule,
        directives,
        (
            Upstream(
                "switches",
                "goes by a script",
                tls=TLS() if tls else None,
                answers=Move(then=then),
                plays=upstream,
            ),
        ),
        proxy_pass="https://PEER" if tls else "http://PEER",
        plays=client,
        tls=ClientTLS() if tls else None,
        status=status,
        logs=logs,
        ends=ends,
    )


TALK = (Hear("\r\n\r\n"), Say(SWITCHES), Hear("ping"), Say("pong"), Hear("bye"))
ANSWER = (Say(ASKS), Hear("y\r\n"), Say("ping"), Hear("pong"), Say("bye"))

SCENARIOS = (
    upgrading("both-ways", "what either says goes to the other until one ends", TALK, ANSWER),
    upgrading("tls", "over TLS too", TALK, ANSWER, tls=True),
    upgrading("client-ends", "or the client", TALK, ANSWER, then=Ending.WAIT, ends=True),
    upgrading(
        "upstream-first",
        "what comes with the head of the answer goes on",
        (Hear("\r\n\r\n"), Say(SWITCHES + "hello"), Hear("ping")),
        (Say(ASKS), Hear("hello"), Say("ping")),
    ),
    upgrading(
        "client-early",
        "what comes behind the request waits for the answer",
        (Hear("\r\n\r\n"), Say(SWITCHES), Hear("ping"), Say("pong")),
        (Say(ASKS + "ping"),),
    ),
    upgrading(
        "silent",
        "a silent upstream is timed out",
        (Hear("\r\n\r\n"), Say(SWITCHES), Hear("ping")),
        (Say(ASKS), Hear("y\r\n"), Say("ping")),
        THROUGH + "proxy_read_timeout 300ms;",
        then=Ending.WAIT,
        logs=(f"upstream timed out (110: Operation timed out){UPGRADED}",),
    ),
    upgrading(
        "not-asked",
        "who has not asked for it gets the answer as it is",
        (Hear("\r\n\r\n"), Say(SWITCHES + "more")),
        (Say("GET PATH HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n"),),
    ),
    upgrading(
        "not-through",
        "without the directives the upstream is not asked",
        (Hear("\r\n\r\n"), Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")),
        (Say(ASKS.replace("Connection: Upgrade", "Connection: close")),),
        "",
        status=200,
    ),
    upgrading(
        "refused",
        "an upstream may answer otherwise",
        (Hear("\r\n\r\n"), Say("HTTP/1.1 426 No\r\nContent-Length: 2\r\nUpgrade: x\r\n\r\nno")),
        (Say(ASKS.replace("Connection: Upgrade", "Connection: Upgrade, close")),),
        status=426,
    ),
    upgrading(
        "post",
        "a request with a body may switch too",
        (Hear("body"), Say(SWITCHES), Hear("ping"), Say("pong")),
        (
            Say(
                ASKS.replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 4\r\n\r\n")
                + "body"
            ),
            Hear("y\r\n"),
            Say("ping"),
        ),
    ),
    upgrading(
        "upstream-resets",
        "a reset is told",
        (Hear("\r\n\r\n"), Say(SWITCHES), Hear("ping")),
        (Say(ASKS), Hear("y\r\n"), Say("ping")),
        then=Ending.RESET,
        logs=(f"recv() failed (104: Connection reset by peer){UPGRADED}",),
    ),
    upgrading(
        "http-1.0",
        "a client of 1.0 may ask as well",
        (Hear("\r\n\r\n"), Say(SWITCHES), Hear("ping"), Say("pong")),
        (Say(ASKS.replace("HTTP/1.1", "HTTP/1.0")), Hear("y\r\n"), Say("ping")),
    ),
    upgrading(
        "hidden",
        "fields are hidden as ever",
        (Hear("\r\n\r\n"), Say(SWITCHES), Hear("ping")),
        (Say(ASKS), Hear("websocket"), Say("ping")),
        THROUGH + "proxy_hide_header Sec-WebSocket-Accept; proxy_pass_header Server;",
    ),
)

TABLE = Table("upgrading", SCENARIOS)
