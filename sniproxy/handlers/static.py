"""Serve static files below `root` or `alias`, the default content handler.

Combines nginx's index, autoindex and static modules: a path with a trailing slash is served by
an index file of the directory; another path is a file, or a directory to redirect to.
"""

from __future__ import annotations

import errno
import stat

from ..config.directives.files import Files
from ..context import RequestContext
from ..http.uri import escape_uri
from ..logs.error import ConnectionLog
from ..models import HandlerResult, InternalRedirect, Level, Response, SpecialResponse
from ..template import VariableLookup
from ..variables import lookup
from ..variables.files import file_name
from .autoindex import autoindex_response
from .base import Client
from .file_body import (
    FORBIDDEN_ERRNOS,
    NOT_FOUND_ERRNOS,
    FileBody,
    OpenFile,
    syscall_error,
)
from .gzip_static import precompressed
from .random_index import random_file
from .symlinks import failed_call, open_file, stat_path

METHODS = ("GET", "HEAD", "POST")


class StaticHandler:
    """The content handler for files."""

    def __init__(self, gzip_static: str = "off") -> None:
        self._gzip_static = gzip_static

    async def handle(
        self, ctx: RequestContext, client: Client, log: ConnectionLog
    ) -> HandlerResult:
        if ctx.method not in METHODS:
            return SpecialResponse(405)
        name = map_uri_to_path(ctx, log)
        if name is None:
            return SpecialResponse(500)
        if not ctx.uri.endswith("/"):
            if self._gzip_static != "off":
                always = self._gzip_static == "always"
                found = precompressed(name, ctx, log, always=always)
                if found is not None:
                    return found
            return _file(name, ctx, log)
        if ctx.location.files.random_index:
            chosen = random_file(name, ctx, log)
            if chosen is not None:
                return chosen
        outcome = _index(name, ctx, log)
        if outcome is not None:
            return outcome
        if ctx.location.files.autoindex and ctx.method != "POST":
            return autoindex_response(name, ctx, log)
        log.write(Level.ERROR, f'directory index of "{name}" is forbidden')
        return SpecialResponse(403)


def map_uri_to_path(ctx: RequestContext, log: ConnectionLog) -> str | None:
    """The file name for the URI; None, with a log line, if the `alias` does not apply."""
    name = file_name(ctx, lookup(ctx))
    if name is None:
        text = (
            f'"alias" cannot be used in location "{ctx.location.name.name}" where URI was rewritten'
        )
        log.write(Level.ALERT, text)
    return name


# --- a file ---


def _file(name: str, ctx: RequestContext, log: ConnectionLog) -> HandlerResult:
    files = ctx.location.files
    try:
        file = open_file(name, ctx)
    except OSError as error:
        return SpecialResponse(_status_of(error, name, files, log))
    if file.is_regular and ctx.method != "POST":
        log.action = "sending response to client"
        return _response(file, files, ctx, log)
    file.close()
    if file.is_directory:
        query = f"?{ctx.args}" if ctx.args else ""
        return SpecialResponse(301, f"{escape_uri(ctx.uri)}/{query}")
    if not file.is_regular:
        log.write(Level.CRIT, f'"{name}" is not a regular file')
        return SpecialResponse(404)
    return SpecialResponse(405)


def _status_of(error: OSError, name: str, files: Files, log: ConnectionLog) -> int:
    level, status = Level.CRIT, 500
    if error.errno in NOT_FOUND_ERRNOS:
        level, status = Level.ERROR, 404
    elif error.errno in FORBIDDEN_ERRNOS:
        level, status = Level.ERROR, 403
    if status != 404 or files.log_not_found:
        log.write(level, failed_call(error, "open()", name))
    return status


def _response(file: OpenFile, files: Files, ctx: RequestContext, log: ConnectionLog) -> Response:
    etag = (("ETag", f'"{file.modified:x}-{file.size:x}"'),) if files.etag else ()
    return Response(
        200,
        FileBody(file, log),
        content_type=ctx.redirect_content_type or files.media_type(ctx.uri),
        content_length=file.size,
        headers=etag,
        last_modified=file.modified,
        allow_conditional=True,
        allow_ranges=True,
    )


# --- a folder ---


def _index(directory: str, ctx: RequestContext, log: ConnectionLog) -> HandlerResult | None:
    """The index file of a directory, or None if it has none."""
    files = ctx.location.files
    values: VariableLookup = lookup(ctx)
    directory_seen = False
    for template in (template for names in files.index for template in names):
        index = template.render(values)
        if index.startswith("/"):
            return InternalRedirect(index, ctx.args, "index", bool(ctx.empty_args))
        name = directory + index
        try:
            stat_path(name, ctx)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EMLINK):
                return SpecialResponse(403)
            if error.errno in (errno.ENOTDIR, errno.ENAMETOOLONG, errno.EACCES):
                return _index_failed(error, name, files, log)
            if not directory_seen:
                outcome = _without_directory(directory, name, ctx, log)
                if outcome is not None:
                    return outcome
                directory_seen = True
            if error.errno == errno.ENOENT:
                continue
            log.write(Level.CRIT, failed_call(error, "stat()", name))
            return SpecialResponse(500)
        return InternalRedirect(ctx.uri + index, ctx.args, "index", bool(ctx.empty_args))
    return None


def _without_directory(
    directory: str, index: str, ctx: RequestContext, log: ConnectionLog
) -> SpecialResponse | None:
    """The response if the index file is missing because the directory is."""
    checked = directory[:-1] if directory.endswith("/") and directory != "/" else directory
    try:
        status = stat_path(checked, ctx)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            return SpecialResponse(403)
        if error.errno == errno.ENOENT:
            return _index_failed(error, index, ctx.location.files, log)
        if error.errno == errno.EACCES:
            return None
        log.write(Level.CRIT, failed_call(error, "stat()", checked))
        return SpecialResponse(500)
    if stat.S_ISDIR(status.st_mode):
        return None
    log.write(Level.ALERT, f'"{index}" is not a directory')
    return SpecialResponse(500)


def _index_failed(error: OSError, name: str, files: Files, log: ConnectionLog) -> SpecialResponse:
    if error.errno == errno.EACCES:
        log.write(Level.ERROR, syscall_error(f'"{name}" is forbidden', error))
        return SpecialResponse(403)
    if files.log_not_found:
        log.write(Level.ERROR, syscall_error(f'"{name}" is not found', error))
    return SpecialResponse(404)
