"""The command: run the scripts on both programs, and print a table of the outcomes."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.compare_nginx import Served, served
from tests.nginx import NGINX, is_installed
from tests.programs import InProcess, Program
from tests.tls.real_nginx import lines
from tests.tlsfuzzer.catalog import Catalog, Script, load
from tests.tlsfuzzer.outcome import (
    LOG,
    differences,
    log_difference,
    outcomes,
    reasons,
    same_other_lines,
)
from tests.tlsfuzzer.plain_server import LIBRARY, serving
from tests.tlsfuzzer.site import certificates, port_name, site
from tests.tlsfuzzer.source import SourceError, install

LONGEST = 180.0
"""Seconds that a script may take."""
LAUNCHER = """
import random, runpy, sys
random.seed(1)
random.SystemRandom = lambda: random.Random(1)
random.sample = lambda population, k: random.Random(1).sample(list(population), k)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Scripts choose conversations by `random`, and from sets: both programs get the same ones."""
SNIPROXY = InProcess("ssl_error_dialect native;")


@dataclass(slots=True)
class Row:
    """The outcomes of a script."""

    script: Script
    played: int
    passed_by_nginx: int
    passed_by_sniproxy: int
    explained: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        if self.unexplained:
            return "DIFFERS"
        return f"explained: {len(self.explained)}" if self.explained else "same"


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs scripts against both programs."""

    catalog: Catalog
    scripts: Path
    certificates: Path
    """The folder of the certificates and packages."""
    nginx: Served
    sniproxy: Served
    limit: int

    def run(self, script: Script) -> Row:
        """Run a script on both programs at the same time."""
        number = port_name(script.server)
        processes = [
            self._start(script, each.ports[number]) for each in (self.nginx, self.sniproxy)
        ]
        theirs, ours = (outcomes(_output(process)) for process in processes)
        row = Row(
            script,
            len(theirs),
            sum(outcome == "OK" for outcome in theirs.values()),
            sum(outcome == "OK" for outcome in ours.values()),
        )
        found = differences(theirs, ours)
        logs = [_messages(each) for each in (self.nginx, self.sniproxy)]
        if (difference := log_difference(*logs)) is not None:
            found[LOG] = difference
        if found:
            self._explain(row, found, logs)
        return row

    def _explain(
        self, row: Row, found: dict[str, tuple[str, str]], logs: Sequence[list[str]]
    ) -> None:
        """Sort differences into explained and unexplained ones."""
        with serving(row.script.server, self.certificates) as plain:
            library = outcomes(_output(self._start(row.script, plain.port)))
        same_errors = reasons(logs[1]) == Counter(plain.failures)
        for name, (nginx, sniproxy) in found.items():
            text = f"{name}\n    nginx:    {nginx}\n    sniproxy: {sniproxy}"
            explanation = self.catalog.explain(row.script, name, nginx, sniproxy)
            if explanation is not None:
                row.explained.append(f"{text}\n    because {explanation.reason}")
            elif library.get(name) == sniproxy or (
                # A client that is answered differently ends the connection in another way.
                name == LOG and same_errors and (len(found) > 1 or same_other_lines(*logs))
            ):
                row.explained.append(f"{text}\n    because {LIBRARY} alone does so")
            else:
                row.unexplained.append(text)

    def _start(self, script: Script, port: int) -> subprocess.Popen[str]:
        arguments = [
            word.replace("CERTIFICATES", str(self.certificates)) for word in script.command[1:]
        ]
        command = [
            *(sys.executable, "-c", LAUNCHER, str(self.scripts / script.command[0])),
            *("-h", "localhost", "-p", str(port), "-n", str(self.limit), *arguments),
        ]
        path = os.pathsep.join([str(self.scripts.parent), str(self.certificates / "packages")])
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": "0"},
        )


def _output(process: subprocess.Popen[str]) -> str:
    with process:
        try:
            return process.communicate(timeout=LONGEST)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return process.communicate()[0]


def _messages(program: Served) -> list[str]:
    return [f"[{line.level}] {line.text}" for line in lines(program.log("error.log"))]


def _table(rows: list[Row]) -> Iterator[str]:
    yield f"{'script':70} {'nginx':>9} {'sniproxy':>9}  same"
    for row in rows:
        nginx = f"{row.passed_by_nginx}/{row.played}"
        sniproxy = f"{row.passed_by_sniproxy}/{row.played}"
        yield f"{row.script.name[:70]:70} {nginx:>9} {sniproxy:>9}  {row.verdict}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tlsfuzzer", description=__doc__)
    parser.add_argument("--scripts", metavar="PATTERN", default="*", help="shell pattern of names")
    parser.add_argument(
        "--source", metavar="FOLDER", type=Path, help="a checkout of tlsfuzzer, or its repository"
    )
    parser.add_argument(
        "--conversations", metavar="N", type=int, default=20, help="number for each script"
    )
    parser.add_argument("--details", action="store_true", help="print explained differences too")
    options = parser.parse_args()
    catalog = load()
    scripts = catalog.matching(options.scripts)
    if not scripts:
        return _refused(f'no script matches "{options.scripts}"')
    if not is_installed():
        return _refused("nginx is not installed: pip install 'sniproxy[test]'")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            folder = install(scratch, options.source)
        except SourceError as error:
            return _refused(str(error))
        missing = catalog.missing(path.name for path in folder.iterdir())
        certificates(scratch)
        nginx, sniproxy = (
            stack.enter_context(_serving(program, scratch)) for program in (NGINX, SNIPROXY)
        )
        runner = Runner(catalog, folder, scratch, nginx, sniproxy, options.conversations)
        return _play(runner, scripts, missing, details=options.details)


def _serving(program: Program, scratch: Path) -> AbstractContextManager[Served]:
    room = scratch / program.name
    room.mkdir()
    return served(program, room, site(scratch))


def _play(runner: Runner, scripts: list[Script], missing: list[str], *, details: bool) -> int:
    started = time.monotonic()
    rows = []
    for script in scripts:
        row = runner.run(script)
        rows.append(row)
        for text in [*row.unexplained, *(row.explained if details else ())]:
            print(f"{script.name}: {text}", flush=True)
    print("\n".join(_table(rows)))
    differing = sum(bool(row.unexplained) for row in rows)
    explained = sum(bool(row.explained) and not row.unexplained for row in rows)
    played = sum(row.played for row in rows)
    print(
        f"{len(rows)} scripts, {played} conversations in {time.monotonic() - started:.0f} s: "
        f"{len(rows) - differing - explained} same as nginx, {explained} explained, "
        f"{differing} different"
    )
    for name in missing:
        print(f"{name} is neither run nor left out in scripts.toml")
    return 1 if differing or missing else 0


def _refused(message: str) -> int:
    print(f"tests.tlsfuzzer: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
