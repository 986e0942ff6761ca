"""Sessions of `stream {}` on nginx and on sniproxy: the same bytes, statuses and log lines."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import pytest

from sniproxy.testing.upstreams import generate_certificates
from tests.stream.scenarios import SCENARIOS
from tests.stream.sessions import PROGRAMS, Case, Recorded, SessionScenario, configuration, run

Results = Mapping[str, Mapping[str, Recorded]]


@functools.cache
def results_in(folder: Path) -> Results:
    """What both programs do with all scenarios, by program and name."""
    generate_certificates(folder)
    cases = [Case(scenario, folder) for scenario in SCENARIOS]
    try:
        file = folder / "nginx.conf"
        file.write_text(configuration(cases))
        return {program: run(cases, program, folder, file) for program in PROGRAMS}
    finally:
        for case in cases:
            case.close()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return results_in(tmp_path_factory.mktemp("stream"))


@pytest.mark.nginx
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_session(results: Results, scenario: SessionScenario) -> None:
    theirs, ours = results["nginx"][scenario.name], results["sniproxy"][scenario.name]
    # nginx behaves as the scenario says ...
    status = f" {scenario.status} "
    assert theirs.accesses, scenario.rule
    assert all(status in f"{line} " for line in theirs.accesses), scenario.rule
    for part in scenario.logs:
        assert any(part in line for line in theirs.errors), (part, theirs.errors)
    # ... and sniproxy as nginx.
    assert ours.client == theirs.client, scenario.rule
    assert ours.upstream == theirs.upstream, scenario.rule
    assert ours.errors == theirs.errors, scenario.rule
    assert ours.accesses == theirs.accesses, scenario.rule
