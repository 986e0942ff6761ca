"""The man page `docs/sniproxy.1`, made from the parsers of all commands.

`python -m sniproxy.cli.manual > docs/sniproxy.1` updates it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ..version import SNIPROXY_VERSION
from . import COMMANDS
from .options import OPTIONS
from .parsers import command_parser


def man_page() -> str:
    """The page in the man macros of roff."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield f'.TH SNIPROXY 1 "" "sniproxy {SNIPROXY_VERSION}" "User Commands"'
    yield ".SH NAME"
    yield "sniproxy \\- nginx's TLS reverse proxy in pure Python"
    yield ".SH SYNOPSIS"
    yield ".B sniproxy"
    yield "[\\fIoptions\\fR]"
    yield ".br"
    yield ".B sniproxy"
    yield "\\fIcommand\\fR [\\fIarguments\\fR]"
    yield ".SH DESCRIPTION"
    yield "Without a command, sniproxy serves an nginx.conf (or a TOML file) as nginx would."
    yield "The commands examine configurations, error logs and upstreams."
    yield ".SH OPTIONS"
    for option in OPTIONS:
        yield from _entry(", ".join(option.flags), option.metavar, option.help)
    yield ".SH COMMANDS"
    for name in COMMANDS:
        yield from _command(name)
    yield ".SH SEE ALSO"
    yield ".BR nginx (8),"
    yield ".BR openssl\\-s_client (1)"


def _command(name: str) -> Iterator[str]:
    parser = command_parser(name)
    yield f".SS {_escape(name)}"
    yield _escape(parser.description or "")
    yield from _usage_and_arguments(parser)
    if parser.epilog:
        yield ".PP"
        yield "\n.br\n".join(_escape(line) for line in parser.epilog.splitlines())


def _usage_and_arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield ".PP"
    yield _escape(" ".join(parser.format_usage().removeprefix("usage: ").split()))
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                yield from _usage_and_arguments(subparser)
        elif not isinstance(action, argparse._HelpAction):
            yield from _argument(action)


def _argument(action: argparse.Action) -> Iterator[str]:
    flags = ", ".join(action.option_strings)
    value = action.metavar if isinstance(action.metavar, str) else ""
    if not value and action.choices is not None:
        value = "|".join(map(str, action.choices))
    value = value or action.dest.upper()
    if not flags:
        yield from _entry(value, "", action.help or "")
    else:
        yield from _entry(flags, "" if action.nargs == 0 else value, action.help or "")


def _entry(names: str, metavar: str, text: str) -> Iterator[str]:
    yield ".TP"
    yield f"\\fB{_escape(names)}\\fR" + (f" \\fI{_escape(metavar)}\\fR" if metavar else "")
    yield _escape(text)


def _escape(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    print(man_page(), end="")
