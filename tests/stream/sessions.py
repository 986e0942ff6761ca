"""Run scenarios of `stream {}` on a program, and record what client, upstream and logs see.

Placeholders in the texts of a scenario: LISTEN and LISTEN2 are addresses to listen on, PEER and
PEER2 those of upstreams, DEAD is an address where nothing listens, NAME the scenario's name.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import sniproxy
from sniproxy.testing.upstreams import reserve_port
from tests.config.oracle import nginx_binary

TIMEOUT = 4.0
"""Seconds for a step of a client or upstream, and for the logs of a scenario."""
FORMAT = (
    "NAME $protocol $status sent=$bytes_sent received=$bytes_received addr=$upstream_addr "
    "up_sent=$upstream_bytes_sent up_received=$upstream_bytes_received"
)
CLOSE, SHUTDOWN, RESET, END, HOLD = "close", "shutdown", "reset", "end", "hold"
"""Steps of a script: close the connection, its sending side, reset it, read to the end; an
upstream holds the connection open until the session is logged."""


@dataclass(frozen=True, slots=True)
class Read:
    """Read until so many bytes have arrived since the last `Read`."""

    size: int


Script = tuple[bytes | str | Read, ...]
ECHO: Script = ("echo",)


@dataclass(frozen=True, slots=True)
class SessionScenario:
    """A server of `stream {}`, a client, and how nginx behaves."""

    name: str
    rule: str
    """What nginx does, in one sentence; printed when the test fails."""
    server: str = "proxy_pass PEER;"
    """Directives of the server."""
    listen: str = ""
    """Parameters of its `listen`."""
    stream: str = ""
    """Directives of the stream block."""
    outside: str = ""
    """Directives of the main level."""
    client: Script = (b"ping", Read(4), CLOSE)
    upstream: Script = ECHO
    upstream_tls: str = ""
    """Name of the upstream's certificate; "" for plain TCP."""
    sni: str | None = None
    """The client uses TLS, with this SNI; "" for none."""
    alpn: tuple[str, ...] = ()
    client_certificate: str = ""
    status: int = 200
    """Expected status of the session."""
    logs: tuple[str, ...] = ()
    """Parts of lines that the error log must have."""
    clients: int = 1
    """Number of connections, one after the other."""
    sessions: int = 1
    """Number of sessions for each of them, which the access log has."""
    format: str = FORMAT


@dataclass(slots=True)
class Recorded:
    """What is compared."""

    client: list[str] = field(default_factory=list)
    upstream: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    accesses: list[str] = field(default_factory=list)


class Peer:
    """An upstream on a thread, which runs a script for each connection."""

    def __init__(self, scenario: SessionScenario, certificates: Path) -> None:
        self._scenario = scenario
        self._is_udp = "udp" in scenario.listen.split()
        kind = socket.SOCK_DGRAM if self._is_udp else socket.SOCK_STREAM
        self._sock = socket.socket(socket.AF_INET, kind)
        self._sock.bind(("127.0.0.1", 0))
        self._context: ssl.SSLContext | None = None
        if scenario.upstream_tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            name = scenario.upstream_tls
            self._context.load_cert_chain(
                certificates / f"{name}.pem", certificates / f"{name}.key"
            )
            self._context.sni_callback = self._on_name
            if scenario.alpn:
                self._context.set_alpn_protocols(["a", "b"])
        self.port = self._sock.getsockname()[1]
        self.records: list[str] = []
        self._threads: list[threading.Thread] = []
        self._markers: set[object] = set()
        self._marked = threading.Event()
        self._is_over = threading.Event()
        if not self._is_udp:
            self._sock.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _on_name(self, sock: object, name: str | None, context: object) -> None:
        self.records.append(f"SNI {name}")

    def _serve(self) -> None:
        while True:
            try:
                if self._is_udp:
                    data, address = self._sock.recvfrom(65535)
                    if not address:
                        return  # the socket was closed
                    if address in self._markers:
                        self._marked.set()
                        continue
                    self.records.append(f"datagram {data!r}")
                    for step in self._scenario.upstream:
                        reply = data if step == "echo" else step
                        if isinstance(reply, bytes):
                            self._sock.sendto(reply, address)
                    continue
                sock, address = self._sock.accept()
                if address in self._markers:
                    sock.close()
                    self._marked.set()
                    continue
            except OSError:
                return
            thread = threading.Thread(target=self._talk, args=(sock,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _talk(self, sock: socket.socket) -> None:
        sock.settimeout(TIMEOUT)
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
                self.records.append(f"TLS {sock.selected_alpn_protocol()}")
            self.records.append(run_script(sock, self._scenario.upstream, self._is_over))
        except OSError as error:
            self.records.append(f"failed {type(error).__name__}")
            sock.close()

    def wait(self) -> None:
        """Wait until all connections are over."""
        self._is_over.set()
        # A connection or datagram of our own is received after all others.
        self._marked.clear()
        with socket.socket(socket.AF_INET, self._sock.type) as marker:
            marker.bind(("127.0.0.1", 0))
            self._markers.add(marker.getsockname())
            marker.connect(("127.0.0.1", self.port))
            if self._is_udp:
                marker.send(b"")
            self._marked.wait(TIMEOUT)
        for thread in self._threads:
            thread.join(TIMEOUT)
        self._threads.clear()
        self._is_over.clear()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


def run_script(sock: socket.socket, script: Script, is_over: threading.Event | None = None) -> str:
    """Run the steps of one side; returns what it has received, and how the connection ended."""
    received, unread, ending = b"", 0, "open"
    try:
        for step in script:
            if isinstance(step, bytes):
                sock.sendall(step)
            elif isinstance(step, Read):
                unread += step.size
                while len(received) < unread:
                    data = sock.recv(65536)
                    if not data:
                        ending = "ended early"
                        break
                    received += data
            elif step == "echo":
                while data := sock.recv(65536):
                    received += data
                    sock.sendall(data)
                ending = "end"
            elif step == END:
                while data := sock.recv(65536):
                    received += data
                ending = "end"
            elif step == HOLD:
                assert is_over is not None, "only upstreams hold"
                is_over.wait(TIMEOUT)
            elif step == SHUTDOWN:
                sock.shutdown(socket.SHUT_WR)
            elif step == RESET:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                break
            elif step == CLOSE:
                break
    except (ConnectionResetError, BrokenPipeError):
        ending = "reset"
    except ssl.SSLError as error:
        ending = f"SSL {error.reason}"
    except TimeoutError:
        ending = "timed out"
    sock.close()
    head, tls, _ = received.partition(b"\x16\3\1\1")
    if tls and b" TCP" in head:
        received = head  # how much of TLS has arrived depends on the time
    text = repr(received) if len(received) < 300 else f"{len(received)} bytes"
    return f"{text} {ending}"


class Case:
    """A scenario with its ports and its upstream."""

    def __init__(self, scenario: SessionScenario, certificates: Path) -> None:
        self.scenario = scenario
        self.certificates = certificates
        self.peer = Peer(scenario, certificates)
        # Held, so that no other process takes them; the programs listen with SO_REUSEADDR.
        self._reserved = [reserve_port() for _ in range(3)]
        self.ports = [sock.getsockname()[1] for sock in self._reserved]
        self.is_udp = "udp" in scenario.listen.split()

    def close(self) -> None:
        """Close the upstream, and give the ports back."""
        self.peer.close()
        for sock in self._reserved:
            sock.close()

    def fill(self, text: str) -> str:
        addresses = [f"127.0.0.1:{port}" for port in self.ports]
        words = {
            "LISTEN": addresses[0],
            "LISTEN2": addresses[1],
            "DEAD": addresses[2],
            "PEER": f"127.0.0.1:{self.peer.port}",
            "PORT": str(self.peer.port),
            "NAME": self.scenario.name,
        }
        return re.sub(r"\b(LISTEN2|LISTEN|DEAD|PEER|PORT|NAME)\b", lambda m: words[m[1]], text)

    def configuration(self) -> str:
        scenario = self.scenario
        log = scenario.name.replace("-", "_")
        return self.fill(
            f"log_format {log} '{scenario.format}';\n{scenario.stream}\n"
            f"server {{ listen LISTEN {scenario.listen}; access_log access.log {log};\n"
            f"{scenario.server} }}\n"
        )

    def run_client(self) -> str:
        address = ("127.0.0.1", self.ports[0])
        if self.is_udp:
            return self._exchange_datagrams(address)
        try:
            sock = socket.create_connection(address, TIMEOUT)
            scenario = self.scenario
            if scenario.sni is not None:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                if scenario.alpn:
                    context.set_alpn_protocols(list(scenario.alpn))
                if scenario.client_certificate:
                    name = self.certificates / scenario.client_certificate
                    context.load_cert_chain(f"{name}.pem", f"{name}.key")
                sock = context.wrap_socket(sock, server_hostname=scenario.sni or None)
                certificate = ssl.DER_cert_to_PEM_cert(sock.getpeercert(True) or b"")
                number = hash_of(certificate)
                alpn = sock.selected_alpn_protocol()
                return f"certificate {number} alpn {alpn} {run_script(sock, scenario.client)}"
            return run_script(sock, scenario.client)
        except ssl.SSLError as error:
            return f"handshake failed: {error.reason}"
        except OSError as error:
            return f"failed: {type(error).__name__}"

    def _exchange_datagrams(self, address: tuple[str, int]) -> str:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(0.5)
        sock.connect(address)
        found = []
        for step in self.scenario.client:
            try:
                if isinstance(step, bytes):
                    sock.send(step)
                elif isinstance(step, Read):
                    found.append(repr(sock.recv(65535)))
            except OSError as error:
                found.append(type(error).__name__)
        sock.close()
        return " ".join(found)


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def configuration(cases: Sequence[Case]) -> str:
    outside = "".join(case.fill(case.scenario.outside) for case in cases)
    inside = "".join(case.configuration() for case in cases)
    return (
        "error_log error.log info;\npid nginx.pid;\nevents { worker_connections 256; }\n"
        f"{outside}\nstream {{\n{inside}}}\n"
    )


@contextlib.contextmanager
def nginx(file: Path, prefix: Path) -> Iterator[None]:
    command = [
        nginx_binary(), "-p", f"{prefix}/", "-c", str(file), "-e", str(prefix / "early.log"),
        "-g", "daemon off; master_process off;",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: (prefix / "nginx.pid").exists() or process.poll() is not None)
        if process.poll() is not None:
            assert process.stderr is not None
            raise RuntimeError(process.stderr.read().decode())
        yield
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


@contextlib.contextmanager
def ours(file: Path, prefix: Path) -> Iterator[None]:
    with sniproxy.serve_in_thread(file, prefix=prefix, directives="ssl_error_dialect 3.5;"):
        yield


PROGRAMS = {"nginx": nginx, "sniproxy": ours}


def wait_until(condition: Callable[[], object], timeout: float = TIMEOUT) -> None:
    end = time.monotonic() + timeout
    while not condition() and time.monotonic() < end:
        time.sleep(0.003)


class Log:
    """Reads what is new in a log file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = 0

    def peek(self) -> list[str]:
        if not self._path.exists():
            return []
        return self._path.read_text(encoding="latin-1").splitlines()[self._seen :]

    def take(self) -> list[str]:
        lines = self.peek()
        self._seen += len(lines)
        return lines


def run(cases: Sequence[Case], program: str, folder: Path, file: Path) -> dict[str, Recorded]:
    """Run all scenarios on one program."""
    prefix = folder / program
    prefix.mkdir()
    errors, accesses = Log(prefix / "error.log"), Log(prefix / "access.log")
    found: dict[str, Recorded] = {}
    with PROGRAMS[program](file, prefix):
        for case in cases:
            case.peer.records.clear()
            record = found[case.scenario.name] = Recorded()
            errors.take()
            accesses.take()
            for _ in range(case.scenario.clients):
                record.client.append(hide(case.run_client()))
                count = len(record.client) * case.scenario.sessions
                wait_until(partial(has_lines, accesses, count))
            case.peer.wait()
            record.upstream = [hide(line) for line in case.peer.records]
            record.errors = sorted(hide(line) for line in errors.take())
            record.accesses = [hide(line) for line in accesses.take()]
    return found


def has_lines(log: Log, count: int) -> bool:
    return len(log.peek()) >= count


def hide(line: str) -> str:
    """A line without what differs from run to run: times, numbers, ports of clients."""
    line = re.sub(r"^\d{4}/\d\d/\d\d [\d:]+ (\[\w+\]) [\d#]+: ", r"\1 ", line)
    line = re.sub(r"\*\d+ ", "*", line)
    line = re.sub(r"(client|proxy) (127[.\d]+):\d+ connected", r"\1 \2 connected", line)
    if "connect() failed" in line:  # whether data of the client comes first is a race in nginx
        line = re.sub(r"while (proxying connection|connecting to upstream)", "while …", line)
        line = re.sub(r"client:\d+/0", "client:…", line)
    line = line.replace("Operation timed out", "Connection timed out")  # musl's words
    line = re.sub(r"\(SSL: error:[^)]*\)", "(SSL: error)", line)  # another release of OpenSSL
    line = re.sub(r"^b['\"].*\\x16\\x03\\x01.*['\"]", "ClientHello", line)
    line = re.sub(r"(TCP4 127.0.0.1 127.0.0.1 )\d+", r"\1PORT", line)
    return re.sub(r"\b0\.\d{3}\b", "TIME", line)
