"""nginx's command line options (`ngx_get_options`), read as nginx reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import COMMANDS


class UsageError(Exception):
    """The command line is invalid; `str()` is nginx's message."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option as help, completion and man page describe it."""

    flags: tuple[str, ...]
    help: str
    metavar: str = ""
    """The name of its value; "" if it has none."""


OPTIONS = (
    Option(("-?", "-h", "--help"), "show this help and exit"),
    Option(("-v", "--version"), "show version and exit"),
    Option(("-V",), "show version and configure options then exit"),
    Option(("-t",), "test configuration and exit"),
    Option(("-T",), "test configuration, dump it and exit"),
    Option(("-q",), "suppress non-error messages during configuration testing"),
    Option(("-p",), "set prefix path (default: the current folder)", "prefix"),
    Option(("-e",), "set error log file (default: stderr)", "filename"),
    Option(("-c",), "set configuration file (default: nginx.conf)", "filename"),
    Option(("-g",), "set global directives out of configuration file", "directives"),
    Option(("-s",), "send signal to the process that serves: stop, quit, reopen, reload", "signal"),
    Option(("--lenient",), "leave out directives that sniproxy lacks, with a warning for each"),
    Option(("--watch",), "reload when the configuration or a certificate changes"),
    Option(
        ("--trace",),
        "print the steps of each request as a tree; --trace=short prints one line, and "
        "--trace=status:5xx or --trace=short,is:failed selects requests",
    ),
    Option(
        ("--live",),
        "show requests and handshakes on a page in the browser, at 127.0.0.1:4040 or at the "
        "address:port that follows",
    ),
)
"""The options of `sniproxy` without a command; the words are nginx's where the option is."""


@dataclass(slots=True)
class Options:
    """The parsed options."""

    help: bool = False
    """`--help`: print the help to standard output."""
    version: bool = False
    """`--version`: print the version to standard output."""
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
    """`-g`."""
    signal: str | None = None
    trace: bool = False
    trace_short: bool = False
    """`--trace=short`: one line for each request."""
    trace_filter: str = ""
    live: str | None = None
    """The address of `--live`."""
    watch: bool = False
    lenient: bool = False


_FLAGS: dict[str, tuple[str, ...]] = {
    "?": ("show_version", "show_help"),
    "h": ("show_version", "show_help"),
    "v": ("show_version",),
    "V": ("show_version", "show_configure"),
    "t": ("test",),
    "T": ("test", "dump"),
    "q": ("quiet",),
}

_LONG = {f"--{name}": name for name in ("help", "version", "trace", "watch", "lenient")}
"""Our own options: nginx has none with two dashes."""

LIVE_ADDRESS = "127.0.0.1:4040"

_VALUES = {
    "p": ("prefix", "directory name"),
    "e": ("error_log", "file name"),
    "c": ("conf_file", "file name"),
    "g": ("directives", "parameter"),
    "s": ("signal", "parameter"),
}


def suggestion(word: str, known: Iterable[str]) -> str:
    """`, did you mean "NEAREST"?`; "" if nothing in `known` is similar to `word`."""
    import difflib  # a server that starts without an error does not need it

    nearest = difflib.get_close_matches(word, list(known), 1, cutoff=0.7)
    return f', did you mean "{nearest[0]}"?' if nearest else ""


def parse_options(words: Sequence[str]) -> Options:
    """Parse the arguments; raises `UsageError`.

    As in nginx, letters may be joined (`-tq`), and a value is the rest of its argument or the
    next argument.
    """
    options = Options()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            if hint := suggestion(word, COMMANDS):
                raise UsageError(f'unknown command "{word}"{hint}')
            raise UsageError(f'invalid option: "{word}"')
        if word == "--live" or word.startswith("--live="):
            value = word.partition("=")[2]
            if not value and rest and not rest[0].startswith("-"):
                value = rest.pop(0)
            options.live = value or LIVE_ADDRESS
            continue
        if word.startswith("--trace="):
            options.trace = True
            first, _, rest_of_it = word.partition("=")[2].partition(",")
            options.trace_short = first == "short"
            options.trace_filter = rest_of_it if first == "short" else word.partition("=")[2]
            continue
        if word in _LONG:
            setattr(options, _LONG[word], True)
            continue
        if word.startswith("--") and (hint := suggestion(word, (*_LONG, "--live"))):
            raise UsageError(f'unknown option "{word}"{hint}')
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _FLAGS:
                for name in _FLAGS[letter]:
                    setattr(options, name, True)
            elif letter in _VALUES:
                name, required = _VALUES[letter]
                if not letters and not rest:
                    raise UsageError(f'option "-{letter}" requires {required}')
                setattr(options, name, letters or rest.pop(0))
                letters = ""
            else:
                raise UsageError(f'invalid option: "{letter}"')
    if options.signal is not None and options.signal not in ("stop", "quit", "reopen", "reload"):
        raise UsageError(f'invalid option: "-s {options.signal}"')
    return options
