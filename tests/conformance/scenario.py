"""Scenarios: directives, upstreams and requests, and the rule of nginx's that they prove.

Placeholders in all texts of a scenario:

    NAME            the scenario's name
    PATH            /NAME, the request's path and the location
    PEER, PEER2 …   address:port of its upstreams, PORT, PORT2 … the port alone
    GROUP           NAME.groups.test, the upstream block made of `group`
    CONTENT(FILE)   the content of a file in the folder of certificates

Names of certificates are relative to the folder of the configuration, which has the generated
certificates; other file names are relative to the prefix of the program.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sniproxy.testing.client import ClientTLSOptions
from sniproxy.testing.upstreams import UpstreamSpec, catalog
from sniproxy.testing.upstreams.script import Send, Step

FILE_TIME = 1_700_000_000
"""Tue, 14 Nov 2023 22:13:20 GMT."""

GET = "GET PATH HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n"


def get(*fields: str, path: str = "PATH", host: str = "front.test") -> str:
    """A GET request with `Connection: close`."""
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
    """A row of a table: the set-up, the requests, and how nginx behaves."""

    name: str
    rule: str
    """What nginx does, in one sentence; printed when the test fails."""

    directives: str = ""
    """Directives of the location, beside `proxy_pass`."""
    upstreams: tuple[UpstreamSpec, ...] = (catalog.GOOD,)
    proxy_pass: str = ""
    """URL; "" is https://PEER, or https://GROUP if there is a group; "none" omits the directive."""
    location: str = "PATH"
    group: str = ""
    """Content of the block `upstream GROUP`; "" omits the block."""
    server: str = ""
    """Directives of the server block, beside the location."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files below the prefix, name to content.

    A name that ends in `/` is a folder, a content `-> NAME` makes a symbolic link. All have the
    modification time FILE_TIME.
    """

    requests: tuple[str, ...] = (GET,)
    """Sent one after the other on one connection, which ends after the last."""
    script: tuple[Step, ...] = ()
    """Steps of the client, in place of `requests`."""
    tls: ClientTLSOptions | None = None
    """TLS settings of the client; None is plain HTTP."""
    preamble: str = ""
    """What the client sends before TLS: a header of the PROXY protocol."""
    plain_to_tls_port: bool = False
    """Whether to send plain HTTP to the TLS port."""
    client_disconnects: bool = False
    """Whether the client disconnects once the last upstream has received the request."""
    half_close: bool = False
    """Whether the client sends a FIN after its last request."""
    repeat: int = 1
    """Number of connections; each sends all requests."""

    status: int | tuple[int, ...] = 200
    """Expected status of all responses, or of each; 0 is a response without status line."""
    sni: str | None = None
    """Expected SNI of every connection to an upstream; None is no SNI."""
    sessions_offered: tuple[bool, ...] = ()
    """For each ClientHello to an upstream, whether it offers a session; () means that none does."""
    resumed: tuple[bool, ...] = ()
    """For each handshake of the client, whether it resumes a session; () is not checked."""
    logs: tuple[str, ...] = ()
    """For each line of the error log, the beginning of the message."""
    access_log_lines: int | None = None
    """Expected number of lines in the access log; None is one for each request."""
    open_connections: int = 0
    """Expected number of connections to upstreams that stay open."""

    @property
    def statuses(self) -> tuple[int, ...]:
        if isinstance(self.status, tuple):
            return self.status
        return (self.status,) * len(self.requests) * self.repeat

    @property
    def expected_access_lines(self) -> int:
        return len(self.statuses) if self.access_log_lines is None else self.access_log_lines


@dataclass(frozen=True, slots=True)
class Table:
    """Scenarios that share one nginx.conf, each in its own location."""

    name: str
    scenarios: tuple[Scenario, ...]
    server: str = ""
    """Directives of the shared server block."""
    before: str = ""
    """Directives of the http block, before the server block."""
    http: str = ""
    """Further server blocks.

    FRONT and FRONT_TLS are the addresses to listen on, TLS_PORT is the port of the latter.
    """

    def __post_init__(self) -> None:
        names = [scenario.name for scenario in self.scenarios]
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise ValueError(f"table {self.name} has several scenarios called {doubled}")


@dataclass(frozen=True, slots=True)
class ScenarioContext:
    """A scenario with the ports of its upstreams."""

    scenario: Scenario
    ports: tuple[int, ...]

    def fill(self, text: str) -> str:
        """Replace the placeholders in `text`."""
        return _PLACEHOLDER.sub(self._word, text)

    def filled(self, step: Step) -> Step:
        """Replace the placeholders in a step of a script."""
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


def configuration(
    table: Table, contexts: tuple[ScenarioContext, ...], front: str, front_tls: str
) -> str:
    """The nginx.conf of a table."""
    groups = "".join(
        context.fill(f"    upstream GROUP {{ {context.scenario.group} }}\n")
        for context in contexts
        if context.scenario.group
    )
    locations = "".join(context.fill(location(context.scenario)) for context in contexts)
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
