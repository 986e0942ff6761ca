"""Standard output of commands: closed, full, a pipe whose reader has gone; width and colour."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Callable

from ..interrupt import INTERRUPTED, is_interrupt
from ..terminal import wrap

MAX_WIDTH = 120
"""Wider text is hard to read."""
PIPE_WIDTH = 96
OUTPUT_FAILED = 1
"""Exit status if the output could not be written."""
_OUTPUT_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF, errno.EFBIG})


def run_guarded(run: Callable[[], int]) -> int:
    """Run a command; returns its exit status. Failures of standard output end it without traceback.

    A reader that has left, such as `head`, is no failure: 0.
    """
    # Closed by the caller. Otherwise the next file that is opened would become descriptor 1 or 2.
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    try:
        try:
            status = run()
        finally:
            sys.stdout.flush()  # also when argparse exits
    except BrokenPipeError:
        _discard_output()
        return 0
    except SystemExit:
        raise
    except BaseException as error:
        if is_interrupt(error):
            _discard_output()
            return INTERRUPTED
        if not isinstance(error, OSError) or not _is_of_output(error):
            raise
        _discard_output()
        print(f"sniproxy: standard output: {error.strerror}", file=sys.stderr)
        return OUTPUT_FAILED
    return status


def _is_of_output(error: OSError) -> bool:
    return error.errno in _OUTPUT_ERRORS and error.filename is None


def _discard_output() -> None:
    """Send what is left in the buffer nowhere; Python would report the error again at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def width() -> int:
    """The width for prose: that of the terminal (or of COLUMNS), within reason."""
    return min(terminal_width(PIPE_WIDTH), MAX_WIDTH)


def terminal_width(default: int = 200) -> int:
    """The width of the terminal (or of COLUMNS), for tables; `default` if the output is none."""
    if not (sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()):
        return default
    return max(shutil.get_terminal_size((default, 24)).columns, 40)


def wrapping_width() -> int:
    """The width of the terminal, where lines are wrapped on terminals only; else no limit."""
    return terminal_width(sys.maxsize) if sys.stdout.isatty() else sys.maxsize


def print_prose(text: str, first: str = "", rest: str | None = None) -> None:
    """Print a paragraph in the width of the terminal; `first` and `rest` are as in `wrap`."""
    print("\n".join(wrap(text, width(), first, rest)))


def fit(line: str, rest: str = "    ") -> list[str]:
    """A line of output, wrapped if it is wider than the terminal; `rest` begins the other lines.

    Into a pipe or file a line stays a line.
    """
    most = wrapping_width()
    if len(line) <= most:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    return wrap(line.lstrip(), most, indent, indent + rest)


def print_styled(text: str, style: Callable[[str], str]) -> None:
    """Print lines, on a terminal in the style that `style` gives for each (NO_COLOR is respected).

    Lines are neither wrapped nor changed otherwise.
    """
    if not sys.stdout.isatty():
        print(text, flush=True)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    for line in text.split("\n"):
        console.print(Text(line, style(line)))
