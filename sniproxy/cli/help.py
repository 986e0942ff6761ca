"""`sniproxy help [COMMAND]`: the help of the whole command line, or of one command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import COMMANDS
from .options import suggestion
from .parsers import command_parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("command", nargs="?", metavar="COMMAND", choices=list(COMMANDS))
    parser.epilog = "exit status: 0 printed, 1 no such command, 2 invalid arguments"


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status: 1 if there is no such command."""
    parser = command_parser("help")
    if len(arguments) == 1 and not arguments[0].startswith("-"):
        name = arguments[0]
        if name not in COMMANDS:
            print(
                f'sniproxy: unknown command "{name}"{suggestion(name, COMMANDS)}', file=sys.stderr
            )
            return 1
        print(command_parser(name).format_help(), end="")
        return 0
    parser.parse_args(arguments)
    from .output import wrapping_width
    from .version import help_text

    print(help_text(wrapping_width()), end="")
    return 0
