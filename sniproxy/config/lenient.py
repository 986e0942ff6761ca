"""Read a configuration leniently: statements with their places, whatever their names.

Nothing is checked against the directive table, so configurations of nginx with modules and
directives that sniproxy lacks can be examined. What cannot be read is skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .reader import TreeReader, find_files, items_of
from .tree import Item, Place, Statement


@dataclass(slots=True, eq=False)
class StatementNode:
    """A statement, with the nested statements if it opens a block."""

    statement: Statement
    inside: list[StatementNode] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.statement.name

    @property
    def args(self) -> tuple[str, ...]:
        return self.statement.args

    @property
    def place(self) -> Place:
        return self.statement.place

    def named(self, name: str) -> Iterator[StatementNode]:
        """The directly nested statements with this name, in file order."""
        return (node for node in self.inside if node.name == name)

    def walk(self) -> Iterator[tuple[StatementNode, tuple[StatementNode, ...]]]:
        """All nested statements in file order, each with the blocks around it, this one first."""
        pending: list[tuple[StatementNode, tuple[StatementNode, ...]]] = [
            (node, (self,)) for node in reversed(self.inside)
        ]
        while pending:
            node, blocks = pending.pop()
            yield node, blocks
            pending += [(inner, (*blocks, node)) for inner in reversed(node.inside)]


@dataclass(slots=True)
class ParsedConfig:
    """A configuration as a tree of statements."""

    file: str
    texts: dict[str, str]
    """The text of each file read, one character per byte."""
    root: StatementNode
    skipped: list[str]
    """Messages about what could not be read."""


def parse_lenient(file: str, replacements: Mapping[str, str] | None = None) -> ParsedConfig:
    """Read `file` and the files it includes; `replacements` are texts used instead of files'.

    Raises `ConfigError` for a file that cannot be split into statements, and if `file` itself
    cannot be read.
    """
    reader = LenientReader(file, replacements or {})
    reader.read(file, reader.items(file))
    return ParsedConfig(file, reader.texts, reader.root, reader.skipped)


class LenientReader(TreeReader[StatementNode]):
    """The lenient reader; unreadable included files are skipped."""

    def __init__(self, file: str, replacements: Mapping[str, str]) -> None:
        root = StatementNode(Statement("main", (), Place(file, 0)))
        super().__init__(root, os.path.dirname(file))
        self.skipped: list[str] = []
        self._replacements = replacements

    def load(self, file: str, place: Place | None = None) -> str:
        if file in self._replacements:
            self.texts[file] = self._replacements[file]
        return super().load(file, place)

    def items(self, file: str, place: Place | None = None) -> Iterator[Item]:
        """The items of `file`."""
        return items_of(self.load(file, place), file, unknown=True)

    _items = items

    def _statement(self, statement: Statement) -> None:
        node = StatementNode(statement)
        self._open[-1].inside.append(node)
        if statement.opens_block:
            self._open.append(node)
        elif statement.name == "include" and len(statement.args) == 1:
            self._include(statement.args[0], statement.place)

    def _include(self, mask: str, place: Place) -> None:
        files = []
        for file in find_files(os.path.join(self._conf_prefix, mask)):
            if file in self._replacements or os.access(file.encode("latin-1"), os.R_OK):
                files.append(file)
            else:
                self.skipped.append(f"{place}: {file} cannot be read")
        self._enter(files[::-1], place)
