"""Serve static files below `root` or `alias`, the default content handler.

Combines nginx's index, autoindex and static modules: a path with a trailing slash is served by
an index file of the directory; another path is a file, or a directory to redirect to.
"""

from __future__ import annotations

import errno
import stat

from ..config.directives.files import Files
from ..facts import Facts
from ..http.uri import escape_uri
from ..logs.error import ConnectionLog
from ..message import Elsewhere, Level, Outcome, Response, Special
from ..script import Lookup
from ..variables import lookup
from ..variables.files import file_name
from .autoindex import autoindex_response
from .files import FORBIDDEN_ERRNOS, NOT_FOUND_ERRNOS, FileBody, OpenFile, stat_file, syscall_error
from .handler import Client

METHODS = ("GET", "HEAD", "POST")


class StaticHandler:
    """The content handler for files."""

    async def handle(self, facts: Facts, client: Client, log: ConnectionLog) -> Outcome:
        if facts.method not in METHODS:
            return Special(405)
        name = map_uri_to_path(facts, log)
        if name is None:
            return Special(500)
        if not facts.uri.endswith("/"):
            return _file(name, facts, log)
        outcome = _index(name, facts, log)
        if outcome is not None:
            return outcome
        if facts.location.files.autoindex and facts.method != "POST":
            return autoindex_response(name, facts, log)
        log.write(Level.ERROR, f'directory index of "{name}" is forbidden')
        return Special(403)


def map_uri_to_path(facts: Facts, log: ConnectionLog) -> str | None:
    """The file name for the URI; None, with a log line, if the `alias` does not apply."""
    name = file_name(facts, lookup(facts))
    if name is None:
        text = (
            f'"alias" cannot be used in location "{facts.location.name.name}" '
            "where URI was rewritten"
        )
        log.write(Level.ALERT, text)
    return name


# --- a file ---


def _file(name: str, facts: Facts, log: ConnectionLog) -> Outcome:
    files = facts.location.files
    try:
        file = OpenFile(name)
    except OSError as error:
        return Special(_status_of(error, name, files, log))
    if file.is_regular and facts.method != "POST":
        log.action = "sending response to client"
        return _response(file, files, facts, log)
    file.close()
    if file.is_directory:
        query = f"?{facts.args}" if facts.args else ""
        return Special(301, f"{escape_uri(facts.uri)}/{query}")
    if not file.is_regular:
        log.write(Level.CRIT, f'"{name}" is not a regular file')
        return Special(404)
    return Special(405)


def _status_of(error: OSError, name: str, files: Files, log: ConnectionLog) -> int:
    level, status = Level.CRIT, 500
    if error.errno in NOT_FOUND_ERRNOS:
        level, status = Level.ERROR, 404
    elif error.errno in FORBIDDEN_ERRNOS:
        level, status = Level.ERROR, 403
    if status != 404 or files.log_not_found:
        log.write(level, syscall_error(f'open() "{name}" failed', error))
    return status


def _response(file: OpenFile, files: Files, facts: Facts, log: ConnectionLog) -> Response:
    etag = (("ETag", f'"{file.modified:x}-{file.size:x}"'),) if files.etag else ()
    return Response(
        200,
        FileBody(file, log),
        content_type=files.media_type(facts.uri),
        content_length=file.size,
        headers=etag,
        last_modified=file.modified,
        conditional=True,
    )


# --- a folder ---


def _index(directory: str, facts: Facts, log: ConnectionLog) -> Outcome | None:
    """The index file of a directory, or None if it has none."""
    files = facts.location.files
    values: Lookup = lookup(facts)
    directory_seen = False
    for template in (template for names in files.index for template in names):
        index = template.render(values)
        if index.startswith("/"):
            return Elsewhere(index, facts.args, "index")
        name = directory + index
        try:
            stat_file(name)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EMLINK):
                return Special(403)
            if error.errno in (errno.ENOTDIR, errno.ENAMETOOLONG, errno.EACCES):
                return _index_failed(error, name, files, log)
            if not directory_seen:
                outcome = _without_directory(directory, name, files, log)
                if outcome is not None:
                    return outcome
                directory_seen = True
            if error.errno == errno.ENOENT:
                continue
            log.write(Level.CRIT, syscall_error(f'stat() "{name}" failed', error))
            return Special(500)
        return Elsewhere(facts.uri + index, facts.args, "index")
    return None


def _without_directory(
    directory: str, index: str, files: Files, log: ConnectionLog
) -> Special | None:
    """The response if the index file is missing because the directory is."""
    checked = directory[:-1] if directory.endswith("/") and directory != "/" else directory
    try:
        status = stat_file(checked)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            return Special(403)
        if error.errno == errno.ENOENT:
            return _index_failed(error, index, files, log)
        if error.errno == errno.EACCES:
            return None
        log.write(Level.CRIT, syscall_error(f'stat() "{checked}" failed', error))
        return Special(500)
    if stat.S_ISDIR(status.st_mode):
        return None
    log.write(Level.ALERT, f'"{index}" is not a directory')
    return Special(500)


def _index_failed(error: OSError, name: str, files: Files, log: ConnectionLog) -> Special:
    if error.errno == errno.EACCES:
        log.write(Level.ERROR, syscall_error(f'"{name}" is forbidden', error))
        return Special(403)
    if files.log_not_found:
        log.write(Level.ERROR, syscall_error(f'"{name}" is not found', error))
    return Special(404)
