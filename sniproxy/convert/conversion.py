"""Convert a file: read it, write it in the other syntax, and check that both mean the same."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..config import load
from ..config.directives import registry
from ..config.directives.directive import MAIN
from ..config.model import Config
from ..models import ConfigError
from ..variables import definition_error, is_variable
from .equality import differences
from .extensions import IssuedCertificate, replace_extensions
from .releases import Release, lacking
from .source import SourceNode, read_source
from .to_nginx import nginx_text
from .to_toml import is_supported, toml_text

NGINX, TOML = "nginx", "toml"


class ConversionError(Exception):
    """The file cannot be converted; `str()` says why."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted file."""

    text: str
    """One character a byte."""
    notes: tuple[str, ...]
    """What somebody has to know or do, each with file and line."""
    issued: tuple[IssuedCertificate, ...] = ()
    """The certificates that the text names, which replace `ssl_certificate auto`."""


def convert(
    file: str, to: str, *, certificates: str = "certificates", release: Release | None = None
) -> Conversion:
    """Convert `file` to `nginx` or `toml`.

    `certificates` is the folder of issued certificates in an nginx.conf, as it names it. `release`
    is the nginx that is to read the text. Raises `ConfigError` for a file that sniproxy refuses,
    and `ConversionError`.
    """
    try:
        return _convert(file, to, certificates, release)
    except RecursionError:
        raise ConversionError(f"{file} has blocks nested too deeply") from None


def _convert(file: str, to: str, certificates: str, release: Release | None) -> Conversion:
    before = _load(file, {})
    text = dict(before.sources)[file]
    root = read_source(text, file)
    if file.endswith(".toml"):
        _check_values(root, file)
    if to == TOML:
        return Conversion(_to_toml(root, before, file), ())
    written = nginx_text(root)
    _check(before, written, _name(file, ".conf"))
    replaced = replace_extensions(root, before, file, certificates)
    notes = [*replaced.notes]
    if release is not None:
        notes += lacking(root, before, file, release)
    return Conversion(nginx_text(root), tuple(notes), replaced.issued)


def _check_values(root: SourceNode, file: str) -> None:
    """Raise `ConversionError` for a key of TOML whose value cannot be read.

    Under `unsupported warn` the reader takes directives that sniproxy lacks with any value.
    """
    pending = [(root, MAIN)]
    while pending:
        block, context = pending.pop()
        for node in block.children:
            if is_supported(node, context):
                row = registry.find(node.name, context)
                if row is not None and row.opens_context is not None:
                    pending.append((node, row.opens_context))
            elif not any(node.args) and node.inside is None:
                raise ConversionError(
                    f'{file}:{node.line}: sniproxy does not have "{node.name}", so what its value '
                    'means is not known; write it in nginx\'s syntax, under the key "nginx"'
                )


def _to_toml(root: SourceNode, before: Config, file: str) -> str:
    """The text; blocks that would change their meaning are left in nginx's syntax."""
    name = _name(file, ".toml")
    for verbatim in ((), ("location",), ("server",), ("http",)):
        try:
            text = toml_text(root, verbatim=frozenset(verbatim))
        except UnicodeDecodeError:
            raise ConversionError(f"{file} is not in UTF-8, as TOML has to be") from None
        if not _differs(before, text, name):
            return text
    raise ConversionError(f"{file} cannot be written as TOML without a loss")


def _check(before: Config, text: str, name: str) -> None:
    if path := _differs(before, text, name):
        raise ConversionError(f"{before.file} would change its meaning: {path}")


def _differs(before: Config, text: str, name: str) -> str:
    """Where the configuration of `text` differs; "" if nowhere."""
    try:
        after = _load(name, {name: text})
    except ConfigError as error:
        return str(error)
    return next(differences(before, after), "")


def _load(file: str, texts: dict[str, str]) -> Config:
    return load(
        file, is_variable=is_variable, definition_error=definition_error, replacements=texts
    )


def _name(file: str, suffix: str) -> str:
    """A name in the same folder, so that relative names of includes stay right."""
    return str(Path(file).with_name(f".sniproxy-convert-{os.getpid()}{suffix}"))
