"""`sniproxy names FILE`: show the SNI sent and the name verified, for each TLS location."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence

from ..config.lenient import parse_lenient
from ..diagnose.names import UpstreamNames, upstream_names
from ..models import ConfigError
from ..server_name import ascii_name
from ..terminal import escape_control, table
from .output import wrapping_width
from .parsers import command_parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="nginx.conf, or TOML")
    parser.add_argument("--host", help="evaluate variables for a request to this host")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.epilog = "exit status: 0 printed, 1 invalid configuration, 2 invalid arguments"


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    options = command_parser("names").parse_args(arguments)
    try:
        host = options.host and ascii_name(options.host)
    except ValueError:
        print(f'sniproxy: "{escape_control(options.host)}" is not a host name', file=sys.stderr)
        return 2
    try:
        parsed = parse_lenient(options.file)
        found = upstream_names(parsed, host)
    except ConfigError as error:
        print(f"sniproxy: [emerg] {error}", file=sys.stderr)
        return 1
    for note in dict.fromkeys(parsed.skipped):
        print(escape_control(f"skipped: {note}"), file=sys.stderr)
    if options.json:
        print(json.dumps([dataclasses.asdict(entry) for entry in found], indent=2))
    elif not found:
        print(
            f"{options.file}: no proxy_pass to https, no grpc_pass or uwsgi_pass with TLS, no "
            "proxy_ssl in stream"
        )
    else:
        print("\n".join(table(HEADINGS, [_cells(entry) for entry in found], wrapping_width())))
    return 0


HEADINGS = ("LOCATION", "PASSED TO", "PEERS", "SNI", "VERIFIED", "SHARES SESSIONS WITH")


def _cells(names: UpstreamNames) -> tuple[str, ...]:
    return (
        names.location,
        names.url,
        " ".join(names.peers),
        names.server_name,
        names.verified,
        ", ".join(names.shares) or "-",
    )
