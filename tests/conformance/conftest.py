from __future__ import annotations

from pathlib import Path

import pytest
import trio

from sniproxy.testing.zoo import wear
from tests.conformance.harness import Result, play
from tests.conformance.scenario import Table
from tests.nginx import NGINX
from tests.programs import SNIPROXY, Program

SPEAKING = Program("sniproxy", SNIPROXY.command, "ssl_error_dialect 3.5;")
"""The wheel has OpenSSL 3.3, whose words are those of 3.5 (see `observation.worded`)."""

PROGRAMS = {"sniproxy": SPEAKING, "nginx": Program("nginx-again", NGINX.command)}
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
    wear(directory)
    return Theatre(PROGRAMS[pytestconfig.getoption("--compare")], directory)
