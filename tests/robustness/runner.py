"""Run the attacks on a program, and record what the client and the logs see."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from sniproxy.testing.authority import self_signed
from sniproxy.testing.streams import BIOTLSStream, RecordingStream
from sniproxy.testing.upstreams import reserve_port
from tests.conformance.harness import Logs
from tests.conformance.observation import error_lines, escaped_lines
from tests.programs import Program
from tests.robustness.attacks import FIN, OVER_TLS, PLAIN, RESET, WAIT, Attack, RawBelowTLS
from tests.tls.real_nginx import same_codes

TIMEOUT = 5.0
"""Maximum number of seconds for an attack; the timeouts in the configuration are below 1 s."""
SETTLING = 2.0

CONFIGURATION = """
pid nginx.pid;
error_log error.log info;
events { worker_connections 256; }
http {
    log_format short '"$request" $status';
    access_log access.log short;
    client_header_timeout 200ms;
    client_body_timeout 200ms;
    send_timeout 200ms;
    keepalive_timeout 200ms;
    lingering_timeout 200ms;
    large_client_header_buffers 2 1k;
    client_max_body_size 1k;
    server {
        listen 127.0.0.1:FRONT;
        listen 127.0.0.1:SECURE ssl;
        server_name front.test;
        ssl_certificate front.pem;
        ssl_certificate_key front.key;
        location / { return 200 "hello\\n"; }
        location /up { proxy_pass http://127.0.0.1:UPSTREAM; }
    }
    server {
        listen 127.0.0.1:SECURE ssl;
        server_name refused.test;
        ssl_reject_handshake on;
    }
}
"""


@dataclass(frozen=True, slots=True)
class AttackResult:
    """What was observed during one attack."""

    received: tuple[str, ...]
    closed_by: str
    errors: tuple[str, ...]
    accesses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ports:
    front: int
    secure: int
    upstream: int

    def fill(self, text: str) -> str:
        for name in ("FRONT", "SECURE", "UPSTREAM"):
            text = text.replace(name, str(getattr(self, name.lower())))
        return text

    def hide(self, text: str) -> str:
        for name in ("FRONT", "SECURE", "UPSTREAM"):
            text = re.sub(rf"\b{getattr(self, name.lower())}\b", name, text)
        return text


def configure(folder: Path, ports: Ports) -> Path:
    """Write the configuration, certificates and files."""
    self_signed("front.test").write(folder, "front")
    file = folder / "nginx.conf"
    file.write_text(ports.fill(CONFIGURATION))
    return file


@contextlib.contextmanager
def free_ports() -> Iterator[Ports]:
    with contextlib.ExitStack() as held:
        numbers = [held.enter_context(reserve_port()).getsockname()[1] for _ in range(3)]
        yield Ports(*numbers)


async def run_attacks(
    programs: Sequence[Program], attacks: Sequence[Attack], folder: Path
) -> dict[str, dict[str, AttackResult]]:
    """Run all attacks on each program; the programs run concurrently."""
    seen: dict[str, dict[str, AttackResult]] = {program.name: {} for program in programs}
    async with trio.open_nursery() as nursery:
        for program in programs:
            own = folder / program.name
            own.mkdir()
            nursery.start_soon(_play, program, attacks, own, seen[program.name])
    return seen


async def _play(
    program: Program, attacks: Sequence[Attack], folder: Path, seen: dict[str, AttackResult]
) -> None:
    with free_ports() as ports:
        file = configure(folder, ports)
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_upstream, ports.upstream)
            async with program.serving(folder, file):
                logs = Logs(folder)
                logs.take()  # of the start
                for attack in attacks:
                    seen[attack.name] = await run_attack(attack, ports, logs)
            nursery.cancel_scope.cancel()


async def serve_upstream(port: int, task_status: trio.TaskStatus[None]) -> None:
    """Serve an upstream that answers each request once its body is complete."""

    async def answer(stream: trio.SocketStream) -> None:
        data = b""
        async with stream:
            with contextlib.suppress(trio.BrokenResourceError):
                while not data.endswith((b"0123456789", b"01234")):
                    if not (more := await stream.receive_some()):
                        return
                    data += more
                await stream.send_all(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n")

    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, answer, listeners)
        task_status.started()


async def run_attack(attack: Attack, ports: Ports, logs: Logs) -> AttackResult:
    client = Client(attack)
    with trio.move_on_after(TIMEOUT):
        await client.run(ports.front if attack.transport is PLAIN else ports.secure)
    with trio.move_on_after(SETTLING):
        await logs.has(len(attack.lines), len(attack.accesses))
    errors, accesses = logs.take()
    return AttackResult(
        received=tuple(client.received()),
        closed_by=client.closed_by,
        errors=tuple(
            without_library_errors(attack, ports.hide(line)) for line in error_lines(errors)
        ),
        accesses=tuple(accesses.splitlines()),
    )


def without_library_errors(attack: Attack, line: str) -> str:
    if attack.library_decides:
        return re.sub(r"\(SSL: .*?\)", "(SSL: …)", line)
    return same_codes(line)


class Client:
    """The client of one attack."""

    def __init__(self, attack: Attack) -> None:
        self.attack = attack
        self.wire: RecordingStream | None = None
        self.decrypted = b""
        self.closed_by = "still connected"

    async def run(self, port: int) -> None:
        self.wire = wire = RecordingStream(await trio.open_tcp_stream("127.0.0.1", port))
        async with wire.stream:
            tls = await self.handshake(wire) if self.attack.transport is OVER_TLS else None
            for step in self.attack.steps:
                if step is RESET:
                    wire.reset()
                    self.closed_by = "left"
                    return
                if step is FIN:
                    with contextlib.suppress(trio.BrokenResourceError):  # reset meanwhile
                        await wire.stream.send_eof()
                elif step is WAIT:
                    if tls is None:
                        await wire.read()
                    else:
                        self.decrypted += await tls.read()
                elif isinstance(step, RawBelowTLS):
                    await wire.send(step.data)
                elif isinstance(step, bytes):
                    await (tls or wire).send(step)
                if self.attack.gap:
                    await trio.sleep(self.attack.gap)
            await self._read_to_the_end(wire, tls)

    @staticmethod
    async def handshake(wire: RecordingStream) -> BIOTLSStream:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        tls = BIOTLSStream(wire, context, server_name="front.test")
        await tls.handshake()
        return tls

    async def _read_to_the_end(self, wire: RecordingStream, tls: BIOTLSStream | None) -> None:
        if tls is not None:
            # After a FIN of ours the library may still want to send.
            with contextlib.suppress(trio.ClosedResourceError):
                while data := await tls.read():
                    self.decrypted += data
        while await wire.read():
            pass
        chance = self.attack.reset_is_chance
        self.closed_by = "reset" if wire.was_reset and not chance else "closed"

    def received(self) -> Iterator[str]:
        """The lines of the response; of TLS records, the types."""
        if self.wire is None:
            return
        data = b"" if self.attack.library_decides else bytes(self.wire.received)
        if self.attack.transport is OVER_TLS:
            data = self.decrypted
        elif data[:1] in (b"\x15", b"\x16"):
            yield from records(data)
            return
        for line in escaped_lines(data):
            yield re.sub("^Date: .*GMT", "Date: (now)", line)


def records(data: bytes) -> Iterator[str]:
    """The types of TLS records, alerts with their numbers; repetitions are left out."""
    before = ""
    while len(data) >= 5:
        kind, length = data[0], int.from_bytes(data[3:5], "big")
        payload, data = data[5 : 5 + length], data[5 + length :]
        name = {20: "change cipher spec", 21: "alert", 22: "handshake", 23: "data"}[kind]
        if kind == 21:
            name += f" {payload.hex()}" if length == 2 else " (encrypted)"
        if name != before:
            yield name
        before = name
