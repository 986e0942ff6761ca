"""`autoindex`: list a directory that has no index file (ngx_http_autoindex_module).

Output formats (`autoindex_format`): html, json, jsonp, xml, byte for byte as nginx writes them.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ..config.directives.files import Files
from ..context import RequestContext
from ..http.dates import http_date
from ..http.uri import escape_html, escape_uri_component
from ..logs.access_format import escape_json
from ..logs.error import ConnectionLog
from ..models import HandlerResult, Level, Response, SpecialResponse
from ..variables import lookup
from .file_body import FORBIDDEN_ERRNOS, NOT_FOUND_ERRNOS, encode_path, syscall_error

_CALLBACK = re.compile(r"[A-Za-z0-9_.]*")
_MAX_CALLBACK = 128
_MEDIA_TYPES = {
    "html": "text/html",
    "json": "application/json",
    "jsonp": "application/javascript",
    "xml": "text/xml; charset=utf-8",
}


def autoindex_response(directory: str, ctx: RequestContext, log: ConnectionLog) -> HandlerResult:
    """List `directory`, whose name ends in a slash."""
    files = ctx.location.files
    callback = ""
    if files.autoindex_format == "jsonp":
        callback = lookup(ctx)("arg_callback") or ""
        if not _is_valid_callback(callback, log):
            return SpecialResponse(400)
    name = directory[:-1] if len(directory) > 1 else directory
    try:
        entries = sort_entries(_entries(name, log))
    except OSError as error:
        return SpecialResponse(_status_of(error, name, log))
    form = "json" if files.autoindex_format == "jsonp" and not callback else files.autoindex_format
    text = _format(form, entries, callback, ctx.uri, files)
    return Response(
        200, text.encode("latin-1"), content_type=_MEDIA_TYPES[form], allow_conditional=True
    )


def _is_valid_callback(callback: str, log: ConnectionLog) -> bool:
    wrong = "too long" if len(callback) > _MAX_CALLBACK else "invalid"
    if wrong == "invalid" and _CALLBACK.fullmatch(callback):
        return True
    log.write(Level.INFO, f'client sent {wrong} callback name: "{callback}"')
    return False


def _format(form: str, entries: list[Entry], callback: str, path: str, files: Files) -> str:
    match form:
        case "json":
            return _json(entries)
        case "jsonp":
            return _jsonp(entries, callback)
        case "xml":
            return _xml(entries)
    offset = time.localtime().tm_gmtoff if files.autoindex_localtime else 0
    return _html(path, entries, exact_size=files.autoindex_exact_size, offset=offset)


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


_NAME_WIDTH: Final = 50
_UNITS: Final = (("G", 1024**3, 1024**3), ("M", 1024**2, 1024**2), ("K", 1024, 10000))


@dataclass(frozen=True, slots=True)
class Entry:
    """A directory entry."""

    name: str
    kind: Literal["directory", "file", "other"]
    modified: int
    """POSIX time in seconds."""
    size: int


def sort_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Directories first, then by name."""
    return sorted(entries, key=lambda entry: (entry.kind != "directory", entry.name))


def _html(path: str, entries: Sequence[Entry], *, exact_size: bool, offset: int) -> str:
    """The listing as HTML; times are shifted by `offset` seconds from UTC."""
    title = f"Index of {escape_html(path)}"
    lines = [
        "<html>",
        f"<head><title>{title}</title></head>",
        "<body>",
        f'<h1>{title}</h1><hr><pre><a href="../">../</a>',
        *[_html_line(entry, exact_size, offset) for entry in entries],
        "</pre><hr></body>",
        "</html>",
        "",
    ]
    return "\r\n".join(lines)


def _html_line(entry: Entry, exact_size: bool, offset: int) -> str:
    is_directory = entry.kind == "directory"
    slash = "/" if is_directory else ""
    name, width = entry.name, len(entry.name)
    if width > _NAME_WIDTH:
        text = escape_html(name[: _NAME_WIDTH - 3]) + "..&gt;"
    else:
        # nginx omits the slash if the name fills the column.
        suffix = slash if width < _NAME_WIDTH else ""
        text = escape_html(name) + suffix
        width += len(suffix)
    link = f'<a href="{escape_uri_component(name)}{slash}">{text}</a>'
    if is_directory:
        size = "-".rjust(19 if exact_size else 7)
    else:
        size = f"{entry.size:19}" if exact_size else _format_size(entry.size)
    date = http_date(entry.modified + offset)
    day, clock = date[5:16].replace(" ", "-"), date[17:22]
    return f"{link}{' ' * (_NAME_WIDTH - width)} {day} {clock} {size}"


def _format_size(size: int) -> str:
    for unit, scale, least in _UNITS:
        if size >= least:
            return f"{size // scale + (size % scale >= scale // 2):6}{unit}"
    return f" {size:6}"


def _json(entries: Sequence[Entry]) -> str:
    """The listing as a JSON array."""
    return "[" + ",".join([_json_object(entry) for entry in entries]) + "\r\n]"


def _jsonp(entries: Sequence[Entry], callback: str) -> str:
    """The listing as a call of a JavaScript function."""
    return f"/* callback */\r\n{callback}({_json(entries)});"


def _json_object(entry: Entry) -> str:
    size = f', "size":{entry.size}' if entry.kind == "file" else ""
    return (
        f'\r\n{{ "name":"{escape_json(entry.name)}", "type":"{entry.kind}", '
        f'"mtime":"{http_date(entry.modified)}"{size} }}'
    )


def _xml(entries: Sequence[Entry]) -> str:
    """The listing as XML."""
    lines = ['<?xml version="1.0"?>', "<list>", *map(_xml_element, entries), "</list>", ""]
    return "\r\n".join(lines)


def _xml_element(entry: Entry) -> str:
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.modified))
    size = f' size="{entry.size}"' if entry.kind == "file" else ""
    return f'<{entry.kind} mtime="{when}"{size}>{escape_html(entry.name)}</{entry.kind}>'
