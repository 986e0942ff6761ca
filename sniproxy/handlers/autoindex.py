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
from .files import FORBIDDEN, NOT_THERE, encoded, failed
from .listing import Entry, html, in_order, json, jsonp, xml

_CALLBACK = re.compile(r"[A-Za-z0-9_.]*")
_LONGEST_CALLBACK = 128
_MEDIA_TYPES = {
    "html": "text/html",
    "json": "application/json",
    "jsonp": "application/javascript",
    "xml": "text/xml; charset=utf-8",
}


def listed(directory: str, facts: Facts, log: ConnectionLog) -> Outcome:
    """The list of `directory`, whose name ends in a slash."""
    files = facts.location.files
    callback = ""
    if files.autoindex_format == "jsonp":
        callback = lookup(facts)("arg_callback") or ""
        if not _is_good(callback, log):
            return Special(400)
    name = directory[:-1] if len(directory) > 1 else directory
    try:
        entries = in_order(_entries(name, log))
    except OSError as error:
        return Special(_status_of(error, name, log))
    form = "json" if files.autoindex_format == "jsonp" and not callback else files.autoindex_format
    text = _written(form, entries, callback, facts.uri, files)
    return Response(200, text.encode("latin-1"), content_type=_MEDIA_TYPES[form], conditional=True)


def _is_good(callback: str, log: ConnectionLog) -> bool:
    wrong = "too long" if len(callback) > _LONGEST_CALLBACK else "invalid"
    if wrong == "invalid" and _CALLBACK.fullmatch(callback):
        return True
    log.write(Level.INFO, f'client sent {wrong} callback name: "{callback}"')
    return False


def _written(form: str, entries: list[Entry], callback: str, path: str, files: Files) -> str:
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
    for name in os.listdir(encoded(directory)):
        if name.startswith(b"."):
            continue
        path = encoded(directory) + b"/" + name
        try:
            status = _status(path)
        except OSError as error:
            log.write(Level.CRIT, failed(f'stat() "{path.decode("latin-1")}" failed', error))
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
    if error.errno in NOT_THERE:
        level, status = Level.ERROR, 404
    elif error.errno in FORBIDDEN:
        level, status = Level.ERROR, 403
    log.write(level, failed(f'opendir() "{name}" failed', error))
    return status
