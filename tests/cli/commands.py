"""The command line of either program, run to its end."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from sniproxy.cli import main
from tests.nginx import NGINX
from tests.programs import Command


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command came to; the program's name, or the time, is left out of its lines."""

    status: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stderr.splitlines()


class Sniproxy:
    """Runs commands in this process; one is not to start serving."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *words: str) -> Outcome:
        self._capture.readouterr()
        status = main(words)
        output = self._capture.readouterr()
        return Outcome(status, output.out, nameless("sniproxy", output.err))


def run(program: Command, words: Sequence[str], directory: Path) -> Outcome:
    """Run a command in a process of its own, in `directory`."""
    done = subprocess.run(
        [*program.command, *words],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="latin-1",
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, nameless(program.name, done.stderr))


def run_nginx(words: Sequence[str], directory: Path) -> Outcome:
    """nginx's outcome. Its log goes to `early.log`, so that stderr has its words but no times."""
    return run(NGINX, ["-e", "early.log", *words], directory)


def nameless(name: str, text: str) -> str:
    stamp = r"[\d/]+ [\d:]+ (?=\[\w+\])|(?<=\] )\d+#\d+: "
    return re.sub(f"^{name}: |{stamp}", "", text, flags=re.MULTILINE)
