"""docs/architecture.md lists every module and package of sniproxy."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "architecture.md").read_text()


def listed() -> list[str]:
    """The modules and packages that have a row in the table."""
    table = TEXT.partition("## Modules and packages\n")[2].partition("\n## ")[0]
    return [name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in names(row)]


def names(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def existing() -> set[str]:
    """The modules on the top level of `sniproxy/`, and its packages with a trailing slash."""
    package = ROOT / "sniproxy"
    modules = {path.name for path in package.glob("*.py")}
    return modules | {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}


def test_every_module_and_package_has_one_row() -> None:
    assert sorted(listed()) == sorted(existing())


def test_modules_named_in_a_row_exist() -> None:
    """`strategy` in the row of `diagnose/` is diagnose/strategy.py, or a folder there."""
    missing = [
        f"{package}{name}"
        for package, contents in re.findall(r"^\| `(\w+/)` \| (.*) \|$", TEXT, re.M)
        for name in names(contents)
        if re.fullmatch(r"[a-z_]+/?", name)
        and name not in DIRECTIVES
        and not (ROOT / "sniproxy" / package / name).is_dir()
        and not (ROOT / "sniproxy" / package / f"{name}.py").is_file()
    ]
    assert not missing


def test_paths_in_the_text_exist() -> None:
    outside = re.sub(r"<!-- request path -->.*?<!-- end of request path -->", "", TEXT, flags=re.S)
    paths = re.findall(r"`((?:\w+/)+\w+\.py)`", outside)
    assert paths
    assert not [path for path in paths if not (ROOT / "sniproxy" / path).is_file()]


DIRECTIVES = {"map", "geo", "split_clients", "proxy_pass"}
"""Words of the table that are no modules."""
