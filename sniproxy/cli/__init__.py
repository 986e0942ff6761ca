"""The command line: nginx's options, and a few commands of our own.

`sniproxy -c FILE` runs a configuration as nginx would; a first word without a dash is one of
the commands in `COMMANDS`, each in a module of its own that is imported only when asked for.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "ca": "show and use the development CA",
    "explain": "what the lines of an error log mean, and what mends it",
    "diagnose": "connect as nginx would, find out why it fails, print what to write",
    "names": "what SNI would be sent and what would be verified, without sending anything",
    "trace": "one request's way through a configuration, as a tree",
    "upstreams": "run faulty upstreams, to test proxies against",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in COMMANDS:
        command = importlib.import_module(f".{words[0]}", __name__)
        return int(command.main(words[1:]))
    from .run import main as run

    return run(words)
