"""The files of a scenario, below the prefix of each program."""

from __future__ import annotations

import os
from pathlib import Path

from tests.conformance.scenario import CHANGED, Place

LINK = "-> "


def lay_out(place: Place, prefix: Path) -> None:
    """Make the files of a scenario; all of them, and the folders, are as old as each other."""
    folders: set[bytes] = set()
    root = os.fsencode(prefix)
    for name, text in place.scenario.files.items():
        path = root + b"/" + place.fill(name).encode("latin-1")
        folder = os.path.dirname(path)
        os.makedirs(folder, exist_ok=True)
        while len(folder) > len(root):
            folders.add(folder)
            folder = os.path.dirname(folder)
        if text.startswith(LINK):
            os.symlink(place.fill(text.removeprefix(LINK)).encode("latin-1"), path)
        elif not name.endswith("/"):
            with open(path, "wb") as file:
                file.write(text.encode("latin-1"))
            os.utime(path, (CHANGED, CHANGED))
    for folder in folders:
        os.utime(folder, (CHANGED, CHANGED))
