"""Directives of nginx's headers module: `add_header`, `add_trailer`, `expires`."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Any, Self

from ...template import Template, literal
from .core import HSL
from .directive import LOCATION_IF, Args, Repeat, Settings, between, directive, settings
from .slots import compiled, one_of, parse_time

MODULE = "ngx_http_headers_filter_module"
ANYWHERE = HSL | LOCATION_IF


@dataclass(frozen=True, slots=True)
class AddedField:
    """An `add_header` or `add_trailer`."""

    name: str
    value: Template
    """An empty value adds nothing."""
    always: bool
    """Whether it applies to all statuses."""


def added_field(args: Args) -> AddedField:
    name, value, *rest = args.words
    if rest and rest != ["always"]:
        args.fail(f'invalid parameter "{rest[0]}"')
    return AddedField(name, compiled(args, value) if value else literal(""), bool(rest))


class ExpiresBase(enum.Enum):
    """The time to which `expires` adds its argument."""

    OFF = enum.auto()
    """No Expires field."""
    EPOCH = enum.auto()
    """The epoch: already expired."""
    MAX = enum.auto()
    """The far future."""
    NOW = enum.auto()
    MODIFIED = enum.auto()
    """The file's modification time."""
    MIDNIGHT = enum.auto()
    """The next time of day (`@15h30m`)."""


@dataclass(frozen=True, slots=True)
class Expires:
    """A parsed `expires`."""

    since: ExpiresBase
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class VariableExpires:
    """`expires` with variables, evaluated per response."""

    value: Template
    modified: bool


class ExpiresError(Exception):
    """Invalid `expires` value; `str()` is nginx's reason."""


_WORDS = {"epoch": ExpiresBase.EPOCH, "max": ExpiresBase.MAX, "off": ExpiresBase.OFF}
_DAY = 86400


def parse_expires(text: str, *, modified: bool = False) -> Expires:
    """Parse `epoch`, `max`, `off`, `30d`, `-1`, `@15h30m`. Raises `ExpiresError`."""
    if not modified and text in _WORDS:
        return Expires(_WORDS[text])
    sign = text[:1]
    daily = sign == "@"
    if daily and modified:
        raise ExpiresError('daily time cannot be used with "modified" parameter')
    time = parse_time(text[1:] if sign in ("@", "+", "-") and sign else text, whole_seconds=True)
    if time is None:
        raise ExpiresError("invalid value")
    if daily and time > _DAY:
        raise ExpiresError("daily time value must be less than 24 hours")
    since = ExpiresBase.MIDNIGHT if daily else ExpiresBase.MODIFIED if modified else ExpiresBase.NOW
    return Expires(since, -int(time) if sign == "-" else int(time))


def expires(args: Args) -> Expires | VariableExpires:
    *word, text = args.words
    if word and word != ["modified"]:
        args.fail_directive("invalid value")
    template = compiled(args, text) if text else literal("")
    if not template.is_constant:
        return VariableExpires(template, bool(word))
    try:
        return parse_expires(text, modified=bool(word))
    except ExpiresError as error:
        args.fail_directive(str(error))


_INHERIT = one_of({"on": "on", "off": "off", "merge": "merge"})


@settings(MODULE)
class Headers(Settings):
    """Header fields added to the responses of a location."""

    expires: Expires | VariableExpires | None = directive(
        ANYWHERE, expires, "set Expires and Cache-Control",
        arity=between(1, 2),
    )  # fmt: skip
    add_header: tuple[AddedField, ...] = directive(
        ANYWHERE, added_field, "add a field to successful responses; with `always` to all",
        arity=between(2, 3), repeat=Repeat.APPENDED,
    )  # fmt: skip
    add_trailer: tuple[AddedField, ...] = directive(
        ANYWHERE, added_field, "add a trailer field",
        arity=between(2, 3), repeat=Repeat.APPENDED,
    )  # fmt: skip
    add_header_inherit: str = directive(
        ANYWHERE, _INHERIT, "inheritance of add_header from the enclosing level", default="on"
    )
    add_trailer_inherit: str = directive(
        ANYWHERE, _INHERIT, "inheritance of add_trailer from the enclosing level", default="on"
    )

    def merge(self, level: Any) -> Self:
        below = Settings.merge(self, level)
        return replace(
            below,
            add_header=_inherited(
                below.add_header_inherit, level.get("add_header", ()), self.add_header
            ),
            add_trailer=_inherited(
                below.add_trailer_inherit, level.get("add_trailer", ()), self.add_trailer
            ),
        )

    @property
    def adds_fields(self) -> bool:
        return bool(self.add_header or self.add_trailer) or self.expires not in (
            None,
            Expires(ExpiresBase.OFF),
        )


def _inherited(
    inherit: str, current: tuple[AddedField, ...], above: tuple[AddedField, ...]
) -> tuple[AddedField, ...]:
    if inherit == "off":
        return current
    return (*current, *above) if inherit == "merge" or not current else current
