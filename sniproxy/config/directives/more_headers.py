"""Directives of the headers-more module, which Debian's nginx-extras and OpenResty have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Self

from ...models import ConfigError, Level
from ...template import Template, literal
from .directive import (
    HTTP,
    LOCATION,
    LOCATION_IF,
    SERVER,
    Args,
    Directive,
    Merge,
    Repeat,
    Settings,
    at_least,
    sequence,
    settings,
)
from .slots import compiled

MODULE = "ngx_http_headers_more_filter_module"
ANYWHERE = HTTP | SERVER | LOCATION | LOCATION_IF
_SPACE = " \t\n\v\f\r"
BUILT_IN = frozenset(
    (
        *("server", "date", "content-encoding", "location", "refresh", "last-modified"),
        *("content-range", "accept-ranges", "www-authenticate", "expires", "e-tag"),
        *("content-length", "content-type", "cache-control"),
    )
)
"""Response fields that the module knows: they cannot be added a second time."""


@dataclass(frozen=True, slots=True)
class HeaderChange:
    """A field that is set, or removed if its value is empty."""

    name: str
    """With `*` at its end it stands for all fields that begin so."""
    value: Template


@dataclass(frozen=True, slots=True)
class HeaderCommand:
    """A `more_…` directive."""

    changes: tuple[HeaderChange, ...]
    is_input: bool
    """Whether it changes the request."""
    types: tuple[str, ...] = ()
    """Media types that it applies to; all without any."""
    statuses: frozenset[int] = frozenset()
    """Statuses that it applies to; all without any."""
    appends: bool = False
    """Whether a field is added beside those that are there."""
    replaces: bool = False
    """Whether only fields that are there are set."""


def _fail(args: Args, text: str) -> NoReturn:
    """Refuse the configuration as the module does: with level error, without a place."""
    raise ConfigError(f"{args.name}: {text}", level=Level.ERROR)


def command(args: Args) -> HeaderCommand:
    """Parse `more_set_headers [-s STATUSES] [-t TYPES] [-a] 'NAME: VALUE' …` and the others."""
    is_input = "_input_" in args.name
    made = HeaderCommand((), is_input)
    changes: list[HeaderChange] = []
    words = iter(args.words)
    for word in words:
        if not word:
            continue
        if not word.startswith("-"):
            changes.append(_change(args, word))
        elif word == "-t":
            made = replace(made, types=(*made.types, *_types(_argument(args, word, words))))
        elif word == "-s" and not is_input:
            found = _statuses(args, _argument(args, word, words))
            made = replace(made, statuses=made.statuses | found)
        elif word == "-a" and args.name == "more_set_headers":
            made = replace(made, appends=True)
        elif word == "-r" and is_input:
            made = replace(made, replaces=True)
        else:
            _fail(args, f'invalid option name: "{word}"')
    for change in changes if made.appends else ():
        if change.name.lower() in BUILT_IN:
            _fail(args, f'can not append builtin headers "{change.name}"')
    return replace(made, changes=tuple(changes))


def _argument(args: Args, option: str, words: Any) -> str:
    found = next(words, None)
    if found is None:
        _fail(args, f"option {option} takes an argument.")
    return str(found)


def _types(text: str) -> list[str]:
    return text.replace(";", " ").split()


def _statuses(args: Args, text: str) -> frozenset[int]:
    for letter in text:
        if letter not in _SPACE and not ("0" <= letter <= "9"):
            _fail(args, f'invalid digit "{letter}" found in the status code list "{text}"')
    return frozenset(map(int, text.split()))


def _change(args: Args, text: str) -> HeaderChange:
    """Parse `NAME: VALUE`; the colon is optional."""
    start = len(text) - len(text.lstrip(_SPACE))
    end = start + 1
    while end < len(text) and text[end] != ":" and text[end] not in _SPACE:
        end += 1
    # The module counts the letters of the name, but from the beginning of the argument.
    name = text[: end - start]
    if start == len(text):
        _fail(args, f"no key found in the header argument: {text}")
    if name == "*":
        _fail(args, f"wildcard key too short: {text}")
    value = text[end + 1 :].lstrip(f":{_SPACE}")
    if "clear" in args.name or not value:
        return HeaderChange(name, literal(""))
    return HeaderChange(name, compiled(args, value))


def _row(name: str, doc: str) -> Directive:
    return Directive(
        name,
        ANYWHERE,
        at_least(1),
        command,
        doc,
        MODULE,
        repeat=Repeat.APPENDED,
        merge=Merge.INHERITED,
    )


@settings(MODULE)
class MoreHeaders(Settings):
    """The `more_…` directives of a level, behind those of the enclosing levels."""

    commands: tuple[HeaderCommand, ...] = sequence(
        _row("more_set_headers", "set fields of responses; an empty value removes them"),
        _row("more_clear_headers", "remove fields of responses"),
        _row("more_set_input_headers", "set fields of requests; an empty value removes them"),
        _row("more_clear_input_headers", "remove fields of requests"),
    )

    def merge(self, level: Mapping[str, Any]) -> Self:
        added = level.get("commands", ())
        return replace(self, commands=(*self.commands, *added)) if added else self

    @property
    def output(self) -> tuple[HeaderCommand, ...]:
        return tuple(one for one in self.commands if not one.is_input and one.changes)

    @property
    def input(self) -> tuple[HeaderCommand, ...]:
        return tuple(one for one in self.commands if one.is_input and one.changes)
