"""Where a path leads among files, and the variables that tell it."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..config.directives.files import TOP
from ..facts import Facts
from ..script import Lookup
from .variable import Variable


def document_root(facts: Facts, values: Lookup) -> str:
    """The folder of `root` or `alias`, without a slash at the end where it had none."""
    directory = facts.location.files.root.directory
    name = directory.render(values)
    if name.startswith("/") or directory is TOP:
        return name
    return os.path.join(facts.server.prefix, name)


def file_name(facts: Facts, values: Lookup) -> str | None:
    """The name of the file that the path stands for.

    None where an `alias` would replace a part of a path that a `rewrite` has changed.
    """
    root = facts.location.files.root
    if root.is_alias and not facts.location_matched:
        return None
    directory = document_root(facts, values)
    if root.replaced is not None:
        return directory + facts.uri[root.replaced :]
    return directory + facts.uri if facts.adds_to_alias else directory


def _realpath_root(facts: Facts, values: Lookup) -> str | None:
    try:
        name = os.path.realpath(document_root(facts, values).encode("latin-1"), strict=True)
    except OSError:
        return None
    return name.decode("latin-1")


def file_variables(lookup: Callable[[Facts], Lookup]) -> tuple[Variable, ...]:
    """The variables, which read others: those of `root`."""
    return (
        Variable("document_root", lambda f: document_root(f, lookup(f)), "the folder of the files"),
        Variable("realpath_root", lambda f: _realpath_root(f, lookup(f)), "the same without links"),
        Variable("request_filename", lambda f: file_name(f, lookup(f)), "the file of the path"),
    )
