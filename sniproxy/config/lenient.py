"""A configuration read leniently: statements with their places, whatever they are called.

The house's own readers split the text; nothing is checked against the table, so that files of
nginx's with modules and directives that we do not run can be looked at too. What does not make
sense by itself is passed over. Pure but for the files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..message import ConfigError
from .reader import find_files, items_of
from .tree import BlockEnd, Item, Place, Statement


@dataclass(slots=True, eq=False)
class StatementNode:
    """A statement, with those inside if it opens a block."""

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
        """The statements called so in here, in file order."""
        return (node for node in self.inside if node.name == name)


@dataclass(slots=True)
class ParsedConfig:
    """A whole configuration."""

    file: str
    texts: dict[str, str]
    """Every file that was read, one character a byte."""
    root: StatementNode
    skipped: list[str]
    """What could not be looked at."""


def parse_lenient(file: str, instead: Mapping[str, str] | None = None) -> ParsedConfig:
    """Read `file` and what it includes; `instead` has texts that take the place of files'.

    Raises `ConfigError` for a file that can not be split into statements, or not be read.
    """
    return _Reading(file, dict(instead or {})).read()


class _Reading:
    def __init__(self, file: str, texts: dict[str, str]) -> None:
        self.folder = os.path.dirname(file)
        self.given = texts
        self.parsed = ParsedConfig(
            file, {}, StatementNode(Statement("main", (), Place(file, 0))), []
        )

    def read(self) -> ParsedConfig:
        file = self.parsed.file
        open_blocks = [self.parsed.root]
        sources = [(file, self.items(file), 1)]
        while sources:
            name, items, depth = sources[-1]
            item = next(items, None)
            if isinstance(item, Statement):
                node = StatementNode(item)
                open_blocks[-1].inside.append(node)
                if item.opens_block:
                    open_blocks.append(node)
                elif item.name == "include" and len(item.args) == 1:
                    for path in reversed(self.included(item, [entry[0] for entry in sources])):
                        sources.append((path, self.items(path), len(open_blocks)))
            elif isinstance(item, BlockEnd):
                if len(open_blocks) == depth:
                    raise item.place.error('unexpected "}"')
                open_blocks.pop()
            else:
                if len(open_blocks) > depth:
                    raise Place(name, self.parsed.texts[name].count("\n") + 1).error(
                        'unexpected end of file, expecting "}"'
                    )
                sources.pop()
        return self.parsed

    def items(self, file: str) -> Iterator[Item]:
        text = self.given.get(file)
        if text is None:
            try:
                with open(file.encode("latin-1"), "rb") as opened:
                    text = opened.read().decode("latin-1")
            except OSError as error:
                raise ConfigError(f'open() "{file}" failed', errno=error.errno) from None
        self.parsed.texts[file] = text
        toml = file.endswith(".toml")
        return items_of(text if toml else blank_lua_blocks(text), file)

    def included(self, statement: Statement, around: list[str]) -> list[str]:
        mask = os.path.join(self.folder, statement.args[0])
        files = []
        for file in find_files(mask):
            if file in around:
                raise statement.place.error(f'"{file}" includes itself')
            if file in self.given or os.access(file.encode("latin-1"), os.R_OK):
                files.append(file)
            else:
                self.parsed.skipped.append(f"{statement.place}: {file} can not be read")
        return files


_LUA = re.compile(r"^[ \t]*\w+_by_lua_block\b[^\n{;]*\{", re.MULTILINE)
_LUA_TOKEN = re.compile(r"""--[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[{}]""")


def blank_lua_blocks(text: str) -> str:
    """`text` with blanks for what is inside `…_by_lua_block {}`, which is another language."""
    done = 0
    parts = []
    for opening in _LUA.finditer(text):
        if opening.end() <= done:
            continue
        end = _lua_end(text, opening.end())
        parts += [text[done : opening.end()], re.sub(r"[^\n]", " ", text[opening.end() : end])]
        done = end
    return "".join([*parts, text[done:]])


def _lua_end(text: str, start: int) -> int:
    """The offset of the brace that closes a block."""
    depth = 1
    for token in _LUA_TOKEN.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if not depth:
            return token.start()
    return len(text)
