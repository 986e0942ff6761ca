"""Error and access logs: nginx's core `error_log` and its http log module."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...message import Level
from ...script import Template
from .kinds import compiled, parse_size, parse_time
from .row import (
    HTTP,
    LIMIT_EXCEPT,
    LOCATION,
    LOCATION_IF,
    MAIN,
    SERVER,
    Args,
    Merge,
    Repeat,
    Row,
    Settings,
    at_least,
    row,
    settings,
)

LOG = "ngx_http_log_module"
LEVELS = {level.word: level for level in Level}
DEBUG_LEVELS = tuple(
    f"debug_{part}" for part in ("core", "alloc", "mutex", "event", "http", "mail", "stream")
)


@dataclass(frozen=True, slots=True)
class ErrorLog:
    """One target of `error_log`."""

    target: str
    """`stderr`, or a file's name relative to the prefix."""
    level: Level


@dataclass(frozen=True, slots=True)
class AccessLog:
    """One target of `access_log`."""

    file: Template
    format: str
    condition: Template | None = None


@dataclass(frozen=True, slots=True)
class LogFormat:
    """`log_format`: the name, the escape and the joined text."""

    name: str
    escape: str
    template: Template


COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent"'
)


def error_log(args: Args) -> ErrorLog:
    target = args.first
    if target.startswith(("syslog:", "memory:")):
        args.fail(f'"{target}" is not supported by sniproxy as a target of "error_log" yet')
    level: Level | None = None
    for word in args.words[1:]:
        if word in LEVELS:
            if level is not None:
                args.fail(f'duplicate log level "{word}"')
            level = LEVELS[word]
        elif word in DEBUG_LEVELS and level in (None, Level.DEBUG):
            level = Level.DEBUG
        else:
            args.fail(f'invalid log level "{word}"')
    return ErrorLog(target, level or Level.ERROR)


def access_log(args: Args) -> AccessLog | None:
    """None is `off`."""
    file, *words = args.words
    if file == "off":
        if words:
            args.fail(f'invalid parameter "{words[0]}"')
        return None
    if file.startswith("syslog:"):
        args.fail(f'"{file}" is not supported by sniproxy as a target of "access_log" yet')
    condition = None
    buffered = flushed = False
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if key == "buffer" and equals:
            if not parse_size(value):
                args.fail(f'invalid buffer size "{value}"')
            buffered = True
        elif key == "flush" and equals:
            if not parse_time(value):
                args.fail(f'invalid flush time "{value}"')
            flushed = True
        elif key == "if" and equals:
            condition = compiled(args, value)
        elif key == "gzip":
            args.fail('the "gzip" parameter of "access_log" is not supported by sniproxy yet')
        else:
            args.fail(f'invalid parameter "{word}"')
    if flushed and not buffered:
        args.fail(f'no buffer is defined for access_log "{file}"')
    if buffered and "$" in file:
        args.fail("buffered logs cannot have variables in name")
    return AccessLog(compiled(args, file), words[0] if words else "combined", condition)


_NAMELESS = re.compile(r"\$(?:\{\}|\{?$|(?![A-Za-z0-9_{]))")


def log_format(args: Args) -> LogFormat:
    name, *texts = args.words
    escape = "default"
    if texts[0].startswith("escape="):
        escape = texts.pop(0)[7:]
        if escape not in ("default", "json", "none"):
            args.fail(f'unknown log format escaping "{escape}"')
    for text in texts:
        nameless = _NAMELESS.search(text)
        if nameless:
            args.fail(f'invalid parameter "{text[nameless.start() :]}"')
    return LogFormat(name, escape, compiled(args, "".join(texts)))


@settings(LOG)
class Log(Settings):
    """The logs of one location."""

    error_log: tuple[ErrorLog, ...] = row(
        MAIN | HTTP | SERVER | LOCATION, error_log, "where errors are written, from which level on",
        arity=at_least(1), repeat=Repeat.APPENDED,
    )  # fmt: skip
    access_log: tuple[AccessLog | None, ...] = row(
        HTTP | SERVER | LOCATION | LOCATION_IF | LIMIT_EXCEPT, access_log,
        "where requests are written, in which format",
        arity=at_least(1), default="access.log combined", repeat=Repeat.APPENDED,
    )  # fmt: skip


ROWS = (
    Row("log_format", HTTP, at_least(2), log_format, "the text of an access line", LOG,
        repeat=Repeat.APPENDED, merge=Merge.OWN),
)  # fmt: skip
