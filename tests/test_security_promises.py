"""SECURITY.md: each promise of the threat model names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TEXT = (TESTS.parent / "SECURITY.md").read_text()
ROWS = [line for line in TEXT.splitlines() if line.count(" | ") == 3 and "`" in line]
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)`", TEXT)


def test_each_row_names_a_test() -> None:
    assert len(ROWS) > 15
    assert [row for row in ROWS if "::test_" not in row] == []


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_a_named_test_exists(file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (TESTS / file).read_text(), re.M)
