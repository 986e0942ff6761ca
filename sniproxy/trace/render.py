"""Format a trace as a tree of lines, or as JSON data (pure).

Texts from certificates, header fields and log lines are escaped for terminals.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..models import Handshake, Header, Side
from ..server_name import NOT_VERIFIED
from ..terminal import escape_control
from .steps import (
    Answer,
    Certificate,
    Choice,
    ClientTLSTrace,
    ContentStep,
    FileStep,
    Head,
    LocationStep,
    Names,
    PeerTrace,
    PrereadStep,
    RedirectStep,
    Step,
    Trace,
    UpstreamStep,
)

MOST_NAMES = 8
"""Maximum number of names printed per list."""


@dataclass(frozen=True, slots=True)
class Node:
    """A line with the lines below it."""

    text: str
    below: tuple[Node, ...] = ()


def node(text: str, *below: Node | str | None) -> Node:
    """Create a line with lines below it; None is ignored."""
    made = [Node(one) if isinstance(one, str) else one for one in below if one is not None]
    return Node(text, tuple(made))


# --- drawing --------------------------------------------------------------------------------

UNICODE = ("├─ ", "└─ ", "│  ", "   ")
ASCII = ("|- ", "`- ", "|  ", "   ")
"""Prefixes of a line that others follow, of the last line, and of the lines below these."""


def lines(trace: Trace, encoding: str | None = "utf-8") -> list[str]:
    """The lines of the tree, with characters available in `encoding`."""
    return list(drawn(tree(trace), encoding))


def drawn(root: Node, encoding: str | None) -> Iterator[str]:
    """The lines of a tree, top down."""
    encoding = encoding or "ascii"
    branches = UNICODE if _has(encoding, "".join(UNICODE)) else ASCII
    waiting = [(root, "", "")]
    while waiting:
        current, before, below = waiting.pop()
        yield before + _fitting(escape_control(current.text), encoding)
        follows, last, goes_on, ended = branches
        for number, one in enumerate(reversed(current.below)):
            branch, further = (follows, goes_on) if number else (last, ended)
            waiting.append((one, below + branch, below + further))


def _has(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


def _fitting(text: str, encoding: str) -> str:
    return text if _has(encoding, text) else text.encode("ascii", "backslashreplace").decode()


# --- content --------------------------------------------------------------------------------


def tree(trace: Trace) -> Node:
    """All of a trace."""
    return node(
        _title(trace),
        f"client {trace.client}, to {trace.listening}{_which(trace)}",
        None if trace.tls is None else _client_tls(trace.tls),
        None if trace.request is None else _head("request", trace.request),
        None if trace.server is None else _choice("server", trace.server),
        *[_stop(stop) for stop in trace.steps],
        *([] if trace.answer is None else _answer(trace.answer, of_session=trace.request is None)),
        *[f"access log: {line}" for line in trace.access_log],
        *[f"error log: {line}" for line in trace.error_log],
    )


def _title(trace: Trace) -> str:
    if trace.answer is None:
        return f"connection from {trace.client}: SSL handshake failed"
    if trace.request is None:
        result = f"{trace.answer.status:03d} in {_ms(trace.answer.seconds)}"
        return f"session {trace.url} -> {result}"
    method = trace.request.line.partition(" ")[0] or "-"
    status = trace.answer.status or "no response"
    return f"{method} {trace.url} -> {status} in {_ms(trace.answer.seconds)}"


def _which(trace: Trace) -> str:
    number = "" if trace.connection is None else f", connection *{trace.connection}"
    return number + (f", request {trace.number} on it" if trace.number > 1 else "")


def _choice(what: str, choice: Choice) -> str:
    return f"{what}: {choice.name} ({choice.why}) {choice.place}".rstrip()


def _head(what: str, head: Head) -> Node:
    return node(f"{what}: {head.line}", *_fields(head.fields))


def _fields(fields: Iterable[Header]) -> Iterator[str]:
    return (f"{name}: {value}" for name, value in fields)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


# --- TLS ------------------------------------------------------------------------------------


def _client_tls(tls: ClientTLSTrace) -> Node:
    handshake = tls.handshake
    return node(
        f"SSL handshake with the client: {_outcome(handshake)}",
        f"SNI received: {_none_for(handshake.server_name)}",
        None if tls.server is None else _choice("server for the handshake", tls.server),
        None if tls.certificate is None else _certificate(tls.certificate, handshake.resumed),
        _client_certificate(handshake),
    )


def _none_for(name: str | None) -> str:
    return "none" if name is None else name


def _outcome(handshake: Handshake) -> str:
    parts = list(_agreed(handshake))
    if handshake.failure is not None:
        parts = [f"failed: {handshake.failure.message}", *parts]
    return f"{', '.join(parts)}, {_ms(handshake.duration)}"


def _agreed(handshake: Handshake) -> Iterator[str]:
    if not handshake.protocol:
        return
    yield from (handshake.protocol, handshake.cipher)
    if handshake.group:
        yield handshake.group
    if handshake.alpn:
        yield f"ALPN {handshake.alpn}"
    yield "resumed session" if handshake.resumed else "new session"


def _certificate(certificate: Certificate, resumed: bool) -> Node:
    what = "certificate, not sent in a resumed session" if resumed else "certificate"
    return node(
        f"{what}: {_first(certificate.names) or '(no name)'}",
        f"issued by {certificate.issuer}",
        f"ssl_certificate {certificate.source}" if certificate.source else None,
    )


def _client_certificate(handshake: Handshake) -> str | None:
    if handshake.side is not Side.CLIENT or not handshake.certificate_names:
        return None
    return f"client certificate: {', '.join(handshake.certificate_names)}; {_verify(handshake)}"


def _verify(handshake: Handshake) -> str:
    return f"verify result {handshake.verify_result}: {handshake.verify_error}"


def _upstream_tls(handshake: Handshake, offered: Sequence[str]) -> Node:
    session = "the cached session of this peer" if handshake.offered_session else "no session"
    sent = handshake.server_name
    name = "no SNI" if sent is None else f"SNI {sent}"
    agreed = ", ".join(_agreed(handshake))
    ended = "done" if handshake.failure is None else "failed"
    alpn = f"ALPN {handshake.alpn}" if handshake.alpn else "no ALPN"
    return node(
        f"SSL handshake: {ended}, {_ms(handshake.duration)}",
        f"offered: {name}, {' '.join(offered)}, {alpn}, {session}",
        f"negotiated: {agreed}" if agreed else None,
        _upstream_certificate(handshake),
    )


def _upstream_certificate(handshake: Handshake) -> str | None:
    if not handshake.protocol:
        return None
    names = _first(handshake.certificate_names) or "(no name)"
    checked = handshake.verified_name
    verdict = NOT_VERIFIED if checked is None else f'{_verify(handshake)}, for "{checked}"'
    return f"certificate: {names}; {verdict}"


# --- steps ----------------------------------------------------------------------------------


def _stop(stop: Step) -> Node:
    match stop:
        case LocationStep():
            passed = f"passed over: {_first(stop.passed_over)}" if stop.passed_over else None
            why = f"({stop.why}) {stop.place}".rstrip()
            return node(f"location for {stop.path}: {stop.location} {why}", passed)
        case RedirectStep():
            to = f" to {stop.to}" if stop.to else ": sent the response"
            return node(f"{stop.by}{to}, in {stop.location} {stop.place}")
        case FileStep():
            return node(f"{_inside(stop.subrequest)}files: {stop.path}")
        case UpstreamStep():
            return _upstream_step(stop)
        case PrereadStep():
            return _preread(stop)
        case ContentStep():
            return node(f"{stop.text} {stop.place}")


def _preread(step: PrereadStep) -> Node:
    if step.server_name is None:
        return node("ssl_preread: no ClientHello")
    return node(
        f"ssl_preread: SNI {step.server_name or 'none'}",
        f"offered: {step.protocol}" if step.protocol else None,
        f"ALPN: {step.alpn}" if step.alpn else None,
    )


def _first(names: Sequence[str]) -> str:
    rest = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def _inside(subrequest: str) -> str:
    return f"subrequest {subrequest}: " if subrequest else ""


def _upstream_step(step: UpstreamStep) -> Node:
    return node(
        f"{_inside(step.subrequest)}{step.kind} {step.url} {step.place}",
        f"upstream: {step.upstream}" if step.upstream else None,
        *[f"${name} = {_valued(value)}" for name, value in step.variables],
        *([] if step.names is None else _names(step.names)),
        *[_peer(peer, step.names) for peer in step.peers],
    )


def _valued(value: str | None) -> str:
    return "(none)" if value is None else value or '""'


def _names(names: Names) -> Iterator[str]:
    yield f"name: {_valued(names.name)}, from {names.name_source}"
    yield f"SNI: none, since {names.not_sent}" if names.not_sent else f"SNI: {names.name}"
    yield names.verified if names.verified == NOT_VERIFIED else f"verified: {names.verified}"


def _peer(peer: PeerTrace, names: Names | None) -> Node:
    offered = () if names is None else names.offered
    return node(
        f"peer {peer.address}: {_came(peer)}",
        _connected(peer),
        None if peer.handshake is None else _upstream_tls(peer.handshake, offered),
        None if peer.request is None else _head("sent", peer.request),
        None if peer.response is None else _head("received", peer.response),
        _measured(peer),
    )


def _came(peer: PeerTrace) -> str:
    after = "" if peer.response_time is None else f" after {_ms(peer.response_time)}"
    if peer.failure:
        return peer.failure + after
    return "no response" if peer.status is None else str(peer.status)


def _connected(peer: PeerTrace) -> str | None:
    if peer.reused:
        return "over a pooled connection"
    return None if peer.connect is None else f"connected in {_ms(peer.connect)}"


def _measured(peer: PeerTrace) -> str | None:
    times = ((peer.first, peer.header_time), ("end", peer.response_time))
    parts = [f"{_ms(value)} to its {what}" for what, value in times if value is not None]
    parts += [f"{peer.bytes_sent} bytes sent", f"{peer.bytes_received} received"]
    return ", ".join(parts) if peer.bytes_sent or peer.bytes_received else None


# --- response -------------------------------------------------------------------------------


def _answer(answer: Answer, *, of_session: bool) -> Iterator[Node | str]:
    if of_session:
        yield f"bytes: {answer.received} received, {answer.sent} sent"
        return
    if answer.head is None:
        yield "response: none"
    else:
        yield _head("response", answer.head)
    sent = f"{answer.sent} sent, {answer.body_sent} of them the body"
    whole = "" if answer.complete or answer.head is None else ", incomplete"
    yield f"bytes: {answer.received} received, {sent}{whole}"


# --- JSON -----------------------------------------------------------------------------------


def as_data(trace: Trace) -> dict[str, Any]:
    """The trace as JSON values; enumerations as their labels."""
    data = _plain(trace)
    assert isinstance(data, dict)
    return data


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [one.name for one in dataclasses.fields(value)]
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, enum.Enum):
        return getattr(value, "label", value.value)
    return value
