"""nginx's command line options (`ngx_get_options`), read as nginx reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class UsageError(Exception):
    """The words are not nginx's; `str()` is its message."""


@dataclass(slots=True)
class Options:
    """What was asked for."""

    show_version: bool = False
    show_configure: bool = False
    show_help: bool = False
    test: bool = False
    dump: bool = False
    quiet: bool = False
    prefix: str | None = None
    conf_file: str | None = None
    error_log: str | None = None
    directives: str = ""
    signal: str | None = None
    trace: bool = False


_FLAGS: dict[str, tuple[str, ...]] = {
    "?": ("show_version", "show_help"),
    "h": ("show_version", "show_help"),
    "v": ("show_version",),
    "V": ("show_version", "show_configure"),
    "t": ("test",),
    "T": ("test", "dump"),
    "q": ("quiet",),
}

TRACE = "--trace"
"""Ours: nginx has no option with two dashes."""

_VALUES = {
    "p": ("prefix", "directory name"),
    "e": ("error_log", "file name"),
    "c": ("conf_file", "file name"),
    "g": ("directives", "parameter"),
    "s": ("signal", "parameter"),
}


def parse_options(words: Sequence[str]) -> Options:
    """Read the words behind the program's name; raises `UsageError`.

    Letters may be joined (`-tq`); a value is the rest of its word or the next word.
    """
    options = Options()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            raise UsageError(f'invalid option: "{word}"')
        options.trace = options.trace or word == TRACE
        letters = "" if word == TRACE else word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _FLAGS:
                for name in _FLAGS[letter]:
                    setattr(options, name, True)
            elif letter in _VALUES:
                name, wanted = _VALUES[letter]
                if not letters and not rest:
                    raise UsageError(f'option "-{letter}" requires {wanted}')
                setattr(options, name, letters or rest.pop(0))
                letters = ""
            else:
                raise UsageError(f'invalid option: "{letter}"')
    if options.signal is not None and options.signal not in ("stop", "quit", "reopen", "reload"):
        raise UsageError(f'invalid option: "-s {options.signal}"')
    return options
