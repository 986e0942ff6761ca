"""All ways in which a client can break a handshake: log lines compared with the real nginx."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import trio
from OpenSSL import SSL
from trio.testing import MockClock

from sniproxy.models import ProxyError, Side
from sniproxy.tls.contexts import server_context
from sniproxy.tls.errors import Dialect
from sniproxy.tls.stream import REJECT, Reject, TLSStream
from tests.compare_nginx import Served

from . import peers
from .conftest import Files
from .oracles import ORACLES, Oracle
from .real_nginx import lines, running

Client = Callable[[socket.socket, Files], None]


def sends(data: bytes) -> Client:
    def client(sock: socket.socket, files: Files) -> None:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        peers.drain(sock)

    return client


def resets(sock: socket.socket, files: Files) -> None:
    sock.sendall(b"\x16\x03\x01")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def python(name: str | None = "w.test", trust: bool = False, **settings: Any) -> Client:
    """A client using Python's ssl; `trust` is whether it knows the CA."""

    def client(sock: socket.socket, files: Files) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        if trust:
            context.load_verify_locations(files.ca_file)
        else:
            context.verify_mode = settings.get("verify_mode", ssl.CERT_NONE)
        if "ciphers" in settings:
            context.set_ciphers(settings["ciphers"])
        if "alpn" in settings:
            context.set_alpn_protocols(settings["alpn"])
        if "version" in settings:
            context.minimum_version = context.maximum_version = settings["version"]
        tls = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
        with contextlib.suppress(OSError):
            tls.do_handshake()
            tls.close()
        with contextlib.suppress(OSError), socket.socket(fileno=tls.detach()) as rest:
            rest.shutdown(socket.SHUT_WR)
            peers.drain(rest)

    return client


@dataclass(frozen=True)
class Case:
    client: Client
    server: tuple[tuple[str, str], ...] = ()
    reject: bool = False


TLS12 = ssl.TLSVersion.TLSv1_2
HELLO = bytes([1, 0, 0, 3]) + b"\x03\x03x"

CASES = {
    "close": Case(sends(b"\x16")),
    "close in the hello": Case(sends(b"\x16\x03\x01\x00\x20")),
    "reset": Case(resets),
    "garbage after the first byte": Case(sends(b"\x16garbage garbage")),
    "malformed hello": Case(sends(peers.hello(HELLO))),
    "hello of another kind": Case(sends(peers.hello(b"\x02\x00\x00\x00"))),
    "record too long": Case(sends(b"\x16\x03\x01\xff\xff" + b"x" * 1000)),
    "unknown CA": Case(python(verify_mode=ssl.CERT_REQUIRED)),
    "no protocol in common": Case(python(version=TLS12), server=(("protocols", "TLSv1.3"),)),
    "no cipher in common": Case(
        python(version=TLS12, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"),
        server=(("ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"),),
    ),
    "certificate of another kind": Case(
        python(version=TLS12, ciphers="ECDHE-RSA-AES128-GCM-SHA256")
    ),
    "no ALPN in common": Case(python(alpn=["spdy/3"])),
    "rejected": Case(python(), reject=True),
    "rejected (1.2)": Case(python(version=TLS12), reject=True),
    "rejected without a name": Case(python(name=None), reject=True),
}


@dataclass(frozen=True)
class World:
    oracle: Oracle
    nginx: Served
    ports: Mapping[str, int]


@pytest.fixture(scope="module", params=ORACLES)
def world(
    request: pytest.FixtureRequest, files: Files, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    oracle: Oracle = request.param
    folder = tmp_path_factory.mktemp("nginx")
    certificate = f"ssl_certificate {files.leaf.certificate}; ssl_certificate_key {files.leaf.key};"
    servers = "".join(
        f"server {{ listen 127.0.0.1:@PORT{number}@ ssl;"
        + ("ssl_reject_handshake on;" if case.reject else certificate)
        + "".join(f"ssl_{key} {value};" for key, value in case.server)
        + "}\n"
        for number, case in enumerate(CASES.values())
    )
    with running(folder, servers, oracle.command) as nginx:
        ports = {name: nginx.ports[str(number)] for number, name in enumerate(CASES)}
        yield World(oracle, nginx, ports)


def run_client(client: Client, port: int, files: Files) -> None:
    sock = socket.create_connection(("127.0.0.1", port))
    with sock, contextlib.suppress(OSError):
        sock.settimeout(5)
        client(sock, files)


def theirs(case: Case, world: World, port: int, files: Files) -> tuple[str, str]:
    world.nginx.log("error.log")
    run_client(case.client, port, files)
    (line,) = lines(world.nginx.log("error.log", 1))
    return line.level, line.text


def ours(case: Case, files: Files, dialect: Dialect) -> tuple[str, str]:
    settings: dict[str, Any] = dict(case.server)
    if "protocols" in settings:
        settings["protocols"] = settings["protocols"].split()
    context = server_context(certificates=() if case.reject else [files.leaf], **settings)

    def choose(name: str | None) -> SSL.Context | Reject:
        return REJECT if case.reject else context

    async def accept(listener: socket.socket) -> tuple[str, str]:
        await trio.lowlevel.wait_readable(listener)
        stream = TLSStream(
            listener.accept()[0], Side.CLIENT, context, choose=choose, dialect=dialect
        )
        try:
            assert await stream.peek(5)
            await stream.do_handshake(5)
            await stream.receive_some(5)
        except ProxyError as error:
            return error.failure.level.label, error.failure.message
        finally:
            stream.shutdown()
        raise AssertionError("nothing failed")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        client = threading.Thread(target=run_client, args=(case.client, port, files))
        client.start()
        try:
            return trio.run(accept, listener, clock=MockClock(autojump_threshold=0.5))
        finally:
            client.join()


@pytest.mark.parametrize("name", CASES)
def test_nginx_logs_the_same_failure(name: str, world: World, files: Files) -> None:
    case = CASES[name]
    level, text = theirs(case, world, world.ports[name], files)
    reported_level, reports = ours(case, files, world.oracle.dialect)
    assert reports == text
    assert reported_level == level or not world.oracle.same_levels
