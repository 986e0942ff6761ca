"""One live line on a terminal, of what is tried at the moment."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ..diagnose.attempts import Question, Setting
from ..diagnose.report import printable, setting_words


def live_progress() -> Callable[[Question, Setting, int], None]:
    """Tells on a terminal what is tried."""

    def tell(question: Question, setting: Setting, count: int) -> None:
        words = printable(setting_words(question, setting))
        sys.stderr.write(f"\r\x1b[K{count + 1}: {words} …"[:100])
        sys.stderr.flush()

    return tell if sys.stderr.isatty() else lambda question, setting, count: None


def clear_progress() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
