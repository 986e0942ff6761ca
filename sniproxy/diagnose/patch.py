"""Edits of a configuration's text that change directives and nothing else (pure).

nginx.conf is edited at the offsets of its statements, TOML by lines. `ManualEditError` is
raised for edits that would need guessing.
"""

from __future__ import annotations

import difflib
import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..config.directives.upstream_tls import ConnectionSettings
from ..config.lenient import StatementNode
from ..forms.nginx_text import toml_key, toml_line, toml_text, toml_value
from .directives import SuggestedDirective, changes
from .pass_sites import PassSite

KEYED_DIRECTIVES = frozenset(
    {
        "proxy_set_header",
        "proxy_ssl_conf_command",
        "grpc_ssl_conf_command",
        "uwsgi_ssl_conf_command",
    }
)
"""Repeatable directives, keyed by their first argument."""


class ManualEditError(Exception):
    """An edit has to be made manually; `str()` describes it."""


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Replace the text between two offsets of a file by `text`."""

    file: str
    start: int
    end: int
    text: str


def edits_for(site: PassSite, wanted: ConnectionSettings, texts: Mapping[str, str]) -> list[Edit]:
    """The edits that give `site` the settings `wanted`. Raises `ManualEditError`."""
    directives = list(changes(site.settings, wanted))
    file = site.node.place.file
    if file.endswith(".toml"):
        return list(_toml_edits(site, directives, texts[file]))
    return list(_nginx_edits(site, directives, texts))


def rename_edit(node: StatementNode, name: str, texts: Mapping[str, str]) -> Edit:
    """Rename a directive. Raises `ManualEditError`."""
    file, text = node.place.file, texts[node.place.file]
    if file.endswith(".toml"):
        start, end = _line(text, node.place.line)
        found = re.search(rf"(?<![\w-]){re.escape(node.name)}(?=\"?\s*=)", text[start:end])
        if found is None:
            raise ManualEditError(f"{node.place}: {name} instead of {node.name}")
        return Edit(file, start + found.start(), start + found.end(), name)
    start = node.statement.start
    quoted = text[start] in "\"'"
    length = len(node.name) + 2 * quoted
    if text[start : start + length].strip("\"'") != node.name:
        raise ManualEditError(f"{node.place}: {name} instead of {node.name}")
    return Edit(file, start, start + length, name)


def url_edit(site: PassSite, url: str, texts: Mapping[str, str]) -> Edit:
    """Change the URL of `proxy_pass`. Raises `ManualEditError`."""
    file, text = site.node.place.file, texts[site.node.place.file]
    if file.endswith(".toml"):
        start, end = _line(text, site.node.place.line)
    else:
        start, end = site.node.statement.start, site.node.statement.end
    offset = text.find(site.target.url, start, end)
    if offset < 0:
        raise ManualEditError(f"{site.node.place}: proxy_pass {url}")
    return Edit(file, offset, offset + len(site.target.url), url)


# --- nginx.conf ------------------------------------------------------------------------------


def _nginx_edits(
    site: PassSite, directives: Sequence[SuggestedDirective], texts: Mapping[str, str]
) -> Iterator[Edit]:
    new: list[str] = []
    for directive in directives:
        here = list(site.settings_block.named(directive.name))
        if directive.name in KEYED_DIRECTIVES:
            same = [node for node in here if node.args[:1] == directive.args[:1]]
            if any(node.args == directive.args for node in same):
                continue
            here = same
        if here:
            yield _replace_edit(here[-1], directive)
        else:
            new.append(directive.text("nginx"))
    if new and site.block is not site.settings_block:
        inner = site.blocks[site.blocks.index(site.settings_block) + 1]
        yield _insert_before_edit(texts[inner.place.file], inner, new)
    elif new:
        file = site.node.place.file
        yield _insert_edit(file, texts[file], site.node, new)


def insert_edit(node: StatementNode, lines: Sequence[str], texts: Mapping[str, str]) -> Edit:
    """Insert statements after `node`. Raises `ManualEditError`."""
    file = node.place.file
    if file.endswith(".toml"):
        raise ManualEditError(f"{node.place}: {' '.join(lines)}")
    return _insert_edit(file, texts[file], node, lines)


def replace_edit(node: StatementNode, text: str, texts: Mapping[str, str]) -> Edit:
    """Replace a whole statement by `text`. Raises `ManualEditError`."""
    if node.place.file.endswith(".toml"):
        raise ManualEditError(f"{node.place}: {text}")
    return Edit(node.place.file, node.statement.start, node.statement.end, text)


def _insert_before_edit(text: str, node: StatementNode, lines: Sequence[str]) -> Edit:
    """Insert statements before a statement, each on a line of its own."""
    start = node.statement.start
    line_start = text.rfind("\n", 0, start) + 1
    indentation = text[line_start:start]
    separator = " " if indentation.strip() else f"\n{indentation}"
    added = "".join(f"{line}{separator}" for line in lines)
    return Edit(node.place.file, start, start, added)


def _replace_edit(node: StatementNode, directive: SuggestedDirective) -> Edit:
    statement = node.statement
    return Edit(node.place.file, statement.start, statement.end, directive.text("nginx"))


def _insert_edit(file: str, text: str, after: StatementNode, lines: Sequence[str]) -> Edit:
    """Insert statements after a statement; on lines of their own if that one is on its own line."""
    statement = after.statement
    line_start = text.rfind("\n", 0, statement.start) + 1
    indentation = text[line_start : statement.start]
    line_end = text.find("\n", statement.end)
    line_end = len(text) if line_end < 0 else line_end
    rest = text[statement.end : line_end].strip()
    if indentation.strip() or (rest and not rest.startswith("#")):
        return Edit(file, statement.end, statement.end, "".join(f" {line}" for line in lines))
    newline = "\r\n" if text[line_end - 1 : line_end] == "\r" else "\n"
    at = line_end - (newline == "\r\n")
    added = "".join(f"{newline}{indentation}{line}" for line in lines)
    return Edit(file, at, at, added)


# --- TOML ------------------------------------------------------------------------------------

_TOML_STRING = r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_TOML_SIMPLE = rf"(?:{_TOML_STRING}|true|false|[0-9]+)"


def _toml_edits(
    site: PassSite, directives: Sequence[SuggestedDirective], text: str
) -> Iterator[Edit]:
    file = site.node.place.file
    new: list[str] = []
    pairs: dict[str, list[SuggestedDirective]] = {}
    for directive in directives:
        here = list(site.block.named(directive.name))
        if any(node.place.file != file for node in here):
            raise ManualEditError(f"{here[-1].place}: {directive.text('nginx')}")
        if directive.name in KEYED_DIRECTIVES:
            pairs.setdefault(directive.name, []).append(directive)
        elif here:
            yield _toml_replace_edit(file, text, here[-1], directive)
        else:
            new.append(toml_line(directive.words))
    for name, added in pairs.items():
        here = list(site.block.named(name))
        if not here:
            inside = ", ".join(f"{toml_key(d.args[0])} = {toml_text(d.args[1])}" for d in added)
            new.append(f"{name} = {{ {inside} }}")
        for directive in added if here else ():
            if not any(node.args == directive.args for node in here):
                yield _toml_pair_edit(file, text, here, directive)
    if new:
        yield _toml_insert_edit(file, text, site.node, new)


def _line(text: str, number: int) -> tuple[int, int]:
    """The offsets of the beginning and end of a line, without its line ending."""
    start = 0
    for _ in range(number - 1):
        start = text.index("\n", start) + 1
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    return start, end - (text[end - 1 : end] == "\r")


def _toml_replace_edit(
    file: str, text: str, node: StatementNode, directive: SuggestedDirective
) -> Edit:
    start, end = _line(text, node.place.line)
    found = re.search(rf"(?<![\w-]){directive.name}\"?\s*=\s*({_TOML_SIMPLE})", text[start:end])
    if found is None:
        raise ManualEditError(f"{node.place}: {toml_line(directive.words)}")
    value = toml_value(directive.args)
    return Edit(file, start + found.start(1), start + found.end(1), value)


def _toml_pair_edit(
    file: str, text: str, here: Sequence[StatementNode], directive: SuggestedDirective
) -> Edit:
    """Set a key in the inline table, or the `[…]` table, that the directive has already."""
    value = toml_text(directive.args[1])
    for node in here:
        if node.args[:1] == directive.args[:1]:
            start, end = _line(text, node.place.line)
            key = re.escape(directive.args[0])
            found = re.search(rf"(?<![\w-])\"?{key}\"?\s*=\s*({_TOML_STRING})", text[start:end])
            if found is not None:
                return Edit(file, start + found.start(1), start + found.end(1), value)
    start, end = _line(text, here[-1].place.line)
    found = re.search(rf"{directive.name}\"?\s*=\s*\{{.*(\s*)\}}\s*(?:\#.*)?$", text[start:end])
    if found is None:
        raise ManualEditError(f"{here[-1].place}: {toml_line(directive.words)}")
    at = start + text[start:end].rindex("}")
    while text[at - 1] == " ":
        at -= 1
    return Edit(file, at, at, f", {toml_key(directive.args[0])} = {value}")


def _toml_insert_edit(file: str, text: str, after: StatementNode, lines: Sequence[str]) -> Edit:
    start, end = _line(text, after.place.line)
    found = re.search(rf"(?<![\w-])\"?{after.name}\"?\s*=\s*({_TOML_STRING})", text[start:end])
    if found is None:
        raise ManualEditError(f"{after.place}: {'; '.join(lines)}")
    before = text[start : start + found.start()]
    if "{" in before:
        at = start + found.end()
        return Edit(file, at, at, "".join(f", {line}" for line in lines))
    newline = "\r\n" if text[end : end + 1] == "\r" else "\n"
    added = "".join(f"{newline}{before}{line}" for line in lines)
    return Edit(file, end, end, added)


# --- applying ----------------------------------------------------------------------------


def apply_edits(texts: Mapping[str, str], edits: Sequence[Edit]) -> dict[str, str]:
    """The changed texts. Raises `ManualEditError` if two edits overlap."""
    changed: dict[str, str] = {}
    for file in dict.fromkeys(edit.file for edit in edits):
        own = sorted({edit for edit in edits if edit.file == file})
        for one, other in itertools.pairwise(own):
            if other.start < one.end or other.start == one.start:
                line = texts[file].count("\n", 0, other.start) + 1
                raise ManualEditError(f"{file}:{line}: conflicting changes of one directive")
        text = texts[file]
        for edit in reversed(own):
            text = text[: edit.start] + edit.text + text[edit.end :]
        changed[file] = text
    return changed


def _lines(text: str) -> list[str]:
    """Split into lines; not by `splitlines`, which would split at bytes of UTF-8 characters."""
    return io.StringIO(text).readlines()


def unified_diff(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """The lines of a unified diff."""
    for file, text in after.items():
        yield from (
            line.rstrip("\r\n")
            for line in difflib.unified_diff(
                _lines(before[file]),
                _lines(text),
                f"a/{file.lstrip('/')}",
                f"b/{file.lstrip('/')}",
            )
        )
