"""Whether a file is still the one that was read."""

from __future__ import annotations

import os

Signature = tuple[int, int, int, int] | None
"""Device, inode, size and time of change; None for a file that is not there."""


def file_signature(path: str) -> Signature:
    """Identity and version of a file; it changes when the file is written or replaced."""
    try:
        found = os.stat(path.encode("latin-1"))
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
