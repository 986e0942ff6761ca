"""Read a file into a tree of statements with their comments.

A comment on a line of its own belongs to the statement that follows, one behind a statement to
that. Included files are not read: their names stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..config.reader import items_of
from ..config.tokens import comments as nginx_comments
from ..config.toml_lines import comments as toml_comments
from ..config.tree import BlockEnd, Statement

EMPTY_LINE = "\n"


@dataclass(slots=True, eq=False)
class SourceNode:
    """A statement; a block has those inside."""

    name: str
    args: tuple[str, ...]
    line: int
    """The line where it ends, or where its block opens."""
    inside: list[SourceNode] | None = None
    before: list[str] = field(default_factory=list)
    """The comments on lines of their own above it, without `#`; `EMPTY_LINE` for such a line."""
    behind: str = ""
    """The comment behind it, without `#`."""
    tail: list[str] = field(default_factory=list)
    """The comments at the end of its block."""

    @property
    def children(self) -> list[SourceNode]:
        return [] if self.inside is None else self.inside

    def walk(self) -> Iterator[SourceNode]:
        """All statements below this one, in file order."""
        pending = list(reversed(self.children))
        while pending:
            node = pending.pop()
            yield node
            pending += reversed(node.children)


@dataclass(frozen=True, slots=True)
class Comment:
    line: int
    text: str
    """Without `#`."""
    is_alone: bool
    """Whether nothing else stands on its line."""


def read_source(text: str, file: str) -> SourceNode:
    """The tree of a file; `text` has one character a byte. Raises `ConfigError`."""
    is_toml = file.endswith(".toml")
    root = SourceNode("main", (), 0, [])
    open_blocks = [root]
    steps: list[_Step] = []
    for item in items_of(text, file, unknown=True):
        if isinstance(item, Statement):
            is_added = is_toml and item.name == "events" and item.place.line == 1
            line = 0 if is_added and "[events]" not in text else item.place.line
            node = SourceNode(item.name, item.args, line, [] if item.opens_block else None)
            open_blocks[-1].children.append(node)
            first = node.line if is_toml else 1 + text.count("\n", 0, item.start)
            steps.append(_Step(node.line, first, node))
            if item.opens_block:
                open_blocks.append(node)
        elif isinstance(item, BlockEnd):
            node = open_blocks.pop()
            if not is_toml:  # there a block has no end
                steps.append(_Step(item.place.line, item.place.line, node, ends=True))
    empty = {number for number, line in enumerate(text.split("\n"), 1) if not line.strip()}
    _attach(root, steps, list(_comments(text, is_toml=is_toml)), empty)
    _move_events(root)
    return root


@dataclass(frozen=True, slots=True)
class _Step:
    """A statement of the file, or the end of a block."""

    line: int
    first_line: int
    node: SourceNode
    ends: bool = False


def _move_events(root: SourceNode) -> None:
    """Put the `events {}` that the reader of TOML adds at the end before the other blocks."""
    last = root.children[-1] if root.children else None
    if last is not None and last.name == "events" and not last.children:
        blocks = [index for index, node in enumerate(root.children) if node.inside is not None]
        root.children.insert(blocks[0], root.children.pop())


def _comments(text: str, *, is_toml: bool) -> Iterator[Comment]:
    found = toml_comments(text) if is_toml else nginx_comments(text)
    for start, comment in found:
        before = text[text.rfind("\n", 0, start) + 1 : start]
        line = 1 + text.count("\n", 0, start)
        yield Comment(line, comment.removeprefix("#").rstrip(), not before.strip())


def _attach(
    root: SourceNode, steps: Sequence[_Step], comments: Sequence[Comment], empty: set[int]
) -> None:
    """Give each comment to a statement; `empty` are the numbers of empty lines."""
    # The reader of TOML yields simple statements before blocks, not in the order of the file.
    ordered = sorted(steps, key=lambda step: step.line)
    for comment in comments:
        if not comment.is_alone:
            same = [step.node for step in ordered if step.line == comment.line and not step.ends]
            if same and not same[-1].behind:
                same[-1].behind = comment.text
                continue
        following = next((step for step in ordered if step.line > comment.line), None)
        if following is None:
            target = root.tail
        else:
            target = following.node.tail if following.ends else following.node.before
        if comment.line - 1 in empty:
            target.append(EMPTY_LINE)
        target.append(comment.text)
    for step in ordered:
        if not step.ends and step.first_line - 1 in empty:
            step.node.before.append(EMPTY_LINE)


def tidy(lines: Sequence[str]) -> Iterator[str]:
    """The lines with single empty ones between them, and none after `{` or before `}`."""
    previous = ""
    for index, line in enumerate(lines):
        following = lines[index + 1].strip() if index + 1 < len(lines) else ""
        if not line and (not previous or previous.endswith("{") or following in ("", "}")):
            continue
        previous = line
        yield line
