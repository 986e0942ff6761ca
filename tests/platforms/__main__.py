"""Run the suite as on another machine.

    python -m tests.platforms macos|windows [PYTEST ARGUMENTS]
    python -m tests.platforms python 3.13 [PYTEST ARGUMENTS]
    python -m tests.platforms oldest [PYTEST ARGUMENTS]
    python -m tests.platforms names          write names.txt again, from typeshed
    python -m tests.platforms constraints    write .ci/constraints.txt again

The second and third make an environment first: with the newest dependencies, or with the oldest
that pyproject.toml allows. `--quick` in front of the arguments runs a part of the suite.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .plugin import WHERE
from .stand_in import NAMES, PLATFORMS, VARIABLE

ROOT = Path(__file__).parent.parent.parent
HIDDEN = Path(__file__).parent / "hidden"
CONSTRAINTS = ROOT / ".ci" / "constraints.txt"
OLDEST = "3.11"
"""The oldest version of Python that pyproject.toml allows."""
QUICK = ("build", "client", "config", "http", "stream", "tls", "variables", "test_embed.py")
"""Tests that `--quick` runs: they depend most on Python, the system and the dependencies."""
USAGE = 2


def main(words: Sequence[str]) -> int:
    """Run the command; returns pytest's exit status."""
    match list(words):
        case [("macos" | "windows") as system, *arguments]:
            return run_stand_in(system, arguments)
        case ["python", version, *arguments]:
            return run_python(version, arguments, oldest=False)
        case ["oldest", *arguments]:
            return run_python(OLDEST, arguments, oldest=True)
        case ["names"]:
            from .typeshed import rows

            NAMES.write_text("\n".join(rows()) + "\n")
            return 0
        case ["constraints"]:
            return write_constraints()
    print(__doc__, file=sys.stderr)
    return USAGE


def run_stand_in(system: str, arguments: Sequence[str]) -> int:
    """Run the suite with the names hidden that `system` lacks."""
    print(f"sniproxy sees sys.platform {PLATFORMS[system]!r}: a stand-in, not the system itself")
    path = os.pathsep.join((str(HIDDEN), str(ROOT)))
    return _pytest(
        [sys.executable], arguments, {VARIABLE: system, WHERE: system, "PYTHONPATH": path}
    )


def run_python(version: str, arguments: Sequence[str], *, oldest: bool) -> int:
    """Run the suite on a version of Python, in an environment of its own."""
    interpreter = find_interpreter(version)
    if interpreter is None:
        print(f"!!! NOT TESTED on Python {version}: this machine lacks python{version} !!!")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        python = make_environment(interpreter, Path(folder) / "venv", oldest=oldest)
        environment = {WHERE: "python", "PYTHONPATH": str(ROOT)}
        environment["PATH"] = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
        return _pytest([str(python)], arguments, environment)


def find_interpreter(version: str) -> str | None:
    """The command of a version of Python: on PATH, or of pyenv."""
    if (found := shutil.which(f"python{version}")) and _runs(found):
        return found
    releases = (Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}")
    return next((str(path) for path in sorted(releases) if _runs(str(path))), None)


def make_environment(interpreter: str, folder: Path, *, oldest: bool) -> Path:
    """Install the project and its tests; returns the environment's interpreter."""
    subprocess.run([interpreter, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    project = f"{ROOT}[test]"
    if oldest:
        command = [*_uv(), "pip", "install", "--quiet", "--resolution", "lowest-direct"]
        subprocess.run([*command, "--python", str(python), "--editable", project], check=True)
    else:
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, "--editable", project], check=True)
    return python


def write_constraints() -> int:
    """Write the versions that .ci/run installs, for all supported versions of Python."""
    command = [*_uv(), "pip", "compile", "pyproject.toml", "--extra", "test", "--universal"]
    command += ["--python-version", OLDEST, "--upgrade", "--no-header", "--no-annotate", "--quiet"]
    subprocess.run([*command, "--output-file", str(CONSTRAINTS)], cwd=ROOT, check=True)
    return 0


def _uv() -> list[str]:
    """The command of uv, which is installed into the environment of this process if need be."""
    if found := shutil.which("uv"):
        return [found]
    if subprocess.run([sys.executable, "-m", "uv", "--version"], capture_output=True).returncode:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "uv"], check=True)
    return [sys.executable, "-m", "uv"]


def _runs(command: str) -> bool:
    # The commands of pyenv are there for versions that are not selected, too.
    return subprocess.run([command, "--version"], capture_output=True).returncode == 0


def _pytest(python: list[str], arguments: Sequence[str], environment: dict[str, str]) -> int:
    """Run pytest; what fails is run once more, alone, as .ci/run does."""
    if arguments[:1] == ["--quick"]:
        arguments = [*(f"tests/{name}" for name in QUICK), *arguments[1:]]
    with tempfile.TemporaryDirectory() as cache:
        command = [*python, "-m", "pytest", "-p", "tests.platforms.plugin", "-q"]
        command += ["-o", f"cache_dir={cache}"]
        whole = {**os.environ, **environment}
        parallel = ["-n", "2", "--dist", "loadfile"]
        status = subprocess.run([*command, *parallel, *arguments], cwd=ROOT, env=whole).returncode
        if status == 1:
            print("What failed is run once more, alone.", flush=True)
            again = ["--last-failed", "--last-failed-no-failures", "none"]
            status = subprocess.run([*command, *again, *arguments], cwd=ROOT, env=whole).returncode
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
