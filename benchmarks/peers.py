"""Other proxies, under the settings that nginx is measured with.

A row says where one is found, how its versions are asked for, what it cannot do, and which
function writes its configuration. They are told to be silent, to be one process where that can be
said, and to verify no upstream.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cases import CASES, Case, Mode
from benchmarks.programs import Family, Place, Program
from benchmarks.wire import CIPHER, GROUP, HOST, answer

HOUR = 3600


_NO_CACHE = dict.fromkeys(("cached4k", "cached64m"), "nginx's cache is compared with nginx only")
_NO_HTTP2 = dict.fromkeys(("h2", "h21"), "HTTP/2 is compared with nginx and Python programs only")


@dataclass(frozen=True, slots=True)
class Peer:
    """A row. `version` and `library` are where a command's output tells them, and `prepare` gets
    the program's path before what `Program.prepare` gets."""

    command: str
    version_command: Callable[[str], Sequence[str]]
    version: str
    library: str
    prepare: Callable[[str, Case, Place], Sequence[str]]
    cannot: Mapping[str, str] = field(default_factory=dict)
    cipher: str = CIPHER
    heavy: bool = False

    def at(self, name: str, path: str) -> Program:
        """The program at `path`."""
        output = subprocess.run(
            self.version_command(path), capture_output=True, text=True, check=True
        ).stdout
        version, library = (re.search(text, output) for text in (self.version, self.library))

        def prepare(case: Case, place: Place) -> Sequence[str]:
            return self.prepare(path, case, place)

        return Program(
            f"{name} {version[1] if version else '?'}",
            library[1] if library else "?",
            Family.PEER,
            prepare,
            {**_NO_CACHE, **self.cannot},
            self.cipher,
            self.heavy,
        )


def haproxy(path: str, case: Case, place: Place) -> Sequence[str]:
    returned = (
        f'http-request return status 200 content-type text/plain string "{_text(case)}"'
        if case.upstream is Mode.NONE
        else "default_backend origin"
    )
    reuse = "http-reuse always" if case.upstream is Mode.KEEPALIVE else "option httpclose"
    session = "" if case.upstream is Mode.RESUMED else "no-ssl-reuse"
    file = place.directory / "haproxy.cfg"
    file.write_text(f"""\
global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout client {HOUR}s
    timeout server {HOUR}s
    timeout connect {HOUR}s
frontend client
    bind {HOST}:{place.port} ssl crt {place.certificates}/{case.key}.pem ssl-min-ver TLSv1.3 \
ciphersuites {CIPHER} curves {GROUP}
    {returned}
backend origin
    {reuse}
    server origin {HOST}:{place.origin_port} ssl verify none ssl-min-ver TLSv1.3 {session}
""")
    return [path, "-db", "-q", "-f", str(file)]


def caddy(path: str, case: Case, place: Place) -> Sequence[str]:
    keep = f"keepalive {HOUR}s" if case.upstream is Mode.KEEPALIVE else "keepalive off"
    handler = (
        f'respond "{_text(case)}" 200'
        if case.upstream is Mode.NONE
        else f"""reverse_proxy https://{HOST}:{place.origin_port} {{
        transport http {{
            tls_insecure_skip_verify
            versions 1.1
            keepalive_idle_conns_per_host 64
            {keep}
        }}
    }}"""
    )
    files = f"{place.certificates}/{case.key}"
    file = place.directory / "Caddyfile"
    file.write_text(f"""\
{{
    admin off
    auto_https off
    log {{
        level ERROR
    }}
    servers {{
        protocols h1
    }}
}}
https://:{place.port} {{
    bind {HOST}
    tls {files}.crt {files}.key {{
        protocols tls1.3
        curves {GROUP.lower()}
    }}
    {handler}
}}
""")
    homes = (f"XDG_DATA_HOME={place.directory}", f"XDG_CONFIG_HOME={place.directory}")
    return ["env", "GOMAXPROCS=1", *homes, path, "run", "--config", str(file)]


def mitmproxy(path: str, case: Case, place: Place) -> Sequence[str]:
    """Its CA is made once for all turns: that is not what a start costs."""
    script = place.directory / "answer.py"
    script.write_text(f"""\
from mitmproxy import http

def request(flow):
    flow.response = http.Response.make(200, {answer(case.size)!r}, {{"Content-Type": "text/plain"}})
""")
    settings = {
        "confdir": place.certificates / "mitmproxy",
        "listen_host": HOST,
        "listen_port": place.port,
        "certs": f"*={place.certificates}/{case.key}.pem",
        "connection_strategy": "lazy",
        "ssl_insecure": "true",
        "tls_version_client_min": "TLS1_3",
        "tls_version_server_min": "TLS1_3",
        "http2": "true" if (case.streams or 1) > 1 else "false",
        "stream_large_bodies": "1m",
        "flow_detail": 0,
        "termlog_verbosity": "error",
    }
    return [
        *(path, "--mode", f"reverse:https://{HOST}:{place.origin_port}"),
        *(word for name, value in settings.items() for word in ("--set", f"{name}={value}")),
        *(["-s", str(script)] if case.upstream is Mode.NONE else []),
    ]


def proxy_py(path: str, case: Case, place: Place) -> Sequence[str]:
    """A plugin does what its ReverseProxyPlugin does, and verifies nothing."""
    (place.directory / "answering.py").write_text(f"""\
from proxy.common.utils import build_http_response
from proxy.core.connection import TcpServerConnection
from proxy.http.exception import HttpRequestRejected
from proxy.http.server import ReverseProxyBasePlugin
import ssl

ANSWER = dict(
    status_code=200,
    reason=b"OK",
    body={answer(case.size)!r},
    headers={{b"Content-Type": b"text/plain"}},
)
KEPT = memoryview(build_http_response(**ANSWER))

class Plugin(ReverseProxyBasePlugin):
    def routes(self):
        return [r"/.*"]

    def handle_route(self, request, pattern):
        if {case.upstream is Mode.NONE}:
            if request.has_header(b"connection"):  # close
                raise HttpRequestRejected(**ANSWER)
            return KEPT
        upstream = TcpServerConnection("{HOST}", {place.origin_port})
        upstream.connect()
        upstream.wrap(
            ca_file="{place.certificates}/{case.key}.crt",
            as_non_blocking=True,
            verify_mode=ssl.CERT_NONE,
        )
        upstream.queue(memoryview(request.build()))
        return upstream
""")
    files = f"{place.certificates}/{case.key}"
    return [
        *("env", f"PYTHONPATH={place.directory}", path),
        *("--hostname", HOST, "--port", str(place.port)),
        *("--num-acceptors", "1", "--num-workers", "1"),
        *("--cert-file", f"{files}.crt", "--key-file", f"{files}.key"),
        *("--enable-reverse-proxy", "--disable-http-proxy", "--plugins", "answering.Plugin"),
        *("--timeout", str(HOUR), "--inactive-conn-cleanup-timeout", str(HOUR)),
        *("--open-file-limit", "4096", "--backlog", "1024"),
        *("--data-dir", str(place.directory / "data"), "--log-level", "ERROR"),
    ]


def hypercorn(path: str, case: Case, place: Place) -> Sequence[str]:
    """A reverse proxy as an ASGI application, with httpx."""
    (place.directory / "proxying.py").write_text(f"""\
import httpx

context = httpx.create_ssl_context(verify=False)
client = httpx.AsyncClient(
    base_url="https://{HOST}:{place.origin_port}",
    verify=context,
    limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
)

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    answer = await client.request(scope["method"], scope["path"])
    await send({{
        "type": "http.response.start",
        "status": answer.status_code,
        "headers": [(name, value) for name, value in answer.headers.raw if name != b"Connection"],
    }})
    await send({{"type": "http.response.body", "body": answer.content}})
""")
    file = place.directory / "hypercorn.toml"
    file.write_text(f"""\
bind = ["{HOST}:{place.port}"]
certfile = "{place.certificates}/{case.key}.crt"
keyfile = "{place.certificates}/{case.key}.key"
keep_alive_max_requests = {10**9}
workers = 0
""")
    environment = ("env", f"PYTHONPATH={place.directory}")
    return [*environment, path, "--config", str(file), "proxying:app"]


def _text(case: Case) -> str:
    return answer(case.size).decode()


def _python_beside(path: str) -> str:
    return str(Path(os.path.realpath(os.path.dirname(path))) / "python")


_NEW_UPSTREAM = "each connection of a client has an upstream connection of its own"
_ONE_REQUEST = "the second request of a connection gets no answer"
_NOT_SET = "its configuration here does not compress"

PEERS: Mapping[str, Peer] = {
    "haproxy": Peer(
        "haproxy",
        lambda path: [path, "-vv"],
        r"version (\d[\d.]*)",
        r"Running on OpenSSL version : \w+ (\S+)",
        haproxy,
        cannot={"gzip": _NOT_SET, **_NO_HTTP2},
    ),
    "caddy": Peer(
        "caddy",
        lambda path: ["sh", "-c", '"$0" version && "$0" build-info', path],
        r"^v?(\d[\d.]*)",
        r"go\s+(go[\d.]+)",
        caddy,
        cannot={"d": "Caddy keeps no sessions of upstreams", "gzip": _NOT_SET, **_NO_HTTP2},
        cipher="TLS_AES_128_GCM_SHA256",
    ),
    "mitmproxy": Peer(
        "mitmdump",
        lambda path: [path, "--version"],
        r"Mitmproxy: (\S+)",
        r"OpenSSL:\s+OpenSSL (\S+)",
        mitmproxy,
        cannot={
            "d": "it keeps no sessions of upstreams",
            "e": _NEW_UPSTREAM,
            "gzip": _NOT_SET,
        },
        heavy=True,
    ),
    "proxy.py": Peer(
        "proxy",
        lambda path: [
            *(_python_beside(path), "-c"),
            "import ssl; from proxy.common.version import __version__ as version;"
            "print(version, ssl.OPENSSL_VERSION)",
        ],
        r"^(\d[\d.]*)",
        r"OpenSSL (\S+)",
        proxy_py,
        cannot={
            "b": "it resumes no session",
            "d": "it keeps no sessions of upstreams",
            "e": _NEW_UPSTREAM,
            "f": _ONE_REQUEST,
            "g": _ONE_REQUEST,
            "gzip": _NOT_SET,
            **_NO_HTTP2,
        },
        heavy=True,
    ),
    "hypercorn": Peer(
        "hypercorn",
        lambda path: [
            *(_python_beside(path), "-c"),
            "import ssl; from importlib.metadata import version;"
            "print(version('hypercorn'), ssl.OPENSSL_VERSION)",
        ],
        r"^(\d[\d.]*)",
        r"OpenSSL (\S+)",
        hypercorn,
        cannot=dict.fromkeys(CASES.keys() - {"h2"}, "it is measured over HTTP/2 only"),
        heavy=True,
    ),
}
