"""A scenario: a few directives, an upstream, a request, and the rule that they prove.

In all texts of a scenario stand for

    NAME            the scenario's name
    PATH            /NAME, the request's path and the location
    PEER, PEER2 …   address:port of its upstreams, PORT, PORT2 … the port alone
    GROUP           NAME.groups.test, the upstream block made of `group`
    CONTENT(FILE)   the text of a file of the zoo

Names of certificates are relative to the configuration, where those of the zoo lie; other
names to the program's prefix.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sniproxy.testing.client import ClientTLSOptions
from sniproxy.testing.upstreams import UpstreamSpec, catalog
from sniproxy.testing.upstreams.script import Send, Step

CHANGED = 1_700_000_000
"""Tue, 14 Nov 2023 22:13:20 GMT."""

GET = "GET PATH HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n"


def get(*fields: str, path: str = "PATH", host: str = "front.test") -> str:
    """A GET on a connection that ends with it."""
    return request("GET", *fields, path=path, host=host)


def request(
    method: str, *fields: str, path: str = "PATH", host: str = "front.test", body: str = ""
) -> str:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *fields, "Connection: close"]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines) + "\r\n\r\n" + body


@dataclass(frozen=True, slots=True)
class Scenario:
    """A row: what is set up, what is asked, and what nginx makes of it."""

    name: str
    rule: str
    """What it proves, in one sentence."""

    directives: str = ""
    """Inside the location, beside `proxy_pass`."""
    upstreams: tuple[UpstreamSpec, ...] = (catalog.GOOD,)
    proxy_pass: str = ""
    """"" is https://PEER, or https://GROUP where there is a group; "none" is no proxy_pass."""
    location: str = "PATH"
    group: str = ""
    """Directives of a block `upstream GROUP`."""
    server: str = ""
    """Directives of the table's server, beside the location."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files below the program's prefix, with their text: a folder ends in `/`, `-> NAME` is a
    link. All were changed last at `scenario.CHANGED`.
    """

    requests: tuple[str, ...] = (GET,)
    """Sent one after the other on one connection; the last one ends it."""
    plays: tuple[Step, ...] = ()
    """What the client does step by step on one connection, in place of its requests."""
    tls: ClientTLSOptions | None = None
    """How the client speaks TLS; None is plain HTTP."""
    to_tls_port: bool = False
    """Plain HTTP goes to the TLS port."""
    leaves: bool = False
    """The client goes away as soon as the last upstream has got the request."""
    ends: bool = False
    """The client sends a FIN behind its last request."""
    repeat: int = 1
    """So many connections, each with all requests."""

    status: int | tuple[int, ...] = 200
    """nginx's answer, or its answers; 0 is something without a status line."""
    sni: str | None = None
    """The SNI that every upstream gets to see."""
    offers: tuple[bool, ...] = ()
    """Of each hello in turn: whether it offers a session; () is that none does."""
    resumed: tuple[bool, ...] = ()
    """Of each of the client's handshakes in turn: whether it resumes a session; () is not told."""
    logs: tuple[str, ...] = ()
    """Of each line of the error log in turn: how its message begins."""
    accesses: int | None = None
    """Lines of the access log; None is one for each request."""
    staying: int = 0
    """Connections to upstreams that outlive the scenario."""

    @property
    def statuses(self) -> tuple[int, ...]:
        if isinstance(self.status, tuple):
            return self.status
        return (self.status,) * len(self.requests) * self.repeat

    @property
    def access_lines(self) -> int:
        return len(self.statuses) if self.accesses is None else self.accesses


@dataclass(frozen=True, slots=True)
class Table:
    """Scenarios that share one nginx.conf."""

    name: str
    scenarios: tuple[Scenario, ...]
    server: str = ""
    """Directives of the server they share."""
    before: str = ""
    """Directives of the http level, before that server."""
    http: str = ""
    """More servers; FRONT is the plain address to listen on, FRONT_TLS the one for TLS, whose
    port is TLS_PORT."""

    def __post_init__(self) -> None:
        names = [scenario.name for scenario in self.scenarios]
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise ValueError(f"table {self.name} has several scenarios called {doubled}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a scenario has found its upstreams."""

    scenario: Scenario
    ports: tuple[int, ...]

    def fill(self, text: str) -> str:
        """`text` with its placeholders replaced."""
        return _PLACEHOLDER.sub(self._word, text)

    def filled(self, step: Step) -> Step:
        """The same for a step of a script."""
        return Send(self.fill(step.text)) if isinstance(step, Send) else step

    def _word(self, match: re.Match[str]) -> str:
        word, number = match.groups()
        name = self.scenario.name
        match word:
            case "NAME":
                return name
            case "PATH":
                return f"/{name}"
            case "GROUP":
                return f"{name}.groups.test"
        port = str(self.ports[int(number or 1) - 1])
        return port if word == "PORT" else f"127.0.0.1:{port}"


_PLACEHOLDER = re.compile(r"\b(NAME|PATH|GROUP|PEER|PORT)([0-9]?)\b")


def configuration(table: Table, places: tuple[Place, ...], front: str, front_tls: str) -> str:
    """The nginx.conf of a table."""
    groups = "".join(
        place.fill(f"    upstream GROUP {{ {place.scenario.group} }}\n")
        for place in places
        if place.scenario.group
    )
    locations = "".join(place.fill(location(place.scenario)) for place in places)
    shared = (table.server, table.http)
    words = {"FRONT_TLS": front_tls, "TLS_PORT": front_tls.rpartition(":")[2], "FRONT": front}
    server, http = (
        re.sub(r"\b(FRONT_TLS|TLS_PORT|FRONT)\b", lambda m: words[m[0]], text) for text in shared
    )
    return f"""\
error_log error.log info;
pid nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log access.log;
    proxy_ssl_session_reuse off;
    {table.before}
{groups}
    server {{
        listen {front};
        listen {front_tls} ssl;
        server_name front.test;
        ssl_certificate front.pem;
        ssl_certificate_key front.key;
        {server}
{locations}
    }}
    {http}
}}
"""


def location(scenario: Scenario) -> str:
    target = scenario.proxy_pass or ("https://GROUP" if scenario.group else "https://PEER")
    directives = "" if target == "none" else f"proxy_pass {target}; "
    lines = [
        f"# {scenario.name}: {scenario.rule}",
        f"location {scenario.location} {{ {directives}{scenario.directives} }}",
        scenario.server,
    ]
    return "".join(f"        {line}\n" for line in lines if line)
