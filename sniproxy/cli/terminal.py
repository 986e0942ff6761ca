"""Output of commands on a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable

from ..diagnose.model import ProbeSpec, Setting
from ..diagnose.report import describe_setting
from ..terminal import escape_control


def live_progress() -> Callable[[ProbeSpec, Setting, int], None]:
    """A callback that shows the current attempt in one line, if stderr is a terminal."""

    def show(spec: ProbeSpec, setting: Setting, count: int) -> None:
        words = escape_control(describe_setting(spec, setting))
        # A line that is wrapped could not be cleared.
        most = shutil.get_terminal_size((80, 24)).columns - 1
        sys.stderr.write(f"\r\x1b[K{f'{count + 1}: {words} …'[:most]}")
        sys.stderr.flush()

    return show if sys.stderr.isatty() else lambda spec, setting, count: None


def clear_progress() -> None:
    """Clear that line."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
