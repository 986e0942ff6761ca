"""`sniproxy names FILE`: show the SNI sent and the name verified, for each TLS location."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence

from .. import config
from ..config.model import Config
from ..diagnose.names import UpstreamNames, upstream_names
from ..models import ConfigError, UnsupportedError
from ..terminal import columns
from ..variables import definition_error, is_variable
from .parsers import command_parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="nginx.conf, or TOML")
    parser.add_argument("--host", help="evaluate variables for a request to this host")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    options = command_parser("names").parse_args(arguments)
    try:
        try:
            loaded = _load(options.file)
        except UnsupportedError as missing:
            try:
                loaded = _load(options.file, "unsupported warn;")
            except ConfigError:
                raise missing from None
    except ConfigError as error:
        print(f"sniproxy: [emerg] {error}", file=sys.stderr)
        return 1
    found = upstream_names(loaded, options.host)
    if options.json:
        print(json.dumps([dataclasses.asdict(entry) for entry in found], indent=2))
    elif not found:
        print(f"{options.file}: no proxy_pass to https")
    else:
        print(table(found))
    return 0


def _load(file: str, directives: str = "") -> Config:
    return config.load(
        file, directives=directives, is_variable=is_variable, definition_error=definition_error
    )


HEADINGS = ("LOCATION", "PROXY_PASS", "PEERS", "SNI", "VERIFIED", "SHARES SESSIONS WITH")


def table(found: Sequence[UpstreamNames]) -> str:
    """A row for each location."""
    return "\n".join(columns([HEADINGS, *(_cells(entry) for entry in found)]))


def _cells(names: UpstreamNames) -> tuple[str, ...]:
    return (
        names.location,
        names.url,
        " ".join(names.peers),
        names.server_name,
        names.verified,
        ", ".join(names.shares) or "-",
    )
