"""The files of a scenario, below the prefix of each program."""

from __future__ import annotations

import os
from pathlib import Path

from tests.conformance.scenario import CHANGED, Place

LINK = "-> "


def lay_out(place: Place, prefix: Path) -> None:
    """Make the files of a scenario."""
    for name, text in place.scenario.files.items():
        path = os.fsencode(prefix) + b"/" + place.fill(name).encode("latin-1")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if text.startswith(LINK):
            os.symlink(place.fill(text.removeprefix(LINK)).encode("latin-1"), path)
        elif not name.endswith("/"):
            with open(path, "wb") as file:
                file.write(text.encode("latin-1"))
            os.utime(path, (CHANGED, CHANGED))
