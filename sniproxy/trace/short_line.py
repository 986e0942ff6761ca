"""A trace in one line, for a terminal (`--trace=short`); pure."""

from __future__ import annotations

from ..logs.parser import parse_error_line
from ..terminal import escape_control
from .selection import has_hello, is_failed, location_of, names_of, peers
from .steps import Trace

RED, YELLOW, GREEN, BLUE, DIM = "31", "33", "32", "34", "2"


def short_line(trace: Trace, clock: str, *, colour: bool) -> str:
    """Time, status, request, SNI in, server, location, SNI out, peer, duration, cause."""

    def painted(text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if colour and text else text

    status, duration = "---", ""
    if trace.answer is not None:
        status = str(trace.answer.status or "---")
        duration = f"{trace.answer.seconds * 1000:.1f} ms"
    method = "" if trace.request is None else trace.request.line.partition(" ")[0]
    request = f"{method} {trace.url}" if method else f"handshake with {trace.client}"
    if trace.request is None and trace.answer is not None:
        request = f"session {trace.url}"
    parts = [
        painted(clock, DIM),
        painted(status, RED if status >= "5" or status == "---" else _status_code(status)),
        escape_control(request),
        painted(escape_control(" → ".join(_way(trace))), DIM),
        painted(duration, DIM),
    ]
    cause = _cause(trace) if is_failed(trace) else ""
    if cause:
        parts.append(painted(escape_control(cause), RED))
    return "  ".join(part for part in parts if part)


def _status_code(status: str) -> str:
    return {"4": YELLOW, "3": BLUE}.get(status[0], GREEN)


def _way(trace: Trace) -> list[str]:
    received, sent = names_of(trace)
    way = [_named(received)] if has_hello(trace) else []
    if trace.server is not None:
        way += [trace.server.name, location_of(trace)]
    attempts = peers(trace)
    if attempts:
        if attempts[-1].handshake is not None:
            way.append(_named(sent))
        way.append(attempts[-1].address)
    return [part for part in way if part]


def _named(name: str | None) -> str:
    return "no SNI" if name is None else f"SNI {name}"


def _cause(trace: Trace) -> str:
    """nginx's message about the failure."""
    failures = [peer.failure for peer in peers(trace) if peer.failure]
    if failures:
        return failures[-1]
    for line in reversed(trace.error_log):
        record = parse_error_line(line)
        if record is not None:
            return record.message
    return ""
