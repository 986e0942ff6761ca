"""Write certificates of the development CA into files, for programs that read those."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from ..system import O_BINARY
from .ca import DevCA


def issued_paths(names: Sequence[str], directory: Path) -> tuple[Path, Path]:
    """The files of a certificate for `names` and of its key."""
    stem = names[0].replace("*", "_").replace(":", "_")
    return directory / f"{stem}.pem", directory / f"{stem}-key.pem"


def issue_files(ca: DevCA, names: Sequence[str], directory: Path) -> tuple[Path, Path]:
    """Issue a certificate for `names`, and write it and its key. Raises OSError."""
    leaf = ca.issue(names)
    certificate, key = issued_paths(names, directory)
    key_pem = leaf.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    pem = serialization.Encoding.PEM
    _write(key, key_pem, 0o600)
    _write(
        certificate, leaf.certificate.public_bytes(pem) + ca.certificate.public_bytes(pem), 0o644
    )
    return certificate, key


def _write(path: Path, data: bytes, mode: int) -> None:
    # A new file, created with its final mode: the key is never readable by others, not even
    # for a moment.
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | O_BINARY
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        file.write(data)
