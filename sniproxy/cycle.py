"""One configuration while it is served, and how the next one takes its place (`ngx_cycle_t`)."""

from __future__ import annotations

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
        """Close logs and sockets; the addresses of the `successor` go on."""
        close_all(self.sockets, () if successor is None else successor.sockets)
        self.site.close()


class ConfigurationLoader(Protocol):
    """Reads the configuration, again and again."""

    def reload(self, previous: Cycle) -> Cycle | None:
        """The configuration as it is now; None if it is not in order, which has been logged.

        Sockets that both configurations have are those of `previous`, which goes on.
        """

    def changed_files(self) -> Sequence[str]:
        """The files that have changed since they were read, or looked at last."""


WATCH_INTERVAL = 0.5
"""Seconds between two looks at the files (`--watch`)."""
