"""The cases, one row each, and the nginx.conf text that a row stands for.

A row says what the client does, what the proxy does towards its upstream, how large an
answer is and which figures come out. The text is the same file for every program.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from benchmarks.wire import GROUP, HOST, PROTOCOL, answer


class Mode(enum.Enum):
    """How one side of the proxy gets its connection for a request."""

    NONE = "no connection"
    FULL = "a new connection, full handshake"
    RESUMED = "a new connection, resumed session"
    KEEPALIVE = "one connection kept for all"
    CACHED = "no connection: the answer is in the proxy's cache"


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of a program: its key, the heading, and the decimals that mean something."""

    key: str
    heading: str
    decimals: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """What a case counts, the figures it gives, and the one that programs are compared by:
    the less of it, the better."""

    unit: str
    columns: tuple[Column, ...]
    compared: str

    @property
    def keys(self) -> list[str]:
        return [column.key for column in self.columns]

    def column(self, key: str) -> Column:
        return self.columns[self.keys.index(key)]


def _exchanges(unit: str, rate: str) -> Kind:
    """Load for a while: a rate, CPU time and the latency of whole exchanges."""
    columns = (
        Column("rate", rate),
        Column("cpu", f"CPU µs/{unit}", 1),
        Column("p50", "p50 ms", 2),
        Column("p99", "p99 ms", 2),
        Column("memory", "memory MiB", 1),
    )
    return Kind(unit, columns, "cpu")


HANDSHAKES = _exchanges("handshake", "handshakes/s")
REQUESTS = _exchanges("request", "requests/s")
MEBIBYTES = _exchanges("MiB", "MiB/s")
MEMORY = Kind("connection", (Column("memory", "KiB/connection", 1),), "memory")
START = Kind(
    "start",
    (Column("start", "ms to first byte", 1), Column("own", "ms less bare imports", 1)),
    "start",
)

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """What sniproxy is to stay within: so many times the compared figure of the cheaper nginx, or
    where `figure` is named, so much of that."""

    most: float
    figure: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One row. `size` is the answer's length in bytes, `key` the proxy's key type; `alone` has
    one exchange under way at a time."""

    letter: str
    title: str
    kind: Kind
    client: Mode
    upstream: Mode
    target: Target | None = None
    size: int = 16
    key: str = "ecdsa"
    alone: bool = False
    gzip: bool = False
    """Whether the proxy compresses answers."""
    clients: int | None = None
    """Clients that load at the same time; None for the plan's number."""
    streams: int | None = None
    """Requests under way on each of h2load's connections, over HTTP/1 if that is one; None for our
    own clients."""
    published: bool = True
    """Whether it is measured by default, and in the tables of the documentation."""

    @property
    def units(self) -> float:
        """How many of the kind's units one exchange makes."""
        return self.size / MIB if self.kind is MEBIBYTES else 1


CASES = {
    case.letter: case
    for case in (
        Case("a", "terminate, full handshake", HANDSHAKES, Mode.FULL, Mode.NONE, Target(1.35)),
        Case("b", "terminate, resumed", HANDSHAKES, Mode.RESUMED, Mode.NONE, Target(1.45)),
        Case(
            "c",
            "proxy, full handshake on both sides",
            HANDSHAKES,
            Mode.FULL,
            Mode.FULL,
            Target(1.2),
        ),
        # Alone: the ticket that one connection receives spoils the session for those that
        # offered it too, in OpenSSL, so that with four at a time nginx resumes only five of six.
        Case(
            "d",
            "proxy, client full, upstream resumed, one at a time",
            HANDSHAKES,
            Mode.FULL,
            Mode.RESUMED,
            Target(1.45),
            alone=True,
        ),
        Case(
            "e",
            "proxy, client full, upstream kept",
            HANDSHAKES,
            Mode.FULL,
            Mode.KEEPALIVE,
            Target(1.6),
        ),
        Case("f", "proxy, both kept, small answer", REQUESTS, Mode.KEEPALIVE, Mode.KEEPALIVE),
        Case(
            "f8",
            "as f, 8 kept connections",
            REQUESTS,
            Mode.KEEPALIVE,
            Mode.KEEPALIVE,
            Target(4),
            clients=8,
        ),
        Case(
            "g",
            "proxy, both kept, 64 MiB",
            MEBIBYTES,
            Mode.KEEPALIVE,
            Mode.KEEPALIVE,
            Target(1.0),
            64 * MIB,
        ),
        Case(
            "cached4k",
            "kept connection, 4 KiB from the cache",
            REQUESTS,
            Mode.KEEPALIVE,
            Mode.CACHED,
            Target(5),
            4096,
            published=False,
        ),
        Case(
            "cached64m",
            "kept connection, 64 MiB from the cache",
            MEBIBYTES,
            Mode.KEEPALIVE,
            Mode.CACHED,
            Target(1.3),
            64 * MIB,
            published=False,
        ),
        Case(
            "gzip",
            "proxy, both kept, 100 KiB compressed",
            REQUESTS,
            Mode.KEEPALIVE,
            Mode.KEEPALIVE,
            Target(1.5),
            100 << 10,
            gzip=True,
            published=False,
        ),
        Case(
            "h2",
            "proxy, both kept, 32 streams on 2 connections of HTTP/2",
            REQUESTS,
            Mode.KEEPALIVE,
            Mode.KEEPALIVE,
            Target(10),
            clients=2,
            streams=32,
            published=False,
        ),
        Case(
            "h21",
            "as h2, 64 connections of HTTP/1",
            REQUESTS,
            Mode.KEEPALIVE,
            Mode.KEEPALIVE,
            clients=64,
            streams=1,
            published=False,
        ),
        Case("ha", "as a, RSA-2048", HANDSHAKES, Mode.FULL, Mode.NONE, key="rsa"),
        Case("hc", "as c, RSA-2048", HANDSHAKES, Mode.FULL, Mode.FULL, key="rsa"),
        Case("i", "1,000 idle connections", MEMORY, Mode.KEEPALIVE, Mode.NONE, Target(1.9)),
        Case("s", "start to first byte", START, Mode.FULL, Mode.NONE, Target(250, "start")),
    )
}
PUBLISHED = [case for case in CASES.values() if case.published]
LIGHTER = 2.0
"""So many times dearer than sniproxy mitmproxy and proxy.py are to be, in CPU time."""

IDLE_CONNECTIONS = 1000

_GROUP = f"""
    upstream origin {{
        server {HOST}:%d;
        keepalive 64;
        keepalive_requests 100000000;
    }}
"""


def nginx_conf(case: Case, port: int, origin_port: int, certificates: Path) -> str:
    """The configuration: one process, no access log, the proxy on `port`, equal settings.

    `own.conf` beside it is for what one program needs and the others may not know.
    A large answer stays in memory: the disk is not what is measured.
    """
    group = _GROUP % origin_port if case.upstream is Mode.KEEPALIVE else ""
    if case.upstream is Mode.CACHED:
        group = "    proxy_cache_path cache keys_zone=answers:1m;\n"
    handler = "\n            ".join(_handler(case, origin_port))
    return f"""\
daemon off;
master_process off;
worker_processes 1;
error_log error.log error;
pid proxy.pid;

events {{
    worker_connections 4096;
}}

http {{
    include own.conf;
    access_log off;
    keepalive_timeout 600s;
    keepalive_requests 100000000;
{group}
    server {{
        listen {HOST}:{port} ssl;
        {_http2(case)}
        ssl_certificate {certificates}/{case.key}.crt;
        ssl_certificate_key {certificates}/{case.key}.key;
        ssl_protocols {PROTOCOL};
        ssl_ecdh_curve {GROUP};

        location / {{
            {handler}
        }}
    }}
}}
"""


def _http2(case: Case) -> str:
    return "http2 on;" if (case.streams or 1) > 1 else ""


def _handler(case: Case, origin_port: int) -> list[str]:
    if case.upstream is Mode.NONE:
        return [f'return 200 "{answer(case.size).decode()}";']
    if case.upstream is Mode.KEEPALIVE:
        target, connection = "origin", '""'
    else:
        target, connection = f"{HOST}:{origin_port}", "close"
    if case.upstream is Mode.CACHED:
        return [
            f"proxy_pass https://{target};",
            f"proxy_ssl_protocols {PROTOCOL};",
            "proxy_cache answers;",
            "proxy_cache_valid 1h;",
            "proxy_cache_lock on;",
        ]
    return [
        *(["proxy_max_temp_file_size 0;"] if case.kind is MEBIBYTES else []),
        *(["gzip on;", "gzip_types *;"] if case.gzip else []),
        f"proxy_pass https://{target};",
        "proxy_http_version 1.1;",
        f"proxy_set_header Connection {connection};",
        f"proxy_ssl_protocols {PROTOCOL};",
        f"proxy_ssl_session_reuse {'on' if case.upstream is Mode.RESUMED else 'off'};",
    ]
