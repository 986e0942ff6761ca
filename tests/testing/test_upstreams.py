"""Upstreams: what clients see of them, and what they record."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sniproxy.testing.client import ClientRecord, run_client
from sniproxy.testing.upstreams import (
    AfterSend,
    CloseKind,
    RunningUpstream,
    UpstreamServer,
    UpstreamSpec,
    catalog,
    generate_certificates,
    open_upstreams,
    upstreams_in_thread,
)

REQUEST = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    generate_certificates(directory)
    return directory


def run(
    certificates: Path,
    upstream: UpstreamSpec,
    use: Callable[[UpstreamServer, RunningUpstream], Awaitable[None]],
) -> RunningUpstream:
    """Run `use` with a running upstream, and return that when all its connections are closed."""

    async def main() -> RunningUpstream:
        with trio.fail_after(5):
            async with open_upstreams(certificates) as server:
                running = await server.start(upstream)
                await use(server, running)
                await server.wait_closed(running)
                return running

    return trio.run(main)


def context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def request_with(
    record: ClientRecord, server_name: str | None = "upstream.test", half_close: bool = True
) -> Callable[[UpstreamServer, RunningUpstream], Awaitable[None]]:
    """A client that sends one request, over TLS if the upstream has TLS."""

    async def use(server: UpstreamServer, running: RunningUpstream) -> None:
        tls = context() if running.spec.tls else None
        await run_client(running.port, (REQUEST,), record, tls, server_name, half_close=half_close)

    return use


@pytest.mark.parametrize("upstream", [catalog.GOOD, catalog.GOOD_12, catalog.GOOD_13])
def test_good_upstream_responds_and_records_the_connection(
    certificates: Path, upstream: UpstreamSpec
) -> None:
    record = ClientRecord()
    (seen,) = run(certificates, upstream, request_with(record)).connections
    assert record.responses[0].endswith(b"\r\n\r\nSNI upstream.test\nGET /a HTTP/1.1\n")
    assert seen.server_name == "upstream.test"
    assert (seen.handshake, seen.protocol) == ("finished", record.protocol)
    assert seen.requests == (REQUEST,)
    assert seen.raw.startswith(b"\x16\x03\x01")
    assert seen.closed_by is CloseKind.CLOSED
    assert not seen.resumed


def test_upstream_without_tls(certificates: Path) -> None:
    record = ClientRecord()
    (seen,) = run(certificates, catalog.PLAIN, request_with(record)).connections
    assert record.responses[0].endswith(b"\r\n\r\nno SNI\nGET /a HTTP/1.1\n")
    assert (seen.hello, seen.handshake, seen.raw) == (None, "", REQUEST)


@pytest.mark.parametrize(
    ("upstream", "reason"),
    [
        (catalog.NEEDS_SNI, "tlsv1 unrecognized name"),
        (catalog.NEEDS_SNI_40, "sslv3 alert handshake failure"),
        (catalog.NEEDS_SNI_80, "tlsv1 alert internal error"),
        (catalog.NEEDS_SNI_CLOSES, "unexpected eof while reading"),
        (catalog.NEEDS_SNI_RESETS, "unexpected eof while reading"),
        (catalog.PLAIN_HTTP, "wrong version number"),
        (catalog.NOT_TLS, "wrong version number"),
        (catalog.HANGS_UP, "unexpected eof while reading"),
    ],
)
def test_handshake_faults(certificates: Path, upstream: UpstreamSpec, reason: str) -> None:
    record = ClientRecord()
    (seen,) = run(certificates, upstream, request_with(record, "wrong.test")).connections
    assert record.handshake.replace("ssl/tls alert", "sslv3 alert") == reason
    assert seen.handshake == ""
    assert seen.server_name == (None if upstream is catalog.HANGS_UP else "wrong.test")
    assert seen.requests == ()


@pytest.mark.parametrize(
    ("upstream", "response", "closed_by"),
    [
        (catalog.CLOSES_ON_REQUEST, b"", "close_notify, closed"),
        (catalog.CLOSES_ON_REQUEST_NO_CLOSE_NOTIFY, b"", "closed"),
        (catalog.RESETS_REQUEST, b"", "reset"),
        (catalog.NOT_HTTP, b"ERR unknown command\r\n", "close_notify, closed"),
    ],
)
def test_faulty_responses(
    certificates: Path, upstream: UpstreamSpec, response: bytes, closed_by: str
) -> None:
    record = ClientRecord()
    (seen,) = run(certificates, upstream, request_with(record, half_close=False)).connections
    assert record.responses == [response]
    assert record.closed_by == closed_by
    assert seen.requests == (REQUEST,)


@pytest.mark.parametrize("upstream", [catalog.WANTS_CLIENT_12, catalog.WANTS_CLIENT_13])
def test_client_certificate_is_required(certificates: Path, upstream: UpstreamSpec) -> None:
    (rejected,) = run(certificates, upstream, request_with(ClientRecord())).connections
    assert rejected.handshake == "peer did not return a certificate"

    async def use(server: UpstreamServer, running: RunningUpstream) -> None:
        tls = context()
        tls.load_cert_chain(certificates / "client.pem", certificates / "client.key")
        await run_client(running.port, (REQUEST,), ClientRecord(), tls, half_close=True)

    (accepted,) = run(certificates, upstream, use).connections
    assert accepted.client_certificate == "client"
    assert accepted.requests == (REQUEST,)


def test_absent_upstream_refuses_connections(certificates: Path) -> None:
    async def use(server: UpstreamServer, running: RunningUpstream) -> None:
        with pytest.raises(OSError, match=r"127\.0\.0\.1"):
            await trio.open_tcp_stream("127.0.0.1", running.port)

    assert run(certificates, catalog.ABSENT, use).connections == ()


def test_connecting_to_full_upstream_times_out(certificates: Path) -> None:
    async def use(server: UpstreamServer, running: RunningUpstream) -> None:
        with trio.move_on_after(0.1) as scope:
            await trio.open_tcp_stream("127.0.0.1", running.port)
        assert scope.cancelled_caught

    assert run(certificates, catalog.FULL, use).connections == ()


def test_silent_upstream_sends_nothing(certificates: Path) -> None:
    async def use(server: UpstreamServer, running: RunningUpstream) -> None:
        record = ClientRecord()
        with trio.move_on_after(0.1):
            await request_with(record)(server, running)
        assert record == ClientRecord()

    (seen,) = run(certificates, catalog.SILENT, use).connections
    assert (seen.server_name, seen.closed_by) == ("upstream.test", CloseKind.CLOSED)


def test_open_connections_are_counted(certificates: Path) -> None:
    async def use(server: UpstreamServer, running: RunningUpstream) -> None:
        streams = [await trio.open_tcp_stream("127.0.0.1", running.port) for _ in range(2)]
        while running.open_connections < 2:
            await trio.lowlevel.checkpoint()
        await streams[0].aclose()
        await server.wait_closed(running, allow_open=1)
        assert [seen.closed_by for seen in running.connections].count(CloseKind.OPEN) == 1
        running.clear()
        assert running.connections == ()
        await streams[1].aclose()

    run(certificates, catalog.PLAIN, use)


def test_names_in_catalog_are_unique() -> None:
    table = [value for value in vars(catalog).values() if isinstance(value, UpstreamSpec)]
    assert len({upstream.name for upstream in table}) == len(table)
    assert all(upstream.description for upstream in table)
    assert replace(catalog.GOOD, name="other").name != catalog.GOOD.name


def test_slow_response_stops_when_client_closes(certificates: Path) -> None:
    async def use(server: UpstreamServer, running: RunningUpstream) -> None:
        record = ClientRecord()
        with trio.move_on_after(0.1):
            await request_with(record, half_close=False)(server, running)

    (seen,) = run(certificates, catalog.DRIP, use).connections
    assert seen.requests == (REQUEST,)
    assert seen.closed_by is CloseKind.CLOSED


def test_slow_response_is_sent_completely(certificates: Path) -> None:
    action = replace(catalog.DRIP.response, byte_interval=0.0001, then=AfterSend.CLOSE)
    record = ClientRecord()
    run(
        certificates, replace(catalog.DRIP, response=action), request_with(record, half_close=False)
    )
    assert record.responses[0].endswith(b"\r\n\r\nSNI upstream.test\nGET /a HTTP/1.1\n")


@pytest.mark.parametrize(("protocol", "chosen"), [("h2", "h2"), ("spdy/1", "")])
def test_alpn_is_required(certificates: Path, protocol: str, chosen: str) -> None:
    record = ClientRecord()

    async def use(server: UpstreamServer, running: RunningUpstream) -> None:
        tls = context()
        tls.set_alpn_protocols([protocol])
        await run_client(running.port, (REQUEST,), record, tls, half_close=True)

    run(certificates, catalog.NEEDS_ALPN, use)
    assert record.alpn == chosen
    assert (record.handshake == "finished") is bool(chosen)


@pytest.mark.parametrize("server_name", ["upstream.test", None])
def test_default_certificate_is_presented_without_sni(
    certificates: Path, server_name: str | None
) -> None:
    others = x509.load_pem_x509_certificate((certificates / "wrong-host.pem").read_bytes())
    seen: list[bytes] = []

    async def use(server: UpstreamServer, running: RunningUpstream) -> None:
        stream = trio.SSLStream(
            await trio.open_tcp_stream("127.0.0.1", running.port),
            context(),
            server_hostname=server_name,
            https_compatible=True,
        )
        async with stream:
            await stream.do_handshake()
            seen.append(stream.getpeercert(binary_form=True))

    run(certificates, catalog.NEEDS_SNI_CERTIFICATE, use)
    assert (seen == [others.public_bytes(Encoding.DER)]) is (server_name is None)


async def test_exception_of_the_block_is_not_wrapped_in_a_group(certificates: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_upstreams(certificates):
            raise ZeroDivisionError


def test_upstreams_in_thread(certificates: Path) -> None:
    with upstreams_in_thread(certificates) as server:
        running = server.start("plain")
        assert server.start(catalog.GOOD).root == certificates / "root.pem"
        with socket.create_connection(("127.0.0.1", running.port)) as client:
            client.sendall(REQUEST)
            assert client.recv(65536).endswith(b"no SNI\nGET /a HTTP/1.1\n")
            assert running.open_connections == 1
        assert running.wait_for(lambda: not running.open_connections)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", running.port))
