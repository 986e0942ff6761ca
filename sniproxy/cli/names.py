"""`sniproxy names FILE`: what SNI would be sent, what would be verified, location by location."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence

from .. import config
from ..diagnose.names import UpstreamNames, upstream_names
from ..message import ConfigError
from ..variables import definition_error, is_variable


def main(words: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="sniproxy names", description=__doc__)
    parser.add_argument("file", help="nginx.conf, or TOML")
    parser.add_argument("--host", help="evaluate variables as for a request to this host")
    parser.add_argument("--json", action="store_true", help="for machines")
    options = parser.parse_args(words)
    try:
        loaded = config.load(
            options.file, is_variable=is_variable, definition_error=definition_error
        )
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


HEADINGS = ("LOCATION", "PROXY_PASS", "PEERS", "SNI", "VERIFIED", "SHARES SESSIONS WITH")


def table(found: Sequence[UpstreamNames]) -> str:
    """The answers beneath each other, each column as wide as it must be."""
    rows = [HEADINGS, *(_cells(entry) for entry in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _cells(names: UpstreamNames) -> tuple[str, ...]:
    return (
        names.location,
        names.url,
        " ".join(names.peers),
        names.server_name,
        names.verified,
        ", ".join(names.shares) or "-",
    )
