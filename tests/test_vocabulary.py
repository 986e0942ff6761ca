"""Rules of naming that hold for the whole package."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "sniproxy"
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_MODULES_OF_A_NAME = 2
RETIRED = frozenset(
    [
        "animal",
        "animals",
        "asked",
        "departure",
        "departures",
        "house",
        "keeper",
        "kept",
        "nobody",
        "parting",
        "partings",
        "said",
        "settled",
        "shown",
        "spot",
        "spots",
        "tell",
        "tells",
        "told",
        "wardrobe",
        "wear",
        "whoever",
        "zoo",
    ]
)
"""Words that identifiers must not contain."""


def test_class_names_are_unique() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_module_names_occur_at_most_twice() -> None:
    names = Counter(path.name for path in FILES if path.name not in {"__init__.py", "__main__.py"})
    assert {name: n for name, n in names.items() if n > MAX_MODULES_OF_A_NAME} == {}


def words_of(identifier: str) -> set[str]:
    """The words of an identifier in snake case or camel case, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)}


def identifiers(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of each identifier in a module, and the module's own name."""
    yield 0, path.stem
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string


@pytest.mark.parametrize("folder", ["sniproxy", "tests", "benchmarks"])
def test_identifiers_have_no_retired_words(folder: str) -> None:
    found = sorted(
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in (ROOT / folder).rglob("*.py")
        for line, name in identifiers(path)
        if words_of(name) & RETIRED
    )
    assert found == []
