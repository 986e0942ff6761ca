"""Three configurations as people write them, from `configs/`, on both programs.

The files as they are, on ports of their own; certificates from `ca issue` as their comments say.
Both programs are processes, started by the command that the comments say, and end with status 0.
They are asked the same, and what their upstreams saw is in the answers. Then once more, with files
that `sniproxy convert` has made of them.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sniproxy.cli import main
from sniproxy.testing.authority import Authority, pem
from sniproxy.testing.upstreams import (
    Action,
    AfterSend,
    HandshakeFault,
    ListenMode,
    UpstreamSpec,
    reserve_port,
    upstreams_in_thread,
)
from sniproxy.testing.upstreams.spec import TLS, ReceivedRequest, alert, response
from tests.convert.converted import there_and_back, to_toml
from tests.nginx import NGINX
from tests.programs import SNIPROXY, Command
from tests.services import CLOSE, TEXT, Service, accept, frame, read_frame, service

CONFIGS = Path(__file__).parent.parent / "configs"
PATIENCE = 20.0
APP, STORE = "app.internal.test", "site.store.test"
MASK = b"mask"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""That of RFC 6455, section 1.3."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str

    def header(self, name: str) -> str | None:
        return next((value for n, value in self.headers if n.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Site:
    """A file, served by one of the programs; `ports` are the real ones by those in the file."""

    ports: Mapping[int, int]
    trust: ssl.SSLContext

    def ask(
        self,
        target: str,
        method: str = "GET",
        port: int = 8443,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> Answer:
        """On a connection of its own; the ports are the file's in what comes back."""
        connection = http.client.HTTPConnection("localhost", self.ports[port], timeout=PATIENCE)
        connection.sock = self.connected(port)
        with connection.sock:
            connection.request(method, target, body, {"Connection": "close", **(headers or {})})
            with connection.getresponse() as response:
                text = response.read().decode("latin-1")
                reports = [pair for pair in response.getheaders() if pair[0] not in UNSTEADY]
        return Answer(
            response.status,
            tuple((name, self.as_written(value)) for name, value in reports),
            self.as_written(text),
        )

    def connected(self, port: int) -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", self.ports[port]), timeout=PATIENCE)
        if port == 8080:
            return plain
        return self.trust.wrap_socket(plain, server_hostname="localhost")

    def as_written(self, text: str) -> str:
        for written, real in self.ports.items():
            text = re.sub(rf"\b{real}\b", str(written), text)
        return text


UNSTEADY = ("Date", "Server")
"""The time, and the name of the program."""


@contextmanager
def served(
    name: str, program: Command, folder: Path, ca: Path, ports: Mapping[int, int]
) -> Iterator[Site]:
    """The file until the block is left; `ports` has those of the upstreams."""
    text = (CONFIGS / name).read_text()
    fronts = [int(port) for port in re.findall(r"listen 127\.0\.0\.1:(\d+)", text)]
    assert main(["ca", "issue", "-d", str(folder), "localhost", "127.0.0.1"]) == 0
    with ExitStack() as held:
        own = {port: held.enter_context(reserve_port()).getsockname()[1] for port in fronts}
        own |= ports
        for written, real in own.items():
            text, number = re.subn(rf"(?<=127\.0\.0\.1:){written}\b", str(real), text)
            assert number == 1
        # Where the front's own port stands in a redirect.
        text = text.replace("$host:8443", f"$host:{own[8443]}")
        file = folder / name
        file.write_text(text)
        if CONVERTED:
            file = to_toml(file) if program is SNIPROXY else there_and_back(file)
        process = subprocess.Popen(
            [
                *(*program.command, "-p", f"{folder}/", "-c", file.name),
                *("-g", "daemon off; master_process off;"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        held.callback(process.communicate)
        held.callback(process.kill)
        pid = folder / Path(name).with_suffix(".pid").name
        deadline = time.monotonic() + PATIENCE
        while not (pid.exists() and pid.read_text()):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        yield Site(own, ssl.create_default_context(cafile=str(ca)))
        process.terminate()
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0


CONVERTED = False
"""Whether sniproxy gets each file as TOML, and nginx what is made of that."""


@pytest.fixture(params=[False, True], ids=["as written", "converted"], autouse=True)
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "CONVERTED", request.param)


@pytest.fixture
def ca(development_ca: Path) -> Path:
    return development_ca / "ca" / "ca.pem"


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """`app` and `store`, and the CA that the files name."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    authority = Authority.root("Origin CA")
    (folder / "origin-ca.pem").write_bytes(pem(authority.certificate))
    authority.issue(APP).write(folder, "app")
    authority.issue(STORE).write(folder, "store")
    return folder


def room(tmp_path: Path, program: Command, certificates: Path | None = None) -> Path:
    folder = tmp_path / program.name
    folder.mkdir()
    if certificates is not None:
        (folder / "origin-ca.pem").write_bytes((certificates / "origin-ca.pem").read_bytes())
    return folder


# An application behind https.


def application(name: str) -> UpstreamSpec:
    def reply(question: ReceivedRequest) -> bytes:
        match question.path:
            case "/login":
                leads = f"Location: https://{APP}/start?from=login"
                return response("", leads, status="302 Found")
            case "/overloaded":
                return response("a stack trace", status="503 Service Unavailable")
            case "/gone":
                return response("the application's own 404", status="404 Not Found")
        return response(f"{name}, SNI {question.server_name}\n{question.request.decode()}")

    return UpstreamSpec(
        name,
        f"wants the SNI {APP}",
        handshake_fault=HandshakeFault(Action(alert(112)), allow_sni=(APP,)),
        tls=TLS("app"),
        response=Action(reply, AfterSend.WAIT),
    )


FIRST, SECOND = application("first"), application("second")
AWAY = replace(FIRST, listen=ListenMode.ABSENT)
ASTRAY = replace(FIRST, tls=TLS("store"))
"""Has a certificate for another name."""


@pytest.mark.nginx
@pytest.mark.parametrize(
    ("first", "second", "who"),
    [
        (FIRST, SECOND, "first"),
        (AWAY, SECOND, "second"),
        (ASTRAY, SECOND, "second"),
        (ASTRAY, replace(AWAY, name="away too"), None),
    ],
    ids=["both", "the backup alone", "the first one has no right to the name", "none"],
)
def test_real_world_application_behind_https(
    first: UpstreamSpec,
    second: UpstreamSpec,
    who: str | None,
    tmp_path: Path,
    certificates: Path,
    ca: Path,
) -> None:
    seen = []
    for program in (SNIPROXY, NGINX):
        folder = room(tmp_path, program, certificates)
        with upstreams_in_thread(certificates) as upstream_server:
            ports = {
                8444: upstream_server.start(first).port,
                8445: upstream_server.start(second).port,
            }
            with served("app-behind-https.conf", program, folder, ca, ports) as site:
                seen.append(
                    [
                        site.ask("/form?a=1", "POST", body="name=value"),
                        site.ask("/", headers={"X-Forwarded-For": "192.0.2.1"}),
                        site.ask("/login"),
                        site.ask("/gone"),
                        site.ask("/overloaded"),
                        site.ask("/deep?er=1", port=8080),
                    ]
                )
    ours, theirs = seen
    assert ours == theirs
    form, home, login, gone, overloaded, plain = ours
    assert (plain.status, plain.header("Location")) == (301, "https://localhost:8443/deep?er=1")
    assert (overloaded.status, overloaded.body) == (503, "<h1>Back in a minute</h1>\n")
    assert overloaded.header("Retry-After") == "30"
    if who is None:
        assert {page.body for page in (form, home, login, gone)} == {overloaded.body}
        return
    assert form.body.startswith(f"{who}, SNI {APP}\nPOST /form?a=1 HTTP/1.1\r\n")
    assert form.body.endswith("\r\n\r\nname=value")
    assert "\r\nHost: localhost:8443\r\n" in home.body
    assert "\r\nX-Forwarded-For: 192.0.2.1, 127.0.0.1\r\n" in home.body
    assert "\r\nX-Forwarded-Proto: https\r\n" in home.body
    assert login.header("Location") == "https://localhost:8443/start?from=login"
    assert (gone.status, gone.body) == (404, "the application's own 404")


# An object store.


def store(question: ReceivedRequest) -> bytes:
    amazon = (
        "x-amz-id-2: c2VjcmV0",
        "x-amz-request-id: 4442587FB7D0A2F9",
        "x-amz-version-id: 3",
        "Set-Cookie: bucket=1",
    )
    with_body = question.method != "HEAD"
    if question.path == "/broken":
        return response("<Error/>", *amazon, status="500 Internal Server Error")
    if question.path not in ("/index.html", "/guide/index.html"):
        return response("<Error/>", *amazon, status="403 Forbidden", with_body=with_body)
    reports = f"SNI {question.server_name}\n{question.request.decode()}"
    return response(reports, 'ETag: "abc"', *amazon, with_body=with_body)


@pytest.mark.nginx
def test_real_world_object_store(tmp_path: Path, certificates: Path, ca: Path) -> None:
    strict = UpstreamSpec(
        "store",
        f"knows one bucket, {STORE}",
        handshake_fault=HandshakeFault(Action(alert(112)), allow_sni=(STORE,)),
        tls=TLS("store"),
        response=Action(store, AfterSend.WAIT),
    )
    seen = []
    for program in (SNIPROXY, NGINX):
        folder = room(tmp_path, program, certificates)
        with upstreams_in_thread(certificates) as upstream_server:
            ports = {8444: upstream_server.start(strict).port}
            with served("object-store.conf", program, folder, ca, ports) as site:
                private = {"Cookie": "session=1", "Authorization": "Basic YTpi"}
                seen.append(
                    [
                        site.ask("/", headers=private),
                        site.ask("/guide/", "HEAD"),
                        site.ask("/nothing"),
                        site.ask("/index.html", "PUT", body="mine"),
                        site.ask("/broken"),
                    ]
                )
    ours, theirs = seen
    assert ours == theirs
    home, guide, nothing, put, broken = ours
    assert home.status == 200
    assert home.body.startswith(f"SNI {STORE}\nGET /index.html HTTP/1.")
    assert f"\r\nHost: {STORE}\r\n" in home.body
    assert "Cookie" not in home.body
    assert "Authorization" not in home.body
    assert (home.header("ETag"), guide.status, guide.body) == ('"abc"', 200, "")
    assert (nothing.status, nothing.body) == (404, "<h1>There is no such page</h1>\n")
    assert put == nothing
    assert (broken.status, broken.body) == (503, "<h1>We cannot reach our files</h1>\n")
    for page in ours:
        names = {name.lower() for name, _ in page.headers}
        assert not [name for name in names if name.startswith("x-amz-") or name == "set-cookie"]


# A front for development.


class Api(Service):
    name = "api"


class Live(Service):
    name = "live"


class Frontend(Service):
    name = "frontend"


def converse(site: Site) -> list[str | tuple[int, bytes]]:
    """A WebSocket through /ws/: the lines of the answer's head, then the frames."""
    request = (
        "GET /ws/room?n=1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    heard: list[str | tuple[int, bytes]] = []
    with site.connected(8443) as sock, sock.makefile("rb") as stream:
        sock.sendall(request.encode())
        while line := stream.readline().decode("latin-1").rstrip("\r\n"):
            if not line.startswith(UNSTEADY):
                heard.append(line)
        for text in (b"hello", b"again"):
            sock.sendall(frame(TEXT, text, MASK))
            heard.append(read_frame(stream))
        sock.sendall(frame(CLOSE, b"\x03\xe8", MASK))
        heard.append(read_frame(stream))
        assert stream.read() == b""
    return heard


@pytest.mark.nginx
def test_real_world_development_server(tmp_path: Path, ca: Path) -> None:
    seen = []
    with service(Api) as api, service(Live) as live, service(Frontend) as frontend:
        ports = {8001: api, 8002: live, 8003: frontend}
        for program in (SNIPROXY, NGINX):
            folder = room(tmp_path, program)
            with served("dev-front.conf", program, folder, ca, ports) as site:
                answers = [site.ask(path) for path in ("/api/users?n=1", "/api", "/ws/", "/x/y")]
                seen.append((answers, converse(site)))
    ours, theirs = seen
    assert ours == theirs
    (users, slash, quiet, page), websocket = ours
    assert users.body.startswith("api: GET /users?n=1 HTTP/1.1\n")
    assert "Host: localhost:8443\n" in users.body
    assert slash.status == 301
    assert quiet.body.startswith("live: GET /ws/ HTTP/1.1\n")
    assert "Connection: close\n" in quiet.body
    assert page.body.startswith("frontend: GET /x/y HTTP/1.1\n")
    assert page.header("Cache-Control") == "no-store"
    assert websocket[0] == "HTTP/1.1 101 Switching Protocols"
    assert f"Sec-WebSocket-Accept: {accept(KEY)}" in websocket
    assert websocket[-3:] == [
        (TEXT, b"live echoes: hello"),
        (TEXT, b"live echoes: again"),
        (CLOSE, b"\x03\xe8"),
    ]
