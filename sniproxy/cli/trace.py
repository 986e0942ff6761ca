"""`sniproxy trace -c FILE URL`: send a request through a configuration and show each step."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

import trio

from .. import config
from ..build import load
from ..build.application import LoadedConfig
from ..build.paths import Paths
from ..logs.sinks import NullSinks
from ..models import ConfigError, Header, Level
from ..trace import Tracer, as_data
from ..trace.client import TraceError, TraceRequest, TraceResult, make_trace_request, send
from ..trace.printing import print_text, print_tree
from ..variables import is_variable
from .output import wrapping_width
from .parsers import command_parser

LIMIT = 60.0
"""Timeout of the request, in seconds."""
OK, FAILED, USAGE = 0, 1, 2
INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    options = command_parser("trace").parse_args(arguments)
    try:
        if options.url.startswith(("tcp://", "tls://")):
            return _route(options)
        request = make_trace_request(
            options.url, options.method, tuple(options.headers), options.sni
        )
        answers = _trace(options.file, request, lenient=options.lenient)
    except ConfigError as error:
        for text in (str(error), *getattr(error, "others", ())):
            print(f"sniproxy: [{error.level.label}] {text}", file=sys.stderr)
        return USAGE
    except TraceError as error:
        print_text(f"sniproxy: {error}", sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    if answers.given_up:
        print(f"sniproxy: no response within {LIMIT:g} s", file=sys.stderr)
    trace = answers.trace
    if trace is None:
        print("sniproxy: the request was aborted", file=sys.stderr)
        return FAILED
    if options.json:
        print_text(json.dumps(as_data(trace), indent=2))
    else:
        print_tree(trace, width=wrapping_width())
    answer = trace.answer
    answered = answer is not None and answer.head is not None and answer.status < 500
    return OK if answered else FAILED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-c", dest="file", required=True, metavar="FILE", help="nginx.conf, or TOML")
    add(
        "--lenient",
        action="store_true",
        help="leave out directives that sniproxy lacks, with a warning for each",
    )
    add(
        "url",
        metavar="URL",
        help="the URL to request; its port selects the listener. For tcp://HOST:PORT, of stream {},"
        " where the connection goes",
    )
    add(
        "-H",
        dest="headers",
        action="append",
        type=_header,
        default=[],
        metavar="'NAME: VALUE'",
        help="add a header field, or replace a default one",
    )
    add("-X", dest="method", default="GET", metavar="METHOD", help="request method (default: GET)")
    add("--sni", metavar="NAME", help="SNI to send (default: the URL's host); '' sends none")
    add("--json", action="store_true", help="print JSON")
    parser.epilog = (
        "exit status: 0 a status below 500, 1 any other outcome, 2 invalid arguments or "
        "configuration"
    )


def _header(text: str) -> Header:
    name, colon, value = text.encode("utf-8", "surrogateescape").decode("latin-1").partition(":")
    if not colon or not name:
        raise argparse.ArgumentTypeError("a header field must be 'NAME: VALUE'")
    return name, value.strip()


def _route(options: argparse.Namespace) -> int:
    """Print where a connection to a server of `stream {}` goes.

    Raises `ConfigError` and `TraceError`.
    """
    from ..trace.session_route import session_route

    site = _load(options.file, lenient=options.lenient).open(sinks=NullSinks())
    try:
        for line in session_route(site, options.url, options.sni):
            print_text(line)
    finally:
        site.close()
    return OK


def _load(file: str, *, lenient: bool) -> LoadedConfig:
    directives = "unsupported warn;" if lenient else ""
    loaded = config.load(file, directives=directives, is_variable=is_variable)
    prepared = load(loaded, Paths("", os.path.dirname(file)))
    for warning in (*loaded.warnings, *prepared.warnings):
        print(f"sniproxy: [{Level.WARN.label}] {warning}", file=sys.stderr)
    return prepared


def _trace(file: str, request: TraceRequest, *, lenient: bool) -> TraceResult:
    """Send the request through the configuration. Raises `ConfigError` and `TraceError`."""
    prepared = _load(file, lenient=lenient)
    answers = TraceResult()
    observer = Tracer(answers.callback, prepared.paths)
    site = prepared.open(observer=observer, sinks=NullSinks())
    try:
        # Otherwise Ctrl-C between a task's creation and its start leaves a warning.
        trio.run(
            send, site, request, answers, LIMIT, restrict_keyboard_interrupt_to_checkpoints=True
        )
        return answers
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is not None:
            raise KeyboardInterrupt from None
        raise
    finally:
        site.close()
