"""Tests of the docstring sampler."""

from __future__ import annotations

from pathlib import Path

from tests.prose import docstrings, sample

SOURCE = '''"""A module."""

LIMIT = 3
"""A constant."""


class Thing:
    """A class."""

    size: int = 0
    """A field."""

    async def run(self) -> None:
        """A method."""

    def undocumented(self) -> None:
        return "no docstring"
'''


def test_docstrings_of_modules_classes_functions_and_attributes_are_found(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "module.py").write_text(SOURCE)
    found = [(entry.line, entry.signature, entry.text) for entry in docstrings(package)]
    assert found == [
        (1, "", "A module."),
        (3, "LIMIT = 3", "A constant."),
        (7, "class Thing:", "A class."),
        (10, "size: int = 0", "A field."),
        (13, "async def run(self) -> None:", "A method."),
    ]


def test_sample_is_reproducible_by_its_seed() -> None:
    assert sample(20, 1) == sample(20, 1)
    assert sample(20, 1) != sample(20, 2)
    assert len(set(sample(20, 1))) == 20
