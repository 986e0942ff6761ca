from __future__ import annotations

import functools
from pathlib import Path

import pytest
import trio

from sniproxy.testing.zoo import wear
from tests.conformance.harness import Result, play
from tests.conformance.scenario import Table
from tests.nginx import NGINX
from tests.programs import SNIPROXY, Program

PROGRAMS = {
    "sniproxy": SNIPROXY,
    "nginx": Program("nginx-again", NGINX.command),
}
"""What can be compared with nginx; with itself, to see that the scenarios are deterministic."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--compare",
        choices=tuple(PROGRAMS),
        default="sniproxy",
        help="the program that is compared with nginx (tests/conformance)",
    )


class Theatre:
    """Plays each table once, when it is first asked for."""

    def __init__(self, program: Program, directory: Path) -> None:
        self.program = program
        self.directory = directory
        self.result = functools.cache(self._play)

    def _play(self, table: Table) -> Result:
        return trio.run(play, table, (NGINX, self.program), self.directory)


@pytest.fixture(scope="session")
def theatre(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Theatre:
    directory = tmp_path_factory.mktemp("conformance")
    wear(directory)
    return Theatre(PROGRAMS[pytestconfig.getoption("--compare")], directory)
