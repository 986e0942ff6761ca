"""Ctrl-C while no code of ours can catch KeyboardInterrupt: the process ends silently.

Python raises KeyboardInterrupt wherever it happens to be: while modules are imported, or in its own
clean-up at exit, it then prints a traceback. So the entry point calls `exit_on_interrupt` before
its first import and after its last statement, and a command calls `raise_on_interrupt` in between,
once its modules are imported. Where SIGINT is ignored, as in background jobs of a shell, or has a
handler of somebody else, nothing changes.
"""

from __future__ import annotations

# The module behind `signal`: it is built in, while `signal` takes milliseconds to import.
import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import os

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 + SIGINT, as shells have it."""


def exit_on_interrupt() -> None:
    """From now on SIGINT ends the process with the status `INTERRUPTED`, without any clean-up."""
    _replace_handler(_signal.default_int_handler, _exit)


def raise_on_interrupt() -> None:
    """Undo `exit_on_interrupt`: SIGINT raises KeyboardInterrupt again."""
    _replace_handler(_exit, _signal.default_int_handler)


def is_interrupt(error: BaseException) -> bool:
    """Whether an exception is a KeyboardInterrupt, or was raised because of one.

    Python wraps one that it meets while it creates a class, and trio puts it in a group.
    """
    if isinstance(error, BaseExceptionGroup):
        return any(is_interrupt(one) for one in error.exceptions)
    cause = error.__cause__ or error.__context__
    return isinstance(error, KeyboardInterrupt) or (cause is not None and is_interrupt(cause))


def _replace_handler(expected: object, handler: object) -> None:
    if _signal.getsignal(_signal.SIGINT) is expected:
        _signal.signal(_signal.SIGINT, handler)


def _exit(number: int, frame: object) -> None:
    os._exit(INTERRUPTED)
