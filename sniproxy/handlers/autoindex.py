"""`autoindex`: a folder without index file as a list."""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Iterator

from ..config.directives.files import Files
from ..facts import Facts
from ..logs.error import ConnectionLog
from ..message import Level, Outcome, Response, Special
from ..variables import lookup
from .files import FORBIDDEN_ERRNOS, NOT_FOUND_ERRNOS, encode_path, syscall_error
from .listing import Entry, html, json, jsonp, sort_entries, xml

_CALLBACK = re.compile(r"[A-Za-z0-9_.]*")
_MAX_CALLBACK = 128
_MEDIA_TYPES = {
    "html": "text/html",
    "json": "application/json",
    "jsonp": "application/javascript",
    "xml": "text/xml; charset=utf-8",
}


def autoindex_response(directory: str, facts: Facts, log: ConnectionLog) -> Outcome:
    """The list of `directory`, whose name ends in a slash."""
    files = facts.location.files
    callback = ""
    if files.autoindex_format == "jsonp":
        callback = lookup(facts)("arg_callback") or ""
        if not _is_valid_callback(callback, log):
            return Special(400)
    name = directory[:-1] if len(directory) > 1 else directory
    try:
        entries = sort_entries(_entries(name, log))
    except OSError as error:
        return Special(_status_of(error, name, log))
    form = "json" if files.autoindex_format == "jsonp" and not callback else files.autoindex_format
    text = _format(form, entries, callback, facts.uri, files)
    return Response(200, text.encode("latin-1"), content_type=_MEDIA_TYPES[form], conditional=True)


def _is_valid_callback(callback: str, log: ConnectionLog) -> bool:
    wrong = "too long" if len(callback) > _MAX_CALLBACK else "invalid"
    if wrong == "invalid" and _CALLBACK.fullmatch(callback):
        return True
    log.write(Level.INFO, f'client sent {wrong} callback name: "{callback}"')
    return False


def _format(form: str, entries: list[Entry], callback: str, path: str, files: Files) -> str:
    match form:
        case "json":
            return json(entries)
        case "jsonp":
            return jsonp(entries, callback)
        case "xml":
            return xml(entries)
    offset = time.localtime().tm_gmtoff if files.autoindex_localtime else 0
    return html(path, entries, exact_size=files.autoindex_exact_size, offset=offset)


def _entries(directory: str, log: ConnectionLog) -> Iterator[Entry]:
    for name in os.listdir(encode_path(directory)):
        if name.startswith(b"."):
            continue
        path = encode_path(directory) + b"/" + name
        try:
            status = _status(path)
        except OSError as error:
            log.write(Level.CRIT, syscall_error(f'stat() "{path.decode("latin-1")}" failed', error))
            continue
        kind = stat.S_IFMT(status.st_mode)
        yield Entry(
            name.decode("latin-1"),
            "directory" if kind == stat.S_IFDIR else "file" if kind == stat.S_IFREG else "other",
            status.st_mtime_ns // 10**9,
            status.st_size,
        )


def _status(path: bytes) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return os.lstat(path)
        raise


def _status_of(error: OSError, name: str, log: ConnectionLog) -> int:
    level, status = Level.CRIT, 500
    if error.errno in NOT_FOUND_ERRNOS:
        level, status = Level.ERROR, 404
    elif error.errno in FORBIDDEN_ERRNOS:
        level, status = Level.ERROR, 403
    log.write(level, syscall_error(f'opendir() "{name}" failed', error))
    return status
