"""Parse the parts of a log line: the message, its phase (`while ...`), and the fields."""

from __future__ import annotations

import re

UPSTREAM = "upstream"
CLIENT = "client"
STARTUP = "startup"

FIELD = re.compile(r", (?:client|server|request|subrequest|upstream|host|referrer): ")

PHASES = {
    UPSTREAM: (
        "SSL handshaking to upstream",
        "connecting to upstream",
        "sending request to upstream",
        "reading response header from upstream",
        "reading response from upstream",
        "reading upstream",
        "SSL handshaking to fetch target",
        "sending PROXY protocol header to upstream",
        "sending early hints to client",
        "proxying and reading from upstream",
        "proxying and sending to upstream",
    ),
    CLIENT: (
        "SSL handshaking",
        "waiting for request",
        "reading client request line",
        "reading client pipelined request line",
        "reading client request headers",
        "reading client request",
        "sending to client",
        "sending response to client",
        "keepalive",
        "closing request",
        "logging request",
        "reading PROXY protocol",
        "processing HTTP/2 connection",
        "processing SPDY",
        "prereading client data",
        "initializing session",
        "requesting certificate status",
        "handling quic input",
        "handling frames",
        "creating quic connection",
        "parsing quic packet",
        "in auth state",
        "in http auth state",
        "in starttls state",
        "sending client greeting line",
        "proxying and reading from client",
        "proxying and sending to client",
    ),
}
"""The phases (`while ...`), by the side that they concern."""

_SIDES = {phase: side for side, phases in PHASES.items() for phase in phases}
_LONGEST_FIRST = sorted(_SIDES, key=len, reverse=True)


def head_of(text: str) -> str:
    """The message and its phase: the text before `, client: ...`."""
    end = text.find(", client: ")
    if end < 0:
        match = FIELD.search(text)
        return text if match is None else text[: match.start()]
    return text[:end]


def phase_of(head: str) -> str:
    """The text after the last `while`; "" if there is none."""
    return head.rpartition(" while ")[2].rstrip(" .,") if " while " in head else ""


def is_phase(phase: str) -> bool:
    return phase in _SIDES


def side_of_phase(phase: str, *, is_cut: bool) -> str | None:
    """The side of a phase; a truncated one has the side common to all phases it may be."""
    if phase in _SIDES:
        return _SIDES[phase]
    if is_cut and phase:
        sides = {side for known, side in _SIDES.items() if known.startswith(phase)}
        if len(sides) == 1:
            return sides.pop()
        if sides:
            return None
    for known in _LONGEST_FIRST:
        if phase.startswith(known):
            return _SIDES[known]
    return UPSTREAM if "upstream" in phase else None


def quoted(text: str, field: str, start: int = 0) -> str:
    """The value of a quoted field (`upstream`, `host`); "" if it is missing."""
    begin = text.find(f', {field}: "', start)
    if begin < 0:
        return ""
    begin += len(field) + 5
    end = text.find('"', begin)
    return text[begin:] if end < 0 else text[begin:end]


def plain_field(text: str, field: str, start: int = 0) -> str:
    """The value of an unquoted field (`client`, `server`); "" if it is missing."""
    begin = text.find(f", {field}: ", start)
    if begin < 0:
        return ""
    begin += len(field) + 4
    end = text.find(", ", begin)
    return text[begin:].rstrip(",") if end < 0 else text[begin:end]
