"""The command line: nginx's options, and commands of our own.

`sniproxy -c FILE` runs a configuration as nginx would. A first argument that is a name in
`COMMANDS` runs that command instead; its module is imported only then.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from .output import run_guarded

COMMANDS = {
    "ca": "show the development CA, and issue certificates from it",
    "completion": "print a shell completion script",
    "convert": "convert a configuration between nginx.conf and TOML",
    "diagnose": "find out why a TLS upstream fails, and print the directives that fix it",
    "explain": "explain the lines of an error log, and how to fix their causes",
    "help": "show the help of a command",
    "names": "show the SNI that would be sent and the name that would be verified",
    "trace": "send one request through a configuration and show each step",
    "upstreams": "run faulty upstreams, to test proxies against",
}
"""The commands with their one-line summaries: help, completion and man page are made from it.

Each is a module of this package with `add_arguments(parser)` and `main(arguments)`.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
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
    return int(command.main(words[1:]))


def _run_nginx(words: Sequence[str]) -> int:
    from .run import main as run

    return run(words)
