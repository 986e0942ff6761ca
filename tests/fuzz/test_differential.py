"""Short comparisons with nginx; `python -m tests.fuzz nginx_heads` is a long one."""

from __future__ import annotations

import pytest

from tests.fuzz.differential import DIFFERENTIAL, run_against_nginx


@pytest.mark.nginx
@pytest.mark.parametrize("name", DIFFERENTIAL)
def test_nginx_judges_mutations_alike(name: str) -> None:
    report = run_against_nginx(name, 1, seconds=2)
    assert report.finding is None, f"{report.finding.data!r}\n{report.finding.report}"
    assert report.executions > 10
