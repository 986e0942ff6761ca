"""Build a tree of blocks from statements, checking each against the directive table.

nginx reports the first error in file order, whatever its kind. So there is one loop over the
items of all files, and `Checks`, which see more than one statement, are called for each
statement and for the beginning and end of each block. Open blocks and included files are kept
on two stacks instead of by recursion, so that their nesting is not limited.

`TreeReader` is the loop, `Reader` the strict reader; `lenient` reads what it does not know too.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from ..models import ConfigError, Level
from ..system import READ
from .directives import registry
from .directives.directive import (
    LEFT_OUT,
    LIMIT_EXCEPT,
    LOCATION,
    LOCATION_IF,
    MAIN,
    TABLE,
    TYPES,
    Args,
    Context,
    Directive,
    Repeat,
    Status,
    at_least,
)
from .directives.slots import ignore
from .omissions import Omissions, makes_content
from .tokens import read_statements
from .toml import read_toml
from .tree import COMMAND_LINE, BlockEnd, FileEnd, Item, Place, Statement, c_string

ROOT = Directive(
    "main", MAIN, at_least(0), ignore, "what stands outside of all blocks", opens_context=MAIN
)
_LEFT_OUT = Directive(
    "", LEFT_OUT, at_least(0), ignore, "a block that is left out", opens_context=LEFT_OUT
)
_LOCATIONS = (LOCATION, LOCATION_IF, LIMIT_EXCEPT)
MISSING_CONTENT = "missing content"
"""Key, among the values of a location, of the directive that would have made its content."""


@dataclass(slots=True, eq=False)
class Block:
    """A block and its directives; filled while it is read."""

    row: Directive
    value: Any
    """The block's arguments, as parsed by its row."""
    place: Place
    """The place of the `{`."""
    end: Place
    """The place of the `}`."""
    values: dict[str, Any] = field(default_factory=dict)
    """Values by directive. Repeatable ones are a list while the block is read, then a tuple."""
    blocks: list[Block] = field(default_factory=list)

    @property
    def context(self) -> Context:
        assert self.row.opens_context is not None
        return self.row.opens_context

    def named(self, name: str) -> Iterator[Block]:
        """The directly nested blocks with this name, in file order."""
        return (block for block in self.blocks if block.row.name == name)


class Checks(Protocol):
    """Checks of a configuration that involve more than a statement's own row."""

    def on_directive(self, row: Directive, value: Any, args: Args, inside: Block) -> None: ...
    def on_block_open(self, block: Block, inside: Block) -> None: ...
    def on_block_close(self, block: Block, inside: Block) -> None: ...
    def on_entry(self, statement: Statement, block: Block, inside: Block) -> None: ...


@dataclass(slots=True)
class _Source:
    """A file that is being read."""

    file: str
    items: Iterator[Item]
    depth: int
    """The number of blocks that were open when the file was entered."""
    waiting: list[str] = field(default_factory=list)
    """Remaining files matched by the same `include`, in reverse order."""
    place: Place | None = None
    """The place of that `include`."""


B = TypeVar("B")


class TreeReader(Generic[B]):
    """Reads a file, and the files that it includes, into a tree of blocks of type `B`.

    Several main files add up: `-g` is read before the configuration.
    """

    def __init__(self, root: B, conf_prefix: str = "") -> None:
        self.root = root
        self.texts: dict[str, str] = {}
        """The text of each file read, one character per byte, in the order of opening."""
        self.include_masks: list[str] = []
        """The names with wildcards that were included."""
        self._conf_prefix = conf_prefix
        self._open = [root]
        self._sources: list[_Source] = []

    def read(self, file: str, items: Iterator[Item]) -> None:
        """Read all `items`; raises `ConfigError` for the first invalid one."""
        self._sources.append(_Source(file, items, len(self._open)))
        while self._sources:
            source = self._sources[-1]
            item = next(source.items)
            if isinstance(item, Statement):
                self._statement(item)
            elif isinstance(item, BlockEnd):
                if len(self._open) == source.depth:
                    raise item.place.error('unexpected "}"')
                self._closed(self._open.pop(), item.place)
            else:
                self._end_of_file(item, source)

    def load(self, file: str, place: Place | None = None) -> str:
        """The text of `file`, included at `place`; kept for `-T`. Raises `ConfigError`."""
        text = self.texts.get(file)
        if text is None:
            text = self.texts[file] = _read_text(file, place)
        return text

    def _statement(self, statement: Statement) -> None:
        raise NotImplementedError

    def _closed(self, block: B, place: Place) -> None:
        """Called for each block that has been read, at the place of its `}`."""

    def _items(self, file: str, place: Place | None) -> Iterator[Item]:
        """The items of an included file."""
        return items_of(self.load(file, place), file)

    def _include(self, mask: str, place: Place) -> None:
        path = os.path.join(self._conf_prefix, c_string(mask))
        files = find_files(path)
        if files != [path]:
            self.include_masks.append(path)
        self._enter(files[::-1], place)

    def _enter(self, files: list[str], place: Place | None) -> None:
        """Continue with the last of `files`, and with the others when it has been read."""
        if not files:
            return
        file = files.pop()
        if any(file == source.file for source in self._sources):
            raise (place or Place(file, 0)).error(f'"{file}" includes itself')
        items = self._items(file, place)
        self._sources.append(_Source(file, items, len(self._open), files, place))

    def _end_of_file(self, item: FileEnd, source: _Source) -> None:
        if len(self._open) > source.depth:
            raise item.place.error('unexpected end of file, expecting "}"')
        self._sources.pop()
        self._enter(source.waiting, source.place)


class Reader(TreeReader[Block]):
    """The strict reader: refuses what nginx refuses, with nginx's messages."""

    def __init__(
        self,
        checks: Checks,
        omissions: Omissions,
        conf_prefix: str = "",
        *,
        any_port: bool = False,
    ) -> None:
        super().__init__(Block(ROOT, (), Place("", 0), Place("", 0)), conf_prefix)
        self.any_port = any_port
        self._checks = checks
        self._omissions = omissions

    def finish(self) -> Block:
        """Complete the tree and return its root."""
        freeze_values(self.root.values)
        return self.root

    def _statement(self, statement: Statement) -> None:
        inside = self._open[-1]
        if inside.context in (TYPES, TABLE):
            self._entry(statement)
            return
        name = c_string(statement.name)
        place = statement.place
        if inside.context is LEFT_OUT:
            if statement.opens_block:
                self._open.append(Block(_LEFT_OUT, None, place, place))
            return
        row = self._row(statement, name, inside.context)
        if row is None:
            self._leave_out(f'unknown directive "{name}"', statement, inside)
            return
        if row.opens_context is None and statement.opens_block:
            raise place.error(f'directive "{name}" is not terminated by ";"')
        if row.opens_context is not None and not statement.opens_block:
            raise place.error(f'directive "{name}" has no opening "{{"')
        if len(statement.args) not in row.arity:
            raise place.error(f'invalid number of arguments in "{name}" directive')
        if row.status in (Status.NOT_YET, Status.REFUSED):
            self._leave_out(_refusal(row), statement, inside)
            return
        if row.repeat is Repeat.REFUSED and row.key in inside.values:
            raise place.error(f'"{name}" directive is duplicate')
        if row.name == "include":
            self._include(statement.args[0], place)
            return
        args = Args(row.name, statement.args, place, inside.value, self.any_port, self._omissions)
        value = row.slot(args)
        if row.opens_context is None:
            self._checks.on_directive(row, value, args, inside)
            store_value(inside.values, row, value)
            if row.name == "unsupported":
                self._omissions.allow(value)
            return
        block = Block(row, value, place, place)
        self._checks.on_block_open(block, inside)
        if row.repeat is Repeat.REFUSED:
            inside.values[row.key] = value
        elif row.field:
            store_value(inside.values, row, block.values if block.context is TYPES else block)
        inside.blocks.append(block)
        self._open.append(block)

    def _leave_out(self, message: str, statement: Statement, inside: Block) -> None:
        """Leave out a statement; raises `UnsupportedError` unless the configuration allows it."""
        name, place = c_string(statement.name), statement.place
        if inside.context in _LOCATIONS and makes_content(name):
            self._omissions.add(message, place, name, effect="the location answers 501")
            inside.values[MISSING_CONTENT] = name
        else:
            self._omissions.add(message, place, name)
        if statement.opens_block:
            self._open.append(Block(_LEFT_OUT, None, place, place))

    def _row(self, statement: Statement, name: str, context: Context) -> Directive | None:
        """The row of a statement; None if no directive has this name. Raises `ConfigError`."""
        place = statement.place
        if statement.opens_block and place.file == COMMAND_LINE:
            raise place.error("block directives are not supported in -g option")
        row = registry.find(statement.name, context)
        if row is not None:
            return row
        if registry.is_known(statement.name):
            raise place.error(f'"{name}" directive is not allowed here')
        return None

    def _entry(self, statement: Statement) -> None:
        """An entry of `types {}` or of another table; not a directive."""
        if statement.opens_block:
            raise statement.place.error('unexpected "{"')
        inside = self._open[-1]
        if statement.name == "include" and (inside.context is TYPES or inside.value.includes):
            if len(statement.args) == 1:
                self._include(statement.args[0], statement.place)
                return
            if inside.context is TYPES:
                raise statement.place.error('invalid number of arguments in "include" directive')
        self._checks.on_entry(statement, inside, self._open[-2])

    def _items(self, file: str, place: Place | None) -> Iterator[Item]:
        return self.items(self.load(file, place), file, self._open[-1].context)

    def items(
        self, text: str, file: str, context: Context = MAIN, *, toml: bool | None = None
    ) -> Iterator[Item]:
        """The items of a file, as `items_of`."""
        return items_of(text, file, context, toml=toml, unknown=self._omissions.allowed)

    def _closed(self, block: Block, place: Place) -> None:
        if block.row is _LEFT_OUT:
            return
        block.end = place
        freeze_values(block.values)
        self._checks.on_block_close(block, self._open[-1])


def items_of(
    text: str,
    file: str,
    context: Context = MAIN,
    *,
    toml: bool | None = None,
    unknown: bool = False,
) -> Iterator[Item]:
    """The items of a file read in `context`; TOML if named `*.toml`, unless `toml` is given.

    `unknown` is whether names that are no directives are items too; in nginx.conf they always are.
    """
    if file.endswith(".toml") if toml is None else toml:
        return read_toml(text, file, context, unknown=unknown)
    return read_statements(text, file)


def is_lenient(items: Iterator[Item]) -> bool:
    """Whether the items of a main file have `unsupported warn` outside of all blocks."""
    depth, found = 0, False
    try:
        for item in items:
            if isinstance(item, BlockEnd):
                depth -= 1
            elif isinstance(item, Statement):
                if not depth and item.name == "unsupported":
                    found = item.args == ("warn",)
                depth += item.opens_block
    except ConfigError:
        pass  # The reader reports it.
    return found


def find_files(mask: str) -> list[str]:
    """The files matched by an `include`, sorted; a name without wildcards matches itself."""
    if not re.search(r"[*?\[]", mask):
        return [mask]
    return [file.decode("latin-1") for file in sorted(glob.glob(mask.encode("latin-1")))]


def _read_text(file: str, place: Place | None) -> str:
    operation = "open()"
    try:
        # O_NONBLOCK, since opening a pipe would wait for a writer. As in nginx, as many bytes are
        # read as fstat reports: none for a pipe.
        descriptor = os.open(file.encode("latin-1"), READ)
        operation = "pread()"
        try:
            return _read_all(descriptor, os.fstat(descriptor).st_size).decode("latin-1")
        finally:
            os.close(descriptor)
    except OSError as error:
        message = f'{operation} "{file}" failed'
        if operation == "pread()":
            raise ConfigError(message, errno=error.errno, level=Level.CRIT) from None
        if place is None:
            raise ConfigError(message, errno=error.errno) from None
        raise place.error(message, error.errno) from None


def _read_all(descriptor: int, size: int) -> bytes:
    text = bytearray()
    while len(text) < size and (piece := os.read(descriptor, size - len(text))):
        text += piece
    return bytes(text)


def store_value(values: dict[str, Any], row: Directive, value: Any) -> None:
    """Add a directive's value to those of its block, as the row's `repeat` says."""
    if row.repeat is Repeat.APPENDED:
        values.setdefault(row.key, []).append(value)
    elif row.repeat is Repeat.MERGED:
        values[row.key] = values.get(row.key, frozenset()) | value
    else:
        values[row.key] = value


def freeze_values(values: dict[str, Any]) -> None:
    """Make tuples of the lists in `values`, when the block has been read."""
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)


def _refusal(row: Directive) -> str:
    if row.status is Status.REFUSED:
        return f'"{row.name}" directive is not supported by sniproxy: {row.doc}'
    return f'"{row.name}" directive is not supported by sniproxy yet'
