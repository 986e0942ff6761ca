"""Declare directives (nginx's `ngx_command_t`).

Most directives are fields of the frozen settings class of their nginx module, declared with
`directive()`: name, value type and everything nginx knows of it in one place. Blocks and
directives without a field are `Directive` objects in a module's `DIRECTIVES`.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, Self, TypeVar, cast, dataclass_transform

from ..omissions import NOTHING_LEFT_OUT, Omissions
from ..tree import Place


class Context(enum.Flag):
    """The blocks that a directive is allowed in (nginx's NGX_*_CONF bits)."""

    MAIN = enum.auto()
    EVENTS = enum.auto()
    HTTP = enum.auto()
    SERVER = enum.auto()
    LOCATION = enum.auto()
    UPSTREAM = enum.auto()
    SERVER_IF = enum.auto()
    LOCATION_IF = enum.auto()
    LIMIT_EXCEPT = enum.auto()
    TYPES = enum.auto()
    """Inside `types {}`, whose lines are not directives."""
    TABLE = enum.auto()
    """Inside `map {}`, `geo {}` and `split_clients {}`; a `VariableBuilder` takes the lines."""
    REFUSED = enum.auto()
    """Inside an unsupported block: `mail {}`."""
    LEFT_OUT = enum.auto()
    """Inside a block that is left out (`unsupported warn`)."""
    STREAM = enum.auto()
    STREAM_SERVER = enum.auto()
    STREAM_UPSTREAM = enum.auto()
    IN_STREAM = STREAM | STREAM_SERVER | STREAM_UPSTREAM
    ANY = (
        MAIN
        | EVENTS
        | HTTP
        | SERVER
        | LOCATION
        | UPSTREAM
        | SERVER_IF
        | LOCATION_IF
        | LIMIT_EXCEPT
        | IN_STREAM
    )

    @property
    def words(self) -> tuple[str, ...]:
        """The contexts as in nginx's documentation."""
        names = {
            Context.SERVER_IF: "if in server",
            Context.LOCATION_IF: "if in location",
            Context.STREAM_SERVER: "server in stream",
            Context.STREAM_UPSTREAM: "upstream in stream",
        }
        return tuple(names.get(c, (c.name or "").lower()) for c in Context if c in self)


(
    MAIN,
    EVENTS,
    HTTP,
    SERVER,
    LOCATION,
    UPSTREAM,
    SERVER_IF,
    LOCATION_IF,
    LIMIT_EXCEPT,
    TYPES,
    TABLE,
    REFUSED,
    LEFT_OUT,
    STREAM,
    STREAM_SERVER,
    STREAM_UPSTREAM,
) = Context
ANY = Context.ANY


class Repeat(enum.Enum):
    """The effect of a second statement of a directive on the same level."""

    REFUSED = enum.auto()
    """Error: `"x" directive is duplicate`."""
    APPENDED = enum.auto()
    """Adds an item to the value, a tuple."""
    MERGED = enum.auto()
    """Extends the value, a set."""
    REPLACED = enum.auto()
    """Replaces the value."""


class Merge(enum.Enum):
    """The value on a level that does not set the directive."""

    INHERITED = enum.auto()
    """The value of the enclosing level, which is replaced as a whole if set."""
    NOT_INHERITED = enum.auto()
    """The default."""


class Status(enum.Enum):
    """Whether sniproxy supports a directive."""

    WORKS = "works"
    NO_EFFECT = "no effect"
    REFUSED = "refused"
    NOT_YET = "not supported yet"


@dataclass(frozen=True, slots=True)
class Arity:
    """Number of arguments; `most` None means unlimited."""

    least: int
    most: int | None

    def __contains__(self, count: int) -> bool:
        return self.least <= count and (self.most is None or count <= self.most)


def exactly(count: int) -> Arity:
    return Arity(count, count)


def at_least(count: int) -> Arity:
    return Arity(count, None)


def between(least: int, most: int) -> Arity:
    return Arity(least, most)


@dataclass(frozen=True, slots=True)
class Args:
    """A statement's arguments, passed to the directive's slot."""

    name: str
    words: tuple[str, ...]
    place: Place
    parent: Any = None
    """The value of the enclosing block, such as a location's name."""
    any_port: bool = False
    """Whether port 0 may be listened on, meaning any free port."""
    omissions: Omissions = NOTHING_LEFT_OUT
    """Takes what sniproxy lacks."""

    @property
    def first(self) -> str:
        return self.words[0]

    def fail(self, message: str) -> NoReturn:
        """Raise `ConfigError` with nginx's message; file and line are added."""
        raise self.place.error(message)

    def unsupported(self, message: str) -> None:
        """Report something that sniproxy lacks.

        Raises `UnsupportedError` unless it may be left out.
        """
        self.omissions.add(message, self.place, self.name)

    def fail_directive(self, verdict: str) -> NoReturn:
        """Raise `ConfigError` with `"NAME" directive VERDICT`."""
        self.fail(f'"{self.name}" directive {verdict}')


Slot = Callable[[Args], Any]
"""Converts the arguments of a statement to its value, or fails (nginx's `ngx_conf_set_*_slot`)."""


@dataclass(frozen=True, slots=True)
class Directive:
    """A directive: everything nginx and sniproxy know about it."""

    name: str
    contexts: Context
    arity: Arity
    slot: Slot
    doc: str
    module: str = ""
    field: str = ""
    """Field of the settings class; a trailing `_` avoids Python keywords."""
    default: str | None = None
    """As in nginx's documentation; None if there is no default."""
    repeat: Repeat = Repeat.REFUSED
    merge: Merge = Merge.INHERITED
    status: Status = Status.WORKS
    extension: bool = False
    """Whether it is a sniproxy extension, unknown to nginx."""
    opens_context: Context | None = None
    """For a block: the context inside."""
    is_shared: bool = False
    """Whether other modules have the field too: then the name is the key."""

    @property
    def key(self) -> str:
        """Key of the value in a level's dict of values."""
        return self.name if self.is_shared else self.field or self.name

    def in_stream(self, contexts: Context) -> Directive:
        """The same directive of the stream module that corresponds to its http module."""
        module = self.module.replace("ngx_http_", "ngx_stream_")
        return dataclasses.replace(self, contexts=contexts, module=module)

    def default_value(self) -> Any:
        if self.default is None:
            return () if self.repeat is Repeat.APPENDED else None
        value = self.slot(Args(self.name, tuple(self.default.split()), Place("default", 0)))
        return (value,) if self.repeat is Repeat.APPENDED else value


def directive(
    contexts: Context,
    slot: Slot,
    doc: str,
    *,
    arity: Arity | None = None,
    default: str | None = None,
    repeat: Repeat = Repeat.REFUSED,
    merge: Merge = Merge.INHERITED,
    status: Status = Status.WORKS,
    extension: bool = False,
    module: str = "",
    opens_context: Context | None = None,
) -> Any:
    """Declare a directive as a field of a settings class; the field's name is the directive's.

    `module` is needed only if it differs from that of the class.
    """
    declared = Directive(
        "",
        contexts,
        arity or exactly(1),
        slot,
        doc,
        module,
        default=default,
        repeat=repeat,
        merge=merge,
        status=status,
        extension=extension,
        opens_context=opens_context,
    )
    return dataclasses.field(default=None, metadata={"row": declared})


def sequence(*directives: Directive) -> Any:
    """A field for several directives whose statements keep their common order."""
    return dataclasses.field(default=(), metadata={"rows": directives})


def exclusive(default: Any, *directives: Directive) -> Any:
    """A field for directives that exclude each other: each replaces the other's value."""
    return dataclasses.field(default=default, metadata={"rows": directives})


class Settings:
    """The values of one nginx module's directives on one level; its fields are directives."""

    __slots__ = ()
    DIRECTIVES: ClassVar[tuple[Directive, ...]] = ()
    PREFIX: ClassVar[str] = ""
    """The prefix of the module in the names of directives that several modules share."""
    _KEYS: ClassVar[frozenset[str]] = frozenset()
    _NOT_INHERITED: ClassVar[tuple[tuple[Directive, Any], ...]] = ()
    """The directives that nested levels do not inherit, with their defaults."""

    @classmethod
    def resolve(cls, *levels: Mapping[str, Any]) -> Self:
        """Merge the values of `levels`, given innermost first."""
        settings = cls()
        for level in reversed(levels):
            settings = settings.merge(level)
        return settings

    def merge(self, level: Mapping[str, Any]) -> Self:
        """Settings of a nested level: these, overridden by the values of `level`."""
        changed = {}
        if not self._KEYS.isdisjoint(level):
            changed = {row.field: level[row.key] for row in self.DIRECTIVES if row.key in level}
        for row, default in self._NOT_INHERITED:
            if row.key not in level and getattr(self, row.field) != default:
                changed[row.field] = default
        return dataclasses.replace(cast(Any, self), **changed) if changed else self


SettingsT = TypeVar("SettingsT", bound=type[Settings])


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(directive, sequence, exclusive)
)
def settings(
    module: str,
    *,
    prefix: str = "",
    converters: Mapping[str, Slot] | None = None,
    fixed: Mapping[str, Any] | None = None,
    contexts: Context | None = None,
    without: Collection[str] = (),
) -> Callable[[SettingsT], SettingsT]:
    """Class decorator: completes the directives of a settings class and makes it a dataclass.

    Inherited fields become directives of `module` whose names begin with `prefix`. Some of them
    may have other `converters`; those in `fixed` are no directives and have these values. With
    `contexts`, they are directives of `stream {}`, except for the names in `without`.
    """

    def decorate(cls: SettingsT) -> SettingsT:
        directives = []
        for name, field in list(vars(cls).items()):
            if not isinstance(field, dataclasses.Field):
                continue
            if "rows" in field.metadata:
                directives += [
                    dataclasses.replace(directive, field=name)
                    for directive in field.metadata["rows"]
                ]
                setattr(cls, name, field.default)
                continue
            declared = field.metadata["row"]
            named = dataclasses.replace(
                declared, name=name.rstrip("_"), field=name, module=declared.module or module
            )
            setattr(cls, name, named.default_value())
            directives.append(named)
        inherited = _inherited(cls, module, prefix, converters or {}, fixed or {})
        if contexts is not None:
            inherited = [row.in_stream(contexts) for row in inherited if row.name not in without]
        directives += inherited
        for name, value in (fixed or {}).items():
            setattr(cls, name, value)
            cls.__annotations__[name] = Any
        cls.DIRECTIVES = tuple(directives)
        cls.PREFIX = prefix
        cls._KEYS = frozenset(row.key for row in directives)
        cls._NOT_INHERITED = tuple(
            (row, row.default_value()) for row in directives if row.merge is Merge.NOT_INHERITED
        )
        return cast(SettingsT, dataclass(frozen=True, slots=True, kw_only=True)(cls))

    return decorate


def _inherited(
    cls: type[Settings],
    module: str,
    prefix: str,
    converters: Mapping[str, Slot],
    fixed: Mapping[str, Any],
) -> list[Directive]:
    """The directives of a module whose fields are those of the class that `cls` extends."""
    return [
        dataclasses.replace(
            row,
            name=prefix + row.name,
            module=module or row.module,
            slot=converters.get(row.name, row.slot),
            is_shared=bool(prefix),
        )
        for row in cls.DIRECTIVES
        if row.field not in fixed
    ]


def block(
    name: str,
    contexts: Context,
    opens_context: Context,
    doc: str,
    *,
    module: str,
    arity: Arity | None = None,
    repeat: Repeat = Repeat.APPENDED,
    status: Status = Status.WORKS,
) -> Directive:
    """Declare a block directive."""
    return Directive(
        name,
        contexts,
        arity or exactly(0),
        lambda args: args.words,
        doc,
        module,
        repeat=repeat,
        merge=Merge.NOT_INHERITED,
        status=status,
        opens_context=opens_context,
    )
