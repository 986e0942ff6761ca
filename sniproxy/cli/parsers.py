"""The argument parsers of all commands.

`command_parser` makes the parser of one command, `root_parser` one of the whole command line.
The latter parses nothing, since nginx's options are read as nginx reads them (`options`):
completion scripts and the man page are made from it.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from typing import Any, NoReturn

from ..forms import FORMS
from ..terminal import wrap
from . import COMMANDS
from .options import OPTIONS, suggestion


class HelpFormatter(argparse.HelpFormatter):
    """Wraps descriptions and epilogs line by line, so that their lines stay lines."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(
            part for line in text.splitlines() for part in wrap(line, width, indent, indent)
        )


class CommandParser(argparse.ArgumentParser):
    """An `ArgumentParser` that suggests the nearest option for an unknown one."""

    def parse_args(  # type: ignore[override]  # without argparse's overloads
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self._unknown_argument(unknown[0])
        return options

    def _unknown_argument(self, argument: str) -> NoReturn:
        option = argument.partition("=")[0]
        if option.startswith("-"):
            self.error(
                f'unknown option "{option}"{suggestion(option, self._option_string_actions)}'
            )
        self.error(f'unexpected argument "{argument}"')


def add_form(parser: argparse.ArgumentParser) -> None:
    """Add the option `--for`: the program for which directives are written."""
    parser.add_argument(
        "--for",
        dest="form",
        choices=tuple(FORMS),
        default="nginx",
        help="the program for which directives are written: " + ", ".join(FORMS),
        metavar="FORM",
    )


def command_parser(name: str) -> CommandParser:
    """The parser of the command `name`."""
    parser = CommandParser(prog=f"sniproxy {name}", allow_abbrev=False)
    _configure(parser, name)
    return parser


def root_parser() -> argparse.ArgumentParser:
    """A description of the whole command line, with a subparser for each command."""
    parser = argparse.ArgumentParser(
        prog="sniproxy",
        add_help=False,
        description="nginx's TLS reverse proxy in pure Python.",
    )
    for option in OPTIONS:
        details: dict[str, Any] = {"help": option.help}
        if option.metavar:
            details |= {"metavar": option.metavar, "dest": option.flags[-1].strip("-")}
        else:
            details["action"] = "store_true"
        parser.add_argument(*option.flags, **details)
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=CommandParser)
    for name, summary in COMMANDS.items():
        _configure(commands.add_parser(name, help=summary), name)
    return parser


def _configure(parser: argparse.ArgumentParser, name: str) -> None:
    summary = COMMANDS[name]
    parser.description = f"{summary[0].upper()}{summary[1:]}."
    parser.formatter_class = HelpFormatter
    importlib.import_module(f".{name}", __package__).add_arguments(parser)
