"""Run the rewrite directives of a level in order (`ngx_http_rewrite_module`).

`set`, `if`, `rewrite`, `break`, `return` change the path and variables of a request, select the
settings of an `if` block, or return a response.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..config.directives.rewrite import (
    Break,
    Condition,
    Return,
    RewriteStatement,
    Set,
    Substitution,
)
from ..config.model import If, Location
from ..context import RequestContext
from ..http.uri import escape_args
from ..logs.error import ConnectionLog
from ..models import HandlerResult, Level, SpecialResponse
from ..template import Template, VariableLookup
from ..variables import lookup
from .file_body import NOT_FOUND_ERRNOS
from .response_rate import set_limit_rate
from .return_response import return_response
from .symlinks import failed_call, stat_path


@dataclass(slots=True)
class RewriteResult:
    """Result of the statements of a level."""

    outcome: HandlerResult | None = None
    """A response; None to continue with the next phase."""
    inside: Location | None = None
    """The last `if` block whose condition was true: its settings apply now."""
    path_changed: bool = False
    """Whether to search the location again."""
    log: ConnectionLog | None = None
    """Takes what is done, with `rewrite_log`."""

    def note(self, message: str) -> None:
        if self.log is not None:
            self.log.write(Level.NOTICE, message)


def rewrite(
    statements: Sequence[RewriteStatement], ctx: RequestContext, log: ConnectionLog
) -> RewriteResult:
    """Run `statements` on a request."""
    result = RewriteResult(log=log if ctx.location.rewrite.rewrite_log else None)
    _run(statements, ctx, lookup(ctx), result, log)
    return result


def _run(
    statements: Sequence[RewriteStatement],
    ctx: RequestContext,
    values: VariableLookup,
    result: RewriteResult,
    log: ConnectionLog,
) -> bool:
    """Run statements; returns whether the enclosing statements continue."""
    for statement in statements:
        match statement:
            case Set(name, value):
                _set(ctx, name, value.render(values), log)
            case Return():
                result.outcome = return_response(statement, ctx)
                return False
            case Break():
                _stay(ctx, result)
                return False
            case If(condition, inside):
                if evaluate_condition(condition, ctx, values, log, result):
                    result.inside = inside
                    if not _run(inside.rewrite.statements, ctx, values, result, log):
                        return False
            case Substitution():
                if not _substitute(statement, ctx, values, result, log):
                    return False
    return True


def _set(ctx: RequestContext, name: str, value: str, log: ConnectionLog) -> None:
    if name == "args":
        ctx.args = value
        ctx.empty_args = True
        ctx.uri_unchanged = False
    elif name == "limit_rate":
        set_limit_rate(value, ctx, log)
    else:
        ctx.variables[name] = value


def _stay(ctx: RequestContext, result: RewriteResult) -> None:
    if result.path_changed:
        ctx.uri_matches_location = False
        result.path_changed = False


def _substitute(
    directive: Substitution,
    ctx: RequestContext,
    values: VariableLookup,
    result: RewriteResult,
    log: ConnectionLog,
) -> bool:
    match = directive.pattern.search(ctx.uri)
    set_captures(ctx, match)
    if match is None:
        result.note(f'"{directive.source}" does not match "{ctx.uri}"')
        return True
    result.note(f'"{directive.source}" matches "{ctx.uri}"')
    if directive.redirect is not None:
        target = redirect_unescaped(directive.path.render(_escaping(ctx, values)))
        if directive.keeps_args and ctx.args:
            target += ("&" if "?" in directive.path.source else "?") + ctx.args
        result.note(f'rewritten redirect: "{target}"')
        result.outcome = SpecialResponse(directive.redirect, target)
        return False
    ctx.internal = True
    ctx.uri_unchanged = False
    if directive.breaks:
        ctx.uri_matches_location = False
    result.path_changed = not directive.breaks
    path = directive.path.render(values)
    if directive.args is not None:
        added = [ctx.args] if directive.keeps_args and ctx.args else []
        ctx.args = "&".join([_rendered_args(directive.args, ctx, values), *added])
        ctx.empty_args = True
    elif not directive.keeps_args:
        ctx.args = ""
        ctx.empty_args = True
    result.note(f'rewritten data: "{path}", args: "{ctx.args}"')
    ctx.uri = path
    if not path:
        log.write(Level.ERROR, "the rewritten URI has a zero length")
        result.outcome = SpecialResponse(500)
        return False
    return not directive.stops


def _rendered_args(args: Template, ctx: RequestContext, values: VariableLookup) -> str:
    return args.render(_escaping(ctx, values))


def _escaping(ctx: RequestContext, values: VariableLookup) -> VariableLookup:
    """Wrap `values` to escape captures of an escaped path when they are used in arguments."""
    path = ctx.request.target.partition("?")[0]
    if "%" not in path and "+" not in path:
        return values

    def escaped(name: str) -> str | None:
        value = values(name)
        return escape_args(value) if value and name.isdigit() else value

    return escaped


_ESCAPED = re.compile("%([0-9A-Fa-f]{2})")
_ESCAPED_QUESTION = re.compile("%3[Ff]")


def redirect_unescaped(target: str) -> str:
    """Undo the escapes that the path of a redirect does not need (NGX_UNESCAPE_REDIRECT).

    The path ends at a question mark, escaped or not.
    """
    path, question, query = target.partition("?")
    if (escaped := _ESCAPED_QUESTION.search(path)) is not None:
        path, query = path[: escaped.start()], path[escaped.end() :] + question + query
        question = "?"

    def undone(match: re.Match[str]) -> str:
        char = chr(int(match[1], 16))
        return char if "%" < char < "\x7f" else match[0]

    return _ESCAPED.sub(undone, path) + question + query


def set_captures(ctx: RequestContext, match: re.Match[str] | None) -> None:
    """Set `$1` … from the last regular expression tried; clear them if it did not match."""
    if match is None:
        ctx.captures = None
    else:
        ctx.set_captures(match)


def evaluate_condition(
    condition: Condition,
    ctx: RequestContext,
    values: VariableLookup,
    log: ConnectionLog,
    result: RewriteResult,
) -> bool:
    """Whether the condition of an `if` is true."""
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
            set_captures(ctx, found)
            met = found is not None
            verb = "matches" if met else "does not match"
            result.note(f'"{condition.source}" {verb} "{value}"')
        case operator:
            mode = _mode(value, ctx, log)
            met = mode is not None and _FILE_TESTS[operator](mode)
    return met is not condition.negated


def _mode(path: str, ctx: RequestContext, log: ConnectionLog) -> int | None:
    """The mode of a file; None if there is none."""
    try:
        return stat_path(path, ctx).st_mode
    except OSError as error:
        if error.errno not in NOT_FOUND_ERRNOS:
            log.write(Level.CRIT, failed_call(error, "stat()", path))
        return None


_FILE_TESTS: Mapping[str, Callable[[int], bool]] = {
    "-f": stat.S_ISREG,
    "-d": stat.S_ISDIR,
    "-e": lambda mode: stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode),
    "-x": lambda mode: bool(mode & stat.S_IXUSR),
}
"""Whether a file passes a test, by its mode."""
