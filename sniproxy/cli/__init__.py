"""The command line: nginx's options, and commands of our own.

`sniproxy -c FILE` runs a configuration as nginx would. A first argument that is a name in
`COMMANDS` runs that command instead; its module is imported only then.
"""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Sequence

from ..interrupt import raise_on_interrupt
from .output import run_guarded

COMMANDS = {
    "ca": "show, trust or distrust the development CA, and issue certificates from it",
    "completion": "print a shell completion script",
    "convert": "convert a configuration between nginx.conf and TOML",
    "diagnose": "find out why a TLS upstream fails, and print the directives that fix it",
    "explain": "explain the lines of an error log, and how to fix their causes",
    "help": "show the help of a command",
    "names": "show the SNI that would be sent and the name that would be verified",
    "reverse": "run a reverse proxy for one URL, without a configuration file",
    "trace": "send one request through a configuration and show each step",
    "upstreams": "run faulty upstreams, to test proxies against",
}
"""The commands with their one-line summaries: help, completion and man page are made from it.

Each is a module of this package with `add_arguments(parser)` and `main(arguments)`.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line in a program of its own; returns the exit status.

    Signals that a server has blocked are as before. Raises SystemExit for invalid arguments of a
    command.
    """
    if sys.platform == "win32":
        return run_command_line(argv)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        return run_command_line(argv)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_command_line(argv: Sequence[str] | None = None) -> int:
    """Run the command line as the whole process (`__main__`); returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in COMMANDS:
        for stream in (sys.stdout, sys.stderr):
            # In an encoding that lacks a character, print an escape instead of failing.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        return run_guarded(lambda: _run_command(words))
    return run_guarded(lambda: _run_nginx(words))


def _run_command(words: Sequence[str]) -> int:
    command = importlib.import_module(f".{words[0]}", __name__)
    raise_on_interrupt()
    return int(command.main(words[1:]))


def _run_nginx(words: Sequence[str]) -> int:
    from .run import main as run_configuration

    raise_on_interrupt()
    return run_configuration(words)
