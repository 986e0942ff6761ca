"""The pytest plugin of `python -m tests.platforms`: leaves tests out, and prints how many."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from .omissions import OMISSIONS

WHERE = "SNIPROXY_TESTED_ON"
"""The variable with `macos`, `windows` or `python`."""
_OMITTED = pytest.StashKey[Counter[str]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what is not to run here."""
    where = os.environ.get(WHERE, "python")
    omitted: Counter[str] = Counter()
    left: list[pytest.Item] = []
    gone: list[pytest.Item] = []
    for item in items:
        name = item.nodeid
        reason = next((one.reason for one in OMISSIONS if one.matches(name, where)), None)
        if reason is None:
            left.append(item)
        else:
            omitted[reason] += 1
            gone.append(item)
    items[:] = left
    config.hook.pytest_deselected(items=gone)
    config.stash[_OMITTED] = omitted
    # Workers of xdist collect, and pytest prints what the main process knows.
    if (output := getattr(config, "workeroutput", None)) is not None:
        output["omitted"] = dict(omitted)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object, error: object) -> None:
    """Take over what a worker of xdist has left out."""
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    omitted = getattr(node, "workeroutput", {}).get("omitted")
    if omitted:
        config.stash[_OMITTED] = Counter(omitted)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the numbers."""
    where = os.environ.get(WHERE, "python")
    for reason, number in terminalreporter.config.stash.get(_OMITTED, Counter[str]()).items():
        terminalreporter.line(f"{number} tests are left out ({where}): {reason}.")
