"""All failures caused in real OpenSSL releases, compared with the dialects.

    pytest -m releases

creates a virtual environment for each release (once: pytest's cache keeps them) and takes
about a minute. Without `-m` these tests are deselected.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sniproxy.models import Side
from sniproxy.tls.dialects import ReleaseDialect, find_dialect
from sniproxy.tls.errors import ErrorContext

from . import make_dialects
from .make_dialects import PACKAGES, Case, cases

pytestmark = pytest.mark.releases

SIDES = {"upstream": Side.UPSTREAM, "client": Side.CLIENT, "start": None}


@dataclass(frozen=True)
class Output:
    name: str
    native: dict[str, Any]
    theirs: dict[str, Any]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("provoking")
    make_dialects.make_files(folder)
    return folder


@pytest.fixture(scope="module")
def native(files: Path) -> dict[str, Any]:
    return make_dialects.ask(sys.executable, files)


@pytest.fixture(scope="module", params=PACKAGES)
def output(request: pytest.FixtureRequest, files: Path, native: dict[str, Any]) -> Output:
    name: str = request.param
    python = interpreter(request.config.cache.mkdir(f"openssl-{name}"), PACKAGES[name])
    return Output(name, native, make_dialects.ask(python, files))


def interpreter(folder: Path, packages: tuple[str, ...]) -> str:
    """Python in a virtual environment with `packages`."""
    python = folder / "bin" / "python"
    done = folder / "packages.json"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        done.write_text(json.dumps(packages))
    return str(python)


def test_committed_table_equals_the_generated_one(output: Output) -> None:
    made = json.loads(make_dialects.written(make_dialects.make(output.theirs, output.native)))
    committed = json.loads((make_dialects.TABLES / f"{output.name}.json").read_text())
    assert made == committed


def test_every_failure_is_formatted_as_by_the_release(output: Output) -> None:
    release = find_dialect(output.name)
    assert isinstance(release, ReleaseDialect)
    met: set[tuple[str, tuple[int, ...]]] = set()
    ours, theirs = cases(output.native), cases(output.theirs)
    for name, linked in ours.items():
        real = theirs[name]
        if linked is None or real is None or name.startswith("damaged"):
            continue
        key = (linked.place, linked.codes)
        # Failures that the linked library does not distinguish are reported as the most likely one.
        if linked.place == real.place and key not in met:
            assert reports(release, linked) == lines(release, real), name
        met.add(key)
    assert len(met) > 200


def reports(release: ReleaseDialect, case: Case) -> list[str]:
    """Code and reason of each error."""
    side, operation = case.place.split()
    where = ErrorContext(operation, SIDES[side], case.header)
    texts = [error.text.split(":") for error in release.format_errors(case.errors, where)]
    return [f"{text[1]} {text[4]}" for text in texts]


def lines(release: ReleaseDialect, case: Case) -> list[str]:
    return [
        # Unknown reasons are printed as numbers; errno strings are not OpenSSL's.
        f"{code:08X} {error.reason or release.words(code)}"
        for code, error in zip(case.codes, case.errors, strict=True)
    ]
