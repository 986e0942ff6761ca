"""Map URI paths to file names, and the variables that show the result."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..config.directives.files import TOP
from ..context import RequestContext
from ..template import VariableLookup
from .variable import Variable


def document_root(ctx: RequestContext, values: VariableLookup) -> str:
    """The directory of `root` or `alias`, with a trailing slash only if it was written with one."""
    directory = ctx.location.files.root.directory
    name = directory.render(values)
    if name.startswith("/") or directory is TOP:
        return name
    return os.path.join(ctx.server.prefix, name)


def file_name(ctx: RequestContext, values: VariableLookup) -> str | None:
    """The file name for the request's URI.

    None if an `alias` applies but `rewrite` changed the URI so that it no longer starts with the
    location's name.
    """
    root = ctx.location.files.root
    if root.is_alias and not ctx.uri_matches_location:
        return None
    directory = document_root(ctx, values)
    if root.replaced is not None:
        return directory + ctx.uri[root.replaced :]
    return directory + ctx.uri if ctx.add_uri_to_alias else directory


def _realpath_root(ctx: RequestContext, values: VariableLookup) -> str | None:
    try:
        name = os.path.realpath(document_root(ctx, values).encode("latin-1"), strict=True)
    except OSError:
        return None
    return name.decode("latin-1")


def file_variables(lookup: Callable[[RequestContext], VariableLookup]) -> tuple[Variable, ...]:
    """The variables of this module; `lookup` evaluates the variables inside `root`."""
    return (
        Variable(
            "document_root",
            lambda f: document_root(f, lookup(f)),
            "directory of the files (`root` or `alias`)",
        ),
        Variable(
            "realpath_root",
            lambda f: _realpath_root(f, lookup(f)),
            "$document_root with symbolic links resolved",
        ),
        Variable(
            "request_filename", lambda f: file_name(f, lookup(f)), "file name for the request"
        ),
    )
