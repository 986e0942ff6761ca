"""Run the scenarios of a table on each program, and record what clients, upstreams and logs see.

The harness uses the public test tools: `sniproxy.serve`, and the upstreams and the client of
`sniproxy.testing`. nginx runs as a process, sniproxy in this one. Both get the same configuration
file; what is compared is everything that is sent, and everything that is logged.
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
from tests.conformance.layout import write_files
from tests.conformance.observation import Observation, observe
from tests.conformance.scenario import Scenario, ScenarioContext, Table, configuration
from tests.programs import Program, ProgramEndedError

SCENARIO_TIMEOUT = 5.0
"""Maximum number of seconds for one scenario."""
LOG_TIMEOUT = 2.0
"""Seconds to wait after the last response for log lines and for connections to close."""


@dataclass(frozen=True, slots=True)
class Result:
    """The observations of all scenarios of a table."""

    contexts: Mapping[str, ScenarioContext]
    """By name of the scenario."""
    observations: Mapping[str, Mapping[str, Observation]]
    """By name of the program, then of the scenario."""
    startup_errors: Mapping[str, str]
    """Error output of programs that exited before the end of the table, by name."""


async def run_table(table: Table, programs: Sequence[Program], directory: Path) -> Result:
    """Start each program once, and run all scenarios on it; `directory` has the certificates."""
    with reserve_port() as front, reserve_port() as front_tls:
        async with open_upstreams(directory) as server:
            started_scenarios = [
                await start_upstreams(scenario, server) for scenario in table.scenarios
            ]
            ports = Ports(front.getsockname()[1], front_tls.getsockname()[1])
            file = directory / f"{table.name}.conf"
            contexts = tuple(started.context for started in started_scenarios)
            addresses = (f"127.0.0.1:{ports.plain}", f"127.0.0.1:{ports.tls}")
            file.write_text(quoted(configuration(table, contexts, *addresses), directory))
            names = [context.scenario.name for context in contexts]
            observations, startup_errors = {}, {}
            for program in programs:
                prefix = directory / f"{table.name}-{program.name}"
                prefix.mkdir()
                for context in contexts:
                    write_files(context, prefix)
                try:
                    async with program.serving(prefix, file):
                        logs = Logs(prefix)
                        observed = [
                            await run_scenario(started, server, ports, logs)
                            for started in started_scenarios
                        ]
                    observations[program.name] = dict(zip(names, observed, strict=True))
                except ProgramEndedError as error:
                    startup_errors[program.name] = str(error)
    return Result(dict(zip(names, contexts, strict=True)), observations, startup_errors)


def quoted(configuration: str, directory: Path) -> str:
    """Replace each CONTENT(FILE) in `configuration` by the content of the file."""
    return re.sub(
        r"CONTENT\(([\w.-]+)\)", lambda name: (directory / name[1]).read_text(), configuration
    )


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports the program listens on."""

    plain: int
    tls: int


@dataclass(frozen=True, slots=True)
class StartedScenario:
    """A scenario whose upstreams are running."""

    context: ScenarioContext
    upstreams: tuple[RunningUpstream, ...]


async def start_upstreams(scenario: Scenario, server: UpstreamServer) -> StartedScenario:
    upstreams = tuple([await server.start(upstream) for upstream in scenario.upstreams])
    return StartedScenario(
        ScenarioContext(scenario, tuple(upstream.port for upstream in upstreams)), upstreams
    )


class Logs:
    """Reads what a program has logged since the last call of `take()`."""

    def __init__(self, prefix: Path) -> None:
        self._prefix = prefix
        self._errors = LogFile(prefix / "error.log")
        self._accesses = LogFile(prefix / "access.log")

    async def has(self, errors: int, accesses: int) -> None:
        """Wait until the logs have at least so many new lines."""
        while self._errors.count() < errors or self._accesses.count() < accesses:
            await trio.sleep(0.002)

    def take(self) -> tuple[str, str]:
        """Return the new text of the error log and the access log, without the prefix of paths."""
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


async def run_scenario(
    started: StartedScenario, server: UpstreamServer, ports: Ports, logs: Logs
) -> Observation:
    """Run one scenario on the program that is running."""
    scenario = started.context.scenario
    for upstream in started.upstreams:
        upstream.clear()
    server.signals.clear()
    logs.take()
    client = Client(scenario, server)
    records = []
    with trio.move_on_after(SCENARIO_TIMEOUT):
        for _ in range(scenario.repeat):
            records.append(ClientRecord())
            await run_connection(started, server, ports, records[-1], client)
        with trio.move_on_after(LOG_TIMEOUT):
            await logs.has(len(scenario.logs), scenario.expected_access_lines)
            await server.wait_closed(*started.upstreams, allow_open=scenario.open_connections)
    return observe(started.upstreams, records, *logs.take())


class Client:
    """TLS of the client of a scenario, with the state it keeps between connections."""

    def __init__(self, scenario: Scenario, server: UpstreamServer) -> None:
        self.tls = scenario.tls
        self.context = self.tls.context(server.certificates) if self.tls else None
        self.address = self.tls.address if self.tls else "127.0.0.1"
        self.server_name = self.tls.server_name if self.tls else None
        self.session: ssl.SSLSession | None = None

    def save_session(self, record: ClientRecord) -> None:
        if self.tls and self.tls.resume:
            self.session = record.session
        if self.tls and self.tls.next_server_name is not None:
            self.server_name = self.tls.next_server_name


async def run_connection(
    started: StartedScenario,
    server: UpstreamServer,
    ports: Ports,
    record: ClientRecord,
    client: Client,
) -> None:
    scenario = started.context.scenario
    requests = tuple(started.context.fill(text).encode("latin-1") for text in scenario.requests)
    port = ports.tls if scenario.tls or scenario.plain_to_tls_port else ports.plain
    async with trio.open_nursery() as nursery:
        if scenario.client_disconnects:
            nursery.start_soon(
                disconnect_on_request, started.upstreams[-1], server, nursery.cancel_scope
            )
        try:
            await run_client(
                port,
                requests,
                record,
                client.context,
                server_name=client.server_name,
                half_close=scenario.half_close,
                session=client.session,
                address=client.address,
                script=tuple(map(started.context.filled, scenario.script)),
                signals=server.signals,
                preamble=scenario.preamble.encode("latin-1"),
            )
        except OSError as error:
            record.closed_by = f"no connection: {error}"
        client.save_session(record)
        nursery.cancel_scope.cancel()


async def disconnect_on_request(
    upstream: RunningUpstream, server: UpstreamServer, client: trio.CancelScope
) -> None:
    """Cancel the client as soon as the upstream has received a request."""
    while not any(record.requests for record in upstream.connections):
        await server.wait_change()
    client.cancel()
