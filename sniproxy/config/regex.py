"""Regular expressions of a configuration: PCRE's language in Python's engine.

nginx matches bytes without UTF-8; our text has one character a byte, so ASCII classes over
latin-1 text are the same thing. Named groups are written `(?<name>…)` there.
"""

from __future__ import annotations

import re

_NAMED_GROUP = re.compile(r"(?<!\\)\(\?(?:<(?![=!])|')(?P<name>\w+)[>']")

# PCRE2's words for what Python's parser says; the rest keep Python's.
_PCRE_WORDS = (
    ("missing ), unterminated subpattern", "missing closing parenthesis"),
    ("unbalanced parenthesis", "unmatched closing parenthesis"),
    ("unterminated character set", "missing terminating ] for character class"),
    ("nothing to repeat", "quantifier does not follow a repeatable item"),
    ("bad escape (end of pattern)", "\\ at end of pattern"),
    ("bad character range", "range out of order in character class"),
)


class RegexError(Exception):
    """The pattern does not compile; `str()` is nginx's message."""


def compile_regex(pattern: str, *, caseless: bool = False) -> re.Pattern[str]:
    """Compile a pattern of nginx's; raises `RegexError`."""
    python = _NAMED_GROUP.sub(r"(?P<\g<name>>", pattern)
    try:
        return re.compile(python, re.ASCII | (re.IGNORECASE if caseless else 0))
    except (re.error, OverflowError, RecursionError) as error:
        words = str(getattr(error, "msg", error))
        for python_words, pcre_words in _PCRE_WORDS:
            if words.startswith(python_words):
                words = pcre_words
                break
        position = len(pattern) if "missing" in words or "end of" in words else _position(error)
        rest = pattern[position:]
        at = f' at "{rest}"' if rest else ""
        raise RegexError(f'pcre2_compile() failed: {words} in "{pattern}"{at}') from None


def _position(error: Exception) -> int:
    return getattr(error, "pos", None) or 0
