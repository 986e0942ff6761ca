"""`error_log` and the directives of nginx's http log module."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...models import Level
from ...template import Template, literal
from ..addresses import Address, AddressError, parse_address
from ..numbers import parse_number
from ..tree import Place
from .directive import (
    HTTP,
    LIMIT_EXCEPT,
    LOCATION,
    LOCATION_IF,
    MAIN,
    SERVER,
    Args,
    Directive,
    Merge,
    Repeat,
    Settings,
    at_least,
    directive,
    settings,
)
from .slots import compiled, parse_size, parse_time

LOG = "ngx_http_log_module"
FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news", "uucp", "clock", "authpriv",
    "ftp", "ntp", "audit", "alert", "cron", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
)  # fmt: skip
"""syslog facilities by number."""
GZIP_BUFFER = 65536
LEVELS = {level.label: level for level in Level}
DEBUG_LEVELS = tuple(
    f"debug_{part}" for part in ("core", "alloc", "mutex", "event", "http", "mail", "stream")
)


@dataclass(frozen=True, slots=True)
class Syslog:
    """`syslog:server=…`: a log target that receives datagrams."""

    server: Address
    facility: str = "local7"
    severity: Level = Level.INFO
    """Of access log lines; error log lines have their own level."""
    tag: str = "nginx"
    nohostname: bool = False
    place: Place = field(default=Place("", 0), compare=False)


@dataclass(frozen=True, slots=True)
class ErrorLogDirective:
    """One target of `error_log`."""

    target: str
    """`stderr`, or a file name relative to the prefix."""
    level: Level
    syslog: Syslog | None = None


@dataclass(frozen=True, slots=True)
class AccessLogDirective:
    """One target of `access_log`."""

    file: Template
    format: str
    condition: Template | None = None
    syslog: Syslog | None = None
    buffer: int | None = None
    """Buffer size in bytes."""
    flush: float | None = None
    """Seconds after which buffered lines are written at the latest."""
    gzip: int | None = None
    """Compression level."""
    place: Place = field(default=Place("", 0), compare=False)


@dataclass(frozen=True, slots=True)
class LogFormat:
    """`log_format`: name, escaping and concatenated text."""

    name: str
    escape: str
    template: Template


COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent"'
)


_TAG = re.compile(r"[A-Za-z0-9_:;<=>?@\[\\\]^`]*")
"""Characters that nginx accepts as alphanumeric."""


def syslog(args: Args) -> Syslog:
    parameters: dict[str, Any] = {}
    for word in args.first.removeprefix("syslog:").split(","):
        key, equals, value = word.partition("=")
        if key in ("server", "facility", "severity", "tag") and equals:
            if key in parameters:
                args.fail(f'duplicate syslog "{key}"')
            parameters[key] = _SYSLOG_VALUES[key](args, value)
        elif word == "nohostname":
            parameters[word] = True
        else:
            args.fail(f'unknown syslog parameter "{word}"')
    if "server" not in parameters:
        args.fail("no syslog server specified")
    return Syslog(place=args.place, **parameters)


def _syslog_server(args: Args, text: str) -> Address:
    try:
        return parse_address(text, 514)
    except AddressError as error:
        args.fail(f'{error} in syslog server "{text}"')


def _syslog_facility(args: Args, text: str) -> str:
    if text not in FACILITIES:
        args.fail(f'unknown syslog facility "{text}"')
    return text


def _syslog_severity(args: Args, text: str) -> Level:
    if text not in LEVELS:
        args.fail(f'unknown syslog severity "{text}"')
    return LEVELS[text]


def _syslog_tag(args: Args, text: str) -> str:
    if len(text) > 32:
        args.fail("syslog tag length exceeds 32")
    if not _TAG.fullmatch(text):
        args.fail('syslog "tag" only allows alphanumeric characters and underscore')
    return text


_SYSLOG_VALUES: dict[str, Callable[[Args, str], Any]] = {
    "server": _syslog_server,
    "facility": _syslog_facility,
    "severity": _syslog_severity,
    "tag": _syslog_tag,
}


def error_log(args: Args) -> ErrorLogDirective:
    target = args.first
    if target.startswith("memory:"):
        args.fail(f'"{target}" is not supported by sniproxy as a target of "error_log" yet')
    to_syslog = syslog(args) if target.startswith("syslog:") else None
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
    return ErrorLogDirective(target, level or Level.ERROR, to_syslog)


def access_log(args: Args) -> AccessLogDirective | None:
    """None for `off`."""
    file, *words = args.words
    if file == "off":
        if words:
            args.fail(f'invalid parameter "{words[0]}"')
        return None
    to_syslog = syslog(args) if file.startswith("syslog:") else None
    name = literal(file) if to_syslog else compiled(args, file)
    condition = None
    buffer: int | None = None
    flush: float | None = None
    packed: int | None = None
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if key == "buffer" and equals:
            buffer = parse_size(value)
            if not buffer:
                args.fail(f'invalid buffer size "{value}"')
        elif key == "flush" and equals:
            flush = parse_time(value)
            if not flush:
                args.fail(f'invalid flush time "{value}"')
        elif key == "if" and equals:
            condition = compiled(args, value)
        elif key == "gzip":
            buffer = buffer or GZIP_BUFFER
            packed = parse_number(value) if equals else 1
            if packed is None or not 1 <= packed <= 9:
                args.fail(f'invalid compression level "{value}"')
        else:
            args.fail(f'invalid parameter "{word}"')
    if flush and not buffer:
        args.fail(f'no buffer is defined for access_log "{file}"')
    if buffer and not name.is_constant:
        args.fail("buffered logs cannot have variables in name")
    if buffer and to_syslog:
        args.fail("logs to syslog cannot be buffered")
    return AccessLogDirective(
        name,
        words[0] if words else "combined",
        condition,
        to_syslog,
        buffer,
        flush,
        packed,
        args.place,
    )


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
    """The logs of a location."""

    error_log: tuple[ErrorLogDirective, ...] = directive(
        MAIN | HTTP | SERVER | LOCATION, error_log,
        "file or syslog server, and the lowest level logged",
        arity=at_least(1), repeat=Repeat.APPENDED,
    )  # fmt: skip
    access_log: tuple[AccessLogDirective | None, ...] = directive(
        HTTP | SERVER | LOCATION | LOCATION_IF | LIMIT_EXCEPT, access_log,
        "file or syslog server, format, buffering and condition",
        arity=at_least(1), default="access.log combined", repeat=Repeat.APPENDED,
    )  # fmt: skip


DIRECTIVES = (
    Directive("log_format", HTTP, at_least(2), log_format, "format of access log lines", LOG,
        repeat=Repeat.APPENDED, merge=Merge.NOT_INHERITED),
)  # fmt: skip
