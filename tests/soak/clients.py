"""The clients of a soak, in a process of their own, at bounded rates.

`python -m tests.soak.clients FOLDER FRONT ROUTED DATAGRAMS RATE` reads numbers of seconds, line by
line. For so long there is traffic, of all kinds at once; when all connections are closed, it prints
in one line of JSON how many exchanges there were, and which had an unexpected outcome.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import itertools
import json
import random
import socket
import ssl
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import h2.exceptions
import httpx

from tests.services import CLOSE, TEXT, frame, read_frame
from tests.soak.configuration import NAME
from tests.soak.origin import page

PATIENCE = 20.0
_TRIES = 3
# The library h2 accepts no data after GOAWAY, which a reload sends in the middle of responses.
_BROKEN_OFF = (OSError, http.client.HTTPException, httpx.HTTPError, h2.exceptions.ProtocolError)


class UnexpectedError(Exception):
    """An exchange that did not end as it has to."""


def _check(condition: bool, text: str) -> None:
    if not condition:
        raise UnexpectedError(text)


@dataclass(slots=True)
class Client:
    """One client at a time for each kind of traffic; each method is an exchange."""

    folder: str
    front: int
    routed: int
    datagrams: int
    chance: random.Random = field(default_factory=lambda: random.Random(30))
    sessions: dict[str, ssl.SSLSession | None] = field(default_factory=dict)
    contexts: dict[str, ssl.SSLContext] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def context(self, version: str, alpn: str = "http/1.1") -> ssl.SSLContext:
        if version + alpn not in self.contexts:
            context = ssl.create_default_context(cafile=f"{self.folder}/root.pem")
            if version == "1.2":
                context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_alpn_protocols([alpn])
            self.contexts[version + alpn] = context
        return self.contexts[version + alpn]

    def tcp(self, port: int = 0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port or self.front), PATIENCE)

    @contextlib.contextmanager
    def tls(self, version: str = "1.3", port: int = 0) -> Iterator[ssl.SSLSocket]:
        with (
            self.tcp(port) as sock,
            self.context(version).wrap_socket(sock, server_hostname=NAME) as tls,
        ):
            yield tls

    def ask(
        self, tls: ssl.SSLSocket, path: str, body: bytes = b"", fields: str = ""
    ) -> tuple[int, bytes, http.client.HTTPResponse]:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        method = "POST" if body else "GET"
        head = f"{method} {path} HTTP/1.1\r\nHost: {NAME}\r\n{length}{fields}\r\n"
        tls.sendall(head.encode() + body)
        response = http.client.HTTPResponse(tls, method=method)
        response.begin()
        return response.status, response.read(), response

    def expect(
        self, tls: ssl.SSLSocket, path: str, status: int = 200, fields: str = ""
    ) -> http.client.HTTPResponse:
        found, body, response = self.ask(tls, path, fields=fields)
        _check(found == status, f"{path}: {found}")
        if status == 200:
            _check(body == page(path.rpartition("/")[2]), f"{path}: another body")
        return response

    def resumed(self, version: str) -> None:
        """Two connections, the second with the session of the first."""
        context = self.context(version)
        session = None
        for turn in range(2):
            with (
                self.tcp() as sock,
                context.wrap_socket(sock, server_hostname=NAME, session=session) as tls,
            ):
                self.expect(tls, "/page")
                session = tls.session
                _check(turn == 0 or bool(tls.session_reused), f"TLS {version}: not resumed")

    def tls_12(self) -> None:
        self.resumed("1.2")

    def tls_13(self) -> None:
        self.resumed("1.3")

    def keepalive(self) -> None:
        with self.tls() as tls:
            for number in range(8):
                self.expect(tls, f"/plain/page-{number}")

    def http2(self) -> None:
        verify = self.context("1.3", "h2")
        url = f"https://127.0.0.1:{self.front}"
        sent = {"Host": NAME}
        options = {"sni_hostname": NAME}
        with httpx.Client(http2=True, verify=verify, base_url=url, timeout=PATIENCE) as client:
            for number in range(8):
                path = f"/cached/page-{number}" if number % 2 else f"/page-{number}"
                got = client.get(path, headers=sent, extensions=options)
                _check(got.status_code == 200, f"h2 {path}: {got.status_code}")
                _check(got.http_version == "HTTP/2", got.http_version)
                _check(got.content == page(path.rpartition("/")[2]), f"h2 {path}: another body")
            body = self.chance.randbytes(70_000)
            got = client.post("/upload", content=body, headers=sent, extensions=options)
            _check(got.text == hashlib.sha256(body).hexdigest(), f"h2 upload: {got.status_code}")

    def upload(self) -> None:
        body = self.chance.randbytes(self.chance.choice((1000, 100_000, 700_000)))
        with self.tls() as tls:
            for path in ("/upload", "/unbuffered/upload"):
                status, digest, _ = self.ask(tls, path, body)
                _check(digest.decode() == hashlib.sha256(body).hexdigest(), f"upload: {status}")

    def download(self) -> None:
        with self.tls() as tls:
            self.expect(tls, self.chance.choice(("/big", "/unbuffered/big", "/cached/big")))

    def leave(self) -> None:
        """Leave in the middle of a response, with a FIN or a reset."""
        with self.tls() as tls:
            tls.sendall(f"GET /unbuffered/big HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
            _check(tls.recv(1000).startswith(b"HTTP/1.1 200"), "a download that is left")
            if self.chance.random() < 0.5:
                tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def websocket(self) -> None:
        with self.tls() as tls:
            fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: a2V5\r\n"
            tls.sendall(f"GET /socket/ HTTP/1.1\r\nHost: {NAME}\r\n{fields}\r\n".encode())
            with tls.makefile("rb") as stream:
                _check(b" 101 " in stream.readline(), "a WebSocket: no 101")
                while stream.readline() != b"\r\n":
                    pass
                for number in range(5):
                    tls.sendall(frame(TEXT, b"%d" % number, b"mask"))
                    _, payload = read_frame(stream)
                    _check(payload.endswith(b": %d" % number), f"a WebSocket: {payload!r}")
                tls.sendall(frame(CLOSE, b"", b"mask"))
                read_frame(stream)

    def errors(self) -> None:
        with self.tls() as tls:
            self.expect(tls, "/dead/", 502)
            self.expect(tls, "/reset", 502)
            self.expect(tls, "/error", 503)
            self.expect(tls, "/half/page")
            self.expect(tls, "/unbuffered/../../x", 400)
        with self.tls() as tls, contextlib.suppress(http.client.IncompleteRead):
            self.ask(tls, "/cut")
        with self.tls() as tls:
            tls.sendall(f"GET /garbage HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
            data = tls.recv(1000)
            _check(data.endswith(b"not HTTP\r\n\r\n"), f"/garbage: {data!r}")  # as HTTP/0.9

    def bad_clients(self) -> None:
        """Garbage, half a hello, a name that has no certificate, half a request."""
        for data in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01",
            self.chance.randbytes(99),
        ):
            with self.tcp() as sock, contextlib.suppress(ConnectionError):
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
        with self.tls() as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost:")

    def cached(self) -> None:
        with self.tls() as tls:
            for _ in range(8):
                self.expect(tls, f"/cached/page-{self.chance.randrange(300)}")

    def compressed(self) -> None:
        with self.tls() as tls:
            for number in range(4):
                status, body, response = self.ask(
                    tls, f"/compressed/page-{number}", fields="Accept-Encoding: gzip\r\n"
                )
                _check(response.getheader("Content-Encoding") == "gzip", f"gzip: {status}")
                _check(len(body) < 2000, "gzip: long")

    def by_name(self) -> None:
        """A session of stream, routed by SNI to the upstream's TLS."""
        with self.tls(port=self.routed) as tls:
            self.expect(tls, "/page-stream")
        with self.tcp(self.routed) as sock, contextlib.suppress(OSError):
            context = self.context("1.2")
            context.wrap_socket(sock, server_hostname="nowhere.test").close()

    def udp(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(("127.0.0.1", self.datagrams))
            data = b"%d" % next(self.numbers)
            sock.send(data)
            _check(sock.recv(100) == data, "UDP: another answer")

    def files(self) -> None:
        with self.tls() as tls:
            status, body, _ = self.ask(tls, "/file/front.pem")
            _check(status == 200 and body.startswith(b"-----BEGIN"), f"file: {status}")
            found = self.ask(tls, "/file/none", fields="Connection: close\r\n")[0]
            _check(found == 200, f"file: {found}")


KINDS: dict[Callable[[Client], None], float] = {
    Client.tls_12: 2,
    Client.tls_13: 2,
    Client.keepalive: 2,
    Client.http2: 1,
    Client.upload: 1,
    Client.download: 0.5,
    Client.leave: 0.5,
    Client.websocket: 1,
    Client.errors: 1,
    Client.bad_clients: 1,
    Client.cached: 2,
    Client.compressed: 1,
    Client.by_name: 2,
    Client.udp: 5,
    Client.files: 1,
}
"""How often in a second, at the rate 1."""


class Traffic:
    """All kinds of traffic at once, each in a thread."""

    def __init__(self, client: Client, rate: float) -> None:
        self._client = client
        self._rate = rate
        self.done: Counter[str] = Counter()
        self.again: Counter[str] = Counter()
        """Exchanges that broke off and were tried once more: a reload closes connections."""
        self.unexpected: list[str] = []

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        threads = [
            threading.Thread(target=self._repeat, args=(kind, each * self._rate, end))
            for kind, each in KINDS.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _repeat(self, kind: Callable[[Client], None], rate: float, end: float) -> None:
        due = time.monotonic()
        while due < end:
            time.sleep(max(due - time.monotonic(), 0))
            self._once(kind)
            # What took too long is left out: the rate is a maximum.
            due = max(due + 1 / rate, time.monotonic())

    def _once(self, kind: Callable[[Client], None]) -> None:
        name = kind.__name__
        for turn in range(_TRIES):
            try:
                kind(self._client)
            except _BROKEN_OFF as error:
                failure = f"{name}: {error!r}"
                if turn == _TRIES - 1:
                    self.unexpected.append(failure)
                self.again[name] += 1
            except Exception as error:
                self.unexpected.append(f"{name}: {error!r}")
                return
            else:
                self.done[name] += 1
                return


def main(folder: str, front: str, routed: str, datagrams: str, rate: str) -> None:
    client = Client(folder, int(front), int(routed), int(datagrams))
    for line in sys.stdin:
        traffic = Traffic(client, float(rate))
        traffic.run(float(line))
        result = {
            "done": traffic.done,
            "again": traffic.again,
            "unexpected": traffic.unexpected[:20],
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
