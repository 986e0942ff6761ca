"""The names that modules have on each system, from typeshed, which mypy installs.

typeshed's stubs are compared with CPython on Linux, macOS and Windows by its own tests.
"""

from __future__ import annotations

import ast
from pathlib import Path

import mypy

STUBS = Path(mypy.__file__).parent / "typeshed" / "stdlib"
FILES = {
    "os": "os/__init__.pyi",
    "select": "select.pyi",
    "signal": "signal.pyi",
    "socket": "socket.pyi",
    "fcntl": "fcntl.pyi",
}
SYSTEMS = {"linux": "linux", "macos": "darwin", "windows": "win32"}
"""Our names of systems, and their `sys.platform`."""
VERSIONS = ((3, 11), (3, 12), (3, 13))


def names_of(module: str, system: str) -> set[str]:
    """The names of a module that some supported Python has on a system."""
    tree = ast.parse((STUBS / FILES[module]).read_text())
    found: set[str] = set()
    for version in VERSIONS:
        _collect(tree.body, SYSTEMS[system], version, found)
    return found


def rows() -> list[str]:
    """A row for each name of Linux that another system lacks: the name, and who has it."""
    made = []
    for module in FILES:
        names = {system: names_of(module, system) for system in SYSTEMS}
        for name in sorted(names["linux"]):
            systems = [system for system in SYSTEMS if name in names[system]]
            if len(systems) < len(SYSTEMS) and not name.startswith("_"):
                made.append(f"{module}.{name}: {' '.join(systems)}")
    return made


def _collect(
    body: list[ast.stmt], platform: str, version: tuple[int, int], found: set[str]
) -> None:
    for node in body:
        if isinstance(node, ast.If):
            branch = node.body if _holds(node.test, platform, version) else node.orelse
            _collect(branch, platform, version, found)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Assign):
            found.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ImportFrom):
            found.update(alias.asname or alias.name for alias in node.names)


def _holds(test: ast.expr, platform: str, version: tuple[int, int]) -> bool:
    if isinstance(test, ast.BoolOp):
        values = [_holds(value, platform, version) for value in test.values]
        return all(values) if isinstance(test.op, ast.And) else any(values)
    if isinstance(test, ast.UnaryOp):
        return not _holds(test.operand, platform, version)
    assert isinstance(test, ast.Compare), ast.dump(test)
    subject, value = ast.unparse(test.left), ast.literal_eval(test.comparators[0])
    operator = type(test.ops[0])
    if subject == "sys.platform":
        return bool((platform == value) is (operator is ast.Eq))
    assert subject == "sys.version_info", subject
    return bool((version >= value) is (operator is ast.GtE))
