"""nginx's directives that sniproxy does not know yet, or refuses: each by name, none ignored."""

from __future__ import annotations

from .row import Row

ROWS: tuple[Row, ...] = ()
