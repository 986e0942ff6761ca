"""Replace what nginx does not have: sniproxy's own directives, and `ssl_certificate auto`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..config.directives.registry import DIRECTIVES
from ..config.model import Config
from ..tls.ca import host_name
from ..tls.issued_files import issued_paths
from .source import SourceNode
from .to_nginx import nginx_lines

EXTENSIONS = frozenset(row.name for row in DIRECTIVES if row.extension)
ADVICE = {
    "grpc_ssl_key_log": "nginx has it in its commercial version only",
    "error_detail": "nginx has no such pages: `python -m sniproxy explain` reads its error log",
    "live_page": "nginx has no such page: its logs have less",
    "ssl_error_dialect": "nginx logs the words of the OpenSSL that it uses",
    "unsupported": "nginx refuses every directive that it does not know",
    "proxy_ssl_key_log": "nginx has it in its commercial version only",
    "uwsgi_ssl_key_log": "nginx has it in its commercial version only",
}
"""What to do without a directive; tests check that no extension is missing."""
EXTENSION_VARIABLES = frozenset(
    {
        "upstream_ssl_cipher", "upstream_ssl_protocol", "upstream_ssl_server_name",
        "upstream_ssl_session_reused", "upstream_ssl_verify",
    }
)  # fmt: skip
"""Variables that nginx refuses."""
NOTE_WIDTH = 92
FALLBACK_NAME = "localhost"


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate in place of `ssl_certificate auto`."""

    names: tuple[str, ...]
    certificate: str
    """As the configuration names it; the key beside it."""
    key: str


@dataclass(slots=True)
class ReplacedExtensions:
    notes: list[str] = field(default_factory=list)
    issued: tuple[IssuedCertificate, ...] = ()


def replace_extensions(
    root: SourceNode, config: Config, file: str, folder: str
) -> ReplacedExtensions:
    """Change the tree into one that nginx takes; `folder` is that of the certificates."""
    found = ReplacedExtensions()
    blocks = [root, *(node for node in root.walk() if node.inside is not None)]
    replacements: dict[tuple[str, ...], IssuedCertificate] = {}
    for block in blocks:
        _comment_out(block, file, found.notes)
        for node in list(block.children):
            if node.name == "ssl_certificate" and node.args == ("auto",):
                names = tuple(_names(block)) or (FALLBACK_NAME,)
                certificate, key = issued_paths(names, Path(folder))
                made = IssuedCertificate(names, str(certificate), str(key))
                replacements[names] = made
                node.args = (made.certificate,)
                place = block.children.index(node) + 1
                block.children.insert(
                    place, SourceNode("ssl_certificate_key", (made.key,), node.line)
                )
                found.notes.append(
                    f"{file}:{node.line}: ssl_certificate auto: {made.certificate} is a file for "
                    f"{', '.join(names)}"
                )
    found.notes += _variable_notes(root, config, file)
    found.issued = tuple(replacements.values())
    return found


def _comment_out(block: SourceNode, file: str, notes: list[str]) -> None:
    for node in list(block.children):
        if node.name in EXTENSIONS:
            note = f"{node.name} is sniproxy's own: {ADVICE[node.name]}"
            notes.append(f"{file}:{node.line}: {note}")
            make_comment(block, node, note)


def make_comment(block: SourceNode, node: SourceNode, note: str) -> None:
    """Replace a statement by comments: what is explained about it, and the statement itself."""
    node.behind, behind = "", node.behind
    explained = [f" {line}" for line in textwrap.wrap(note, NOTE_WIDTH, break_on_hyphens=False)]
    lines = [*node.before, *explained, *(f" {line}" for line in nginx_lines([_without(node)]))]
    if behind:
        lines[-1] += f" #{behind}"
    index = block.children.index(node)
    del block.children[index]
    if index < len(block.children):
        block.children[index].before[:0] = lines
    else:
        block.tail[:0] = lines


def _without(node: SourceNode) -> SourceNode:
    """The statement without its comments."""
    return SourceNode(node.name, node.args, node.line, node.inside)


def _names(block: SourceNode) -> Iterator[str]:
    """The host names of the servers in or below a block, each once."""
    servers = [block] if block.name == "server" else [n for n in block.walk() if n.name == "server"]
    seen = set()
    for server in servers:
        for text in _server_names(server.children):
            if (name := host_name(text)) is not None and name not in seen:
                seen.add(name)
                yield name


def _server_names(nodes: Sequence[SourceNode]) -> Iterator[str]:
    for node in nodes:
        for name in node.args if node.name == "server_name" else ():
            if name.startswith("."):
                yield name[1:]
                yield f"*{name}"
            elif not name.startswith("~"):
                yield name


def _variable_notes(root: SourceNode, config: Config, file: str) -> Iterator[str]:
    used = (config.http.variables if config.http else frozenset()) & EXTENSION_VARIABLES
    for name in sorted(used):
        for node in root.walk():
            if any(f"${name}" in arg or f"${{{name}}}" in arg for arg in node.args):
                yield f"{file}:{node.line}: ${name} is sniproxy's own: nginx refuses it"
