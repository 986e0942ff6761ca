"""Each site of `sites/` on both programs: the same answers, and the same lines in the logs.

The files are as people write them. What is replaced is what a test cannot have: addresses to listen
on, those of applications, and absolute names of files. Lines that end in "# other module" are for
sniproxy only, which leaves them out.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import re
import shutil
import socket
import ssl
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sniproxy.portal import in_thread
from sniproxy.testing.upstreams import generate_certificates, reserve_port
from tests.compare_nginx import Served
from tests.handlers.filter_pair import SYSTEM
from tests.nginx import NGINX
from tests.programs import OURS, Program
from tests.real_world.application import Application
from tests.real_world.site_requests import REQUESTS, UPGRADE, Request
from tests.services import CLOSE, TEXT, frame, read_frame, service

SITES = Path(__file__).parent / "sites"
MODIFIED = 1_700_000_000
PATIENCE = 10.0
MASK = b"mask"
OTHER_MODULE = "# other module"
LAST_PORT = 1
LAST = f"server {{ listen 127.0.0.1:@PORT{LAST_PORT}@; return 204; }}"

PAGE = "<!doctype html><title>page</title>" + "<p>hello</p>" * 50
FILES = {
    "errors/404.html": "our 404",
    "errors/502.html": "our 502",
    "spa/index.html": PAGE,
    "spa/assets/app.js": "console.log(1);\n" * 50,
    "spa/logo.svg": "<svg/>" * 40,
    "spa/small.css": "a{}",
    "blog/style.css": "body { color: red }",
    "blog/robots.txt": "User-agent: *\n",
    "blog/wp-content/uploads/evil.php": "<?php",
    "blog/wp-content/cache/page.html": "cached",
    "static/app.css": "p { margin: 0 }\n" * 30,
    "public/hello.txt": "hello\n",
    "site/index.html": PAGE,
    "site/maintenance.html": "back soon",
    "site/docs/index.html": "docs",
    "site/docs/page.txt": "a page",
    "mirror/index.html": PAGE,
    "tmp/empty": "",
    "legacy/index.shtml": '<!--#set var="title" value="\u0430\u0431\u0432" -->'
    '<!--#include virtual="/parts/head.html?a=b" -->'
    '<!--#if expr="$http_user_agent = /Lynx\\/(\\d)/" -->Lynx <!--#echo var="1" --><!--#else -->'
    'you<!--#endif --><!--#include virtual="/counter/page.html" wait="yes" -->'
    '<!--#block name="none" -->nobody<!--#endblock -->'
    '<!--#include virtual="/absent.html" stub="none" --><!--#include file="parts/foot.html" -->',
    "legacy/parts/head.html": '<h1><!--#echo var="title" encoding="none" --></h1>'
    '<!--#echo var="request_uri" -->',
    "legacy/parts/foot.html": '\u0438<!--#exec cmd="date" -->',
    "legacy/style.css": "a{}/* <!--#echo var='host' --><!--#bad --> */",
    "legacy/plain.txt": "<!--#echo var='host' -->",
    "framed/index.html": PAGE,
    "framed/notes.txt": "notes\n",
    "framed/style.css": "a{}",
    "framed/parts/head.html": "<header>archive</header>",
    "framed/parts/foot.html": "<footer>2026</footer>",
}
ORACLES = {"framed": SYSTEM, "link-mirror": SYSTEM, "status": SYSTEM}
"""Sites that need modules which the wheel's nginx lacks."""
USERS = "user:{PLAIN}password\n"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    generate_certificates(folder)
    return folder


def write_room(room: Path, certificates: Path) -> None:
    room.mkdir()
    for name, text in FILES.items():
        path = room / "www" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (MODIFIED, MODIFIED))
    (room / "users").write_text(USERS)
    (room / "cache").mkdir()
    for suffix in ("pem", "key"):
        (room / f"site.{suffix}").write_bytes((certificates / f"front.{suffix}").read_bytes())


def configuration(name: str, program: Program, room: Path, application: int) -> str:
    text = (SITES / f"{name}.conf").read_text()
    if program is not OURS:
        lines = text.splitlines(keepends=True)
        text = "".join([line for line in lines if OTHER_MODULE not in line])
    text = re.sub(r"listen (\d+)", r"listen 127.0.0.1:@PORT\1@", text)
    text = re.sub(r"(?:localhost|127\.0\.0\.1):\d{4,}", f"127.0.0.1:{application}", text)
    for path, own in (("/etc/ssl", ""), ("/var/www", "/www"), ("/var/cache/nginx", "/cache")):
        text = text.replace(path, f"{room}{own}")
    if not re.search("^http {", text, re.MULTILINE):
        text = f"http {{\n{text}\n}}\n"
    text = text.replace("http {", f"http {{ access_log access.log; server_tokens off; {LAST}", 1)
    # A file may leave out what sniproxy lacks, and HTTP/3 is warned of.
    level = "error" if OTHER_MODULE in (SITES / f"{name}.conf").read_text() else "warn"
    main, _, http_block = text.partition("http {")
    return f"pid nginx.pid; error_log error.log {level};\n{main}\nevents {{ }}\nhttp {{{http_block}"


@contextlib.contextmanager
def serving(program: Program, room: Path, text: str) -> Iterator[Served]:
    with contextlib.ExitStack() as held:
        ports = {
            name: held.enter_context(reserve_port()).getsockname()[1]
            for name in sorted(set(re.findall(r"@PORT(\d+)@", text)))
        }
        file = room / "nginx.conf"
        file.write_text(re.sub(r"@PORT(\d+)@", lambda match: str(ports[match[1]]), text))
        held.enter_context(in_thread(lambda: program.serving(room, file)))
        yield Served(program, room, ports)


class Reader:
    """A socket as `http.client` wants it, which leaves what follows the head."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self.stream = stream

    def makefile(self, mode: str) -> io.BufferedReader:
        return self.stream


def exchange(served: Served, request: Request) -> tuple[object, ...]:
    """Status, fields and content of the answer; of a WebSocket also what comes back."""
    plain = socket.create_connection(("127.0.0.1", served.ports[str(request.port)]), PATIENCE)
    client = plain
    if request.port in (443, 8448):
        client = TRUST.wrap_socket(plain, server_hostname=request.host)
    with client, client.makefile("rb") as stream, contextlib.ExitStack() as closed:
        answer = http.client.HTTPResponse(Reader(stream), method=request.method)  # type: ignore[arg-type]
        closed.callback(answer.close)
        client.sendall(request.encode())
        try:
            answer.begin()
        except http.client.RemoteDisconnected:
            return ("closed",)
        fields = [
            (name, served.without_ports(value))
            for name, value in answer.getheaders()
            if name not in ("Date", "Expires")
        ]
        if answer.status == 101:
            client.sendall(frame(TEXT, b"hello", MASK) + frame(CLOSE, b"", MASK))
            return 101, fields, read_frame(stream), read_frame(stream), stream.read()
        body = answer.read()
        if answer.getheader("Content-Encoding") == "gzip" and body:
            body = zlib.decompress(body, 31)
        return answer.status, fields, served.without_ports(body.decode("latin-1"))


TRUST = ssl.create_default_context()
TRUST.check_hostname, TRUST.verify_mode = False, ssl.CERT_NONE
_VARYING = re.compile(
    r"\[\d\d/\w+/\d{4}:[^\]]*\]|^.*?#\d+: (?:\*\d+ )?|(?<=temporary file )[^ ,]+"
    r"|\(\d+: [^)]*\)|(?<=excess: )[\d.]+|(?<=\" \d{3} )\d+"
)
"""What differs between two runs: times, numbers of processes, names of files, texts of errno,
and lengths: some are compressed."""


def logged_so_far(served: Served, least: int) -> list[str]:
    """The access log up to the line of one more request; at least so many lines before it.

    A request is logged when the copies of it are over, and the next may be logged before.
    """
    exchange(served, Request("/last", port=LAST_PORT))
    lines: list[str] = []
    while len(lines) <= least or not any('"GET /last ' in line for line in lines):
        lines += log_lines(served, "access.log", 1)
    return lines


def log_lines(served: Served, name: str, count: int = 0) -> list[str]:
    return [_VARYING.sub("", line) for line in served.log(name, count)]


COPIED = ("staging-mirror",)
"""Sites that send copies of requests."""


@pytest.mark.nginx
@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_the_site_is_served_as_by_nginx(name: str, tmp_path: Path, certificates: Path) -> None:
    least = len(REQUESTS[name]) if name in COPIED else 0
    seen = []
    oracle = ORACLES.get(name, NGINX)
    if oracle is SYSTEM and shutil.which("nginx") is None:
        pytest.skip("needs the nginx of the system")
    for program in (OURS, oracle):
        room = tmp_path / program.name
        write_room(room, certificates)
        with service(Application) as application:
            text = configuration(name, program, room, application)
            with serving(program, room, text) as served:
                served.ports["application"] = application  # type: ignore[index]
                answers = [exchange(served, request) for request in REQUESTS[name]]
                logs = [logged_so_far(served, least), log_lines(served, "error.log")]
        seen.append((answers, [sorted(lines) for lines in logs]))
    ours, theirs = seen
    for request, answer, expected in zip(REQUESTS[name], ours[0], theirs[0], strict=True):
        assert answer == expected, request
    assert ours[1] == theirs[1]


def test_every_site_has_requests() -> None:
    assert {path.stem for path in SITES.glob("*.conf")} == set(REQUESTS)
    assert sum(UPGRADE[0] in request.fields for site in REQUESTS.values() for request in site) > 5
