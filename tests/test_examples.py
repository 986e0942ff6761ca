"""Everything in `examples/` works as it stands there, and as `docs/testing.md` shows it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
TESTS = sorted(file.name for file in EXAMPLES.glob("test_*.py"))
NEEDED = ("flask", "httpx", "requests", "starlette", "uvicorn")
"""The extra `examples`."""
TEXT = (ROOT / "docs" / "testing.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def run(*words: str, folder: Path = EXAMPLES) -> str:
    """What a command says; it has to succeed."""
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, "PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def run_tests(*words: str, folder: Path = EXAMPLES) -> None:
    output = run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words, folder=folder
    )
    assert re.search(r"^\d+ passed in", output, re.MULTILINE), output


@pytest.mark.packages(*NEEDED)
def test_example_tests_pass() -> None:
    run_tests()


@pytest.mark.packages("requests")
@pytest.mark.nginx
def test_example_for_both_programs_passes_on_nginx() -> None:
    run_tests("test_both_programs.py", "--program", "nginx")


@pytest.mark.needs("curl")
def test_shell_example_passes() -> None:
    output = run("sh", "integration.sh")
    assert output.splitlines()[-3:] == ["/without-sni: 502", "/with-sni: 200", "/expired: 502"]


@pytest.mark.packages(*NEEDED)
def test_python_blocks_of_the_documentation_pass(tmp_path: Path) -> None:
    """Each block of Python is a file of tests."""
    (tmp_path / "pytest.ini").write_text("[pytest]\ntrio_mode = true\nfilterwarnings = error\n")
    (tmp_path / "conftest.py").write_text((EXAMPLES / "conftest.py").read_text())
    for number, (language, text) in enumerate(BLOCKS):
        if language == "python":
            (tmp_path / f"test_block_{number}.py").write_text(text)
    run_tests(folder=tmp_path)


@pytest.mark.parametrize("name", [*TESTS, "integration.sh"])
def test_documentation_shows_each_example(name: str) -> None:
    assert (EXAMPLES / name).read_text() in [text for _, text in BLOCKS]
