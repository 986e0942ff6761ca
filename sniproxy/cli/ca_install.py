"""`sniproxy ca install` and `uninstall`: run the commands of `trust_stores`, after a question."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .output import print_prose
from .trust_stores import KINDS, Step, System, TrustedCA, install_steps, uninstall_steps

DONE, FAILED, REFUSED = 0, 1, 2
"""Exit statuses."""
WARNING = "Anyone who can read {key} can then impersonate any site to these programs."


def install(
    ca: TrustedCA, kinds: Sequence[str], *, yes: bool, dry_run: bool, system: System | None = None
) -> int:
    """Make the programs of this user trust the CA; returns the exit status."""
    steps = install_steps(ca, system or System(), kinds or KINDS)
    print(f"CA to be trusted: {ca.path}\nSHA-256 {ca.fingerprint.upper()}\n")
    _print_steps(steps)
    print()
    print_prose(WARNING.format(key=Path(ca.path).with_name("ca-key.pem")))
    sys.stdout.flush()
    return _run(steps, "Install it?", yes=yes, dry_run=dry_run)


def uninstall(
    ca: TrustedCA, kinds: Sequence[str], *, yes: bool, dry_run: bool, system: System | None = None
) -> int:
    """Undo `install`; returns the exit status."""
    steps = uninstall_steps(ca, system or System(), _contains, kinds or KINDS)
    if not steps:
        print(f"No store has {ca.path}.")
        return DONE
    print(f"CA to be removed: {ca.path}\n")
    _print_steps(steps)
    sys.stdout.flush()
    return _run(steps, "Remove it?", yes=yes, dry_run=dry_run)


def _contains(folder: Path, name: str) -> bool:
    try:
        done = subprocess.run(
            ["certutil", "-d", f"sql:{folder}", "-L", "-n", name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError:
        return True  # without certutil nobody knows; the step then says how to get it
    return done.returncode == 0


def _print_steps(steps: Sequence[Step]) -> None:
    for step in steps:
        print(f"  {step.store}")
        if step.problem:
            print(f"    not possible: {step.problem}")
        for command in step.commands:
            print(f"    {shlex.join(command)}")


def _run(steps: Sequence[Step], question: str, *, yes: bool, dry_run: bool) -> int:
    possible = [step for step in steps if not step.problem]
    if dry_run:
        return DONE
    if not possible:
        print("sniproxy: no store can be changed", file=sys.stderr)
        return FAILED
    if not yes:
        if sys.stdin is None or not sys.stdin.isatty():
            print("sniproxy: standard input is no terminal: confirm with --yes", file=sys.stderr)
            return REFUSED
        if not _confirmed(question):
            print("Nothing was changed.")
            return REFUSED
    failed = len(possible) < len(steps)
    for step in possible:
        message = _first_failure(step)
        print(f"{step.store}: {message or 'done'}", flush=True)
        failed = failed or bool(message)
    return FAILED if failed else DONE


def _confirmed(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


def _first_failure(step: Step) -> str:
    """Run the commands of a step; returns what failed, "" if nothing did."""
    for command in step.commands:
        try:
            status = subprocess.run(command, check=False).returncode
        except OSError as error:
            return f"{shlex.join(command)}: {error.strerror}"
        if status:
            return f"{shlex.join(command)} failed with exit status {status}"
    return ""
