"""The connection pool: owners, order, and limits."""

from __future__ import annotations

import functools
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec

import pytest
import trio
import trio.testing

from sniproxy.config.directives.upstream import Keepalive, UpstreamGroup
from sniproxy.models import Side
from sniproxy.tls.stream import SocketStream
from sniproxy.upstream.pool import ConnectionPool, IdleMonitor
from tests.upstream.test_peers import peer

A, B = peer("a"), peer("b")
HERE, THERE = "here", "there"
P = ParamSpec("P")


def in_trio(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        trio.run(functools.partial(test, *args, **kwargs))

    return run


class Connection(SocketStream):
    """One end of a socket pair; records how it is closed."""

    def __init__(self, requests: int = 0, age: float = 0.0) -> None:
        mine, self.upstreams = socket.socketpair()
        super().__init__(mine, Side.UPSTREAM)
        self.requests = requests
        self.opened = time.monotonic() - age
        self.ended = ""

    def close(self) -> None:
        self.ended = self.ended or "closed"
        super().close()
        self.upstreams.close()

    def shutdown(self) -> None:
        self.ended = "shut down"
        super().shutdown()


def settings(connections: int = 32, local: bool = False, **more: Any) -> UpstreamGroup:
    return UpstreamGroup(keepalive=Keepalive(connections, local), **more)


def group(
    connections: int = 32, local: bool = False, watch: IdleMonitor | None = None, **more: Any
) -> ConnectionPool:
    return ConnectionPool(settings(connections, local, **more), watch or IdleMonitor())


@in_trio
async def test_the_last_one_used_goes_first_and_to_its_address_alone() -> None:
    retained = group()
    streams = [Connection() for _ in range(3)]
    for owner, stream in zip((A, B, A), streams, strict=True):
        retained.put(owner.sockaddr, HERE, stream)
    assert retained.take(peer("a").sockaddr, HERE) is streams[2]
    assert retained.take(A.sockaddr, HERE) is streams[0]
    assert retained.take(A.sockaddr, HERE) is None
    assert retained.take(B.sockaddr, HERE) is streams[1]
    for stream in streams:
        stream.close()


@pytest.mark.parametrize("local", [True, False])
@in_trio
async def test_whose_it_is(local: bool) -> None:
    retained = group(local=local)
    stream = Connection()
    retained.put(A.sockaddr, HERE, stream)
    found = retained.take(A.sockaddr, THERE)
    assert (found is None) is local
    assert (retained.take(A.sockaddr, HERE) is stream) is local
    stream.close()


@in_trio
async def test_one_that_has_something_to_say_is_of_no_use() -> None:
    retained = group()
    stream = Connection()
    retained.put(A.sockaddr, HERE, stream)
    stream.upstreams.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert retained.take(A.sockaddr, HERE) is None
    assert stream.ended == "closed"


@in_trio
async def test_the_oldest_makes_room() -> None:
    retained = group(2)
    streams = [Connection() for _ in range(3)]
    for place, stream in zip((HERE, THERE, THERE), streams, strict=True):
        retained.put(A.sockaddr, place, stream)
    assert [stream.ended for stream in streams] == ["closed", "", ""]
    retained.close()
    assert [stream.ended for stream in streams] == ["closed"] * 3


@pytest.mark.parametrize(
    ("requests", "age", "fit"), [(0, 0.0, True), (1, 0.0, True), (2, 0.0, False), (0, 61.0, False)]
)
@in_trio
async def test_long_service(requests: int, age: float, fit: bool) -> None:
    retained = group(keepalive_requests=3, keepalive_time=60.0)
    stream = Connection(requests, age)
    retained.put(A.sockaddr, HERE, stream)
    assert stream.ended == ("" if fit else "shut down")
    retained.close()


# --- idle connections ---


async def watched(watch: IdleMonitor, nursery: trio.Nursery) -> None:
    nursery.start_soon(watch.run)
    await trio.testing.wait_all_tasks_blocked()


@pytest.mark.parametrize("output", [b"", b"bytes"])
@in_trio
async def test_the_end_of_an_idle_connection_is_noticed(output: bytes) -> None:
    watch = IdleMonitor()
    retained = group(watch=watch)
    first, second = Connection(), Connection()
    async with trio.open_nursery() as nursery:
        await watched(watch, nursery)
        retained.put(A.sockaddr, HERE, first)
        retained.put(A.sockaddr, HERE, second)
        if output:
            first.upstreams.send(output)
        else:
            first.upstreams.shutdown(socket.SHUT_WR)
        while not first.ended:
            await trio.sleep(0)
        assert (first.ended, second.ended) == ("closed", "")
        assert retained.take(A.sockaddr, HERE) is second
        retained.put(A.sockaddr, HERE, second)
        watch.stop()
        assert second.ended == "closed"
        nursery.cancel_scope.cancel()


@in_trio
async def test_nothing_is_retained_once_it_stops() -> None:
    watch = IdleMonitor()
    retained = group(watch=watch)
    watch.stop()
    stream = Connection()
    retained.put(A.sockaddr, HERE, stream)
    assert stream.ended == "shut down"


@in_trio
async def test_what_is_configured_in_use_is_no_end() -> None:
    watch = IdleMonitor()
    retained = group(watch=watch)
    stream = Connection()
    async with trio.open_nursery() as nursery:
        await watched(watch, nursery)
        for _ in range(3):
            retained.put(A.sockaddr, HERE, stream)
            assert retained.take(A.sockaddr, HERE) is stream
            stream.upstreams.send(b"an answer")
            await trio.testing.wait_all_tasks_blocked()
            assert await stream.receive_some(1.0) == b"an answer"
        assert stream.ended == ""
        stream.close()
        nursery.cancel_scope.cancel()


@in_trio
async def test_each_has_its_time() -> None:
    watch = IdleMonitor()
    short, long = group(watch=watch, keepalive_timeout=0.02), group(watch=watch)
    brief, lasting = Connection(), Connection()
    async with trio.open_nursery() as nursery:
        await watched(watch, nursery)
        long.put(A, HERE, lasting)
        short.put(A, HERE, brief)
        with trio.fail_after(5):
            while not brief.ended:
                await trio.sleep(0.001)
        assert lasting.ended == ""
        long.close()
        nursery.cancel_scope.cancel()
