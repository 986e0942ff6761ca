"""nginx's http rewrite module: what is decided before any handler."""

from __future__ import annotations

from dataclasses import dataclass

from ...script import Template, literal
from .kinds import compiled, parse_number
from .row import (
    LOCATION,
    LOCATION_IF,
    SERVER,
    SERVER_IF,
    Args,
    Merge,
    Repeat,
    Settings,
    between,
    row,
    settings,
)


@dataclass(frozen=True, slots=True)
class Return:
    """`return CODE [TEXT|URL]`; a URL alone is a 302."""

    status: int
    text: Template | None
    """None where the built-in page is meant."""


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


@settings("ngx_http_rewrite_module")
class Rewrite(Settings):
    """The rewrite directives of one level; the first `return` wins."""

    # `return` is a word of Python's: the field has the underscore that its row has not.
    return_: tuple[Return, ...] = row(
        SERVER | LOCATION | SERVER_IF | LOCATION_IF, return_statement,
        "answer at once with a status, a text or a redirect",
        arity=between(1, 2), repeat=Repeat.APPENDED, merge=Merge.OWN,
    )  # fmt: skip
