"""Install tlsfuzzer and what it imports in a scratch folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = "https://github.com/tlsfuzzer/tlsfuzzer"
REQUIREMENTS = ("tlslite-ng==0.9.0b2", "ecdsa>=0.15")
"""tlsfuzzer follows the latest tlslite-ng closely, so it is not the version of the tests."""
_PARTS = ("tlsfuzzer", "scripts")


class SourceError(Exception):
    """tlsfuzzer or tlslite-ng is not to be had; the text says what to do."""


def install(scratch: Path, source: Path | None) -> Path:
    """Fill `scratch` with tlsfuzzer and its requirements; returns the folder of the scripts.

    `source` is a checkout or a bare repository; None clones it. The folder returned is on the
    scripts' path, as the requirements are. Raises `SourceError`.
    """
    checkout = scratch / "tlsfuzzer"
    if source is None:
        _run(
            ["git", "clone", "--quiet", "--depth", "1", REPOSITORY, str(checkout)],
            f"{REPOSITORY} cannot be cloned: name a copy by --source FOLDER",
        )
    elif (source / "scripts").is_dir():
        checkout = source.resolve()
    else:
        checkout.mkdir()
        archive = scratch / "tlsfuzzer.tar"
        _run(
            ["git", "-C", str(source), "archive", "-o", str(archive), "HEAD", *_PARTS],
            f"{source} is neither a checkout of tlsfuzzer nor its repository",
        )
        _run(["tar", "-xf", str(archive), "-C", str(checkout)], f"{archive} cannot be unpacked")
    _run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--target", str(scratch / "packages"), *REQUIREMENTS),
        ],
        f"pip cannot install {' and '.join(REQUIREMENTS)}",
    )
    return checkout / "scripts"


def _run(command: list[str], failure: str) -> None:
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        raise SourceError(f"{failure} ({command[0]} is not installed)") from None
    if run.returncode:
        last = (run.stderr.strip().splitlines() or ["no message"])[-1]
        raise SourceError(f"{failure} ({last})")
