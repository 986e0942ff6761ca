"""The table put together: every row, found by name and context."""

from __future__ import annotations

from . import (
    access,
    core,
    files,
    headers,
    inert,
    log,
    process,
    proxy,
    rewrite,
    ssl,
    tables,
    unsupported,
    upstream,
)
from .row import Context, Row, Settings

MAIN_SETTINGS: tuple[type[Settings], ...] = (process.Main, process.Events)
SERVER_SETTINGS: tuple[type[Settings], ...] = (core.CoreServer, ssl.Ssl)
LOCATION_SETTINGS: tuple[type[Settings], ...] = (
    core.CoreLocation,
    log.Log,
    proxy.Proxy,
    rewrite.Rewrite,
    files.Files,
    headers.Headers,
    access.Access,
)
GROUP_SETTINGS: tuple[type[Settings], ...] = (upstream.UpstreamGroup,)

ROWS: tuple[Row, ...] = (
    *(
        row
        for settings in (*MAIN_SETTINGS, *SERVER_SETTINGS, *LOCATION_SETTINGS, *GROUP_SETTINGS)
        for row in settings.ROWS
    ),
    *process.ROWS,
    *core.ROWS,
    *access.ROWS,
    *log.ROWS,
    *upstream.ROWS,
    *tables.ROWS,
    *inert.ROWS,
    *unsupported.ROWS,
)


def _index() -> dict[str, tuple[Row, ...]]:
    index: dict[str, tuple[Row, ...]] = {}
    for row in ROWS:
        index[row.name] = (*index.get(row.name, ()), row)
    return index


BY_NAME = _index()


def find(name: str, context: Context) -> Row | None:
    """The row of `name` that may stand in `context`, or None."""
    for row in BY_NAME.get(name, ()):
        if context in row.contexts:
            return row
    return None
