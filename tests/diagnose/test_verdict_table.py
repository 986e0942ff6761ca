"""The table of verdicts in docs/diagnosis.md is true: complete, and made anew for a sample."""

from __future__ import annotations

import re

import pytest

from sniproxy.testing.upstreams.catalog import ALL
from tests.diagnose import verdict_table
from tests.explain.test_catalog import JARGON

PAGE = verdict_table.PAGE.read_text("utf-8")
ROWS = [line.split(" | ") for line in verdict_table.table_in(PAGE).splitlines()[2:]]
SAMPLE = ("good", "needs-sni-112", "plain", "expired-authority", "wants-client-1.2", "weak-dh")
INSECURE = re.compile(r"SECLEVEL|ALL|TLSv1 |TLSv1\.1|http://|proxy_ssl_verify off|Legacy")


def names() -> list[str]:
    found = (re.match(r"\| `([^`]+)`", row[0]) for row in ROWS)
    return [match[1] for match in found if match is not None]


def test_every_upstream_has_its_rows() -> None:
    assert names() == list(ALL), "run python -m tests.diagnose.verdict_table"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0][:30]} {row[1]}")
def test_rows(row: list[str]) -> None:
    """The first sentence is plain, both programs agree, and what is insecure says so."""
    _, _, plain, fix, programs = row
    assert not JARGON.search(plain)
    ours, theirs = programs.removesuffix(" |").split(" ")
    assert ours == theirs
    assert (ours == verdict_table.UNTRIED) == (fix == verdict_table.UNTRIED)
    assert bool(INSECURE.search(fix)) == ("**" in fix)


@pytest.mark.nginx
def test_a_sample_is_as_in_the_page() -> None:
    made = list(verdict_table.rows(SAMPLE))
    lines = verdict_table.table_in(PAGE).splitlines()
    expected = []
    for name in SAMPLE:
        start = next(index for index, line in enumerate(lines) if line.startswith(f"| `{name}` "))
        end = start + 1
        while end < len(lines) and lines[end].startswith("|  |"):
            end += 1
        expected += lines[start:end]
    assert made == expected, "run python -m tests.diagnose.verdict_table"
