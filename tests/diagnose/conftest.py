"""Broken upstreams in a thread of their own, and the command beside them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sniproxy.cli.diagnose import main
from sniproxy.diagnose.probe import Timeouts
from sniproxy.diagnose.report import TRIED
from sniproxy.portal import in_thread
from sniproxy.testing.upstreams import (
    RunningUpstream,
    UpstreamSpec,
    generate_certificates,
    open_upstreams,
)

HASTY = Timeouts(connect=1.0, handshake=0.3, response=0.3, total=10.0)
"""For upstreams on this machine."""


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    generate_certificates(directory)
    return directory


RunUpstreams = Callable[..., contextlib.AbstractContextManager[list[RunningUpstream]]]


@pytest.fixture
def run_upstreams(certificates: Path) -> RunUpstreams:
    """`with housed(upstream, …) as peers`."""

    @contextlib.contextmanager
    def setup_servers(*upstreams: UpstreamSpec) -> Iterator[list[RunningUpstream]]:
        @contextlib.asynccontextmanager
        async def opened() -> AsyncIterator[list[RunningUpstream]]:
            async with open_upstreams(certificates) as upstream_server:
                yield [await upstream_server.start(upstream) for upstream in upstreams]

        with in_thread(opened) as (peers, _):
            yield peers

    return setup_servers


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """What the command said."""

    status: int
    text: str
    errors: str

    @property
    def data(self) -> Any:
        return json.loads(self.text)

    @property
    def directives(self) -> list[str]:
        """The lines to paste, between the verdict and what was tried; [] if there are none."""
        parts = self.text.partition(f"\n\n{TRIED}\n")[0].split("\n\n")[2:]
        lines = [line for part in parts for line in part.splitlines()]
        return [line for line in lines if not line.startswith("#")]


Diagnose = Callable[..., CommandOutput]


@pytest.fixture
def diagnose(capsys: pytest.CaptureFixture[str]) -> Diagnose:
    """`diagnose(word, …)` runs the command."""

    def run(*words: str, timeouts: Timeouts = HASTY) -> CommandOutput:
        capsys.readouterr()
        try:
            status = main(words, timeouts)
        except SystemExit as exit_:
            status = int(exit_.code or 0)
        captured = capsys.readouterr()
        return CommandOutput(status, captured.out, captured.err)

    return run
