from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import Sniproxy


@pytest.fixture
def sniproxy(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Sniproxy:
    """sniproxy's command line, run in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    return Sniproxy(capfd)
