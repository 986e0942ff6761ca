"""gzip, gunzip and gzip_static beside nginx: the same heads, and the same content decompressed.

The wheel's nginx compresses; decompressing and precompressed files are compared with the system's
nginx, if it has these modules.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import os
import re
import socket
import subprocess
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from tests.compare_nginx import Served, served
from tests.nginx import NGINX
from tests.programs import OURS, Command

SYSTEM = Command("system-nginx", ("nginx",))
MODIFIED = 1_700_000_000
TEXT = b"hello world " * 200
ACCEPT = "Accept-Encoding: gzip"


def get(target: str, *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    lines = [f"{method} {target} HTTP/{version}", "Host: front.test", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


# --- the upstream ---


def compressed(path: str) -> bytes:
    data = gzip.compress(TEXT, mtime=0)
    match path.rpartition("-")[2]:
        case "truncated":
            return data[:-10]
        case "bad":
            return data[:20] + b"x" * 30 + data[20:]
        case "two":
            return data + gzip.compress(b"second member", mtime=0)
        case "trailing":
            return data + b"trailing"
        case "empty":
            return b""
    return data


def response(head: bytes) -> bytes:
    """An answer as the query says: `n` bytes of type `t`, status `s`, fields `h`."""
    url = urlsplit(head.split(b" ")[1].decode())
    if "compressed" in url.path:
        body = compressed(url.path)
        fields = 'Content-Encoding: gzip\r\nETag: "abc"\r\nAccept-Ranges: bytes\r\n'
        query = {"s": "200", "t": "text/html"}
    else:
        query = {"s": "200", "t": "text/html", "h": "", "n": "2400"} | dict(
            parse_qsl(url.query, keep_blank_values=True)
        )
        body = TEXT[: int(query["n"])]
        fields = "".join(f"{line}\r\n" for line in query["h"].split("|") if line)
    answer = (
        f"HTTP/1.1 {query['s']} OK\r\nContent-Type: {query['t']}\r\n"
        f"Content-Length: {len(body)}\r\n{fields}\r\n"
    )
    return answer.encode() + (b"" if head.startswith(b"HEAD") else body)


@contextlib.contextmanager
def upstream() -> Iterator[int]:
    """Answers by `response`; the port."""

    def serve(client: socket.socket) -> None:
        with client, client.makefile("rb") as stream:
            head = b""
            while line := stream.readline():
                head += line
                if line == b"\r\n":
                    client.sendall(response(head))
                    head = b""

    def accept() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


# --- files and answers ---


def write_files(folder: Path) -> None:
    for name, data in {
        "a.html": b"<p>hello</p>" * 500,
        "b.css": b"p { a: b }" * 100,
        "c.bin": b"x" * 1000,
        "tiny.html": b"x",
        "s.css": b"plain" * 100,
        "dir.css": b"d" * 100,
        "s.css.gz": gzip.compress(b"precompressed" * 100, mtime=0),
        "only.css.gz": gzip.compress(b"only" * 100, mtime=0),
    }.items():
        (folder / name).write_bytes(data)
        os.utime(folder / name, (MODIFIED, MODIFIED))
    (folder / "dir.css.gz").mkdir()
    os.mkfifo(folder / "fifo.css.gz")


@dataclass(frozen=True, slots=True)
class Outcome:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    was_compressed: bool
    keeps: bool
    log: tuple[str, ...]
    errors: tuple[str, ...]


_VERSION = re.compile(rb"nginx/[0-9.]+(?: \(\w+\))?")


def ask(program: Served, request: bytes) -> Outcome:
    status, body, keeps = 0, b"", False
    headers: tuple[tuple[str, str], ...] = ()
    with program.connected() as client:
        client.sendall(request)
        answer = http.client.HTTPResponse(client, method=request.partition(b" ")[0].decode())
        try:
            answer.begin()
            body = answer.read()
            status, keeps = answer.status, not answer.will_close
            headers = tuple(
                [(n, v) for n, v in answer.getheaders() if n not in ("Date", "Server", "Expires")]
            )
        except http.client.IncompleteRead as cut:
            body = b"cut: " + cut.partial
        except ConnectionError as closed:
            body = repr(closed).encode()
    is_compressed = dict(headers).get("Content-Encoding") == "gzip" and bool(body)
    if is_compressed:
        with contextlib.suppress(zlib.error):  # the upstream's own, which is invalid
            body = zlib.decompress(body, 31)
    if status >= 400:
        # The page names the release.
        body = _VERSION.sub(b"nginx", body)
        headers = tuple(field for field in headers if field[0] != "Content-Length")
    lines = tuple(program.log(lines=1))
    errors = tuple(
        re.sub(r"^.*?\*\d+ |127\.0\.0\.1:\d+", "", line)
        for line in program.log("error.log")
        if "*" in line and "keepalive connection" not in line
    )
    return Outcome(status, headers, body, is_compressed, keeps, lines, errors)


LOG = "$status $sent_http_vary $sent_http_content_encoding"


def compare(
    folder: Path, locations: str, requests: list[bytes], oracle: Command, log: str = LOG
) -> list[Outcome]:
    """The outcomes, after a comparison of both programs' for each request."""
    with upstream() as port:
        http = f"""
            log_format x '{log}'; access_log access.log x; keepalive_timeout 5;
            types {{ text/html html; text/css css; }} default_type text/plain; gzip_vary on;
            server {{
                listen 127.0.0.1:@PORT@; root html; proxy_http_version 1.1;
                gzip on; gzip_types text/css text/plain; proxy_set_header Connection "";
                {locations.replace("UPSTREAM", f"proxy_pass http://127.0.0.1:{port}/;")}
            }}"""
        with contextlib.ExitStack() as stack:
            programs = []
            for program in (OURS, oracle):
                room = folder / program.name
                (room / "html").mkdir(parents=True)
                write_files(room / "html")
                programs.append(stack.enter_context(served(program, room, http)))
            ours, theirs = programs
            outcomes = []
            for request in requests:
                outcomes.append(ask(ours, request))
                assert outcomes[-1] == ask(theirs, request), request.decode("latin-1")
            return outcomes


# --- gzip ---

LONG = "x" * 300
GZIP = f"""
    location /p/ {{ UPSTREAM }}
    location /u/ {{ UPSTREAM proxy_buffering off; }}
    location /any/ {{ gzip_types *; UPSTREAM }}
    location /off/ {{ gzip off; UPSTREAM }}
    location /if/ {{ gzip off; UPSTREAM if ($arg_z) {{ gzip on; }} }}
    location /ranges/ {{ proxy_force_ranges on; UPSTREAM }}
    location /via/off/ {{ UPSTREAM }}
    location /via/any/ {{ gzip_proxied any; UPSTREAM }}
    location /via/auth/ {{ gzip_proxied auth; UPSTREAM }}
    location /via/expired/ {{ gzip_proxied expired; UPSTREAM }}
    location /via/control/ {{ gzip_proxied no-cache no-store private; UPSTREAM }}
    location /via/no-cache/ {{ gzip_proxied no-cache; UPSTREAM }}
    location /via/none/ {{ gzip_proxied no_last_modified no_etag; UPSTREAM }}
    location /via/added/ {{ gzip_proxied no-cache; add_header Cache-Control no-cache; UPSTREAM }}
    location /via/expires/ {{ gzip_proxied expired; expires -1; UPSTREAM }}
    location /long {{ return 200 "{LONG}"; }}
    location /short {{ return 200 short; }}
    location /403 {{ return 403; }}
    location /500 {{ return 500; }}
    location /404 {{ return 404 "{LONG}"; }}
    location /old {{ gzip_http_version 1.0; return 200 "{LONG}"; }}
    location /agents {{ gzip_disable msie6 "Foo.*Bar"; return 200 "{LONG}"; }}
    location /minimum {{ gzip_min_length 1k; return 200 "{LONG}"; }}
    location /added {{ add_header X-A b; add_trailer T v; return 200 "{LONG}"; }}
    location /no-vary {{ gzip_vary off; return 200 "{LONG}"; }}
    location /settings {{ gzip_comp_level 9; gzip_window 1k; gzip_hash 1k; gzip_buffers 4 8k;
        return 200 "{LONG}"; }}
    location = /auth {{ internal; UPSTREAM }}
    location /authorized/ {{ auth_request /auth; UPSTREAM }}
"""
ACCEPTED = (
    *("gzip", "gzip, deflate", "deflate, gzip", "GZIP", "xgzip", "gzip;q=0", "gzip;q=1"),
    *("gzip; q=0.5", "gzip;q=0.0", "gzip;q=1.5", "gzip ; q = 1", "*", "gzipx", "identity"),
    *("br;q=1.0, gzip;q=0.8, *;q=0.1", "gzip;q=0.001", "gzip;q=1.0001", "gzip,;q=0", "gzip;x=1"),
    *("gzip;q=2", "a gzip", "gzip;", "gzip;q=", "gzip;q=0.9999", "gzip;Q=1", "gzip;q=1,", "gzi"),
)
AGENTS = (
    *("Mozilla/4.0 (compatible; MSIE 6.0; Windows)", "MSIE 6.0; Windows; SV1", "MSIE 5.5"),
    *("MSIE 7.0", "MSIE 4", "MSIE 4.0", "FooBar", "foobar", "Foo x Bar"),
)
TYPES = (
    *("text/html;charset=utf-8", "text/html; charset=utf-8", "text/html; boundary=x", "text/css"),
    *("text/html;boundary=x;charset=y", "TEXT/HTML", "", "application/json", "text/html;"),
)
PAST, FUTURE = "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT"
FIELDS = (
    *('ETag: "a"', 'ETag: W/"a"', "ETag: a", f"Last-Modified: {PAST}", f"Expires: {PAST}"),
    *("Expires: bad", f"Expires: {FUTURE}", "Cache-Control: no-cache", "Cache-Control: NO-STORE"),
    *("Cache-Control: max-age=1, private", "Cache-Control: public", 'Cache-Control: private="x"'),
    *("Cache-Control: public|Cache-Control: no-cache", "Content-Encoding: br", "Vary: X"),
    *(f"Date: {PAST}|Expires: Thu, 01 Jan 1970 00:00:01 GMT", "Accept-Ranges: bytes"),
    *("Content-Encoding: ", "X-Accel-Redirect: /a.html|Accept-Ranges: bytes|ETag: x"),
    "X-Accel-Redirect: /a.html|Cache-Control: no-cache",
)
PLACES = ("off", "any", "auth", "expired", "control", "no-cache", "none", "added", "expires")


def gzip_requests() -> Iterator[bytes]:
    for accepted in ACCEPTED:
        yield get("/a.html", f"Accept-Encoding: {accepted}")
    for target in (
        *(
            "/a.html",
            "/b.css",
            "/c.bin",
            "/tiny.html",
            "/nosuch",
            "/long",
            "/403",
            "/500",
        ),
        *(
            "/short",
            "/404",
            "/minimum",
            "/added",
            "/no-vary",
            "/settings",
            "/p/x",
            "/u/x",
            "/any/x?t=a/b",
        ),
        *("/off/x", "/if/x", "/if/x?z=1", "/ranges/x", "/p/x?n=10", "/p/x?n=20", "/p/x?n=19"),
        *("/authorized/x", "/p/x?n=0", "/any/x?t=a/b"),
    ):
        yield get(target, ACCEPT)
    for target in ("/a.html", "/long", "/p/x", "/403", "/nosuch"):
        yield get(target, ACCEPT, method="HEAD")
    for target in ("/a.html", "/long", "/p/x", "/no-vary", "/c.bin"):
        yield get(target)
    for target in ("/a.html", "/old", "/long"):
        yield get(target, ACCEPT, version="1.0")
        yield get(target, ACCEPT, "Connection: keep-alive", version="1.0")
    for condition in (
        *("Range: bytes=0-9", 'If-None-Match: W/"6553f100-1770"', 'If-None-Match: "6553f100-1770"'),
        "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT",
    ):
        yield get("/a.html", ACCEPT, condition)
    yield get("/ranges/x", ACCEPT, "Range: bytes=0-9")
    yield get("/ranges/x", "Range: bytes=0-9")
    for agent in AGENTS:
        yield get("/agents", ACCEPT, f"User-Agent: {agent}")
    for media_type in TYPES:
        yield get(f"/p/x?t={quote(media_type)}", ACCEPT)
    for field in FIELDS:
        yield get(f"/p/x?h={quote(field)}", ACCEPT)
    for place in PLACES:
        yield get(f"/via/{place}/x", ACCEPT, "Via: x")
        yield get(f"/via/{place}/x", ACCEPT, "Via: x", "Authorization: Basic x")
        for field in FIELDS:
            yield get(f"/via/{place}/x?h={quote(field)}", ACCEPT, "Via: 1")
    for status in (200, 201, 206, 301, 403, 404, 410, 500, 503):
        yield get(f"/p/x?s={status}", ACCEPT)


@pytest.mark.nginx
def test_responses_are_compressed_as_by_nginx(tmp_path: Path) -> None:
    requests = list(gzip_requests())
    outcomes = compare(tmp_path, GZIP, requests, NGINX, f"{LOG} $gzip_ratio")
    compressed = [outcome for outcome in outcomes if outcome.was_compressed]
    assert 100 < len(compressed) < len(outcomes) - 100


# --- gunzip and gzip_static ---

GUNZIP = """
    location /gunzip/ { gunzip on; gzip off; UPSTREAM }
    location /both/ { gunzip on; UPSTREAM }
    location /on/ { gzip off; gzip_static on; alias html/; }
    location /no-vary/ { gzip off; gzip_vary off; gzip_static on; alias html/; }
    location /always/ { gzip off; gzip_static always; alias html/; }
    location /unpacked/ { gunzip on; gzip_static always; alias html/; }
    location /page/ { gzip_static on; error_page 404 /a.html; alias html/; }
"""


def gunzip_requests() -> Iterator[bytes]:
    kinds = ("", "-truncated", "-bad", "-two", "-trailing", "-empty")
    for place in ("gunzip", "both"):
        for target in (*(f"/{place}/compressed{kind}" for kind in kinds), f"/{place}/plain"):
            yield get(target)
            yield get(target, ACCEPT)
        yield get(f"/{place}/compressed", method="HEAD")
        yield get(f"/{place}/compressed", "Range: bytes=0-3")
    names = ("s.css", "a.html", "dir.css", "only.css", "nosuch.css", "", "fifo.css")
    for place in ("on", "no-vary", "always", "unpacked", "page"):
        for name in names:
            yield get(f"/{place}/{name}", ACCEPT)
            yield get(f"/{place}/{name}")
        yield get(f"/{place}/s.css", ACCEPT, method="HEAD")
        yield get(f"/{place}/s.css", ACCEPT, method="POST")
        yield get(f"/{place}/s.css", ACCEPT, "Range: bytes=0-3")
        yield get(f"/{place}/s.css", ACCEPT, 'If-None-Match: "6553f100-2c"')


@pytest.mark.needs("nginx")
def test_precompressed_files_and_decompression_are_those_of_nginx(tmp_path: Path) -> None:
    built = subprocess.run(["nginx", "-V"], capture_output=True, check=True).stderr
    if b"gunzip" not in built or b"gzip_static" not in built:
        pytest.skip("the system's nginx lacks the modules")
    outcomes = compare(tmp_path, GUNZIP, list(gunzip_requests()), SYSTEM)
    assert any(outcome.body == TEXT + b"second member" for outcome in outcomes)
