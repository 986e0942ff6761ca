"""`TLSStream` and `SocketStream`: connected to each other, and to Python's ssl."""

from __future__ import annotations

import gc
import math
import os
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from sniproxy.models import Failure, FailureType, Level, ProxyError, Side
from sniproxy.tls.contexts import server_context, upstream_context
from sniproxy.tls.socket_stream import CHECKPOINT_INTERVAL, SocketStream
from sniproxy.tls.stream import TLSStream

from . import peers
from .conftest import Files
from .pairs import connected, part, shake_hands, tls_pair


async def failure_of(operation: Awaitable[object]) -> Failure:
    with pytest.raises(ProxyError) as failed:
        await operation
    return failed.value.failure


def plain_pair() -> tuple[SocketStream, SocketStream]:
    near, far = socket.socketpair()
    return SocketStream(near, Side.CLIENT), SocketStream(far, Side.UPSTREAM)


def contexts(files: Files, **settings: Any) -> tuple[Any, Any]:
    return server_context(certificates=[files.leaf], **settings), upstream_context()


@pytest.mark.parametrize("protocol", ["TLSv1.2", "TLSv1.3"])
async def test_handshake_information(protocol: str, files: Files) -> None:
    pair = await connected(
        *contexts(files, protocols=[protocol]), server_name="W.test.", alpn=b"\x08http/1.1"
    )
    for stream in pair:
        facts = stream.handshake("192.0.2.1:443", began=1.0, duration=0.5)
        assert facts.side is stream.side
        assert facts.server_name == "W.test."
        assert facts.protocol == protocol
        assert facts.cipher.endswith("AES_256_GCM_SHA384" if protocol == "TLSv1.3" else "SHA384")
        assert facts.group == "X25519"
        assert facts.alpn == "http/1.1"
        assert not facts.resumed
    assert pair[1].handshake("").certificate_names == ("w.test",)
    assert pair[0].peer_certificate is None
    part(*pair)


async def test_handshake_information_after_a_failure(files: Files) -> None:
    near, far = plain_pair()
    server, _ = contexts(files)
    stream = TLSStream(near.sock, Side.CLIENT, server)
    far.close()
    failure = await failure_of(stream.do_handshake(5))
    assert failure == Failure("peer closed connection in SSL handshake", Level.INFO)
    facts = stream.handshake("192.0.2.1:443", failure=failure)
    assert (facts.protocol, facts.server_name, facts.failure) == ("", None, failure)
    stream.shutdown()


async def test_large_transfers_in_both_directions(files: Files) -> None:
    data = os.urandom(1 << 20)

    async def receive(stream: TLSStream) -> None:
        received = bytearray()
        while len(received) < len(data):
            received += await stream.receive_some(5, 65536)
        assert received == data

    pair = await connected(*contexts(files))
    async with trio.open_nursery() as nursery:
        for stream in pair:
            nursery.start_soon(receive, stream)
            nursery.start_soon(stream.send_all, memoryview(data), 5)
    assert not pair[0].broken
    part(*pair)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_send_all_accepts_bytes_like_objects(
    kind: Callable[[bytes], Any], files: Files
) -> None:
    for near, far in (await connected(*contexts(files)), plain_pair()):
        await near.send_all(kind(b""), 5)
        await near.send_all(kind(b"\0abc"), 5)
        assert await far.receive_some(5) == b"\0abc"
        near.shutdown()
        assert await far.receive_some(5) == b""
        far.close()


async def test_short_read_leaves_the_remaining_bytes(files: Files) -> None:
    for near, far in (await connected(*contexts(files)), plain_pair()):
        await near.send_all(b"abcdef", 5)
        assert await far.receive_some(5, 2) == b"ab"
        assert await far.receive_some(5) == b"cdef"
        near.close()
        far.close()


async def test_peek_does_not_consume(files: Files) -> None:
    near, far = plain_pair()
    await near.send_all(b"GET", 5)
    assert await far.peek(5) == b"GET"
    assert await far.receive_some(5) == b"GET"
    near.close()
    assert await far.peek(5) == b""
    far.close()


@pytest.mark.parametrize("side", list(Side))
async def test_operations_time_out(side: Side, files: Files, mock_clock: MockClock) -> None:
    mock_clock.autojump_threshold = 0.01
    expected = Failure(
        f"{side.value} timed out",
        Level.INFO if side is Side.CLIENT else Level.ERROR,
        FailureType.TIMEOUT,
        110,
    )

    server, client = contexts(files)
    for operation in ("receive_some", "peek", "send_all", "do_handshake"):
        near, far = socket.socketpair()
        stream: Any = SocketStream(near, side)
        if operation == "do_handshake":
            stream = TLSStream(near, side, server if side is Side.CLIENT else client)
        arguments = (b"x" * 10_000_000, 0.2) if operation == "send_all" else (0.2,)
        began = trio.current_time()
        assert await failure_of(getattr(stream, operation)(*arguments)) == expected
        assert trio.current_time() - began == pytest.approx(0.2, abs=0.05)
        stream.close()
        far.close()


@pytest.mark.parametrize("end", ["garbage", "close_notify", "silence"])
async def test_available_records_are_read_together(end: str, files: Files) -> None:
    """The end of the stream behind them is reported by the next read."""

    near, far = await connected(*contexts(files))
    await near.send_all(b"x" * 40_000, 5)
    if end == "garbage":
        near.sock.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    elif end == "close_notify":
        near.shutdown()
    assert await far.receive_some(5, 16384) == b"x" * 16384
    assert await far.receive_some(5, 65536) == b"x" * (40_000 - 16384)
    for _ in range(2):
        if end == "close_notify":
            assert await far.receive_some(5, 65536) == b""
        else:
            failure = await failure_of(far.receive_some(0.01, 65536))
            text = "SSL_read() failed" if end == "garbage" else "upstream timed out"
            assert text in failure.text
    near.close()
    far.close()


async def test_timeout_applies_between_two_operations(files: Files, mock_clock: MockClock) -> None:
    """A slow peer that reads from time to time does not time out."""
    mock_clock.autojump_threshold = 0.02

    near, far = await connected(*contexts(files))
    data = b"x" * 2_000_000

    async def sip() -> None:
        received = 0
        while received < len(data):
            await trio.sleep(0.9)
            while True:
                received += len(await far.receive_some(5))
                if received == len(data) or received % 262144 < 16384:
                    break

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sip)
        await near.send_all(data, 1)
    assert trio.current_time() > 2
    part(near, far)


async def test_infinite_timeout(files: Files) -> None:
    near, far = plain_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.receive_some, math.inf)
        await trio.testing.wait_all_tasks_blocked()
        await far.send_all(b"x", math.inf)
    near.close()
    far.close()


async def test_cancelled_write_breaks_the_stream(files: Files, mock_clock: MockClock) -> None:
    """The number of bytes sent is unknown, so nothing more may be sent, not even close_notify."""
    mock_clock.autojump_threshold = 0.01

    near, far = await connected(*contexts(files))
    with trio.move_on_after(0.2):
        await near.send_all(b"x" * 10_000_000, math.inf)
    assert near.broken
    near.shutdown()
    last = b"".join([chunk async for chunk in _raw(far)])
    assert not last.endswith(b"\x15\x03\x03\x00\x13", 0, len(last) - 19)
    far.close()


async def _raw(stream: TLSStream) -> Any:
    while chunk := await SocketStream(stream.sock, Side.UPSTREAM).receive_some(5):
        yield chunk


async def test_close_notify_is_sent_by_shutdown_only(files: Files) -> None:
    for end, expected in (("shutdown", 1), ("close", 0)):
        near, far = await connected(*contexts(files, protocols=["TLSv1.2"]))
        near.shutdown() if end == "shutdown" else near.close()
        raw = b"".join([chunk async for chunk in _raw(far)])
        assert raw.count(b"\x15\x03\x03") == expected
        far.close()


async def test_close_without_close_notify_is_eof(files: Files) -> None:
    near, far = await connected(*contexts(files))
    near.close()
    assert await far.receive_some(5) == b""
    far.shutdown()


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        return near, listener.accept()[0]


async def test_reset_of_a_plain_connection(files: Files) -> None:
    near, far = tcp_pair()
    reset(far)
    stream = SocketStream(near, Side.UPSTREAM)
    assert (await failure_of(stream.receive_some(5))).message == (
        "recv() failed (104: Connection reset by peer)"
    )
    assert (await failure_of(stream.send_all(b"x", 5))).message == (
        "writev() failed (32: Broken pipe)"
    )
    stream.close()


@pytest.mark.parametrize("reading", [True, False])
@pytest.mark.parametrize("protocol", ["TLSv1.2", "TLSv1.3"])
async def test_reset_of_a_tls_connection(protocol: str, reading: bool, files: Files) -> None:
    near, far = tcp_pair()
    server, client = contexts(files, protocols=[protocol])
    streams = TLSStream(far, Side.CLIENT, server), TLSStream(near, Side.UPSTREAM, client)
    await shake_hands(*streams)
    await streams[0].send_all(b"x", 5)
    assert await streams[1].receive_some(5) == b"x"
    reset(far)
    if reading:
        assert await streams[1].receive_some(5) == b""
        streams[1].close()
        return
    failure = await failure_of(streams[1].send_all(b"x", 5))
    assert failure.message == "SSL_write() failed (104: Connection reset by peer)"
    assert failure.level is Level.ERROR
    streams[1].close()


async def test_broken_record_is_an_error(files: Files) -> None:
    near, far = await connected(*contexts(files, protocols=["TLSv1.2"]))
    near.sock.send(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    failure = await failure_of(far.receive_some(5))
    assert failure.text.startswith("SSL_read() failed (SSL: error:")
    assert "error:0A000119:SSL routines::decryption failed or bad record mac" in failure.text
    assert failure.level is Level.ERROR
    part(near, far)


async def test_closed_stream_rejects_operations(files: Files) -> None:
    """Its descriptor number may already belong to another connection."""

    server, client = contexts(files)
    for stream, far in ((await connected(server, client)), plain_pair()):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def wait(stream: SocketStream = stream) -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await stream.receive_some(5)

            await trio.testing.wait_all_tasks_blocked()
            stream.close()
            stream.close()
        for operation in (stream.receive_some(5), stream.send_all(b"x", 5)):
            with pytest.raises(trio.ClosedResourceError):
                await operation
        far.close()
    near, far_socket = socket.socketpair()
    unborn = TLSStream(near, Side.UPSTREAM, client)
    unborn.close()
    with pytest.raises(trio.ClosedResourceError):
        await unborn.do_handshake(5)
    far_socket.close()


async def test_busy_connection_runs_checkpoints(files: Files) -> None:
    near, far = await connected(*contexts(files))
    others_ran = 0

    async def other() -> None:
        nonlocal others_ran
        while True:
            await trio.lowlevel.checkpoint()
            others_ran += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        for _ in range(CHECKPOINT_INTERVAL * 4):
            await near.send_all(b"x", 5)
            await far.receive_some(5)
        assert others_ran >= 4
        nursery.cancel_scope.cancel()
    part(near, far)


async def test_closed_connections_leave_no_descriptors(files: Files) -> None:
    server, client = contexts(files)

    async def open_and_close() -> None:
        for n in range(20):
            pair = tls_pair(server, client)
            if n % 2:
                await shake_hands(*pair)
            for stream in pair:
                stream.close()

    await open_and_close()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    await open_and_close()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


# --- Python's ssl as the peer ---


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_python_as_a_server(version: ssl.TLSVersion, files: Files) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.rsa.certificate, files.rsa.key)
    context.minimum_version = context.maximum_version = version

    with peers.listening(peers.serves(context)) as port:
        sock = socket.create_connection(("127.0.0.1", port))
        stream = TLSStream(sock, Side.UPSTREAM, upstream_context(), server_name="w.test")
        await stream.do_handshake(5)
        await stream.send_all(b"GET / HTTP/1.0\r\n\r\n", 5)
        assert await stream.receive_some(5) == b"HTTP/1.0 200 OK\r\n\r\n"
        assert await stream.receive_some(5) == b""
        stream.shutdown()


@pytest.mark.parametrize(
    "ciphers", ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", None]
)
async def test_python_as_a_client(ciphers: str | None, files: Files) -> None:
    """With two certificates in a context the client gets the one it supports, with its chain."""
    server = server_context(certificates=[files.rsa, files.deep])
    context = ssl.create_default_context(cafile=files.ca_file)
    if ciphers:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)
    answers: list[bytes] = []

    def client(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_hostname="w.test") as tls:
            tls.sendall(b"ping")
            answers.append(tls.recv(100))

    near, far = socket.socketpair()
    thread = threading.Thread(target=client, args=(far,))
    thread.start()
    stream = TLSStream(near, Side.CLIENT, server)
    await stream.do_handshake(5)
    assert stream.server_name == "w.test"
    await stream.send_all(await stream.receive_some(5), 5)
    await trio.to_thread.run_sync(thread.join)
    stream.shutdown()
    assert answers == [b"ping"]
