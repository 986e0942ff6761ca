"""Write a tree of statements as nginx.conf."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .quoting import nginx_words
from .source import EMPTY_LINE, SourceNode, tidy

INDENT = "    "


def nginx_text(root: SourceNode) -> str:
    """The text of a file; one character a byte."""
    lines = list(nginx_lines(root.children, root.tail))
    return "".join(f"{line}\n" for line in tidy(lines))


def nginx_lines(
    nodes: Sequence[SourceNode], tail: Sequence[str] = (), depth: int = 0
) -> Iterator[str]:
    """The lines of the statements of one block, with its last comments."""
    indent = INDENT * depth
    previous: SourceNode | None = None
    for node in nodes:
        is_block = node.inside is not None
        if previous is not None and (is_block or previous.inside is not None):
            yield ""
        for comment in node.before:
            yield _comment(indent, comment)
        words = nginx_words((node.name, *node.args))
        behind = f" #{node.behind}" if node.behind else ""
        if not is_block:
            yield f"{indent}{words};{behind}"
        else:
            yield f"{indent}{words} {{{behind}"
            yield from nginx_lines(node.children, node.tail, depth + 1)
            yield f"{indent}}}"
        previous = node
    for comment in tail:
        yield _comment(indent, comment)


def _comment(indent: str, text: str) -> str:
    if text == EMPTY_LINE:
        return ""
    return f"{indent}#{text}".rstrip()
