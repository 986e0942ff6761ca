"""The tests that docs/robustness.md names exist."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent
TEXT = (FOLDER.parents[1] / "docs" / "robustness.md").read_text()


def test_every_test_in_the_table_of_faults_exists() -> None:
    named = re.findall(r"\| `(test_\w+\.py)::(test_\w+)` \|", TEXT)
    assert len(named) > 20
    for file, function in named:
        assert re.search(rf"^(async )?def {function}\(", (FOLDER / file).read_text(), re.MULTILINE)
