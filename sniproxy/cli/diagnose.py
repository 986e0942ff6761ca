"""`sniproxy diagnose`: connect as nginx would, find out why it fails, print what to write.

exit status: 0 it works as it is (a URL: with nginx's defaults), 3 it works with the directives
printed, 4 it can not work, 2 the command line or the configuration can not be read.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ..diagnose.probe import Timeouts
from ..diagnose.report import dump_json, printable, text, to_dict
from ..diagnose.url import DiagnoseError, URLOptions, diagnose
from . import diagnose_file
from .progress import clear_progress, live_progress

USAGE = 2


def main(words: Sequence[str], timeouts: Timeouts = Timeouts()) -> int:  # noqa: B008 - frozen
    """Run the command; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(words)
    if (options.url is None) == (options.file is None):
        parser.error("say a URL, or -c FILE")
    if options.file is not None and (options.name or options.ca or options.resolve):
        parser.error("--name, --ca and --resolve are for a URL: a file says them itself")
    if options.url is not None and (options.location or options.offline or options.fix):
        parser.error("--location, --offline and --fix are for -c FILE")
    if (options.cert is None) != (options.key is None):
        parser.error("--cert and --key go together")
    try:
        if options.file is not None:
            return diagnose_file.run(options, timeouts)
        return _url(options, timeouts)
    except DiagnoseError as error:
        print(f"sniproxy diagnose: {printable(str(error))}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sniproxy diagnose",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", nargs="?", metavar="https://HOST[:PORT][/PATH]")
    add = parser.add_argument
    add("--name", help="the name that the upstream knows itself by (SNI, certificate)")
    add("--host", help="the Host header; by default the name")
    add("--ca", help="PEM file of authorities: insist on a certificate that they signed")
    add("--cert", help="PEM file with our certificate for the upstream")
    add("--key", help="PEM file with its key")
    add("--resolve", metavar="ADDR", help="connect to this address; HOST stays the name")
    add("--no-request", action="store_true", help="shake hands and send no request")
    add("--format", choices=("nginx", "toml"), default="nginx", help="of the directives")
    add("--json", action="store_true", help="for machines")
    add("-c", dest="file", metavar="FILE", help="diagnose every https proxy_pass of a file")
    add("--location", help="only the location with this name")
    add("--offline", action="store_true", help="connect to nobody: what the text alone shows")
    add("--fix", action="store_true", help="write the changes, keeping a backup")
    return parser


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
    )
    try:
        spec, attempts, found = diagnose(wanted, timeouts, live_progress())
    finally:
        clear_progress()
    if options.json:
        print(dump_json(to_dict(spec, attempts, found)))
    else:
        for line in text(spec, attempts, found, options.format):
            print(line)
    return found.status


def _existing(path: str | None) -> str:
    """The absolute name of a file that is to be read; "" for None."""
    if path is None:
        return ""
    try:
        with open(path, "rb"):
            return os.path.abspath(path)
    except OSError as error:
        raise DiagnoseError(f'"{path}" can not be read: {error.strerror}', USAGE) from None
