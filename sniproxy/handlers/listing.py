"""Lists of folders as nginx writes them (`autoindex_format`), pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ..http.dates import http_date
from ..http.uri import escape_html, escape_uri_component
from ..logs.access import escape_json

_NAME_WIDTH: Final = 50
_UNITS: Final = (("G", 1024**3, 1024**3), ("M", 1024**2, 1024**2), ("K", 1024, 10000))


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a folder."""

    name: str
    kind: Literal["directory", "file", "other"]
    modified: int
    """POSIX time, seconds."""
    size: int


def sort_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Folders first, then by the bytes of their names."""
    return sorted(entries, key=lambda entry: (entry.kind != "directory", entry.name))


def html(path: str, entries: Sequence[Entry], *, exact_size: bool, offset: int) -> str:
    """A page; times are `offset` seconds ahead of UTC."""
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
        shown = escape_html(name[: _NAME_WIDTH - 3]) + "..&gt;"
    else:
        # No slash where the name takes all the place.
        behind = slash if width < _NAME_WIDTH else ""
        shown = escape_html(name) + behind
        width += len(behind)
    link = f'<a href="{escape_uri_component(name)}{slash}">{shown}</a>'
    if is_directory:
        size = "-".rjust(19 if exact_size else 7)
    else:
        size = f"{entry.size:19}" if exact_size else _rounded(entry.size)
    date = http_date(entry.modified + offset)
    day, clock = date[5:16].replace(" ", "-"), date[17:22]
    return f"{link}{' ' * (_NAME_WIDTH - width)} {day} {clock} {size}"


def _rounded(size: int) -> str:
    for unit, scale, least in _UNITS:
        if size >= least:
            return f"{size // scale + (size % scale >= scale // 2):6}{unit}"
    return f" {size:6}"


def json(entries: Sequence[Entry]) -> str:
    """A list of objects."""
    return "[" + ",".join([_json_object(entry) for entry in entries]) + "\r\n]"


def jsonp(entries: Sequence[Entry], callback: str) -> str:
    """The same handed to a function."""
    return f"/* callback */\r\n{callback}({json(entries)});"


def _json_object(entry: Entry) -> str:
    size = f', "size":{entry.size}' if entry.kind == "file" else ""
    return (
        f'\r\n{{ "name":"{escape_json(entry.name)}", "type":"{entry.kind}", '
        f'"mtime":"{http_date(entry.modified)}"{size} }}'
    )


def xml(entries: Sequence[Entry]) -> str:
    """A list of elements."""
    lines = ['<?xml version="1.0"?>', "<list>", *map(_xml_element, entries), "</list>", ""]
    return "\r\n".join(lines)


def _xml_element(entry: Entry) -> str:
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.modified))
    size = f' size="{entry.size}"' if entry.kind == "file" else ""
    return f'<{entry.kind} mtime="{when}"{size}>{escape_html(entry.name)}</{entry.kind}>'
