"""Connections that switch to another protocol, and those that are not to."""

from __future__ import annotations

from sniproxy.testing.client import ClientTLSOptions
from sniproxy.testing.upstreams import AfterSend, UpstreamSpec
from sniproxy.testing.upstreams.script import Expect, Send, Step
from sniproxy.testing.upstreams.spec import TLS, Action
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
    then: AfterSend = AfterSend.CLOSE,
    status: int = 101,
    logs: tuple[str, ...] = (),
    half_close: bool = False,
    tls: bool = False,
) -> Scenario:
    return Scenario(
        name,
        rule,
        directives,
        (
            UpstreamSpec(
                "switches",
                "goes by a script",
                tls=TLS() if tls else None,
                response=Action(then=then),
                script=upstream,
            ),
        ),
        proxy_pass="https://PEER" if tls else "http://PEER",
        script=client,
        tls=ClientTLSOptions() if tls else None,
        status=status,
        logs=logs,
        half_close=half_close,
    )


TALK = (Expect("\r\n\r\n"), Send(SWITCHES), Expect("ping"), Send("pong"), Expect("bye"))
ANSWER = (Send(ASKS), Expect("y\r\n"), Send("ping"), Expect("pong"), Send("bye"))

SCENARIOS = (
    upgrading("both-ways", "what either says goes to the other until one ends", TALK, ANSWER),
    upgrading("tls", "over TLS too", TALK, ANSWER, tls=True),
    upgrading("client-ends", "or the client", TALK, ANSWER, then=AfterSend.WAIT, half_close=True),
    upgrading(
        "upstream-first",
        "what comes with the head of the answer goes on",
        (Expect("\r\n\r\n"), Send(SWITCHES + "hello"), Expect("ping")),
        (Send(ASKS), Expect("hello"), Send("ping")),
    ),
    upgrading(
        "client-early",
        "what comes behind the request waits for the answer",
        (Expect("\r\n\r\n"), Send(SWITCHES), Expect("ping"), Send("pong")),
        (Send(ASKS + "ping"),),
    ),
    upgrading(
        "silent",
        "a silent upstream is timed out",
        (Expect("\r\n\r\n"), Send(SWITCHES), Expect("ping")),
        (Send(ASKS), Expect("y\r\n"), Send("ping")),
        THROUGH + "proxy_read_timeout 300ms;",
        then=AfterSend.WAIT,
        logs=(f"upstream timed out (110: Operation timed out){UPGRADED}",),
    ),
    upgrading(
        "not-asked",
        "who has not asked for it gets the answer as it is",
        (Expect("\r\n\r\n"), Send(SWITCHES + "more")),
        (Send("GET PATH HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n"),),
    ),
    upgrading(
        "not-through",
        "without the directives the upstream is not asked",
        (Expect("\r\n\r\n"), Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")),
        (Send(ASKS.replace("Connection: Upgrade", "Connection: close")),),
        "",
        status=200,
    ),
    upgrading(
        "refused",
        "an upstream may answer otherwise",
        (Expect("\r\n\r\n"), Send("HTTP/1.1 426 No\r\nContent-Length: 2\r\nUpgrade: x\r\n\r\nno")),
        (Send(ASKS.replace("Connection: Upgrade", "Connection: Upgrade, close")),),
        status=426,
    ),
    upgrading(
        "post",
        "a request with a body may switch too",
        (Expect("body"), Send(SWITCHES), Expect("ping"), Send("pong")),
        (
            Send(
                ASKS.replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 4\r\n\r\n")
                + "body"
            ),
            Expect("y\r\n"),
            Send("ping"),
        ),
    ),
    upgrading(
        "upstream-resets",
        "a reset is told",
        (Expect("\r\n\r\n"), Send(SWITCHES), Expect("ping")),
        (Send(ASKS), Expect("y\r\n"), Send("ping")),
        then=AfterSend.RESET,
        logs=(f"recv() failed (104: Connection reset by peer){UPGRADED}",),
    ),
    upgrading(
        "http-1.0",
        "a client of 1.0 may ask as well",
        (Expect("\r\n\r\n"), Send(SWITCHES), Expect("ping"), Send("pong")),
        (Send(ASKS.replace("HTTP/1.1", "HTTP/1.0")), Expect("y\r\n"), Send("ping")),
    ),
    upgrading(
        "hidden",
        "fields are hidden as ever",
        (Expect("\r\n\r\n"), Send(SWITCHES), Expect("ping")),
        (Send(ASKS), Expect("websocket"), Send("ping")),
        THROUGH + "proxy_hide_header Sec-WebSocket-Accept; proxy_pass_header Server;",
    ),
)

TABLE = Table("upgrading", SCENARIOS)
