"""Clients that finish a handshake and then misuse it, played by tlslite-ng on both programs.

Everything before the end of a handshake is in `tls_attacks.py`.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator

import pytest

from tests.compare_nginx import NginxPair, Served, served
from tests.nginx import NGINX
from tests.programs import InProcess
from tests.robustness.tls_attacks import fragments, padded
from tests.tls.authority import make
from tests.tls.real_nginx import lines, same_codes

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # tlslite-ng imports asyncore
    from tlslite import constants, errors, messages, tlsconnection
    from tlslite.handshakesettings import HandshakeSettings

pytestmark = pytest.mark.nginx

SITE = """
    access_log off;
    ssl_certificate CERTIFICATES/front.crt;
    ssl_certificate_key CERTIFICATES/front.key;
    client_header_timeout 3s;
    keepalive_timeout 3s;
    server {
        listen 127.0.0.1:@PORT@ ssl;
        server_name front.test;
        return 200 "front $ssl_session_reused\\n";
    }
    server {
        listen 127.0.0.1:@PORT2@ ssl;
        server_name other.test;
        ssl_session_cache shared:other:1m;
        return 200 "other $ssl_session_reused\\n";
    }
"""
GET = b"GET / HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n"
OLD, NEW = (3, 3), (3, 4)
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class TLSClient:
    """A connection of tlslite-ng, and what was received on it."""

    def __init__(self, program: Served, port: str = "") -> None:
        self.seen: list[str] = []
        self.sock = socket.create_connection(("127.0.0.1", program.ports[port]), timeout=5)
        self.tls = tlsconnection.TLSConnection(self.sock)
        self.program = program

    def shake_hands(
        self, version: tuple[int, int], session: object = None, name: str = "front.test"
    ) -> TLSClient:
        settings = HandshakeSettings()
        settings.minVersion = settings.maxVersion = version
        try:
            self.tls.handshakeClientCert(session=session, settings=settings, serverName=name)
        except errors.TLSRemoteAlert as alert:
            self.seen.append(str(alert))
        return self

    def send(self, message: object) -> None:
        """Send a message of TLS. The peer may have closed the connection."""
        with contextlib.suppress(OSError):
            for _ in self.tls._sendMsg(message):
                pass

    def send_raw(self, data: bytes) -> None:
        """Send bytes below TLS, and a FIN unless the peer has reset the connection by then."""
        with contextlib.suppress(OSError):
            self.sock.sendall(data)
            self.sock.shutdown(socket.SHUT_WR)

    def read(self) -> None:
        """Read to the end."""
        received = b""
        try:
            while data := self.tls.read(max=65536):
                received += bytes(data)
        except errors.TLSRemoteAlert as alert:
            self.seen.append(str(alert))
        except (errors.TLSAbruptCloseError, OSError):
            self.seen.append("closed")
        self.seen.append(received.partition(b"\r\n\r\n")[2].decode())

    def finish(self) -> list[str]:
        self.sock.close()
        return self.seen


Case = Callable[[Served], list[str]]


def renegotiation(program: Served) -> list[str]:
    client = TLSClient(program).shake_hands(OLD)
    hello = messages.ClientHello().create(OLD, bytearray(32), bytearray(0), [0xC02F, 0xC02B])
    client.send(hello)
    client.read()
    return client.finish()


def renegotiations(program: Served) -> list[str]:
    client = TLSClient(program).shake_hands(OLD)
    for _ in range(50):
        hello = messages.ClientHello().create(OLD, bytearray(32), bytearray(0), [0xC02F, 0xC02B])
        client.send(hello)
    client.read()
    return client.finish()


def hello_again(program: Served) -> list[str]:
    """There is no renegotiation in TLS 1.3."""
    client = TLSClient(program).shake_hands(NEW)
    hello = messages.ClientHello().create(OLD, bytearray(32), bytearray(0), [0x1301])
    client.send(hello)
    client.read()
    return client.finish()


def key_updates(program: Served, count: int) -> list[str]:
    client = TLSClient(program).shake_hands(NEW)
    with contextlib.suppress(OSError):
        for _ in range(count):
            for _ in client.tls.send_keyupdate_request(
                constants.KeyUpdateMessageType.update_not_requested
            ):
                pass
    client.send(messages.ApplicationData().create(bytearray(GET)))
    client.read()
    return client.finish()


def warning_alerts(program: Served, version: tuple[int, int], count: int) -> list[str]:
    client = TLSClient(program).shake_hands(version)
    for _ in range(count):
        alert = messages.Alert().create(
            constants.AlertDescription.user_canceled, constants.AlertLevel.warning
        )
        client.send(alert)
    client.send(messages.ApplicationData().create(bytearray(GET)))
    client.read()
    return client.finish()


def empty_records(program: Served, version: tuple[int, int], count: int) -> list[str]:
    client = TLSClient(program).shake_hands(version)
    for _ in range(count):
        client.send(messages.ApplicationData().create(bytearray()))
    client.send(messages.ApplicationData().create(bytearray(GET)))
    client.read()
    return client.finish()


def raw(program: Served, version: tuple[int, int], data: bytes) -> list[str]:
    client = TLSClient(program).shake_hands(version)
    client.send_raw(data)
    client.read()
    return client.finish()


def truncated(program: Served, version: tuple[int, int]) -> list[str]:
    """Half of a record that holds a request, and a FIN."""
    client = TLSClient(program).shake_hands(version)
    pieces: list[bytes] = []
    record_layer = client.tls._recordLayer
    wire, record_layer.sock = record_layer.sock, None
    record_layer._recordSocket.sock, wire = _Recorder(pieces), record_layer._recordSocket.sock
    client.send(messages.ApplicationData().create(bytearray(GET)))
    record_layer._recordSocket.sock = wire
    data = b"".join(pieces)
    client.send_raw(data[: len(data) // 2])
    client.read()
    return client.finish()


class _Recorder:
    """A socket that keeps what is sent."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def send(self, data: bytes) -> int:
        self.pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """As tlslite's own sockets."""


def resumed(program: Served, version: tuple[int, int], name: str = "front.test") -> list[str]:
    """Resume a session, with another name than before."""
    first = TLSClient(program).shake_hands(version)
    first.send(messages.ApplicationData().create(bytearray(GET)))
    first.read()
    session = first.tls.session
    session.serverName = name
    client = TLSClient(program).shake_hands(version, session, name)
    client.send(messages.ApplicationData().create(bytearray(GET)))
    client.read()
    client.seen.append(f"resumed: {client.tls.resumed}")
    first.finish()
    return client.finish()


def offered(program: Served, version: ssl.TLSVersion, ports: tuple[str, str]) -> list[str]:
    """Offer a session of one server to another one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    session, seen = None, []
    for port in ports:
        with (
            program.connected(port) as sock,
            context.wrap_socket(sock, server_hostname="front.test", session=session) as tls,
        ):
            tls.sendall(GET)
            received = b""
            while data := tls.recv(65536):
                received += data
            session = tls.session
            seen.append(f"{received.splitlines()[-1]!r} {tls.session_reused}")
            with contextlib.suppress(OSError):
                tls.unwrap()
    return seen


def slow_hello(program: Served) -> list[str]:
    """A ClientHello of 16 KiB, byte by byte."""
    client = TLSClient(program)
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = fragments(padded(16_000), 16_384)
    for at in range(len(data)):
        client.sock.send(data[at : at + 1])
    client.sock.shutdown(socket.SHUT_WR)
    received = b""
    while more := client.sock.recv(65536):
        received += more
    client.seen.append(str(sorted({received[0], received[-1] and received[5]})))
    return client.finish()


CASES: dict[str, Case] = {
    "renegotiation": renegotiation,
    "renegotiations": renegotiations,
    "hello again": hello_again,
    "3 key updates": lambda program: key_updates(program, 3),
    "100 key updates": lambda program: key_updates(program, 100),
    "2 warnings (1.2)": lambda program: warning_alerts(program, OLD, 2),
    "20 warnings (1.2)": lambda program: warning_alerts(program, OLD, 20),
    "20 warnings (1.3)": lambda program: warning_alerts(program, NEW, 20),
    "2 empty records (1.2)": lambda program: empty_records(program, OLD, 2),
    "100 empty records (1.2)": lambda program: empty_records(program, OLD, 100),
    "100 empty records (1.3)": lambda program: empty_records(program, NEW, 100),
    "too long a record": lambda program: raw(program, NEW, b"\x17\x03\x03\x48\x01" + bytes(600)),
    "too short a record": lambda program: raw(program, NEW, b"\x17\x03\x03\x00\x01x"),
    "empty record below": lambda program: raw(program, NEW, b"\x17\x03\x03\x00\x00"),
    "ccs afterwards": lambda program: raw(program, NEW, b"\x14\x03\x03\x00\x01\x01"),
    "plain alert": lambda program: raw(program, NEW, b"\x15\x03\x03\x00\x02\x02\x28"),
    "cut record": lambda program: truncated(program, OLD),
    "cut record (1.3)": lambda program: truncated(program, NEW),
    "session of another server": lambda program: offered(program, TLS12, ("", "2")),
    "session of another server (1.3)": lambda program: offered(program, TLS13, ("", "2")),
    "session of the same server": lambda program: offered(program, TLS12, ("2", "2")),
    "session of the same server (1.3)": lambda program: offered(program, TLS13, ("2", "2")),
    "resumed with another name": lambda program: resumed(program, OLD, "other.test"),
    "resumed with a bad name": lambda program: resumed(program, OLD, "front\0test"),
    "resumed with a bad name (1.3)": lambda program: resumed(program, NEW, "front\0test"),
    "16 KiB hello byte by byte": slow_hello,
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxPair]:
    folder = tmp_path_factory.mktemp("floods")
    make("front.test", "other.test", use_rsa=True).write(folder, "front")
    site = SITE.replace("CERTIFICATES", str(folder))
    rooms = [folder / "sniproxy", folder / "nginx"]
    for room in rooms:
        room.mkdir()
    with (
        served(InProcess("ssl_error_dialect native;"), rooms[0], site) as ours,
        served(NGINX, rooms[1], site) as nginx,
    ):
        yield NginxPair(ours, nginx)


MARKER = "client sent plain HTTP request to HTTPS port"


def logged(program: Served) -> list[str]:
    """The new lines of the error log, in the words that all releases of OpenSSL share."""
    found: list[str] = []
    with program.connected() as client:
        client.sendall(GET)
        while client.recv(65536):
            pass
    while True:
        for line in lines(program.log("error.log", 1)):
            if line.text.startswith(MARKER):
                return found
            text = same_codes(line.text)
            for last in ("record layer failure", "…"):
                text = text.replace(f" error:0A000139:SSL routines::{last}", "")
            found.append(f"[{line.level}] {text}")


@pytest.mark.parametrize("name", CASES)
def test_client_meets_the_same_fate_as_at_nginx(
    name: str, pair: NginxPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tlsconnection, "is_valid_hostname", lambda name: True)
    theirs = CASES[name](pair.nginx), logged(pair.nginx)
    ours = CASES[name](pair.ours), logged(pair.ours)
    assert ours == theirs
