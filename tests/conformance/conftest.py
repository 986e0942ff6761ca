from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from sniproxy.testing.upstreams import generate_certificates
from tests.conformance.harness import Result, play
from tests.conformance.scenario import Table
from tests.nginx import NGINX
from tests.programs import Command, InProcess, Program

SPEAKING = InProcess("ssl_error_dialect 3.5;")
"""The wheel has OpenSSL 3.3, whose words are those of 3.5 (see `observation.worded`)."""

PROGRAMS: dict[str, Program] = {
    "sniproxy": SPEAKING,
    "nginx": Command("nginx-again", NGINX.command),
}
"""What `--compare` names; nginx with itself shows that the scenarios are deterministic."""


class Theatre:
    """Plays each table once, when it is first asked for."""

    def __init__(self, program: Program, directory: Path) -> None:
        self.program = program
        self.directory = directory
        self._results: dict[str, Result | None] = {}

    def result(self, table: Table) -> Result:
        if table.name not in self._results:
            self._results[table.name] = None
            programs = (NGINX, self.program)
            self._results[table.name] = trio.run(play, table, programs, self.directory)
        if (result := self._results[table.name]) is None:
            pytest.fail(f"{table.name} broke the harness in the first of its tests", pytrace=False)
        return result


@pytest.fixture(scope="session")
def theatre(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Theatre:
    directory = tmp_path_factory.mktemp("conformance")
    generate_certificates(directory)
    return Theatre(PROGRAMS[pytestconfig.getoption("--compare")], directory)


def tables(package: str) -> Iterator[Table]:
    """The tables of a folder: every module in it that has a `TABLE`."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not module.name.startswith("test_"):
            table = importlib.import_module(f"{package}.{module.name}").TABLE
            assert isinstance(table, Table)
            yield table


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each scenario of the folder that the test stands in."""
    if "scenario" in metafunc.fixturenames:
        package = metafunc.module.__package__
        metafunc.parametrize(
            ("table", "scenario"),
            [
                pytest.param(table, scenario, id=f"{table.name}-{scenario.name}")
                for table in tables(package)
                for scenario in table.scenarios
            ],
        )
