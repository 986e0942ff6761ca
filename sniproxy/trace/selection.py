"""Select traces by words that all have to match (`--trace=status:5xx host:shop`); pure.

The language is that of the live page, as far as it applies to a trace.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .steps import LocationStep, PeerTrace, PrereadStep, Trace, UpstreamStep

TraceTest = Callable[[Trace], bool]
_COMPARISON = re.compile(r"(<=|>=|<|>|=)?(\d+(?:\.\d+)?)")


class SelectionError(Exception):
    """A word means nothing; the text names it."""


def peers(trace: Trace) -> list[PeerTrace]:
    """All attempts with upstreams."""
    return [peer for step in trace.steps if isinstance(step, UpstreamStep) for peer in step.peers]


def is_failed(trace: Trace) -> bool:
    """Whether the client got an error or nothing, or an attempt with an upstream failed."""
    status = 0 if trace.answer is None else trace.answer.status
    return not 0 < status < 400 or any(peer.failure for peer in peers(trace))


def location_of(trace: Trace) -> str:
    """The location that was chosen last; "" without one."""
    found = [step.location for step in trace.steps if isinstance(step, LocationStep)]
    return found[-1] if found else ""


def has_hello(trace: Trace) -> bool:
    """Whether the client has sent a ClientHello."""
    steps = [step for step in trace.steps if isinstance(step, PrereadStep)]
    return trace.tls is not None or any(step.server_name is not None for step in steps)


def names_of(trace: Trace) -> tuple[str | None, str | None]:
    """The SNI that was received, and the one that was sent to the last peer."""
    received = None if trace.tls is None else trace.tls.handshake.server_name
    for step in trace.steps:
        if isinstance(step, PrereadStep):
            received = step.server_name or None
    sent = [peer.handshake.server_name for peer in peers(trace) if peer.handshake is not None]
    return received, sent[-1] if sent else None


def _number(text: str, word: str) -> Callable[[float], bool]:
    found = _COMPARISON.fullmatch(text)
    if found is None:
        raise SelectionError(f'"{word}" needs a number')
    limit = float(found[2])
    return {
        "<": lambda value: value < limit,
        ">": lambda value: value > limit,
        "<=": lambda value: value <= limit,
        ">=": lambda value: value >= limit,
    }.get(found[1] or "", lambda value: value == limit)


def _status(text: str, word: str) -> TraceTest:
    if re.fullmatch("[1-5]xx", text):
        return lambda trace: trace.answer is not None and trace.answer.status // 100 == int(text[0])
    compare = _number(text, word)
    return lambda trace: trace.answer is not None and compare(trace.answer.status)


def _time(text: str, word: str) -> TraceTest:
    compare = _number(text, word)
    return lambda trace: trace.answer is not None and compare(trace.answer.seconds * 1000)


def _is(text: str, word: str) -> TraceTest:
    if text == "failed":
        return is_failed
    if text == "ok":
        return lambda trace: not is_failed(trace)
    raise SelectionError(f'"{word}" is unknown: there are is:failed and is:ok')


def _sni(text: str, word: str) -> TraceTest:
    def test(trace: Trace) -> bool:
        received, sent = names_of(trace)
        sides = [received] if has_hello(trace) else []
        sides += [sent] if any(peer.handshake for peer in peers(trace)) else []
        if text == "none":
            return None in sides
        return any(text in (name or "").lower() for name in sides)

    return test


def _part(of: Callable[[Trace], str]) -> Callable[[str, str], TraceTest]:
    return lambda text, word: lambda trace: text in of(trace).lower()


def _host(trace: Trace) -> str:
    return trace.url.partition("://")[2].partition("/")[0]


def _path(trace: Trace) -> str:
    return "/" + trace.url.partition("://")[2].partition("/")[2]


def _peer(trace: Trace) -> str:
    return " ".join(peer.address for peer in peers(trace))


def _anywhere(trace: Trace) -> str:
    received, sent = names_of(trace)
    line = "" if trace.request is None else trace.request.line
    parts = (line, trace.url, trace.client, location_of(trace), received, sent, *trace.error_log)
    return " ".join(part or "" for part in (*parts, _peer(trace)))


TESTS: dict[str, Callable[[str, str], TraceTest]] = {
    "status": _status,
    "time": _time,
    "is": _is,
    "sni": _sni,
    "host": _part(_host),
    "path": _part(_path),
    "peer": _part(_peer),
    "client": _part(lambda trace: trace.client),
    "location": _part(location_of),
    "server": _part(lambda trace: "" if trace.server is None else trace.server.name),
    "method": lambda text, word: (
        lambda trace: (
            trace.request is not None and trace.request.line.lower().startswith(f"{text} ")
        )
    ),
}


def select(text: str) -> TraceTest:
    """A function that tells whether a trace matches all words. Raises `SelectionError`."""
    tests = [_test(word) for word in text.lower().split()]
    return lambda trace: all(test(trace) for test in tests)


def _test(word: str) -> TraceTest:
    if len(word) > 1 and word.startswith("-"):
        excluded = _test(word[1:])
        return lambda trace: not excluded(trace)
    key, colon, value = word.partition(":")
    if colon and key in TESTS:
        return TESTS[key](value, word)
    if colon and re.fullmatch("[a-z]+", key) and not value.startswith("//"):
        raise SelectionError(f'"{key}:" is unknown: there are {", ".join(TESTS)}')
    return lambda trace: word in _anywhere(trace).lower()
