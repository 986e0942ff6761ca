"""Connecting to a peer, and nginx's messages about failures."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trio
import trio.testing

from sniproxy.config.addresses import Address
from sniproxy.config.directives.upstream import PeerSettings
from sniproxy.models import Failure, FailureType, Level, ProxyError
from sniproxy.upstream.connector import connect
from sniproxy.upstream.selector import Peer


def tcp(port: int) -> Peer:
    name = f"127.0.0.1:{port}"
    settings = PeerSettings(Address(name, "127.0.0.1", port))
    return Peer(socket.AF_INET, ("127.0.0.1", port), name, settings)


def unix(path: str) -> Peer:
    name = f"unix:{path}"
    return Peer(socket.AF_UNIX, path, name, PeerSettings(Address(name, name, 0)))


def failure(peer: Peer) -> Failure:
    async def main() -> Failure:
        with pytest.raises(ProxyError) as failed:
            await connect(peer, 5)
        return failed.value.failure

    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.1))


def test_it_connects() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            stream = await connect(tcp(listener.getsockname()[1]), 5)
            accepted, _ = listener.accept()
            with accepted:
                await stream.send_all(b"x", 5)
                assert accepted.recv(1) == b"x"
            stream.close()

    trio.run(main)


def test_no_one_listens() -> None:
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        failed = failure(tcp(dead.getsockname()[1]))
    assert failed.message == "connect() failed (111: Connection refused)"
    assert (failed.level, failed.kind) == (Level.ERROR, FailureType.ERROR)


def test_no_such_socket(tmp_path: Path) -> None:
    path = f"{tmp_path}/a.sock"
    failed = failure(unix(path))
    assert failed.message == f"connect() to unix:{path} failed (2: No such file or directory)"
    assert failed.level is Level.CRIT


def test_a_socket_that_no_one_reads(tmp_path: Path) -> None:
    path = f"{tmp_path}/a.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
        failed = failure(unix(path))
    assert failed.message == f"connect() to unix:{path} failed (111: Connection refused)"
    assert failed.level is Level.ERROR


def test_too_late() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        address = busy.getsockname()
        # Fill the accept queue: further connections wait.
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(address)
        failed = failure(tcp(address[1]))
        for sock in waiting:
            sock.close()
    assert failed.message == "upstream timed out (110: Connection timed out)"
    assert failed.kind is FailureType.TIMEOUT
