"""`sticky`: requests of a session go to the same server (ngx_http_upstream_sticky_module)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ...template import Template
from .directive import Args
from .slots import compiled, parse_size, parse_time

MAX_EXPIRES = 2145916555
"""The seconds that stand for `expires=max`."""
_MIN_ZONE_SIZE = 8 * 4096
_DEFAULT_SESSION_TIMEOUT = 600.0


class StickyMethod(enum.Enum):
    """How the server of a session is known."""

    COOKIE = "cookie"
    ROUTE = "route"
    LEARN = "learn"


@dataclass(frozen=True, slots=True)
class StickyCookie:
    """The cookie of `sticky cookie`."""

    name: str
    domain: Template | None = None
    path: str = ""
    expires: int | None = None
    """Seconds; None for a session cookie."""
    httponly: bool = False
    secure: bool = False
    samesite: Template | None = None


@dataclass(frozen=True, slots=True)
class LearnedSessions:
    """The sessions of `sticky learn`."""

    create: tuple[Template, ...]
    """The variables whose first value is the name of a new session."""
    zone: str
    size: int
    """Bytes of the zone."""
    timeout: float
    """Seconds after its last request when a session is forgotten."""
    after_headers: bool = False
    """Whether a session begins with the response head, not with the end of the response."""


@dataclass(frozen=True, slots=True)
class Sticky:
    """A `sticky` directive."""

    method: StickyMethod
    lookup: tuple[Template, ...]
    """The variables whose first value names the server, or the session."""
    cookie: StickyCookie | None = None
    sessions: LearnedSessions | None = None
    replaced: bool = False
    """Whether a load-balancing method follows, which makes it ineffective as in nginx."""


def sticky(args: Args) -> Sticky:
    kind, words = args.first, args.words[1:]
    if kind == "cookie":
        return Sticky(StickyMethod.COOKIE, *_cookie(args, words[0], words[1:]))
    if kind == "route":
        for word in words:
            if not word.startswith("$"):
                args.fail(f'invalid variable name "{word}"')
        return Sticky(StickyMethod.ROUTE, tuple(_variable(args, word) for word in words))
    if kind != "learn":
        args.fail(f'unknown parameter "{kind}"')
    return _learn(args, words)


def _variable(args: Args, word: str) -> Template:
    """A variable, written with its `$`."""
    if len(word) == 1:
        args.fail('invalid variable name "$"')
    return compiled(args, f"${{{word[1:]}}}")


def is_samesite(value: str) -> bool:
    """Whether a value of `samesite` is one that browsers know."""
    return value.lower() in ("strict", "lax", "none")


def _cookie(
    args: Args, name: str, words: tuple[str, ...]
) -> tuple[tuple[Template, ...], StickyCookie]:
    if not name:
        args.fail_directive("empty cookie name")
    values: dict[str, str | int | bool | Template] = {}
    for word in words:
        key, equals, text = word.partition("=")
        known = ("domain", "path", "expires", "samesite") if equals else ("httponly", "secure")
        if key not in known:
            args.fail(f'unknown parameter "{word}"')
        if key in values:
            args.fail_directive(f'parameter "{key}" is duplicate')
        if key in ("domain", "path") and not text:
            args.fail_directive(f'no value for "{key}"')
        match key:
            case "path":
                values[key] = text
            case "expires":
                seconds = MAX_EXPIRES if text == "max" else parse_time(text, whole_seconds=True)
                if seconds is None:
                    args.fail_directive('invalid "expires" parameter value')
                values[key] = int(seconds)
            case "domain" | "samesite":
                template = values[key] = compiled(args, text)
                if key == "samesite" and template.is_constant and not is_samesite(text):
                    args.fail_directive('invalid "samesite" parameter value')
            case _:
                values[key] = True
    cookie = StickyCookie(name, **values)  # type: ignore[arg-type]
    return (compiled(args, f"${{cookie_{name}}}"),), cookie


def _learn(args: Args, words: tuple[str, ...]) -> Sticky:
    variables: dict[str, list[Template]] = {"create": [], "lookup": []}
    zone, size, timeout, after_headers = "", 0, None, False
    for word in words:
        key, equals, text = word.partition("=")
        if key == "zone" and equals:
            if size:
                args.fail_directive("duplicate zone")
            zone, size = _zone(args, text)
        elif key == "timeout" and equals:
            if timeout is not None:
                args.fail_directive("duplicate timeout")
            timeout = parse_time(text)
            if not timeout:
                args.fail_directive("invalid timeout")
        elif key in variables and equals:
            if not text.startswith("$"):
                args.fail_directive(f'missing variable in the "{key}" parameter')
            variables[key].append(_variable(args, text))
        elif word == "header":
            after_headers = True
        else:
            args.fail(f'unknown parameter "{word}"')
    for key in ("lookup", "create"):
        if not variables[key]:
            args.fail_directive(f'"{key}" parameter is not specified')
    if not size:
        args.fail_directive('"zone" parameter is not specified')
    sessions = LearnedSessions(
        tuple(variables["create"]), zone, size, timeout or _DEFAULT_SESSION_TIMEOUT, after_headers
    )
    return Sticky(StickyMethod.LEARN, tuple(variables["lookup"]), sessions=sessions)


def _zone(args: Args, text: str) -> tuple[str, int]:
    name, colon, size_text = text.partition(":")
    if not colon:
        args.fail_directive("zone size is not specified")
    if not name:
        args.fail_directive("zone name is not specified")
    size = parse_size(size_text)
    if size is None:
        args.fail_directive("invalid zone size")
    if size < _MIN_ZONE_SIZE:
        args.fail_directive("zone is too small")
    return name, size
