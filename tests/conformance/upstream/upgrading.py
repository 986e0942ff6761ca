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
    upgrading(
        "both-ways", "After a 101, data is forwarded both ways until one side closes.", TALK, ANSWER
    ),
    upgrading("tls", "A connection is upgraded over TLS too.", TALK, ANSWER, tls=True),
    upgrading(
        "client-ends",
        "The tunnel ends when the client closes.",
        TALK,
        ANSWER,
        then=AfterSend.WAIT,
        half_close=True,
    ),
    upgrading(
        "upstream-first",
        "Data that arrives with the head of the 101 is forwarded.",
        (Expect("\r\n\r\n"), Send(SWITCHES + "hello"), Expect("ping")),
        (Send(ASKS), Expect("hello"), Send("ping")),
    ),
    upgrading(
        "client-early",
        "Data that arrives after the request is forwarded once the 101 has arrived.",
        (Expect("\r\n\r\n"), Send(SWITCHES), Expect("ping"), Send("pong")),
        (Send(ASKS + "ping"),),
    ),
    upgrading(
        "silent",
        "proxy_read_timeout closes a tunnel without traffic.",
        (Expect("\r\n\r\n"), Send(SWITCHES), Expect("ping")),
        (Send(ASKS), Expect("y\r\n"), Send("ping")),
        THROUGH + "proxy_read_timeout 300ms;",
        then=AfterSend.WAIT,
        logs=(f"upstream timed out (110: Operation timed out){UPGRADED}",),
    ),
    upgrading(
        "not-asked",
        "A client that did not request an upgrade gets the 101 as an ordinary response.",
        (Expect("\r\n\r\n"), Send(SWITCHES + "more")),
        (Send("GET PATH HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n"),),
    ),
    upgrading(
        "not-through",
        "Without proxy_set_header the upgrade is not requested from the upstream.",
        (Expect("\r\n\r\n"), Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")),
        (Send(ASKS.replace("Connection: Upgrade", "Connection: close")),),
        "",
        status=200,
    ),
    upgrading(
        "refused",
        "An upstream may reject the upgrade with another status.",
        (Expect("\r\n\r\n"), Send("HTTP/1.1 426 No\r\nContent-Length: 2\r\nUpgrade: x\r\n\r\nno")),
        (Send(ASKS.replace("Connection: Upgrade", "Connection: Upgrade, close")),),
        status=426,
    ),
    upgrading(
        "post",
        "A request with a body can be upgraded.",
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
        "A reset by the upstream is logged.",
        (Expect("\r\n\r\n"), Send(SWITCHES), Expect("ping")),
        (Send(ASKS), Expect("y\r\n"), Send("ping")),
        then=AfterSend.RESET,
        logs=(f"recv() failed (104: Connection reset by peer){UPGRADED}",),
    ),
    upgrading(
        "http-1.0",
        "An HTTP/1.0 client can request an upgrade.",
        (Expect("\r\n\r\n"), Send(SWITCHES), Expect("ping"), Send("pong")),
        (Send(ASKS.replace("HTTP/1.1", "HTTP/1.0")), Expect("y\r\n"), Send("ping")),
    ),
    upgrading(
        "hidden",
        "proxy_hide_header applies to a 101.",
        (Expect("\r\n\r\n"), Send(SWITCHES), Expect("ping")),
        (Send(ASKS), Expect("websocket"), Send("ping")),
        THROUGH + "proxy_hide_header Sec-WebSocket-Accept; proxy_pass_header Server;",
    ),
)

TABLE = Table("upgrading", SCENARIOS)
