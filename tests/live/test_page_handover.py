"""What one program hands to another of its live page."""

from __future__ import annotations

import os
import tempfile

import pytest

from sniproxy import inherited
from sniproxy.cycle import PageHandover


@pytest.mark.parametrize(
    "text", ["", ";", "9", "9;", "x;token", "-1;token", "99999;token", "9" * 30]
)
def test_what_is_no_handover_is_ignored(text: str) -> None:
    assert PageHandover.parse(text) is None


def test_the_lock_is_a_file() -> None:
    reading, writing = os.pipe()
    try:
        assert PageHandover.parse(f"{reading};token") is None
    finally:
        os.close(reading)
        os.close(writing)
    with tempfile.TemporaryFile() as file:
        assert PageHandover.parse(f"{file.fileno()};a;b") == PageHandover(file.fileno(), "a;b")


def test_it_is_taken_with_sockets_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryFile() as file:
        monkeypatch.setenv(inherited.PAGE_VARIABLE, f"{file.fileno()};token")
        assert inherited.take().page is None
        assert inherited.PAGE_VARIABLE not in os.environ
