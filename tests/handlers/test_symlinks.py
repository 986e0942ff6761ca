"""Opening files without following symbolic links."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sniproxy.handlers.symlinks import SymlinkError, open_without_symlinks

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to change owners")


def read(path: Path | str, trusted: int = 0, *, same_owner: bool = False) -> bytes:
    descriptor = open_without_symlinks(os.fsencode(path), trusted, same_owner=same_owner)
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


def test_paths_are_opened_part_by_part(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"text")
    (tmp_path / "link").symlink_to("folder")
    assert read(tmp_path / "folder" / "file") == b"text"
    assert read(f"{tmp_path}//folder///file") == b"text"
    with pytest.raises(SymlinkError) as failed:
        read(tmp_path / "link" / "file")
    assert failed.value.errno == errno.ENOTDIR
    assert read(tmp_path / "link" / "file", len(str(tmp_path / "link"))) == b"text"
    with pytest.raises(SymlinkError) as failed:
        read(f"{tmp_path}/folder/file/")
    assert failed.value.errno == errno.ENOTDIR


@as_root
def test_links_of_another_owner_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "link").symlink_to("file")
    assert read(tmp_path / "link", same_owner=True) == b"text"
    os.chown(tmp_path / "link", 12345, 12345, follow_symlinks=False)
    with pytest.raises(SymlinkError) as failed:
        read(tmp_path / "link", same_owner=True)
    assert failed.value.errno == errno.ELOOP


def test_no_descriptor_is_lost(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "link").symlink_to("file")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        for name in ("link", "file/x", "missing", "file"):
            for same_owner in (False, True):
                try:
                    read(tmp_path / name, same_owner=same_owner)
                except OSError:
                    continue
    assert len(os.listdir("/proc/self/fd")) == before
