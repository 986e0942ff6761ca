"""pyproject.toml declares what the package imports, and nothing else."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = (ROOT / ".ci" / "constraints.txt").read_text()

ONLY_IN_TESTS = {"pytest": "the pytest plugin, which pytest loads"}
"""What modules for tests import; whoever uses them has it."""


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    """The distributions of requirements such as `trio>=0.27`."""
    return {normalized(re.split(r"[\s<>=!~\[;]", one)[0]) for one in requirements}


def imported_modules() -> set[str]:
    """The top-level modules that sniproxy imports, without its own and the standard library's."""
    found: set[str] = set()
    for path in (ROOT / "sniproxy").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"sniproxy"}


def imported_distributions() -> set[str]:
    known = packages_distributions()
    return {
        normalized(name)
        for module in imported_modules()
        for name in known.get(module, [f"(nothing installed has {module})"])
    }


OPTIONAL = declared(PROJECT["optional-dependencies"]["pcre"])


def test_every_import_is_declared() -> None:
    allowed = declared(PROJECT["dependencies"]) | OPTIONAL | ONLY_IN_TESTS.keys()
    assert imported_distributions() - allowed == set()


def test_every_dependency_is_imported() -> None:
    all_declared = declared(PROJECT["dependencies"]) | OPTIONAL
    assert all_declared - imported_distributions() == set()


@pytest.mark.parametrize(
    "requirement",
    [
        *PROJECT["dependencies"],
        *(one for extra in PROJECT["optional-dependencies"].values() for one in extra),
    ],
)
def test_every_dependency_has_a_lower_bound(requirement: str) -> None:
    assert ">=" in requirement or "==" in requirement or requirement.startswith("sniproxy[")


def test_ci_installs_fixed_versions() -> None:
    pinned = set(re.findall(r"^([\w.-]+)==", CONSTRAINTS, re.M))
    extras = PROJECT["optional-dependencies"]
    needed = declared([*PROJECT["dependencies"], *extras["test"], *extras["examples"]])
    assert needed - {normalized(name) for name in pinned} == {"sniproxy"}
