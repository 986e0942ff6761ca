"""`sniproxy completion SHELL`: print a completion script, made by shtab from our parsers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .parsers import command_parser, root_parser

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="the shell to print a script for")
    parser.epilog = (
        'bash: eval "$(sniproxy completion bash)"\n'
        'zsh:  sniproxy completion zsh > "${fpath[1]}/_sniproxy"\n'
        "fish: sniproxy completion fish > ~/.config/fish/completions/sniproxy.fish\n"
        "exit status: 0 printed, 2 invalid arguments"
    )


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    import shtab

    options = command_parser("completion").parse_args(arguments)
    print(shtab.complete(root_parser(), shell=options.shell))
    return 0
