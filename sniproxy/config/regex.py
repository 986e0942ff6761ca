"""Compile PCRE patterns with Python's `re`.

nginx matches bytes, without UTF-8. Text here has one character per byte (latin-1), so ASCII
character classes behave the same. Syntax that differs is translated; PCRE features that `re`
lacks (`\\K`, `\\p{…}`, `(?|…)`, recursion) need the real PCRE2 (`pcre`).
"""

from __future__ import annotations

import bisect
import re

from .pcre import PcreError, PcrePattern, compile_pcre

_PIECE = re.compile(
    r"""
      \\Q (?P<quoted> .*? ) (?: \\E | $ )
    | \\x \{ (?P<hex> [0-9A-Fa-f]{1,2} ) \}
    | \\k (?: < (?P<k1> \w+ ) > | ' (?P<k2> \w+ ) ' | \{ (?P<k3> \w+ ) \} )
    | \\ (?P<escape> . )
    | (?P<named> \(\?< (?=\w) )
    | \(\? ' (?P<name> \w+ ) '
    | (?P<set> \[ \^? \]? (?: \[:\^?\w+:\] | \\. | [^\]\\] )* \] )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {
    "z": r"\Z",
    "Z": r"(?=\n?\Z)",
    "h": r"[ \t\xa0]",
    "H": r"[^ \t\xa0]",
    "R": r"(?:\r\n|[\n-\r\x85])",
    "N": r"[^\n]",
    "e": r"\x1b",
    "E": "",
}
_SET_PIECE = re.compile(
    r"\[:(?P<name>\^?\w+):\] | \\(?P<escape>.) | (?P<plain>\[|[-&~|](?=[-&~|]))",
    re.VERBOSE | re.DOTALL,
)
_SET_ESCAPES = {"h": r" \t\xa0", "e": r"\x1b", "E": ""}
_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\t-\r ",
    "blank": r"\t ",
    "punct": r"!-/:-@\[-`{-~",
    "xdigit": "0-9a-fA-F",
    "word": r"\w",
    "print": " -~",
    "graph": "!-~",
    "cntrl": r"\x00-\x1f\x7f",
}

# PCRE syntax that `re` cannot express.
_UNSUPPORTED = re.compile(r"\\[KpPXCGgo]|\(\?(?:[|R&(C]|[+-]?[0-9])|\(\*|\[:\^?\w*:\]")

# Message of `re`, message of PCRE2, and how far PCRE2's error offset is beyond Python's.
_PCRE_WORDS = (
    ("missing ), unterminated subpattern", "missing closing parenthesis", None),
    ("unterminated character set", "missing terminating ] for character class", None),
    ("bad escape (end of pattern)", "\\ at end of pattern", None),
    ("unbalanced parenthesis", "unmatched closing parenthesis", 0),
    ("nothing to repeat", "quantifier does not follow a repeatable item", 0),
    ("multiple repeat", "quantifier does not follow a repeatable item", 0),
    ("bad character range", "range out of order in character class", 2),
    ("unknown extension", "unrecognized character after (? or (?-", 1),
    ("bad character in group name", "subpattern name must start with a non-digit", 0),
    ("invalid group reference", "reference to non-existent subpattern", 0),
    (
        "redefinition of group name",
        "two named subpatterns have the same name (PCRE2_DUPNAMES not set)",
        0,
    ),
)


class RegexError(Exception):
    """The pattern does not compile; `str()` is nginx's message."""


def compile_regex(pattern: str, *, caseless: bool = False) -> re.Pattern[str]:
    """Compile a PCRE pattern. Raises `RegexError`."""
    python, offsets = _translate(pattern)
    try:
        return re.compile(python, re.ASCII | (re.IGNORECASE if caseless else 0))
    except (re.error, OverflowError, RecursionError) as error:
        if beyond := _UNSUPPORTED.search(pattern):
            return _compiled_by_pcre(pattern, beyond[0], caseless=caseless)
        words = str(getattr(error, "msg", error))
        position = _position(error, offsets)
        for python_words, pcre_words, farther in _PCRE_WORDS:
            if words.startswith(python_words):
                words = pcre_words
                position = len(pattern) if farther is None else position + farther
                break
        rest = pattern[position:]
        at = f' at "{rest}"' if rest else ""
        raise RegexError(f'pcre2_compile() failed: {words} in "{pattern}"{at}') from None


def _compiled_by_pcre(pattern: str, feature: str, *, caseless: bool) -> re.Pattern[str]:
    """Compile a pattern with a feature that `re` lacks. Raises `RegexError`."""
    try:
        compiled = compile_pcre(pattern, caseless=caseless)
    except PcreError as error:
        rest = pattern[error.position :]
        at = f' at "{rest}"' if rest else ""
        raise RegexError(f'pcre2_compile() failed: {error} in "{pattern}"{at}') from None
    if compiled is None:
        raise RegexError(
            f'"{feature}" in the regex "{pattern}" is not supported by sniproxy without PCRE2 '
            "(pip install sniproxy[pcre])"
        )
    return compiled


def is_pattern(value: object) -> bool:
    """Whether a value is a compiled regular expression."""
    return isinstance(value, re.Pattern | PcrePattern)


def _translate(pattern: str) -> tuple[str, list[tuple[int, int]]]:
    """Translate a pattern for `re`; also returns pairs of corresponding offsets (Python, PCRE)."""
    pieces: list[str] = []
    offsets = [(0, 0)]
    done = length = 0
    for match in _PIECE.finditer(pattern):
        for text, end in ((pattern[done : match.start()], match.start()),
                          (_piece(match), match.end())):  # fmt: skip
            pieces.append(text)
            length += len(text)
            offsets.append((length, end))
        done = match.end()
    pieces.append(pattern[done:])
    return "".join(pieces), offsets


def _piece(match: re.Match[str]) -> str:
    if match["quoted"] is not None:
        return re.escape(match["quoted"])
    if match["hex"]:
        return rf"\x{match['hex']:0>2}"
    if name := match["k1"] or match["k2"] or match["k3"]:
        return f"(?P={name})"
    if match["escape"] is not None:
        return _ESCAPES.get(match["escape"], match[0])
    if match["named"]:
        return "(?P<"
    if match["name"]:
        return f"(?P<{match['name']}>"
    inverse = "^" if match["set"].startswith("[^") else ""
    inside = match["set"][1 + len(inverse) : -1]
    first = "\\]" if inside.startswith("]") else ""
    return f"[{inverse}{first}{_SET_PIECE.sub(_set_piece, inside[len(first) // 2 :])}]"


def _set_piece(match: re.Match[str]) -> str:
    name = match["name"]
    if name:
        return _CLASSES.get(name) or _complement(_CLASSES.get(name[1:]), match[0])
    if match["escape"] is not None:
        return _SET_ESCAPES.get(match["escape"], match[0])
    # `re` reserves doubled punctuation for set operations, which PCRE does not have.
    return "\\" + match["plain"]


def _complement(inside: str | None, unknown: str) -> str:
    """All characters outside the class `inside`, as escapes."""
    if inside is None:
        return unknown
    pattern = re.compile(f"[{inside}]", re.ASCII)
    return "".join(rf"\x{byte:02x}" for byte in range(256) if not pattern.match(chr(byte)))


def _position(error: Exception, offsets: list[tuple[int, int]]) -> int:
    position = getattr(error, "pos", None) or 0
    python, ours = offsets[bisect.bisect(offsets, position, key=lambda pair: pair[0]) - 1]
    return ours + position - python
