"""Whatever a client does: no task and no socket is left, no bug shows, memory does not grow."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from sniproxy.phases import RequestPhases
from sniproxy.testing.streams import RecordingStream
from tests.cli.processes import HEAD, ask, everything, served, wait_until
from tests.programs import SNIPROXY, Command
from tests.robustness.attacks import (
    ATTACKS,
    GARBAGE,
    GET,
    HELLO,
    HELLO_12,
    OVER_TLS,
    PLAIN,
    RAW,
    RESET,
    Attack,
    hello,
    record,
)
from tests.robustness.in_process import InProcessServer, serving
from tests.robustness.runner import Client, Ports, free_ports, serve_upstream

BUG = re.compile(r"\[alert\]|\[emerg\]|internal error|Traceback")


@pytest.fixture
def clock() -> MockClock:
    """The clock of the tests, which jumps ahead when all tasks are idle."""
    return MockClock(autojump_threshold=0.02)


@pytest.fixture
def ports() -> Iterator[Ports]:
    with free_ports() as ports:
        yield ports


def bugs(lines: list[str]) -> list[str]:
    return [line for line in lines if BUG.search(line)]


async def run_attack(attack: Attack, server: InProcessServer) -> Client:
    client = Client(attack)
    port = server.ports.front if attack.transport is PLAIN else server.ports.secure
    await client.run(port)
    return client


async def test_attacks_leave_no_tasks_or_descriptors(
    tmp_path: Path, ports: Ports, clock: MockClock
) -> None:
    async with trio.open_nursery() as upstream:
        await upstream.start(serve_upstream, ports.upstream)
        async with serving(tmp_path, ports) as server:
            for attack in ATTACKS:
                with trio.fail_after(200):
                    client = await run_attack(attack, server)
                assert client.closed_by != "still connected"
                assert await server.quiesce() == server.before, attack.name
                assert bugs(server.log.take()) == [], attack.name
        upstream.cancel_scope.cancel()


SLOW = {
    "silent": (PLAIN, ()),
    "silent-tls": (RAW, ()),
    "slow-head": (PLAIN, tuple(bytes((letter,)) for letter in GET[:-4])),
    "slow-hello": (RAW, tuple(bytes((letter,)) for letter in HELLO[:100])),
    "silent-after-handshake": (OVER_TLS, ()),
    "slow-after-handshake": (OVER_TLS, tuple(bytes((letter,)) for letter in GET[:-4])),
}


@pytest.mark.parametrize("name", SLOW)
async def test_slow_client_is_closed_after_client_header_timeout(
    name: str, tmp_path: Path, ports: Ports, clock: MockClock
) -> None:
    """`client_header_timeout` is 60 s from accept to the end of the head, handshake included."""
    transport, steps = SLOW[name]

    async with serving(tmp_path, ports) as server:
        began = trio.current_time()
        attack = Attack(
            name, "", (*steps, b"", b""), transport=transport, gap=7.0 if steps else 0.0
        )
        with trio.fail_after(1000):
            await first_to_close(attack, server)
        assert trio.current_time() - began == pytest.approx(60, abs=7.1)
        assert await server.quiesce() == server.before
        [line] = server.log.take()
        assert "client timed out (110: " in line


async def first_to_close(attack: Attack, server: InProcessServer) -> None:
    """Play `attack`, and be done as soon as the server is."""
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            await server.log.written.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        with suppress(trio.BrokenResourceError):
            await run_attack(attack, server)


@pytest.mark.parametrize("whole", [HELLO, HELLO_12], ids=["tls-1.3", "tls-1.2"])
async def test_truncated_client_hello_is_logged_and_closed(
    whole: bytes, tmp_path: Path, ports: Ports, clock: MockClock
) -> None:
    async with serving(tmp_path, ports) as server:
        for length in range(len(whole)):
            received = await deliver(whole[:length], server)
            assert received == b""
            wanted = "peer closed connection in SSL handshake" if length else "client closed"
            [line] = server.log.take()
            assert line.startswith("[info] ")
            assert wanted in line
        assert await server.quiesce() == server.before


async def deliver(data: bytes, server: InProcessServer) -> bytes:
    """What the TLS port says to `data` and a FIN, until it closes."""
    wire = RecordingStream(await trio.open_tcp_stream("127.0.0.1", server.ports.secure))
    async with wire.stream:
        with trio.fail_after(200):
            if data:
                await wire.send(data)
            await wire.finish()
    return bytes(wire.received)


def mutations(whole: bytes, number: int) -> Iterator[bytes]:
    chance = random.Random(4)
    for _ in range(number):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 1, 2, 5))):
            position = chance.randrange(len(data))
            match chance.randrange(4):
                case 0:
                    data[position] = chance.randrange(256)
                case 1:
                    data[position] ^= 1 << chance.randrange(8)
                case 2:
                    del data[position : position + chance.randrange(1, 20)]
                case 3:
                    data[position:position] = chance.randbytes(chance.randrange(1, 20))
        yield bytes(data)


async def test_mutated_client_hello_is_rejected_without_a_bug(
    tmp_path: Path, ports: Ports, clock: MockClock
) -> None:
    async with serving(tmp_path, ports) as server:
        for data in mutations(HELLO, 400):
            await deliver(data, server)
            lines = server.log.take()
            assert bugs(lines) == [], data.hex()
        assert await server.quiesce() == server.before


NAMES = [
    b"",
    b".",
    b"..",
    b"a..b",
    b".front.test",
    b"front.test.",
    b"FRONT.test",
    b"*.front.test",
    b"*",
    b"a\0b",
    b"\0",
    b"\xff\xfe",
    b"a b",
    b"-",
    b"_",
    b"127.0.0.1",
    b"::1",
    b"%s%n",
    b"a/../b",
    b"\r\nInjected: yes",
    b'"',
    b"a" * 63 + b".test",
    b"a" * 64 + b".test",
    b".".join([b"a" * 60] * 4),
    b"a" * 255,
    b"x" * 10_000,
    "é.test".encode(),
    b"xn--9ca.test",
    b"rejected.test",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20].decode("latin-1"))
async def test_odd_server_names_do_not_fail(
    name: bytes, tmp_path: Path, ports: Ports, clock: MockClock
) -> None:
    """Also with `ssl_certificate auto`, which makes a certificate for what is asked."""

    async with serving(tmp_path, ports) as server:
        received = await deliver(named(name), server)
        assert received[:1] in (b"", b"\x15", b"\x16")
        lines = server.log.take()
        assert bugs(lines) == []
        assert all(line.startswith("[info] ") for line in lines)
        assert not any("Injected" in line for line in lines)
        assert await server.quiesce() == server.before


def named(name: bytes) -> bytes:
    """HELLO with another name; all lengths around it are right again."""
    old = server_name(b"front.test")
    body = HELLO[5:]
    at = body.index(old)
    new = server_name(name)
    extensions = extensions_at(body)
    length = int.from_bytes(body[extensions : extensions + 2], "big") + len(new) - len(old)
    body = (
        body[:extensions]
        + length.to_bytes(2, "big")
        + body[extensions + 2 : at]
        + new
        + (body[at + len(old) :])
    )
    body = body[:1] + (len(body) - 4).to_bytes(3, "big") + body[4:]
    return record(22, body, 0x0301)


def server_name(name: bytes) -> bytes:
    entry = b"\0" + len(name).to_bytes(2, "big") + name
    listed = len(entry).to_bytes(2, "big") + entry
    return b"\0\0" + len(listed).to_bytes(2, "big") + listed


def extensions_at(body: bytes) -> int:
    """Where the length of a ClientHello's extensions stands."""
    at = 4 + 2 + 32
    at += 1 + body[at]
    at += 2 + int.from_bytes(body[at : at + 2], "big")
    return at + 1 + body[at]


async def test_many_concurrent_attacks_leave_nothing(
    tmp_path: Path, ports: Ports, clock: MockClock
) -> None:
    """While hundreds dawdle others are answered, and in the end all are gone."""
    dawdlers = (
        Attack("", "", (b"GET / HT",)),
        Attack("", "", (HELLO[:100],), transport=RAW),
        Attack("", "", (GARBAGE,), transport=RAW),
        Attack("", "", (b"GET / HTTP/1.1\r\n", RESET)),
        Attack("", "", (), transport=OVER_TLS),
        Attack("", "", (GARBAGE,), transport=OVER_TLS),
    )

    async with serving(tmp_path, ports) as server:
        async with trio.open_nursery() as nursery:
            for number in range(300):
                nursery.start_soon(run_attack, dawdlers[number % len(dawdlers)], server)
            await trio.testing.wait_all_tasks_blocked(0.01)
            for transport in (PLAIN, OVER_TLS):
                client = await run_attack(Attack("", "", (GET,), transport=transport), server)
                assert list(client.received())[-2:] == ["hello", ""]
        assert await server.quiesce() == server.before
        assert bugs(server.log.take()) == []


BAD_HANDSHAKES = (record(22, GARBAGE), HELLO[:200], HELLO + GARBAGE, hello("rejected.test"), HELLO)


@pytest.mark.long
async def test_memory_does_not_grow_with_failed_handshakes(
    tmp_path: Path, ports: Ports, clock: MockClock
) -> None:
    async with serving(tmp_path, ports) as server:

        async def handshakes(number: int) -> int:
            for turn in range(number):
                await deliver(BAD_HANDSHAKES[turn % len(BAD_HANDSHAKES)], server)
                server.log.take()
            assert await server.quiesce() == server.before
            return resident()

        warm = await handshakes(500)
        assert await handshakes(2000) - warm < 1024 * 1024


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@asynccontextmanager
async def endless_upstream(port: int) -> AsyncIterator[list[str]]:
    """An upstream whose answer does not end; what it yields fills when it is cut off."""
    cut: list[str] = []

    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
            try:
                while True:
                    await stream.send_all(b"a" * 65536)
            except trio.BrokenResourceError:
                cut.append("cut")

    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, answer, listeners)
        yield cut
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("transport", [PLAIN, OVER_TLS])
@pytest.mark.parametrize("resets", [True, False], ids=["reset", "stopped"])
@pytest.mark.long
async def test_connection_is_released_if_client_stops_reading(
    resets: bool, transport: object, tmp_path: Path, ports: Ports, clock: MockClock
) -> None:
    """A reset in the middle of a response, or nobody who reads it: both sides are let go."""

    async with endless_upstream(ports.upstream) as cut, serving(tmp_path, ports) as server:
        port = server.ports.front if transport is PLAIN else server.ports.secure
        wire = RecordingStream(await trio.open_tcp_stream("127.0.0.1", port))
        channel = wire if transport is PLAIN else await Client.handshake(wire)
        await channel.send(b"GET /up HTTP/1.1\r\nHost: front.test\r\n\r\n")
        assert b"200 OK" in await channel.read()
        with trio.fail_after(200):
            if resets:
                wire.reset()
            while not cut:
                await trio.sleep(1)
        await wire.stream.aclose()
        assert await server.quiesce() == server.before
        *buffered, line = server.log.take()
        assert len(buffered) <= 1
        assert all("is buffered to a temporary file" in warning for warning in buffered)
        assert line.startswith("[info] ")
        # A reset is reported by the write, or by the monitor of client aborts.
        resets_reported = ("reset by peer", "epoll_wait() reported that")
        output = resets_reported if resets else ("client timed out",)
        assert any(text in line for text in output)
        assert ", client: 127.0.0.1, server: front.test, " in line


async def test_exception_closes_one_connection_and_logs_one_line(
    tmp_path: Path,
    ports: Ports,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    clock: MockClock,
) -> None:
    async with serving(tmp_path, ports) as server:
        monkeypatch.setattr(RequestPhases, "run", lambda *_: 1 / 0)
        client = await run_attack(Attack("", "", (GET,)), server)
        assert list(client.received()) == [""]
        [line] = server.log.take()
        assert line.startswith("[alert] ")
        assert "internal error: ZeroDivisionError('division by zero') at " in line
        monkeypatch.undo()
        client = await run_attack(Attack("", "", (GET,)), server)
        assert list(client.received())[-2:] == ["hello", ""]
        assert await server.quiesce() == server.before
    assert "Traceback" not in capfd.readouterr().err


def test_accept_without_free_descriptors_recovers(tmp_path: Path) -> None:
    """Accepting fails, is told at `crit`, and goes on when others have left."""
    few = Command("sniproxy", ("sh", "-c", 'ulimit -n 40; exec "$@"', "sh", *SNIPROXY.command))
    configuration = HEAD + " http { server { listen 127.0.0.1:PORT; return 200 hello; } }"
    with served(few, tmp_path, configuration) as process:
        clients = [process.connect() for _ in range(60)]
        wait_until(lambda: "accept4() failed (24: " in process.read("error.log"))
        assert "[crit] " in process.read("error.log")
        for client in clients:
            client.close()
        with process.connect() as client:
            ask(client, connection="close")
            assert everything(client).endswith(b"hello")
        assert process.stop() == 0
        warning = "512 worker_connections exceed open file resource limit: 40"
        assert process.read("stderr.log") == f"sniproxy: [warn] {warning}\n"
