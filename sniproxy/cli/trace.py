"""`sniproxy trace -c FILE URL`: one request's way through a configuration, as a tree."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

import trio

from .. import config
from ..logs.sinks import NullSinks
from ..message import ConfigError, Header, Level
from ..site import prepare
from ..site.paths import Paths
from ..trace import Watch, as_data
from ..trace.asking import Answers, CannotAsk, Question, ask, question
from ..trace.printing import print_text, print_tree
from ..variables import is_variable

LIMIT = 60.0
"""Seconds for the whole request."""
ANSWERED, FAILED, WRONG = 0, 1, 2
INTERRUPTED = 130


def main(words: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(words)
    try:
        asked = question(options.url, options.method, tuple(options.headers), options.sni)
        answers = _traced(options.file, asked)
    except ConfigError as error:
        print(f"sniproxy: [{error.level.word}] {error}", file=sys.stderr)
        return WRONG
    except CannotAsk as error:
        print_text(f"sniproxy: {error}", sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        return INTERRUPTED
    if answers.given_up:
        print(f"sniproxy: no answer within {LIMIT:g} s", file=sys.stderr)
    trace = answers.trace
    if trace is None:
        print("sniproxy: the request has not come to its end", file=sys.stderr)
        return FAILED
    if options.json:
        print_text(json.dumps(as_data(trace), indent=2))
    else:
        print_tree(trace)
    answer = trace.answer
    answered = answer is not None and answer.head is not None and answer.status < 500
    return ANSWERED if answered else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sniproxy trace",
        description="Send one request through a configuration, in this process, and show its way.",
        epilog="exit status: 0 an answer below 500, 1 any other end, 2 configuration or usage",
    )
    parser.add_argument(
        "-c", dest="file", required=True, metavar="FILE", help="nginx.conf, or TOML"
    )
    parser.add_argument("url", metavar="URL", help="its port says which listener is asked")
    parser.add_argument(
        "-H", dest="headers", action="append", type=_header, default=[], metavar="'NAME: VALUE'",
        help="a header field; instead of the one that is sent by itself",
    )  # fmt: skip
    parser.add_argument("-X", dest="method", default="GET", metavar="METHOD")
    parser.add_argument("--sni", metavar="NAME", help="another SNI than the URL's host; '' is none")
    parser.add_argument("--json", action="store_true", help="for machines")
    return parser


def _header(text: str) -> Header:
    name, colon, value = text.encode("utf-8", "surrogateescape").decode("latin-1").partition(":")
    if not colon or not name:
        raise argparse.ArgumentTypeError("a header field is 'NAME: VALUE'")
    return name, value.strip()


def _traced(file: str, asked: Question) -> Answers:
    """Raises `ConfigError` and `CannotAsk`."""
    loaded = config.load(file, is_variable=is_variable)
    prepared = prepare(loaded, Paths("", os.path.dirname(file)))
    for warning in (*loaded.warnings, *prepared.warnings):
        print(f"sniproxy: [{Level.WARN.word}] {warning}", file=sys.stderr)
    answers = Answers()
    observer = Watch(answers.told, prepared.paths)
    site = prepared.open(observer=observer, sinks=NullSinks())
    try:
        # Elsewhere Ctrl-C could strike between a task and its start, which Python would tell of.
        trio.run(ask, site, asked, answers, LIMIT, restrict_keyboard_interrupt_to_checkpoints=True)
        return answers
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is not None:
            raise KeyboardInterrupt from None
        raise
    finally:
        site.close()
