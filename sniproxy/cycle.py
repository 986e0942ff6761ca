"""One configuration while it is served, and how the next one takes its place (`ngx_cycle_t`)."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .build import Application
from .build.listeners import BoundSocket, close_all


@dataclass(frozen=True, slots=True, eq=False)
class Cycle:
    """A configuration with its logs open and its addresses bound."""

    site: Application
    sockets: Sequence[BoundSocket]

    def close(self, successor: Cycle | None = None) -> None:
        """Close logs and sockets, but not the addresses that `successor` listens on."""
        close_all(self.sockets, () if successor is None else successor.sockets)
        self.site.close()


class ConfigurationLoader(Protocol):
    """Loads the configuration again for each reload."""

    def reload(self, previous: Cycle) -> Cycle | None:
        """Load the configuration again; None if it is invalid, which has been logged.

        Addresses that both configurations listen on keep the sockets of `previous`.
        """

    def changed_files(self) -> Sequence[str]:
        """The files that have changed since the last call, or since they were read."""


@dataclass(frozen=True, slots=True)
class PageHandover:
    """The lock and token of a live page, handed over to another program with its sockets."""

    lock: int
    """The descriptor of the lock that the process which serves the page holds."""
    token: str

    @classmethod
    def parse(cls, text: str) -> PageHandover | None:
        """The value of the variable; None if it is not one."""
        number, separator, token = text.partition(";")
        if not (separator and token and number.isascii() and number.isdigit()):
            return None
        try:
            is_file = stat.S_ISREG(os.fstat(int(number)).st_mode)
        except (OSError, OverflowError):
            is_file = False
        if not is_file:
            return None
        return cls(int(number), token)


class RunningPage(Protocol):
    """A page that a process serves beside its configuration (`live_page`)."""

    async def run(self, index: int = 0) -> None:
        """Do what the worker with this number has to do for it, until cancelled."""

    @property
    def sockets(self) -> Sequence[BoundSocket]:
        """The sockets that the page listens on."""

    @property
    def handover(self) -> PageHandover:
        """Lets another program serve the page in place of this one."""

    def stop(self) -> None:
        """Serve it no more in this process, which finishes its requests."""

    async def finish(self) -> None:
        """Wait, but not long, until another process has what this one knows of it."""


WATCH_INTERVAL = 0.5
"""Seconds between checks for changed files (`--watch`)."""
