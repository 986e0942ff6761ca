"""Slots, the argument parsers that many directives share, with nginx's error messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...template import ScriptError, Template, compile_template
from ..numbers import MAX_INT, parse_number
from .directive import Args, Slot


def flag(args: Args) -> bool:
    """`on` or `off`."""
    value = args.first.lower()
    if value not in ("on", "off"):
        args.fail(
            f'invalid value "{args.first}" in "{args.name}" directive, it must be "on" or "off"'
        )
    return value == "on"


def number(args: Args) -> int:
    value = parse_number(args.first)
    if value is None:
        args.fail_directive("invalid number")
    return value


def within(least: int, most: int) -> Slot:
    """A number within a range."""

    def kind(args: Args) -> int:
        value = number(args)
        if not least <= value <= most:
            args.fail(f"value must be between {least} and {most}")
        return value

    return kind


def parse_size(text: str) -> int | None:
    """Parse `10`, `8k`, `1m` to bytes; None if invalid."""
    return _scaled(text, {"k": 1024, "m": 1024**2})


def parse_offset(text: str) -> int | None:
    """Like `parse_size`, but allows `g` (`client_max_body_size`)."""
    return _scaled(text, {"k": 1024, "m": 1024**2, "g": 1024**3})


def _scaled(text: str, units: Mapping[str, int]) -> int | None:
    scale = units.get(text[-1:].lower())
    value = parse_number(text[:-1] if scale else text)
    if value is None or value * (scale or 1) > MAX_INT:
        return None
    return value * (scale or 1)


def size(args: Args) -> int:
    value = parse_size(args.first)
    if value is None:
        args.fail_directive("invalid value")
    return value


def offset(args: Args) -> int:
    value = parse_offset(args.first)
    if value is None:
        args.fail_directive("invalid value")
    return value


# Milliseconds per unit, in the order that nginx requires; each at most once.
_UNITS = {
    "y": 31_536_000_000,
    "M": 2_592_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_TURN = {unit: turn for turn, unit in enumerate(_UNITS)}
_TIME_PART = re.compile(r"([0-9]*)(ms|[yMwdhms ]|$) *|(.)", re.DOTALL)


def parse_time(text: str, *, whole_seconds: bool = False) -> float | None:
    """Parse `1h 30m`, `200ms`, `60` to seconds; None if invalid.

    `whole_seconds` is nginx's `is_sec`: `ms` is invalid then, otherwise years and months are.
    """
    total = 0
    turn = -1 if whole_seconds else _TURN["M"]
    for digits, unit, wrong in _TIME_PART.findall(text):
        # Without a unit it is seconds: always allowed at the end, before a blank only in order.
        needed = _TURN.get(unit.strip() or "s", 0)
        if wrong or (unit and needed <= turn) or (unit == "ms" and whole_seconds):
            return None
        if unit:
            turn = needed if unit != " " else len(_TURN)
        total += int(digits or 0) * _UNITS[unit.strip() or "s"]
    if total > MAX_INT or not re.search("[0-9]", text):
        return None
    return total / 1000


def time(args: Args) -> float:
    """Seconds with milliseconds (nginx's `msec` slot)."""
    value = parse_time(args.first)
    if value is None:
        args.fail_directive("invalid value")
    return value


def whole_time(args: Args) -> float:
    """Whole seconds (nginx's `sec` slot)."""
    value = parse_time(args.first, whole_seconds=True)
    if value is None:
        args.fail_directive("invalid value")
    return value


def buffer_sizes(args: Args) -> tuple[int, int]:
    """Number of buffers and size of each in bytes."""
    count = parse_number(args.words[0])
    each = parse_size(args.words[1])
    if not count or not each:
        args.fail_directive("invalid value")
    return count, each


def string(args: Args) -> str:
    return args.first


def words(args: Args) -> tuple[str, ...]:
    return args.words


def template(args: Args) -> Template:
    return compiled(args, args.first)


def templates(args: Args) -> tuple[Template, ...]:
    return tuple([compiled(args, word) for word in args.words])


def size_template(args: Args) -> Template:
    """A size that may contain variables (`ngx_http_set_complex_value_size_slot`)."""
    text = template(args)
    if text.is_constant and parse_size(text.source) is None:
        args.fail_directive("invalid value")
    return text


def compiled(args: Args, text: str) -> Template:
    try:
        return compile_template(text)
    except ScriptError as error:
        args.fail(str(error))


def one_of(values: Mapping[str, Any]) -> Slot:
    """One of the given words, case-insensitive."""

    def kind(args: Args) -> Any:
        value = args.first.lower()
        if value not in values:
            args.fail(f'invalid value "{args.first}"')
        return values[value]

    return kind


def some_of(*values: str) -> Slot:
    """Any of the given words, case-insensitive, as a frozenset."""
    spelling = {value.lower(): value for value in values}

    def kind(args: Args) -> frozenset[str]:
        chosen = []
        for word in args.words:
            if word.lower() not in spelling:
                args.fail(f'invalid value "{word}"')
            chosen.append(spelling[word.lower()])
        return frozenset(chosen)

    return kind


def or_off(kind: Slot) -> Slot:
    """None for `off`, else the value of `slot`."""
    return lambda args: None if args.first == "off" else kind(args)


def flag_present(args: Args) -> bool:
    """For directives without arguments: True."""
    return True


def ignore(args: Args) -> None:
    """Ignore the arguments."""
