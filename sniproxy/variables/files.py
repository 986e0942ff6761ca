"""Map URI paths to file names, with the values of the variables inside `root` and `alias`."""

from __future__ import annotations

import os

from ..config.directives.files import TOP
from ..context import RequestContext
from ..template import VariableLookup


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


def realpath_root(ctx: RequestContext, values: VariableLookup) -> str | None:
    """`document_root` with symbolic links resolved; None if it does not exist."""
    try:
        name = os.path.realpath(document_root(ctx, values).encode("latin-1"), strict=True)
    except OSError:
        return None
    return name.decode("latin-1")
