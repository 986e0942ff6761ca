"""Write words so that the readers give them back unchanged."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..config.tokens import read_statements
from ..config.tree import COMMAND_LINE, FileEnd, Statement
from ..models import ConfigError

_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def nginx_word(text: str) -> str:
    """A word of nginx.conf: bare if it can be, else quoted."""
    escaped = "".join(_ESCAPES.get(character, character) for character in text)
    for candidate in (text, _quoted(escaped, '"'), _quoted(escaped, "'")):
        if _reads_as(candidate, (text,)):
            return candidate
    doubled = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(_ESCAPES.get(character, character) for character in doubled) + '"'


def _quoted(text: str, quote: str) -> str:
    return f"{quote}{text}{quote}" if quote not in text else ""


def nginx_words(words: Sequence[str]) -> str:
    return " ".join(map(nginx_word, words))


def _reads_as(text: str, words: tuple[str, ...]) -> bool:
    """Whether nginx's reader takes `text` for these arguments."""
    if not text or text.lstrip()[:1] in ("#", "") or text.strip() != text:
        return False
    try:
        items = list(read_statements(f"x {text};", COMMAND_LINE))
    except ConfigError:
        return False
    match items:
        case [Statement(args=args, opens_block=False), FileEnd()]:
            return args == words
    return False


_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def decoded(text: str) -> str:
    """Configuration text (one character a byte) as Unicode. Raises UnicodeDecodeError."""
    return text.encode("latin-1").decode("utf-8")


def toml_string(text: str) -> str:
    """A TOML string, literal if that needs no escapes; `text` has one character a byte."""
    unicode = decoded(text)
    if ("\\" in unicode or '"' in unicode) and "'" not in unicode and not _CONTROL.search(unicode):
        return f"'{unicode}'"
    escaped = unicode.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    escaped = escaped.replace("\n", "\\n").replace("\r", "\\r")
    return '"' + _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'


def toml_key(text: str) -> str:
    """A key of a table, quoted if necessary."""
    return text if _BARE_KEY.fullmatch(text) else toml_string(text)
