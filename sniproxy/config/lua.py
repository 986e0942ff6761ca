"""Blocks of Lua in a configuration (`content_by_lua_block`), which are not nginx's syntax."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""(?: -- )? \[ (=*) \[ .*? (?: \] \1 \] | \Z )   # a long string or comment
    | -- [^\n]*
    | " (?: [^"\\\n] | \\. )* "
    | ' (?: [^'\\\n] | \\. )* '
    | [{}]""",
    re.VERBOSE | re.DOTALL,
)


def opens_lua(name: str) -> bool:
    """Whether a directive opens a block of Lua."""
    return name.endswith("_by_lua_block")


def lua_end(text: str, start: int) -> int:
    """The offset of the brace that closes the block whose contents begin at `start`."""
    depth = 1
    for token in _TOKEN.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if not depth:
            return token.start()
    return len(text)
