"""One live line on a terminal, of what is tried at the moment."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ..diagnose.model import ProbeSpec, Setting
from ..diagnose.report import describe_setting, printable


def live_progress() -> Callable[[ProbeSpec, Setting, int], None]:
    """Tells on a terminal what is tried."""

    def tell(spec: ProbeSpec, setting: Setting, count: int) -> None:
        words = printable(describe_setting(spec, setting))
        sys.stderr.write(f"\r\x1b[K{count + 1}: {words} …"[:100])
        sys.stderr.flush()

    return tell if sys.stderr.isatty() else lambda spec, setting, count: None


def clear_progress() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
