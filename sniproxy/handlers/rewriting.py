"""The rewrite directives of one level, carried out in the order they are written.

nginx's rewrite module: `set`, `if`, `rewrite`, `break`, `return`. They change what is known of
the request (its path, its variables), choose the settings of an `if`, or answer at once.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from ..config.directives.rewrite import Break, Condition, If, Return, Set, Statement, Substitution
from ..config.model import Location
from ..facts import Facts
from ..http.uri import escape_args
from ..message import Outcome, Special
from ..script import Lookup, Template
from ..variables import lookup
from .returns import returned


@dataclass(slots=True)
class Rewritten:
    """What the statements of a level come to."""

    outcome: Outcome | None = None
    """An answer, which ends the request's search for one."""
    inside: Location | None = None
    """The last `if` whose condition held: its settings count now."""
    path_changed: bool = False
    """Whether a location is to be looked for again."""


def rewrite(statements: Sequence[Statement], facts: Facts) -> Rewritten:
    """Carry out `statements` on `facts`."""
    result = Rewritten()
    _run(statements, facts, lookup(facts), result)
    return result


def _run(statements: Sequence[Statement], facts: Facts, values: Lookup, result: Rewritten) -> bool:
    """Whether statements around these are to follow."""
    for statement in statements:
        match statement:
            case Set(name, value):
                _set(facts, name, value.render(values))
            case Return():
                result.outcome = returned(statement, facts)
                return False
            case Break():
                _stay(facts, result)
                return False
            case If(condition, inside):
                if holds(condition, facts, values):
                    result.inside = inside
                    if not _run(inside.rewrite.statements, facts, values, result):
                        return False
            case Substitution():
                if not _substitute(statement, facts, values, result):
                    return False
    return True


def _set(facts: Facts, name: str, value: str) -> None:
    if name == "args":
        facts.args = value
        facts.uri_is_clients = False
    else:
        facts.variables[name] = value


def _stay(facts: Facts, result: Rewritten) -> None:
    if result.path_changed:
        facts.location_matched = False
        result.path_changed = False


def _substitute(said: Substitution, facts: Facts, values: Lookup, result: Rewritten) -> bool:
    match = said.pattern.search(facts.uri)
    note_captures(facts, match)
    if match is None:
        return True
    if said.redirect is not None:
        target = redirect_unescaped(said.path.render(_escaping(facts, values)))
        if said.keeps_args and facts.args:
            target += ("&" if "?" in said.path.source else "?") + facts.args
        result.outcome = Special(said.redirect, target)
        return False
    facts.internal = True
    facts.uri_is_clients = False
    if said.breaks:
        facts.location_matched = False
    result.path_changed = not said.breaks
    path = said.path.render(values)
    if said.args is not None:
        added = [facts.args] if said.keeps_args and facts.args else []
        facts.args = "&".join([_rendered_args(said.args, facts, values), *added])
    elif not said.keeps_args:
        facts.args = ""
    facts.uri = path
    if not path:
        result.outcome = Special(500)
        return False
    return not said.stops


def _rendered_args(args: Template, facts: Facts, values: Lookup) -> str:
    return args.render(_escaping(facts, values))


def _escaping(facts: Facts, values: Lookup) -> Lookup:
    """Captures of a path that was escaped are escaped again where they go into arguments."""
    path = facts.request.target.partition("?")[0]
    if "%" not in path and "+" not in path:
        return values

    def escaped(name: str) -> str | None:
        value = values(name)
        return escape_args(value) if value and name.isdigit() else value

    return escaped


_ESCAPED = re.compile("%([0-9A-Fa-f]{2})")


def redirect_unescaped(target: str) -> str:
    """`target` with the escapes undone that a redirect's path does not need."""
    path, question, query = target.partition("?")

    def undone(match: re.Match[str]) -> str:
        char = chr(int(match[1], 16))
        return char if "%" < char < "\x7f" else match[0]

    return _ESCAPED.sub(undone, path) + question + query


def note_captures(facts: Facts, match: re.Match[str] | None) -> None:
    """`$1` … are those of the last expression that was tried; none if it did not match."""
    if match is None:
        facts.captures = None
    else:
        facts.matched(match)


def holds(condition: Condition, facts: Facts, values: Lookup) -> bool:
    """Whether the condition of an `if` is met."""
    value = condition.value.render(values)
    match condition.operator:
        case "":
            return value not in ("", "0")
        case "=":
            assert condition.operand is not None
            met = value == condition.operand.render(values)
        case "~":
            assert condition.pattern is not None
            found = condition.pattern.search(value)
            note_captures(facts, found)
            met = found is not None
        case operator:
            met = _FILE_TESTS[operator](value)
    return met is not condition.negated


def _mode(path: str) -> int | None:
    try:
        return os.stat(path.encode("latin-1")).st_mode
    except (OSError, ValueError):
        return None


def _is_file(path: str) -> bool:
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def _is_directory(path: str) -> bool:
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def _exists(path: str) -> bool:
    return _mode(path) is not None


def _is_executable(path: str) -> bool:
    mode = _mode(path)
    return mode is not None and bool(mode & stat.S_IXUSR)


_FILE_TESTS = {"-f": _is_file, "-d": _is_directory, "-e": _exists, "-x": _is_executable}
