"""`sniproxy diagnose`: find out why a TLS upstream fails, and print the directives that fix it.

It connects as nginx would: to one URL, or to each `https` upstream of a configuration.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ..diagnose.probe import Timeouts
from ..diagnose.report import dump_json, text, to_dict
from ..diagnose.url import DiagnoseError, URLOptions, diagnose
from ..terminal import escape_control
from . import diagnose_file
from .output import terminal_width
from .parsers import add_form, command_parser
from .terminal import clear_progress, live_progress

USAGE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("url", nargs="?", metavar="URL", help="the upstream: https://HOST[:PORT][/PATH]")
    add("--name", help="the upstream's host name, to send as SNI and to verify")
    add("--host", help="the Host header (default: the name)")
    add("--ca", metavar="FILE", help="require a certificate signed by a CA in this PEM file")
    add("--cert", metavar="FILE", help="PEM file of the client certificate for the upstream")
    add("--key", metavar="FILE", help="PEM file of its private key")
    add("--resolve", metavar="ADDR", help="connect to this address; HOST stays the name")
    add(
        "--patience",
        type=_seconds,
        metavar="SECONDS",
        help="how long to wait for each step (default: 10; nginx waits 60)",
    )
    add("--no-request", action="store_true", help="do the TLS handshake only, send no request")
    add("--grpc", action="store_true", help="make a gRPC call, for grpc_pass")
    add_form(parser)
    add("--json", action="store_true", help="print JSON")
    add("-c", dest="file", metavar="FILE", help="diagnose each https proxy_pass of this file")
    add("--location", metavar="NAME", help="with -c: diagnose only this location")
    add(
        "--offline",
        action="store_true",
        help="with -c: do not connect; check the configuration text only",
    )
    add("--fix", action="store_true", help="with -c: write the changes, keeping a backup")
    add(
        "--allow-insecure",
        action="store_true",
        help="with -c: also propose changes that give up security, such as http:// for https://",
    )
    parser.epilog = (
        "exit status: 0 it works as it is (a URL: with nginx's defaults), 3 it works with the "
        "printed directives, 4 it cannot work, 2 invalid arguments or configuration"
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 600:
        raise ValueError
    return seconds


def main(arguments: Sequence[str], timeouts: Timeouts = Timeouts()) -> int:  # noqa: B008 - frozen
    """Run the command; returns the exit status."""
    parser = command_parser("diagnose")
    options = parser.parse_args(arguments)
    if options.patience is not None:
        timeouts = Timeouts.patient(options.patience)
    if (options.url is None) == (options.file is None):
        parser.error("one of URL or -c FILE is required")
    if options.file is not None and (options.name or options.ca or options.resolve):
        parser.error("--name, --ca and --resolve cannot be used with -c FILE")
    if options.file is not None and options.form != "nginx":
        parser.error("--for cannot be used with -c FILE")
    if options.url is not None and (
        options.location or options.offline or options.fix or options.allow_insecure
    ):
        parser.error("--location, --offline, --fix and --allow-insecure require -c FILE")
    if options.grpc and (options.file is not None or options.form not in ("nginx", "toml")):
        parser.error("--grpc cannot be used with -c FILE, and only with --for nginx or toml")
    if (options.cert is None) != (options.key is None):
        parser.error("--cert and --key must be given together")
    try:
        if options.file is not None:
            return diagnose_file.run(options, timeouts)
        return _url(options, timeouts)
    except DiagnoseError as error:
        print(f"sniproxy diagnose: {escape_control(str(error))}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 130


def _url(options: argparse.Namespace, timeouts: Timeouts) -> int:
    wanted = URLOptions(
        options.url,
        name=options.name,
        host=options.host,
        authorities=_existing(options.ca),
        certificate=(
            None if options.cert is None else (_existing(options.cert), _existing(options.key))
        ),
        resolve=options.resolve,
        send_request=not options.no_request,
        grpc=options.grpc,
    )
    try:
        spec, attempts, found = diagnose(wanted, timeouts, live_progress())
    finally:
        clear_progress()
    if options.json:
        print(dump_json(to_dict(spec, attempts, found, options.form)))
    else:
        for line in text(spec, attempts, found, options.form, terminal_width()):
            print(line)
    return found.status


def _existing(path: str | None) -> str:
    """The absolute path of a readable file; "" for None. Raises `DiagnoseError`."""
    if path is None:
        return ""
    try:
        with open(path, "rb"):
            return os.path.abspath(path)
    except OSError as error:
        raise DiagnoseError(f'"{path}" cannot be read: {error.strerror}', USAGE) from None
