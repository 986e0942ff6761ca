"""No module of sniproxy uses a name that another system lacks, and the stand-ins hide the same."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.platforms.omissions import OMISSIONS
from tests.platforms.stand_in import NAMES, PLATFORMS
from tests.platforms.typeshed import rows

ROOT = Path(__file__).parent.parent.parent
IN_ANNOTATIONS = {"select.epoll", "signal.struct_siginfo"}
"""Types that are only named in annotations, which are not evaluated."""


def test_rows_are_those_of_typeshed() -> None:
    """`python -m tests.platforms names` writes them again."""
    assert NAMES.read_text().splitlines() == rows()


@pytest.mark.parametrize("platform", PLATFORMS.values())
def test_code_uses_only_names_of_the_system(platform: str, tmp_path: Path) -> None:
    """mypy reads the code as if it ran there, and skips what is guarded by `sys.platform`."""
    command = [sys.executable, "-m", "mypy", "--platform", platform, "-p", "sniproxy"]
    result = subprocess.run(
        [*command, "--no-warn-unused-ignores", "--cache-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    errors = [line for line in result.stdout.splitlines() if ": error: " in line]
    assert errors, "the annotations are found, so mypy has looked"
    others = [
        line
        for line in errors
        if not (found := re.search(r'Name "(.*)" is not defined', line))
        or found[1] not in IN_ANNOTATIONS
    ]
    assert others == []


def test_omitted_tests_exist() -> None:
    for name in (name for omission in OMISSIONS for name in omission.tests):
        files, _, test = name.partition("::")
        found = list(ROOT.glob(f"{files.rstrip('/')}*"))
        function = f"def {test.partition('[')[0]}"
        assert any(not test or function in path.read_text() for path in found), name
