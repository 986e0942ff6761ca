"""Configurations, log lines, and bodies that filters read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

from sniproxy import config
from sniproxy.explain import ErrorGroups, render_text, to_dict
from sniproxy.handlers.ssi_parser import SsiParser
from sniproxy.handlers.ssi_text import Expression, SsiError, evaluate
from sniproxy.handlers.substitution import TextReplacer
from sniproxy.included import SsiState
from sniproxy.models import ConfigError
from sniproxy.terminal import escape_control
from sniproxy.variables import definition_error, is_variable
from tests.fuzz.targets.target import Target, in_pieces, outcome


def _is_all_there_is(data: bytes) -> bool:
    """Whether the work that a configuration makes is in proportion to its bytes.

    It opens no files of the machine, and has no range of a thousand ports (`listen 1-2000`).
    """
    opens = b"include" in data.lower() or b"\\" in data
    return not opens and re.search(rb"\d-\d{4}", data) is None


def nginx_conf(data: bytes) -> None:
    if _is_all_there_is(data):
        outcome(
            lambda: config.parse(data, is_variable=is_variable, definition_error=definition_error),
            ConfigError,
        )


def toml(data: bytes) -> None:
    if _is_all_there_is(data):
        outcome(
            lambda: config.parse(
                data, "toml", is_variable=is_variable, definition_error=definition_error
            ),
            ConfigError,
        )


def log_lines(data: bytes) -> None:
    """Every line can be explained, and what is printed has no control characters."""
    groups = ErrorGroups()
    for line in data.decode("latin-1").split("\n"):
        groups.feed(line)
    groups.flush()
    for group in groups:
        to_dict(group)
        for line in render_text(group).splitlines():
            assert escape_control(line) == line


def ssi_page(data: bytes) -> None:
    """Commands are found alike however a page arrives."""

    def found(pieces: Iterable[bytes]) -> list[object]:
        parser = SsiParser(64)
        items: list[object] = []
        for piece in pieces:
            for item in parser.feed(piece):
                if isinstance(item, bytes) and items and isinstance(items[-1], bytes):
                    items[-1] = items[-1] + item
                else:
                    items.append(item)
        return items

    assert found(in_pieces(data)) == found([data])


def ssi_expression(data: bytes) -> None:
    values = {"a": "1", "b": "x" * 100}
    text = data.decode("latin-1")
    outcome(lambda: evaluate(text, values.get), SsiError)
    outcome(lambda: Expression(text).is_true(values.get, SsiState()), SsiError)


class _Value:
    """A replacement without variables."""

    def render(self, values: object) -> str:
        return "<>"


class _Pair:
    value = _Value()


def sub_filter(data: bytes) -> None:
    """The first two lines are replaced in the rest, alike however it arrives."""
    first, _, rest = data.partition(b"\n")
    second, _, body = rest.partition(b"\n")
    if not first and not second:
        return

    def replaced(pieces: list[bytes], *, once: bool) -> bytes:
        replacer = TextReplacer(
            [first, second], cast("Any", [_Pair, _Pair]), cast("Any", None), once=once
        )
        return b"".join(
            part
            for at, piece in enumerate(pieces)
            for part in replacer.replace(piece, ends=at == len(pieces) - 1)
        )

    for once in (True, False):
        assert replaced(in_pieces(body), once=once) == replaced([body], once=once)


TARGETS = (
    Target("nginx_conf", nginx_conf),
    Target("toml", toml),
    Target("log_lines", log_lines),
    Target("ssi_page", ssi_page),
    Target("ssi_expression", ssi_expression),
    Target("sub_filter", sub_filter),
)
