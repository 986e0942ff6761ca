"""`try_files`: a phase between location selection and content handler."""

from __future__ import annotations

import stat

from ..config.directives.files import Root
from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import HandlerResult, InternalRedirect, Level, SpecialResponse
from ..variables import lookup
from ..variables.files import document_root
from .file_body import NOT_FOUND_ERRNOS
from .static import map_uri_to_path
from .symlinks import failed_call, stat_path


def try_files(ctx: RequestContext, log: ConnectionLog) -> HandlerResult | None:
    """Set the URI to the first file that exists and return None, or apply the fallback."""
    directive = ctx.location.files.try_files
    if directive is None:
        return None
    if map_uri_to_path(ctx, log) is None:
        return SpecialResponse(500)
    root, values = ctx.location.files.root, lookup(ctx)
    directory = document_root(ctx, values)
    for candidate in directive.candidates:
        name = _strip_alias(candidate.name.render(values), not candidate.name.is_constant, ctx)
        if _exists(directory + name, candidate.is_directory, ctx, log):
            _apply(name, candidate.is_directory, root, ctx)
            return None
    if directive.status is not None:
        return SpecialResponse(directive.status)
    target = _strip_alias(
        directive.fallback.render(values), not directive.fallback.is_constant, ctx
    )
    if target.startswith("@"):
        return InternalRedirect(target, source="try_files")
    path, question, args = target.partition("?")
    return InternalRedirect(path, args, "try_files", bool(question))


def _strip_alias(name: str, rendered: bool, ctx: RequestContext) -> str:
    """Strip the part of `name` that an `alias` replaces; nginx does so only if it has variables."""
    replaced = ctx.location.files.root.replaced
    if rendered and replaced and name.startswith(ctx.uri[:replaced]):
        return name[replaced:]
    return name


def _exists(name: str, as_directory: bool, ctx: RequestContext, log: ConnectionLog) -> bool:
    try:
        status = stat_path(name, ctx)
    except OSError as error:
        if error.errno not in NOT_FOUND_ERRNOS:
            log.write(Level.CRIT, failed_call(error, "stat()", name))
        return False
    return stat.S_ISDIR(status.st_mode) is as_directory


def _apply(name: str, is_directory: bool, root: Root, ctx: RequestContext) -> None:
    if root.replaced is not None:
        ctx.uri = ctx.uri[: root.replaced] + name
    elif not is_directory:
        ctx.uri = name
        ctx.add_uri_to_alias = True
