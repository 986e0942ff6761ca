"""Write the files of a scenario below the prefix of a program."""

from __future__ import annotations

import os
from pathlib import Path

from tests.conformance.scenario import FILE_TIME, ScenarioContext

LINK = "-> "


def write_files(context: ScenarioContext, prefix: Path) -> None:
    """Write the files and folders of a scenario, all with the modification time FILE_TIME."""
    folders: set[bytes] = set()
    root = os.fsencode(prefix)
    for name, text in context.scenario.files.items():
        path = root + b"/" + context.fill(name).encode("latin-1")
        folder = os.path.dirname(path)
        os.makedirs(folder, exist_ok=True)
        while len(folder) > len(root):
            folders.add(folder)
            folder = os.path.dirname(folder)
        if text.startswith(LINK):
            os.symlink(context.fill(text.removeprefix(LINK)).encode("latin-1"), path)
        elif not name.endswith("/"):
            with open(path, "wb") as file:
                file.write(text.encode("latin-1"))
            os.utime(path, (FILE_TIME, FILE_TIME))
    for folder in folders:
        os.utime(folder, (FILE_TIME, FILE_TIME))
