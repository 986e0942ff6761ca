"""Write a tree of statements as TOML.

TOML groups the statements of a block by their names and has simple ones before blocks. Where that
would change what the configuration means, they are written as they are: the key `nginx`, a text in
the syntax of nginx.conf.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..config.directives import registry
from ..config.directives.directive import MAIN, TABLE, TYPES, Context, Directive, Status
from ..config.directives.slots import flag
from ..config.toml import ACCEPT_OFF, NGINX_TEXT, block_words
from .quoting import decoded, nginx_words, toml_key, toml_string
from .source import EMPTY_LINE, SourceNode, tidy
from .to_nginx import nginx_lines

ORDERED_FAMILIES = (
    # ngx_http_rewrite_module runs these in the order of the file.
    frozenset({"set", "rewrite", "return", "break", "if", "include"}),
    # The first rule that matches decides.
    frozenset({"allow", "deny", "include"}),
    # The order of the servers of a group is that of the peers.
    frozenset({"server", "include"}),
)
"""Names whose statements keep their order."""


def toml_text(root: SourceNode, *, verbatim: frozenset[str] = frozenset()) -> str:
    """The text of a file, one character a byte; blocks named in `verbatim` are not translated."""
    writer = _Writer(verbatim)
    writer.block(root, (), MAIN)
    lines = [*writer.lines, *(_comment(text) for text in root.tail)]
    return "".join(f"{line}\n" for line in tidy(lines)).encode("utf-8").decode("latin-1")


class _Writer:
    def __init__(self, verbatim: frozenset[str]) -> None:
        self.lines: list[str] = []
        self._verbatim = verbatim

    def block(self, node: SourceNode, path: tuple[str, ...], context: Context) -> None:
        """Write the statements inside a block whose header stands already."""
        if context in (TYPES, TABLE):
            self._entries(node, context)
            return
        verbatim = _verbatim_children(node.children, context)
        if node.name in self._verbatim:
            verbatim = list(node.children)
        written: set[str] = set()
        for child in node.children:
            if child in verbatim:
                if NGINX_TEXT.name not in written:
                    written.add(NGINX_TEXT.name)
                    self._nginx(verbatim)
            elif child.inside is None and child.name not in written:
                written.add(child.name)
                same = [
                    one
                    for one in node.children
                    if one.name == child.name and one.inside is None and one not in verbatim
                ]
                self._simple(_row(child, context), same)
        if path:
            self.lines += map(_comment, node.tail)
        counts: dict[str, int] = {}
        for child in node.children:
            counts[child.name] = counts.get(child.name, 0) + 1
        for child in node.children:
            if child.inside is not None and child not in verbatim:
                repeated = counts[child.name] > 1
                self._inner_block(child, path, _row(child, context), repeated=repeated)

    def _inner_block(
        self, node: SourceNode, path: tuple[str, ...], row: Directive, *, repeated: bool
    ) -> None:
        own = (*path, node.name, " ".join(node.args)) if node.args else (*path, node.name)
        dotted = ".".join(map(toml_key, own))
        is_list = not node.args and (node.name == "server" or repeated)
        header = f"[[{dotted}]]" if is_list else f"[{dotted}]"
        self.lines.append("")
        self.lines += map(_comment, node.before)
        self.lines.append(_with_comment(header, node.behind))
        assert row.opens_context is not None
        self.block(node, own, row.opens_context)

    def _simple(self, row: Directive, nodes: Sequence[SourceNode]) -> None:
        """The statements of one directive: a value, or a list with a line for each."""
        key = toml_key(nodes[0].name)
        if len(nodes) == 1:
            node = nodes[0]
            self.lines += map(_comment, node.before)
            self.lines.append(_with_comment(f"{key} = {_pair_or_value(row, node)}", node.behind))
            return
        self.lines.append(f"{key} = [")
        for node in nodes:
            self.lines += (f"    {_comment(text)}".rstrip() for text in node.before)
            self.lines.append(_with_comment(f"    {_value(row, node.args)},", node.behind))
        self.lines.append("]")

    def _nginx(self, nodes: Sequence[SourceNode]) -> None:
        text = "\n".join(nginx_lines(nodes))
        unicode = decoded(text)
        if "'''" not in unicode:
            quoted = f"'''\n{unicode}\n'''"
        else:
            escaped = unicode.replace("\\", "\\\\").replace('"', '\\"')
            quoted = f'"""\n{escaped}\n"""'
        self.lines += f"{NGINX_TEXT.name} = {quoted}".split("\n")

    def _entries(self, node: SourceNode, context: Context) -> None:
        """The lines of `types`, `map` and similar blocks."""
        for entry in node.children:
            self.lines += map(_comment, entry.before)
            line = f"{toml_key(entry.name)} = {_entry_value(entry, context)}"
            self.lines.append(_with_comment(line, entry.behind))
        self.lines += map(_comment, node.tail)


def is_supported(node: SourceNode, context: Context) -> bool:
    """Whether sniproxy has the directive; others are left out with `unsupported warn`."""
    if context in (TYPES, TABLE):
        return True
    row = registry.find(node.name, context)
    return row is not None and row.status not in (Status.NOT_YET, Status.REFUSED)


def _row(node: SourceNode, context: Context) -> Directive:
    row = registry.find(node.name, context)
    assert row is not None, node.name
    return row


def _verbatim_children(nodes: Sequence[SourceNode], context: Context) -> list[SourceNode]:
    """The statements that TOML cannot have without changing what they mean, in their order."""
    # TOML has no form for the arguments of what sniproxy lacks.
    names = {node.name for node in nodes if not is_supported(node, context)}
    blocks = [node for node in nodes if node.inside is not None and node.name not in names]
    for family in ORDERED_FAMILIES:
        members = [node.name for node in nodes if node.name in family]
        if members != _grouped(members) or "if" in members:
            names |= family
    seen_block = False
    for node in nodes:
        if node.inside is not None:
            seen_block = True
        elif node.name == "include" and seen_block:
            # It may have servers or locations, whose order matters.
            names |= {"include", *(block.name for block in blocks)}
    keys: set[tuple[str, str]] = set()
    for node in blocks:
        row = _row(node, context)
        key = (node.name, " ".join(node.args))
        if (
            (node.args and block_words(row, key[1]) != node.args)
            or (node.args and key in keys)
            or not _entries_are_distinct(node, row)
        ):
            names.add(node.name)
        keys.add(key)
    return [node for node in nodes if node.name in names]


def _grouped(members: Sequence[str]) -> list[str]:
    """The names in the order of TOML: simple statements by their first one, then `if`."""
    return sorted(members, key=members.index)


def _entries_are_distinct(node: SourceNode, row: Directive) -> bool:
    if row.opens_context not in (TYPES, TABLE):
        return True
    names = [entry.name for entry in node.children]
    return len(set(names)) == len(names)


def _pair_or_value(row: Directive, node: SourceNode) -> str:
    """`{ Host = "$host" }` for directives with a key and a value, else the value."""
    if row.arity.least == 2 and row.arity.most == 2 and len(node.args) == 2:
        return f"{{ {toml_key(node.args[0])} = {toml_string(node.args[1])} }}"
    return _value(row, node.args)


def _value(row: Directive, args: tuple[str, ...]) -> str:
    if not args:
        return "true"
    if len(args) == 1:
        (only,) = args
        if row.slot is flag and only in ("on", "off"):
            return "true" if only == "on" else "false"
        if only == "off" and row.name in ACCEPT_OFF:
            return "false"
        if only.isascii() and only.isdigit() and str(int(only)) == only and row.slot is not flag:
            return only
        if row.arity.most == 1:
            return toml_string(only)
    return toml_string(nginx_words(args))


def _entry_value(entry: SourceNode, context: Context) -> str:
    if context is TYPES:
        return toml_string(" ".join(entry.args))
    if not entry.args:
        return "true"
    if len(entry.args) == 1:
        return toml_string(entry.args[0])
    return f"[{', '.join(map(toml_string, entry.args))}]"


def _comment(text: str) -> str:
    if text == EMPTY_LINE:
        return ""
    return f"#{decoded(text)}".rstrip()


def _with_comment(line: str, comment: str) -> str:
    return f"{line} #{decoded(comment)}" if comment else line
