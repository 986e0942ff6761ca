"""Statements → a tree of blocks, each statement checked against the table as it arrives.

nginx reports the first error in file order, whatever its kind. So this is one loop over the
items of either reader, and whoever knows more than a row does (`checks`) is told of every
statement and of every block's two ends while they pass. Nothing recurses: blocks and included
files are two stacks.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

from ..message import ConfigError, Level
from .directives import registry
from .directives.directive import (
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
from .tokens import read_statements
from .toml import read_toml
from .tree import COMMAND_LINE, BlockEnd, FileEnd, Item, Place, Statement, c_string

ROOT = Directive(
    "main", MAIN, at_least(0), ignore, "what stands outside of all blocks", opens_context=MAIN
)


@dataclass(slots=True, eq=False)
class Block:
    """A block with what it says; filled while it is read."""

    row: Directive
    value: Any
    """What the row made of the arguments behind the block's name."""
    place: Place
    """Of the `{`."""
    end: Place
    """Of the `}`."""
    values: dict[str, Any] = field(default_factory=dict)
    """By directive; where it may be repeated, a list while the block is read, then a tuple."""
    blocks: list[Block] = field(default_factory=list)

    @property
    def context(self) -> Context:
        assert self.row.opens_context is not None
        return self.row.opens_context

    def named(self, name: str) -> Iterator[Block]:
        """The blocks called `name` in here, in file order."""
        return (block for block in self.blocks if block.row.name == name)


class Checks(Protocol):
    """What is looked at while the configuration is read, beyond a statement's own row."""

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
    """How many blocks were open around it."""
    waiting: list[str] = field(default_factory=list)
    """What else the same `include` means, the next one last."""
    place: Place | None = None
    """Of that `include`."""


class Reader:
    """Reads items into `root`; several main files, as `-g` and the configuration are, add up."""

    def __init__(self, checks: Checks, conf_prefix: str = "", *, any_port: bool = False) -> None:
        self.any_port = any_port
        self.root = Block(ROOT, (), Place("", 0), Place("", 0))
        self.texts: dict[str, str] = {}
        """Every file that was read with its text, in the order of their opening."""
        self._checks = checks
        self._conf_prefix = conf_prefix
        self._open = [self.root]
        self._sources: list[_Source] = []

    def read(self, file: str, items: Iterator[Item]) -> None:
        """Read `items` to their end; raises `ConfigError` for the first that is wrong."""
        self._sources.append(_Source(file, items, len(self._open)))
        while self._sources:
            source = self._sources[-1]
            item = next(source.items)
            if isinstance(item, Statement):
                self._statement(item)
            elif isinstance(item, BlockEnd):
                if len(self._open) == source.depth:
                    raise item.place.error('unexpected "}"')
                self._close(item.place)
            else:
                self._end_of_file(item, source)

    def load(self, file: str, place: Place | None = None) -> str:
        """The text of `file`, kept for `-T`."""
        text = self.texts.get(file)
        if text is None:
            text = self.texts[file] = _read_text(file, place)
        return text

    def finish(self) -> Block:
        """The whole tree, closed."""
        _freeze(self.root)
        return self.root

    def _statement(self, statement: Statement) -> None:
        inside = self._open[-1]
        if inside.context in (TYPES, TABLE):
            self._entry(statement)
            return
        name = c_string(statement.name)
        place = statement.place
        row = self._row(statement, name, inside.context)
        if row.opens_context is None and statement.opens_block:
            raise place.error(f'directive "{name}" is not terminated by ";"')
        if row.opens_context is not None and not statement.opens_block:
            raise place.error(f'directive "{name}" has no opening "{{"')
        if len(statement.args) not in row.arity:
            raise place.error(f'invalid number of arguments in "{name}" directive')
        if row.status in (Status.NOT_YET, Status.REFUSED):
            _refuse(row, place)
        if row.repeat is Repeat.REFUSED and row.key in inside.values:
            raise place.error(f'"{name}" directive is duplicate')
        if row.name == "include":
            self._include(statement.args[0], place)
            return
        args = Args(row.name, statement.args, place, inside.value, self.any_port)
        value = row.slot(args)
        if row.opens_context is None:
            self._checks.on_directive(row, value, args, inside)
            _keep(inside.values, row, value)
            return
        block = Block(row, value, place, place)
        self._checks.on_block_open(block, inside)
        if row.repeat is Repeat.REFUSED:
            inside.values[row.key] = value
        elif row.field:
            _keep(inside.values, row, block.values if block.context is TYPES else block)
        inside.blocks.append(block)
        self._open.append(block)

    def _row(self, statement: Statement, name: str, context: Context) -> Directive:
        place = statement.place
        if statement.opens_block and place.file == COMMAND_LINE:
            raise place.error("block directives are not supported in -g option")
        row = registry.find(statement.name, context)
        if row is not None:
            return row
        if statement.name in registry.BY_NAME:
            raise place.error(f'"{name}" directive is not allowed here')
        raise place.error(f'unknown directive "{name}"')

    def _entry(self, statement: Statement) -> None:
        """A line of `types {}` or of another table, which is no directive."""
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

    def _include(self, mask: str, place: Place) -> None:
        files = find_files(os.path.join(self._conf_prefix, c_string(mask)))
        self._enter(files[::-1], place)

    def _enter(self, files: list[str], place: Place | None) -> None:
        """Go on with the last of `files`, and with the others once it is read."""
        if not files:
            return
        file = files.pop()
        if any(file == source.file for source in self._sources):
            raise (place or Place(file, 0)).error(f'"{file}" includes itself')
        items = items_of(self.load(file, place), file, self._open[-1].context)
        self._sources.append(_Source(file, items, len(self._open), files, place))

    def _close(self, place: Place) -> None:
        block = self._open.pop()
        block.end = place
        _freeze(block)
        self._checks.on_block_close(block, self._open[-1])

    def _end_of_file(self, item: FileEnd, source: _Source) -> None:
        if len(self._open) > source.depth:
            raise item.place.error('unexpected end of file, expecting "}"')
        self._sources.pop()
        self._enter(source.waiting, source.place)


def items_of(
    text: str, file: str, context: Context = MAIN, *, toml: bool | None = None
) -> Iterator[Item]:
    """The items of a file that stands in `context`; `*.toml` is TOML, unless `toml` says it."""
    if file.endswith(".toml") if toml is None else toml:
        return read_toml(text, file, context)
    return read_statements(text, file)


def find_files(mask: str) -> list[str]:
    """The files that an `include` means: the name itself, or what a mask matches, sorted."""
    if not re.search(r"[*?\[]", mask):
        return [mask]
    return [file.decode("latin-1") for file in sorted(glob.glob(mask.encode("latin-1")))]


def _read_text(file: str, place: Place | None) -> str:
    operation = "open()"
    try:
        # Unbuffered and without O_NONBLOCK a pipe would be waited for. As many bytes are read
        # as fstat tells, which is none for a pipe: nginx has it so.
        descriptor = os.open(file.encode("latin-1"), os.O_RDONLY | os.O_NONBLOCK)
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


def _keep(values: dict[str, Any], row: Directive, value: Any) -> None:
    if row.repeat is Repeat.APPENDED:
        values.setdefault(row.key, []).append(value)
    elif row.repeat is Repeat.MERGED:
        values[row.key] = values.get(row.key, frozenset()) | value
    else:
        values[row.key] = value


def _freeze(block: Block) -> None:
    for name, value in block.values.items():
        if isinstance(value, list):
            block.values[name] = tuple(value)


def _refuse(row: Directive, place: Place) -> NoReturn:
    if row.status is Status.REFUSED:
        raise place.error(f'"{row.name}" directive is not supported by sniproxy: {row.doc}')
    raise place.error(f'"{row.name}" directive is not supported by sniproxy yet')
