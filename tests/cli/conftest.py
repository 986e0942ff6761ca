from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sniproxy.testing.authority import Authority
from tests.cli.commands import Sniproxy


@pytest.fixture
def sniproxy(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Sniproxy:
    """sniproxy's command line, run in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    return Sniproxy(capfd)


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    """The directives of a certificate for `w.test`."""
    Authority.root("Test Root").issue("w.test").write(tmp_path, "own")
    return f"ssl_certificate {tmp_path}/own.pem; ssl_certificate_key {tmp_path}/own.key;"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter; pytest's own are for one user."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
