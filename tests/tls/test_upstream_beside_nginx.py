"""All ways in which an upstream can break a handshake: log lines compared with the real nginx."""

from __future__ import annotations

import contextlib
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from sniproxy.models import ProxyError, Side
from sniproxy.tls.certificates import CertificateSource
from sniproxy.tls.contexts import upstream_context
from sniproxy.tls.errors import Dialect
from sniproxy.tls.stream import TLSStream
from tests.compare_nginx import Served

from . import peers
from .conftest import Files
from .oracles import ORACLES, Oracle
from .real_nginx import lines, running


@dataclass(frozen=True)
class Case:
    behaviour: peers.Behaviour | None = None
    """None: a server with `certificate` and the given settings of a Python ssl context."""
    certificate: str = "leaf"
    server: tuple[tuple[str, Any], ...] = ()
    proxy: tuple[tuple[str, str], ...] = ()
    """proxy_ssl_* directives, and the arguments of `upstream_context`."""
    name: str = "w.test"


TLS12 = ssl.TLSVersion.TLSv1_2
VERIFY = (("verify", "on"), ("trusted_certificate", "FILES/ca.pem"))
CLIENT_WANTED = ("verify_mode", ssl.CERT_REQUIRED)

CASES = {
    "alert 112": Case(peers.alert(112)),
    "alert 40": Case(peers.alert(40)),
    "alert 80": Case(peers.alert(80)),
    "alert 70": Case(peers.alert(70)),
    "alert 49": Case(peers.alert(49)),
    "alert 255": Case(peers.alert(255)),
    "plain HTTP": Case(peers.sends(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
    "garbage": Case(peers.sends(b"\xff" * 64)),
    "SMTP": Case(peers.sends(b"220 mail ESMTP\r\n")),
    "record too long": Case(peers.sends(b"\x16\x03\x03\xff\xff" + b"x" * 1000)),
    "empty record": Case(peers.sends(b"\x16\x03\x03\x00\x00")),
    "not a ServerHello": Case(peers.sends(b"\x16\x03\x03\x00\x04\x01\x00\x00\x00")),
    "application data": Case(peers.sends(b"\x17\x03\x03\x00\x04\x01\x00\x00\x00")),
    "close": Case(peers.closes),
    "close_notify": Case(peers.sends(b"\x15\x03\x03\x00\x02\x01\x00")),
    "half a record": Case(peers.sends(b"\x16\x03\x03\x00")),
    "reset": Case(peers.resets),
    "silence": Case(peers.silent),
    "no protocol in common": Case(
        server=(("maximum_version", TLS12),), proxy=(("protocols", "TLSv1.3"),)
    ),
    "client certificate missing": Case(server=(("maximum_version", TLS12), CLIENT_WANTED)),
    "client certificate missing (1.3)": Case(server=(CLIENT_WANTED,)),
    "a name of 255 bytes": Case(name="x" * 255),
    "a name of 256 bytes": Case(name="x" * 256),
    "good": Case(proxy=VERIFY),
    "unknown issuer": Case(certificate="lonely", proxy=VERIFY),
    "self-signed": Case(certificate="own", proxy=VERIFY),
    "expired": Case(certificate="old", proxy=VERIFY),
    "with intermediate": Case(certificate="deep", proxy=VERIFY),
    "too deep": Case(certificate="deep", proxy=(*VERIFY, ("verify_depth", "0"))),
    "revoked": Case(certificate="revoked", proxy=(*VERIFY, ("crl", "FILES/crl.pem"))),
    "no list": Case(certificate="deep", proxy=(*VERIFY, ("crl", "FILES/crl.pem"))),
}


def server_behaviour(case: Case, files: Files) -> peers.Behaviour:
    if case.behaviour is not None:
        return case.behaviour
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    source: CertificateSource = getattr(files, case.certificate)
    context.load_cert_chain(source.certificate, source.key)
    context.load_verify_locations(files.ca_file)
    for name, value in case.server:
        setattr(context, name, value)
    return peers.serves(context)


@dataclass(frozen=True)
class World:
    oracle: Oracle
    nginx: Served
    ports: dict[str, int]


@pytest.fixture(scope="module", params=ORACLES)
def world(
    request: pytest.FixtureRequest, files: Files, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    oracle: Oracle = request.param
    folder = tmp_path_factory.mktemp("nginx")
    with contextlib.ExitStack() as stack:
        ports = {
            name: stack.enter_context(peers.listening(server_behaviour(case, files)))
            for name, case in CASES.items()
        }
        locations = "".join(
            f"location = /{ports[name]} {{ proxy_pass https://127.0.0.1:{ports[name]};"
            f"proxy_ssl_server_name on; proxy_ssl_name {case.name}; proxy_ssl_session_reuse off;"
            "proxy_connect_timeout 200ms;"
            + ("" if "protocols" in dict(case.proxy) else "proxy_ssl_protocols TLSv1.2 TLSv1.3;")
            + "".join(f"proxy_ssl_{key} {value};" for key, value in case.proxy)
            + "}\n"
            for name, case in CASES.items()
        ).replace("FILES", str(files.folder))
        http = f"server {{ listen 127.0.0.1:@PORT@; {locations} }}"
        nginx = stack.enter_context(running(folder, http, oracle.command))
        yield World(oracle, nginx, ports)


def ours(case: Case, port: int, files: Files, dialect: Dialect) -> tuple[str, str] | None:
    """Level and text of sniproxy's log line; None if there was no failure."""
    settings: dict[str, Any] = {
        name: value.replace("FILES", str(files.folder)) for name, value in case.proxy
    }
    verify = settings.pop("verify", "off") == "on"
    if "protocols" in settings:
        settings["protocols"] = settings["protocols"].split()
    if "verify_depth" in settings:
        settings["verify_depth"] = int(settings["verify_depth"])
    context = upstream_context(verify=verify, **settings)

    async def talk() -> tuple[str, str] | None:
        sock = socket.create_connection(("127.0.0.1", port))
        try:
            stream = TLSStream(sock, Side.UPSTREAM, context, server_name=case.name, dialect=dialect)
            await stream.do_handshake(0.2)
            if verify and stream.verify_result:
                error = f"({stream.verify_result}:{stream.verify_error()})"
                return "error", f"upstream SSL certificate verify error: {error}"
            await stream.send_all(b"GET / HTTP/1.0\r\n\r\n", 5)
            await stream.receive_some(5)
            stream.shutdown()
        except ProxyError as error:
            return error.failure.level.label, error.failure.message
        finally:
            sock.close()
        return None

    return trio.run(talk, clock=MockClock(autojump_threshold=0.5))


def theirs(world: World, port: int) -> tuple[str, str] | None:
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://127.0.0.1:{world.nginx.ports['']}/{port}").close()
    reports = [line for line in lines(world.nginx.log("error.log")) if line.level != "info"]
    assert len(reports) <= 1
    return (reports[0].level, reports[0].text) if reports else None


@pytest.mark.parametrize("name", CASES)
def test_nginx_logs_the_same_failure(name: str, world: World, files: Files) -> None:
    port = world.ports[name]
    expected = theirs(world, port)
    reports = ours(CASES[name], port, files, world.oracle.dialect)
    assert _comparable(reports, world.oracle) == _comparable(expected, world.oracle)


def _comparable(line: tuple[str, str] | None, oracle: Oracle) -> tuple[str, str] | None:
    """Without strings that depend on the C library."""
    if line is None:
        return None
    level, text = line
    text = text.replace("Operation timed out", "Connection timed out")
    return level if oracle.same_levels else "", text
