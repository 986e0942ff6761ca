"""`sniproxy convert FILE`: write nginx.conf as TOML, and TOML as nginx.conf."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..convert import Conversion, ConversionError, convert
from ..convert.conversion import NGINX, TOML
from ..convert.releases import Release
from ..models import ConfigError
from ..terminal import escape_control
from .parsers import command_parser

CONVERTED, FAILED, TO_DO = 0, 1, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", metavar="FILE", help="nginx.conf, or TOML if its name ends in .toml")
    add("--to", choices=(NGINX, TOML), help="the syntax to write (default: the other one)")
    add("-o", "--output", metavar="FILE", help="write to this file (default: standard output)")
    add(
        "--certificates",
        metavar="FOLDER",
        help="to nginx.conf: issue the certificates of `ssl_certificate auto` into this folder",
    )
    add(
        "--nginx-version",
        metavar="VERSION",
        type=version,
        help="to nginx.conf: the nginx that will read it, such as 1.22",
    )
    parser.epilog = (
        "exit status: 0 converted, 3 converted and something is left to do (on standard error), "
        "1 the file is refused or cannot be converted, 2 usage"
    )


def version(text: str) -> Release:
    return Release.parse(text)


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = command_parser("convert")
    options = parser.parse_args(arguments)
    to = options.to or (NGINX if options.file.endswith(".toml") else TOML)
    if to == TOML and (options.certificates or options.nginx_version):
        parser.error("--certificates and --nginx-version are for conversions to nginx.conf")
    folder = os.path.abspath(options.certificates) if options.certificates else "certificates"
    file = os.fsencode(options.file).decode("latin-1")
    try:
        made = convert(
            file,
            to,
            certificates=os.fsencode(folder).decode("latin-1"),
            release=options.nginx_version,
        )
        if options.certificates:
            _issue(made, Path(folder))
        _write(made.text, options.output)
    except ConfigError as error:
        print(f"sniproxy: [emerg] {escape_control(str(error))}", file=sys.stderr)
        return FAILED
    except ConversionError as error:
        print(f"sniproxy convert: {escape_control(str(error))}", file=sys.stderr)
        return FAILED
    except OSError as error:
        if error.filename is None:
            raise  # of the output
        print(f"sniproxy convert: {error.filename}: {error.strerror}", file=sys.stderr)
        return FAILED
    for note in made.notes:
        print(escape_control(note), file=sys.stderr)
    if made.issued and not options.certificates:
        _print_commands(made)
    return TO_DO if made.notes else CONVERTED


def _issue(made: Conversion, folder: Path) -> None:
    from ..tls.ca import DevCA
    from ..tls.issued_files import issue_files

    if not made.issued:
        return
    folder.mkdir(parents=True, exist_ok=True)
    authority = DevCA.open()
    for replacement in made.issued:
        issue_files(authority, replacement.names, folder)


def _print_commands(made: Conversion) -> None:
    print("to issue them, in the folder of the configuration:", file=sys.stderr)
    for replacement in made.issued:
        folder = os.path.dirname(replacement.certificate)
        names = " ".join(replacement.names)
        print(f"  python -m sniproxy ca issue -d {folder} {names}", file=sys.stderr)


def _write(text: str, path: str | None) -> None:
    data = text.encode("latin-1")
    if path is not None:
        Path(path).write_bytes(data)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
