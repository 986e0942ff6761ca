"""Plays the scenarios of a table on each program and observes what their neighbours see.

It stands on what users have for their own tests: `sniproxy.serve`, the zoo, and the client of
`sniproxy.testing`. Only nginx is a process. Both are given the same file, and what is compared is
the whole of what reaches the wire and the files of the logs.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from sniproxy.testing.client import ClientRecord, run_client
from sniproxy.testing.upstreams import RunningUpstream, UpstreamServer, open_upstreams, reserve_port
from tests.conformance.layout import lay_out
from tests.conformance.observation import Observation, observe
from tests.conformance.scenario import Place, Scenario, Table, configuration
from tests.programs import Ended, Program

PATIENCE = 5.0
"""Seconds that one scenario may take."""
SETTLING = 2.0
"""Seconds in which everything that is expected after the response has to have happened."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a table."""

    places: Mapping[str, Place]
    """By the scenario's name."""
    observations: Mapping[str, Mapping[str, Observation]]
    """By the program's name, then the scenario's."""
    refusals: Mapping[str, str]
    """Programs that ended before the table did, and what they said."""


async def play(table: Table, programs: Sequence[Program], directory: Path) -> Result:
    """Start each program once and serve the whole table; `directory` holds the wardrobe."""
    with reserve_port() as front, reserve_port() as front_tls:
        async with open_upstreams(directory) as zoo:
            stages = [await build(scenario, zoo) for scenario in table.scenarios]
            ports = Ports(front.getsockname()[1], front_tls.getsockname()[1])
            file = directory / f"{table.name}.conf"
            places = tuple(stage.place for stage in stages)
            addresses = (f"127.0.0.1:{ports.plain}", f"127.0.0.1:{ports.tls}")
            file.write_text(quoted(configuration(table, places, *addresses), directory))
            names = [place.scenario.name for place in places]
            observations, refusals = {}, {}
            for program in programs:
                prefix = directory / f"{table.name}-{program.name}"
                prefix.mkdir()
                for place in places:
                    lay_out(place, prefix)
                try:
                    async with program.serving(prefix, file):
                        logs = Logs(prefix)
                        seen = [await perform(stage, zoo, ports, logs) for stage in stages]
                    observations[program.name] = dict(zip(names, seen, strict=True))
                except Ended as error:
                    refusals[program.name] = str(error)
    return Result(dict(zip(names, places, strict=True)), observations, refusals)


def quoted(configuration: str, directory: Path) -> str:
    """`configuration` with the text of a file in place of each CONTENT(FILE)."""
    return re.sub(
        r"CONTENT\(([\w.-]+)\)", lambda name: (directory / name[1]).read_text(), configuration
    )


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the program listens."""

    plain: int
    tls: int


@dataclass(frozen=True, slots=True)
class Stage:
    """A scenario with its upstreams in their places."""

    place: Place
    peers: tuple[RunningUpstream, ...]


async def build(scenario: Scenario, zoo: UpstreamServer) -> Stage:
    peers = tuple([await zoo.start(upstream) for upstream in scenario.upstreams])
    return Stage(Place(scenario, tuple(peer.port for peer in peers)), peers)


class Logs:
    """What a program has logged since it was last asked."""

    def __init__(self, prefix: Path) -> None:
        self._prefix = prefix
        self._errors = LogFile(prefix / "error.log")
        self._accesses = LogFile(prefix / "access.log")

    async def has(self, errors: int, accesses: int) -> None:
        """Wait until so many new lines are there."""
        while self._errors.count() < errors or self._accesses.count() < accesses:
            await trio.sleep(0.002)

    def take(self) -> tuple[str, str]:
        """The new text of the error log and of the access log, the prefix left out."""
        errors, accesses = (
            log.take().replace(f"{self._prefix}/", "PREFIX/")
            for log in (self._errors, self._accesses)
        )
        return errors, accesses


class LogFile:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = 0

    def peek(self) -> bytes:
        if not self.path.exists():
            return b""
        with self.path.open("rb") as file:
            file.seek(self.position)
            return file.read()

    def count(self) -> int:
        return self.peek().count(b"\n")

    def take(self) -> str:
        text = self.peek()
        self.position += len(text)
        return text.decode("latin-1")


async def perform(stage: Stage, zoo: UpstreamServer, ports: Ports, logs: Logs) -> Observation:
    """Play one scenario on the program that is running."""
    scenario = stage.place.scenario
    for peer in stage.peers:
        peer.clear()
    zoo.signals.clear()
    logs.take()
    client = Client(scenario, zoo)
    receptions = []
    with trio.move_on_after(PATIENCE):
        for _ in range(scenario.repeat):
            receptions.append(ClientRecord())
            await converse(stage, zoo, ports, receptions[-1], client)
        with trio.move_on_after(SETTLING):
            await logs.has(len(scenario.logs), scenario.access_lines)
            await zoo.wait_closed(*stage.peers, allow_open=scenario.staying)
    return observe(stage.peers, receptions, *logs.take())


class Client:
    """The TLS of a scenario's client, and what it remembers from connection to connection."""

    def __init__(self, scenario: Scenario, zoo: UpstreamServer) -> None:
        self.tls = scenario.tls
        self.context = self.tls.context(zoo.certificates) if self.tls else None
        self.address = self.tls.address if self.tls else "127.0.0.1"
        self.server_name = self.tls.server_name if self.tls else None
        self.session: ssl.SSLSession | None = None

    def remember(self, reception: ClientRecord) -> None:
        if self.tls and self.tls.resume:
            self.session = reception.session
        if self.tls and self.tls.next_server_name is not None:
            self.server_name = self.tls.next_server_name


async def converse(
    stage: Stage, zoo: UpstreamServer, ports: Ports, reception: ClientRecord, client: Client
) -> None:
    scenario = stage.place.scenario
    requests = tuple(stage.place.fill(text).encode("latin-1") for text in scenario.requests)
    port = ports.tls if scenario.tls or scenario.to_tls_port else ports.plain
    async with trio.open_nursery() as nursery:
        if scenario.leaves:
            nursery.start_soon(leave, stage.peers[-1], zoo, nursery.cancel_scope)
        try:
            await run_client(
                port,
                requests,
                reception,
                client.context,
                server_name=client.server_name,
                half_close=scenario.ends,
                session=client.session,
                address=client.address,
                script=tuple(map(stage.place.filled, scenario.plays)),
                signals=zoo.signals,
            )
        except OSError as error:
            reception.closed_by = f"no connection: {error}"
        client.remember(reception)
        nursery.cancel_scope.cancel()


async def leave(peer: RunningUpstream, zoo: UpstreamServer, client: trio.CancelScope) -> None:
    """Take the client away once the upstream has a request."""
    while not any(run_client.requests for run_client in peer.connections):
        await zoo.wait_change()
    client.cancel()
