"""The documentation says what the code does."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_docs", DOCS / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_compatibility_is_the_table(make: ModuleType) -> None:
    made = (DOCS / "compatibility.md").read_text()
    assert made == make.compatibility(), "run python docs/make.py"


def test_tls_has_the_tables_of_its_directives(make: ModuleType) -> None:
    text = (DOCS / "tls.md").read_text()
    assert text == make.filled(text), "run python docs/make.py"
