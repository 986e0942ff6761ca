"""Chromium without a window, for tests of what a browser makes of a page."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Chromium, whose profile and database of CAs are below `home`, to its end."""
    return subprocess.run(
        ["chromium", *FLAGS, f"--user-data-dir={home / 'profile'}", *arguments],
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def page_of(url: str, home: Path) -> str:
    """The page as Chromium has it when all of it is loaded: its DOM as HTML."""
    return chromium(home, "--dump-dom", url).stdout
