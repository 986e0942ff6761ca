"""How a directive is said: one `row` is its contexts, arguments, default, merge rule and status.

A row stands as a field of the frozen settings class of its nginx module, so that the name of
the directive, the type that the rest of the house reads and all that nginx knows of it are
one line of text. Blocks, and directives without a value of their own, are rows in a list.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, Self, TypeVar, cast, dataclass_transform

from ..tree import Place


class Context(enum.Flag):
    """Where a directive may stand, nginx's NGX_*_CONF bits."""

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
    """Inside `types {}`: no directives but lines of a table."""
    TABLE = enum.auto()
    """The same inside `map {}` and its like, whose values are drafts that take the lines."""
    REFUSED = enum.auto()
    """Inside of what is refused as a whole: `stream {}`, `mail {}` …"""
    ANY = (
        MAIN | EVENTS | HTTP | SERVER | LOCATION | UPSTREAM | SERVER_IF | LOCATION_IF | LIMIT_EXCEPT
    )

    @property
    def words(self) -> tuple[str, ...]:
        """The contexts as nginx's documentation names them."""
        names = {
            Context.SERVER_IF: "if in server",
            Context.LOCATION_IF: "if in location",
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
) = Context
ANY = Context.ANY


class Repeat(enum.Enum):
    """What a second statement of the same directive on the same level means."""

    REFUSED = enum.auto()
    """`"x" directive is duplicate`."""
    APPENDED = enum.auto()
    """The value is a tuple, one item a statement."""
    MERGED = enum.auto()
    """The values are sets, united."""
    REPLACED = enum.auto()
    """The last one counts, silently."""


class Merge(enum.Enum):
    """What a level without the directive gets."""

    INHERITED = enum.auto()
    """The value of the level above; a level that says anything replaces it whole."""
    NOT_INHERITED = enum.auto()
    """Nothing: the directive counts only where it stands."""


class Status(enum.Enum):
    """What sniproxy does with a directive."""

    WORKS = "works"
    NO_EFFECT = "no effect"
    REFUSED = "refused"
    NOT_YET = "not supported yet"


@dataclass(frozen=True, slots=True)
class Arity:
    """How many arguments are taken; `most` None means any number."""

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
    """The arguments of one statement on their way into a value."""

    name: str
    words: tuple[str, ...]
    place: Place
    parent: Any = None
    """The value of the block around: a location's name, say."""
    any_port: bool = False
    """Whether port 0 may be listened on, which is any free one (in-process use)."""

    @property
    def first(self) -> str:
        return self.words[0]

    def fail(self, message: str) -> NoReturn:
        """Refuse the statement in nginx's words; the place is added."""
        raise self.place.error(message)

    def fail_directive(self, verdict: str) -> NoReturn:
        """`"name" directive VERDICT`."""
        self.fail(f'"{self.name}" directive {verdict}')


Slot = Callable[[Args], Any]
"""Turns the arguments of a statement into its value, or refuses them."""


@dataclass(frozen=True, slots=True)
class Directive:
    """All that is known of one directive."""

    name: str
    contexts: Context
    arity: Arity
    slot: Slot
    doc: str
    module: str = ""
    field: str = ""
    """Where the value stands in its settings class; a trailing `_` keeps it off Python's words."""
    default: str | None = None
    """As nginx's documentation writes it; None where there is none."""
    repeat: Repeat = Repeat.REFUSED
    merge: Merge = Merge.INHERITED
    status: Status = Status.WORKS
    extension: bool = False
    """Not one of nginx's directives."""
    opens_context: Context | None = None
    """The context inside, for a block."""

    @property
    def key(self) -> str:
        """What the value is called among those of a level."""
        return self.field or self.name

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
    """A directive as a field of a settings class: the field's name is the directive's.

    `module` is for the few that stand in another module's class.
    """
    unnamed = Directive(
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
    return dataclasses.field(default=None, metadata={"row": unnamed})


def sequence(*rows: Directive) -> Any:
    """Several directives as one field, in the order in which they are written."""
    return dataclasses.field(default=(), metadata={"rows": rows})


def exclusive(default: Any, *rows: Directive) -> Any:
    """Directives that exclude each other, as one field: each takes the other's place."""
    return dataclasses.field(default=default, metadata={"rows": rows})


class Settings:
    """The values of one nginx module's directives on one level; its fields are rows."""

    __slots__ = ()
    DIRECTIVES: ClassVar[tuple[Directive, ...]] = ()

    @classmethod
    def resolve(cls, *levels: Mapping[str, Any]) -> Self:
        """The settings in force, from what each level says, the innermost first."""
        settings = cls()
        for level in reversed(levels):
            settings = settings.merge(level)
        return settings

    def merge(self, level: Mapping[str, Any]) -> Self:
        """The settings of a level that says `level` inside one with these."""
        changed = {row.field: level[row.key] for row in self.DIRECTIVES if row.key in level}
        for row in self.DIRECTIVES:
            if row.merge is Merge.NOT_INHERITED and row.key not in level:
                default = row.default_value()
                if getattr(self, row.field) != default:
                    changed[row.field] = default
        return dataclasses.replace(cast(Any, self), **changed) if changed else self


SettingsT = TypeVar("SettingsT", bound=type[Settings])


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(directive, sequence, exclusive)
)
def settings(module: str) -> Callable[[SettingsT], SettingsT]:
    """Name the rows of a settings class after its fields, and give the fields their defaults."""

    def decorate(cls: SettingsT) -> SettingsT:
        rows = []
        for name, field in list(vars(cls).items()):
            if not isinstance(field, dataclasses.Field):
                continue
            if "rows" in field.metadata:
                rows += [
                    dataclasses.replace(directive, field=name)
                    for directive in field.metadata["rows"]
                ]
                setattr(cls, name, field.default)
                continue
            unnamed = field.metadata["row"]
            named = dataclasses.replace(
                unnamed, name=name.rstrip("_"), field=name, module=unnamed.module or module
            )
            setattr(cls, name, named.default_value())
            rows.append(named)
        cls.DIRECTIVES = tuple(rows)
        return cast(SettingsT, dataclass(frozen=True, slots=True, kw_only=True)(cls))

    return decorate


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
    """A directive with a block."""
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
