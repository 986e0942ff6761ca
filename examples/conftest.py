"""What the examples share: programs that serve in a thread, and the flag `--program`."""

import contextlib
import threading

import pytest


def pytest_addoption(parser):
    parser.addoption("--program", choices=("sniproxy", "nginx"), default="sniproxy")


@pytest.fixture
def in_background():
    """`in_background(server)` runs `server.run` in a thread, until the test ends."""
    with contextlib.ExitStack() as at_last:

        def run(serve, stop):
            thread = threading.Thread(target=serve)
            thread.start()
            at_last.callback(thread.join)
            at_last.callback(stop)

        yield run
