"""The test of every scenario: nginx behaves as the row says, and sniproxy behaves as nginx does."""

from __future__ import annotations

import pytest

from tests.conformance.comparison import differences, unmet_expectations
from tests.conformance.conftest import TableRunner
from tests.conformance.harness import Result
from tests.conformance.scenario import Scenario, Table
from tests.nginx import NGINX


@pytest.mark.nginx
def test_scenario(table_runner: TableRunner, table: Table, scenario: Scenario) -> None:
    """Reports both kinds of failure, so that one run shows whether the row or we are wrong."""
    result = table_runner.result(table)
    program = table_runner.program.name
    failures = [
        *nginx_against_row(result, table, scenario),
        *program_against_nginx(result, table, scenario, program),
    ]
    if failures:
        pytest.fail("\n".join([scenario.rule, *failures]), pytrace=False)


def nginx_against_row(result: Result, table: Table, scenario: Scenario) -> list[str]:
    """What nginx did differently from what the row expects."""
    if error := result.startup_errors.get(NGINX.name):
        return [f"== {NGINX.name} did not serve {table.name}: {error}"]
    observation = result.observations[NGINX.name][scenario.name]
    if unmet := unmet_expectations(result.contexts[scenario.name], observation):
        return ["== nginx does not behave as the row says", *unmet]
    return []


def program_against_nginx(
    result: Result, table: Table, scenario: Scenario, program: str
) -> list[str]:
    """What `program` did differently from nginx."""
    if error := result.startup_errors.get(program):
        return [f"== {program} did not serve {table.name}: {error}"]
    if NGINX.name not in result.observations:
        return []
    left = result.observations[NGINX.name][scenario.name]
    right = result.observations[program][scenario.name]
    report = differences(left, right, (NGINX.name, program))
    return [report] if report else []
