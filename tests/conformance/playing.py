"""Every scenario twice: nginx does what the row says, and the other program does the same."""

from __future__ import annotations

import pytest

from tests.conformance.comparison import broken_promises, differences
from tests.conformance.conftest import Theatre
from tests.conformance.scenario import Scenario, Table
from tests.nginx import NGINX


@pytest.mark.nginx
def test_nginx_does_what_the_row_says(theatre: Theatre, table: Table, scenario: Scenario) -> None:
    result = theatre.result(table)
    if refusal := result.refusals.get(NGINX.name):
        pytest.fail(f"{table.name}: {refusal}", pytrace=False)
    seen = result.observations[NGINX.name][scenario.name]
    if broken := broken_promises(result.places[scenario.name], seen):
        pytest.fail("\n".join([scenario.rule, *broken]), pytrace=False)


@pytest.mark.nginx
def test_both_do_the_same(theatre: Theatre, table: Table, scenario: Scenario) -> None:
    result = theatre.result(table)
    program = theatre.program.name
    if refusal := result.refusals.get(program):
        pytest.fail(f"{table.name}: {refusal}", pytrace=False)
    left = result.observations[NGINX.name][scenario.name]
    right = result.observations[program][scenario.name]
    if report := differences(left, right, (NGINX.name, program)):
        pytest.fail(f"{scenario.rule}\n{report}", pytrace=False)
