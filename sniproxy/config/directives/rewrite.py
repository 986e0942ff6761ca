"""Directives of nginx's http rewrite module, executed in file order before any handler."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ...template import Template, TemplateVariable, literal
from ..numbers import parse_number
from ..regex import RegexError, compile_regex
from .directive import (
    HTTP,
    LOCATION,
    LOCATION_IF,
    SERVER,
    SERVER_IF,
    Args,
    Directive,
    Merge,
    Repeat,
    Settings,
    at_least,
    between,
    directive,
    exactly,
    sequence,
    settings,
)
from .slots import compiled, flag

MODULE = "ngx_http_rewrite_module"
ANYWHERE = SERVER | LOCATION | SERVER_IF | LOCATION_IF
EVERYWHERE = HTTP | ANYWHERE


class RewriteStatement:
    """A directive of the rewrite module, executed in file order (`if`: `model.If`)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Return(RewriteStatement):
    """`return CODE [TEXT|URL]`; a URL alone means 302."""

    status: int
    text: Template | None
    """None for the built-in page."""


@dataclass(frozen=True, slots=True)
class Set(RewriteStatement):
    """`set $NAME VALUE`."""

    name: str
    """Lower-case, without the dollar sign."""
    value: Template


@dataclass(frozen=True, slots=True)
class Break(RewriteStatement):
    """`break`."""


@dataclass(frozen=True, slots=True)
class Substitution(RewriteStatement):
    """`rewrite REGEX REPLACEMENT [FLAG]`."""

    pattern: re.Pattern[str]
    path: Template
    """The replacement up to the first `?`; for a redirect all of it."""
    args: Template | None
    """The part after that `?`."""
    keeps_args: bool
    """Whether the request's arguments are appended (the replacement does not end in `?`)."""
    redirect: int | None
    """Status of the redirect, None if it is none."""
    stops: bool
    """Whether it ends the processing of statements (`last`, `break`, redirects)."""
    breaks: bool
    """Whether no new location is searched (`break`)."""
    source: str = ""
    """The regular expression as written."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition of an `if`."""

    operator: str
    """"" tests for neither empty nor `0`; else `=`, `~`, `~*`, `-f` …"""
    negated: bool
    value: Template
    """The variable, or the file name."""
    operand: Template | None = None
    pattern: re.Pattern[str] | None = None
    source: str = ""
    """The regular expression as written."""


def return_statement(args: Args) -> Return:
    status = parse_number(args.first)
    if status is None:
        if len(args.words) == 1 and args.first.startswith(("http://", "https://", "$scheme")):
            return Return(302, compiled(args, args.first))
        args.fail(f'invalid return code "{args.first}"')
    if status > 999:
        args.fail(f'invalid return code "{args.first}"')
    if len(args.words) == 1:
        return Return(status, None)
    text = args.words[1]
    return Return(status, compiled(args, text) if text else literal(""))


def set_statement(args: Args) -> Set:
    name, value = args.words
    if not name.startswith("$"):
        args.fail(f'invalid variable name "{name}"')
    if len(name) == 1:
        args.fail(f'invalid variable name "{name[1:]}"')
    return Set(name[1:].lower(), compiled(args, value) if value else literal(""))


_FLAGS: dict[str, dict[str, Any]] = {
    "": {"stops": False},
    "last": {},
    "break": {"breaks": True},
    "redirect": {"redirect": 302},
    "permanent": {"redirect": 301},
}


def rewrite_statement(args: Args) -> Substitution:
    pattern, replacement, flag = (*args.words, "")[:3]
    if not replacement:
        args.fail("empty replacement")
    compiled_pattern = _pattern(args, pattern)
    if flag not in _FLAGS or (len(args.words) == 3 and not flag):
        args.fail(f'invalid parameter "{flag}"')
    meaning = dict(_FLAGS[flag])
    if replacement.startswith(("http://", "https://", "$scheme")):
        meaning.setdefault("redirect", 302)
        meaning["stops"] = True
    redirect = meaning.get("redirect")
    keeps_args = not replacement.endswith("?")
    template = compiled(args, replacement if keeps_args else replacement[:-1])
    path, args_template = (template, None) if redirect else _split_at_question_mark(template)
    return Substitution(
        compiled_pattern,
        path,
        args_template,
        keeps_args,
        redirect,
        stops=meaning.get("stops", True),
        breaks=meaning.get("breaks", False),
        source=pattern,
    )


def _split_at_question_mark(template: Template) -> tuple[Template, Template | None]:
    for position, part in enumerate(template.parts):
        if isinstance(part, TemplateVariable) or "?" not in part:
            continue
        before, _, after = part.partition("?")
        left = (*template.parts[:position], *((before,) if before else ()))
        right = (*((after,) if after else ()), *template.parts[position + 1 :])
        return Template(template.source, left), Template(template.source, right)
    return template, None


def _pattern(args: Args, text: str, *, caseless: bool = False) -> re.Pattern[str]:
    try:
        return compile_regex(text, caseless=caseless)
    except RegexError as error:
        args.fail(str(error))


def condition(args: Args) -> Condition:
    words = _inside_parentheses(args)
    first = words[0]
    if len(first) > 1 and first.startswith("$"):
        if len(words) not in (1, 3):
            args.fail(f'invalid condition "{first}"')
        value = compiled(args, first)
        if len(words) == 1:
            return Condition("", False, value)
        _, operator, operand = words
        plain = operator.removeprefix("!")
        negated = plain != operator
        if plain == "=":
            return Condition(
                "=", negated, value, compiled(args, operand) if operand else literal("")
            )
        if plain in ("~", "~*"):
            pattern = _pattern(args, operand, caseless=plain == "~*")
            return Condition("~", negated, value, pattern=pattern, source=operand)
        args.fail(f'unexpected "{operator}" in condition')
    operator = first.removeprefix("!")
    if len(words) != 2 or operator not in ("-f", "-d", "-e", "-x"):
        args.fail(f'invalid condition "{first}"')
    return Condition(operator, operator != first, compiled(args, words[1]))


def _inside_parentheses(args: Args) -> list[str]:
    words = list(args.words)
    if not words[0].startswith("("):
        args.fail(f'invalid condition "{words[0]}"')
    if not words[-1].endswith(")"):
        args.fail(f'invalid condition "{words[-1]}"')
    words[0] = words[0][1:]
    words[-1] = words[-1][:-1]
    if not words[0] and len(words) > 1:
        del words[0]
    if not words[-1] and len(words) > 1:
        del words[-1]
    return words


def _statement(name: str, kind: Any, doc: str, **rest: Any) -> Directive:
    return Directive(name, rest.pop("contexts", ANYWHERE), rest.pop("arity"), kind, doc, MODULE,
               repeat=Repeat.APPENDED, merge=Merge.NOT_INHERITED, **rest)  # fmt: skip


@settings(MODULE)
class Rewrite(Settings):
    """The rewrite directives of a level in file order."""

    statements: tuple[RewriteStatement, ...] = sequence(
        _statement("return", return_statement, "respond with a status, text or redirect",
                   arity=between(1, 2)),
        _statement("set", set_statement, "set a variable", arity=exactly(2)),
        _statement("break", lambda args: Break(),
                   "stop processing rewrite directives", arity=exactly(0)),
        _statement("rewrite", rewrite_statement,
                   "change the URI if it matches a regular expression",
                   arity=between(2, 3)),
        _statement("if", condition, "conditional rewrite directives and settings",
                   arity=at_least(1), contexts=SERVER, opens_context=SERVER_IF),
        _statement("if", condition, "conditional rewrite directives and settings",
                   arity=at_least(1), contexts=LOCATION, opens_context=LOCATION_IF),
    )  # fmt: skip
    rewrite_log: bool = directive(
        EVERYWHERE, flag, "log what rewrite directives do, at level notice", default="off"
    )
    uninitialized_variable_warn: bool = directive(
        EVERYWHERE, flag, "warn of variables that `set` has not set yet", default="on"
    )
