"""Entries of the live page, as JSON values: a row of the list, and its details.

Made from what a request context contains when the request is over, with `trace.builder`.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from cryptography import x509

from ..build.paths import Paths
from ..config.directives.proxy import ProxySettings
from ..context import Connection, RequestContext, UpstreamState
from ..explain import to_dict
from ..handlers.error_detail import FailureDetail
from ..logs.parser import parse_error_line
from ..models import Handshake, Header
from ..observer import SessionState
from ..runtime import Runtime
from ..server_name import certificate_names, why_not_sent
from ..tls.stream import TLSStream
from ..trace.builder import FinishedRequest, HandlerCall, handler_call, request_trace
from ..trace.masking import SECRET_FIELDS
from ..trace.reasons import location_name
from ..trace.render import as_data
from ..trace.steps import Trace, UpstreamStep
from ..variables import lookup
from .secret_values import HIDDEN, mask_query

Data = dict[str, Any]

MAX_BODY = 64 << 10
"""Bytes of a body that are recorded."""
VARIABLES = (
    "scheme", "host", "uri", "args", "server_name", "remote_addr", "remote_port", "server_protocol",
    "ssl_server_name", "ssl_protocol", "ssl_cipher", "ssl_session_reused", "ssl_client_s_dn",
    "ssl_client_verify", "proxy_host", "upstream_addr", "upstream_status", "upstream_connect_time",
    "upstream_header_time", "upstream_response_time", "upstream_cache_status", "bytes_sent",
    "request_length", "sent_http_content_type",
)  # fmt: skip
"""Variables of which each entry has the values."""
SEVERE = ("emerg", "alert", "crit", "error", "warn")
"""Levels of the messages that a row shows; of a failed request it shows others too."""
_GRPC_NAMES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS "
    "PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED "
    "INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"
)
GRPC_STATUSES = {str(number): name for number, name in enumerate(_GRPC_NAMES.split())}


@dataclass(frozen=True, slots=True)
class BodyExcerpt:
    """The beginning of a body."""

    data: bytes
    length: int
    """Length of the whole body in bytes."""

    def value(self) -> Data:
        text = base64.b64encode(self.data).decode("ascii")
        return {"data": text, "length": self.length, "complete": self.length == len(self.data)}


@dataclass(frozen=True, slots=True)
class Bodies:
    """The bodies of a request and of its response; None if they were not recorded."""

    request: BodyExcerpt | None = None
    response: BodyExcerpt | None = None


# --- requests --------------------------------------------------------------------------------


def request_row(
    ctx: RequestContext, handshake: Handshake | None = None, lines: Sequence[str] = ()
) -> Data:
    """The row of a finished request."""
    now = time.monotonic()
    finished = ctx.finished or now
    connection, request = ctx.connection, ctx.request
    last = ctx.upstream_states[-1] if ctx.upstream_states else None
    name = handshake.server_name if handshake is not None else None
    if handshake is None and connection.tls is not None:
        name = connection.tls.server_name
    return {
        "kind": "request",
        "time": time.time() - (now - ctx.started),
        "client": f"{connection.client_address}:{connection.client_port}",
        "connection": connection.number,
        "scheme": connection.scheme,
        "method": request.method or "-",
        "host": request.host,
        "target": mask_query(request.target),
        "status": ctx.status,
        "seconds": round(finished - ctx.started, 6),
        "sent": ctx.bytes_sent,
        "sni_in": name,
        "server": ctx.server.name,
        "location": location_name(ctx.location.name),
        "sni_out": None if last is None else sent_name(last),
        "peer": None if last is None else last.address,
        "peer_tls": last is not None and last.tls is not None,
        "problem": mask_query(_request_problem(ctx, last, lines)),
        "detail": True,
    }


def sent_name(attempt: UpstreamState) -> str | None:
    """The SNI that was sent in an attempt; None for none."""
    tls = attempt.tls
    if tls is None or why_not_sent(tls.name, proxy_ssl_server_name=tls.server_name):
        return None
    return tls.name


def _request_problem(ctx: RequestContext, last: UpstreamState | None, lines: Sequence[str]) -> str:
    """What went wrong with a request: nginx's message, or the gRPC status; "" for nothing."""
    levels = SEVERE if ctx.status < 400 else (*SEVERE, "info")
    return _problem(last, lines, levels) or _grpc_problem(last)


def _problem(
    last: UpstreamState | None, lines: Sequence[str], levels: Sequence[str] = SEVERE
) -> str:
    """nginx's message about what went wrong; "" for nothing."""
    if last is not None and last.failure is not None:
        return last.failure.message
    for line in reversed(lines):
        record = parse_error_line(line)
        if record is not None and record.level in levels:
            return record.message
    return ""


def _grpc_problem(last: UpstreamState | None) -> str:
    """The gRPC status of a call that has failed, which may have the HTTP status 200."""
    if last is None or last.head is None:
        return ""
    fields = {name.lower(): value for name, value in (*last.head.headers, *last.trailers)}
    status = fields.get("grpc-status", "0")
    if status == "0":
        return ""
    name = GRPC_STATUSES.get(status, "")
    message = fields.get("grpc-message", "")
    return f"gRPC status {status}{name and f' {name}'}{message and f': {unquote(message)}'}"


def request_details(over: FinishedRequest, running: Runtime, paths: Paths, bodies: Bodies) -> Data:
    """All that is known of a finished request, with the secrets in it."""
    ctx = over.ctx
    values = lookup(ctx)
    variables = {name: _latin1(values(name)) for name in VARIABLES}
    return {
        "trace": _trace_data(request_trace(over, running, paths)),
        "variables": {name: value for name, value in variables.items() if value},
        "certificates": _certificates(ctx),
        "causes": causes(over.lines, ctx.location.proxy),
        "bodies": {
            "request": None if bodies.request is None else bodies.request.value(),
            "response": None if bodies.response is None else bodies.response.value(),
        },
        "address": [ctx.connection.server_address, ctx.connection.server_port],
        "can_replay": _can_replay(ctx, bodies),
        HIDDEN: list(_hidden(over)),
    }


def _trace_data(trace: Trace) -> Data:
    """The trace as JSON values, with the messages of failed handshakes in nginx's words."""
    data = as_data(trace)
    if trace.tls is not None:
        _add_message(data["tls"]["handshake"], trace.tls.handshake)
    for step, value in zip(trace.steps, data["steps"], strict=True):
        if isinstance(step, UpstreamStep):
            for peer, found in zip(step.peers, value["peers"], strict=True):
                if peer.handshake is not None:
                    _add_message(found["handshake"], peer.handshake)
    return data


def _add_message(data: Data, handshake: Handshake) -> None:
    if handshake.failure is not None:
        data["failure"]["message"] = handshake.failure.message


def call_at_end(ctx: RequestContext) -> HandlerCall:
    """The call of the content handler, for a request whose steps were not observed."""
    return handler_call(ctx, ctx.location, ctx.uri, len(ctx.routing_steps), 0)


def _latin1(value: str | None) -> str:
    return value or ""


def _can_replay(ctx: RequestContext, bodies: Bodies) -> bool:
    if ctx.request.version < 10 or ctx.refused is not None:
        return False
    recorded = bodies.request
    if recorded is None:
        return not ctx.request.has_body
    return recorded.length == len(recorded.data)


def _hidden(over: FinishedRequest) -> Iterator[tuple[list[str | int], object]]:
    """The masked values of a trace: the path to each list of fields, and the fields."""
    ctx = over.ctx
    yield from _secret_fields(["trace", "request", "fields"], ctx.request.headers)
    if ctx.sent_head:
        fields = _parsed(ctx.sent_head)
        yield from _secret_fields(["trace", "answer", "head", "fields"], fields)


def _secret_fields(
    path: list[str | int], fields: Sequence[Header]
) -> Iterator[tuple[list[str | int], object]]:
    for number, (name, value) in enumerate(fields):
        if name.lower() in SECRET_FIELDS:
            yield [*path, number], [name, value]


def _parsed(head: bytes) -> list[Header]:
    lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines[1:]]
    return [(name, value.strip(" ")) for name, _, value in pairs]


# --- connections without a request -----------------------------------------------------------


def connection_row(
    connection: Connection, handshake: Handshake | None, lines: Sequence[str], seconds: float
) -> Data:
    """The row of a connection whose handshake failed, or that ended without a request."""
    failure = None if handshake is None else handshake.failure
    problem = "" if failure is None else failure.message
    if not problem and lines:
        record = parse_error_line(lines[-1])
        problem = lines[-1] if record is None else record.message
    return {
        "kind": "connection" if failure is None else "handshake",
        "time": connection.started_at,
        "client": f"{connection.client_address}:{connection.client_port}",
        "connection": connection.number,
        "scheme": connection.scheme,
        "method": "",
        "host": connection.listening,
        "target": "",
        "status": 0,
        "seconds": round(seconds, 6),
        "sent": 0,
        "sni_in": None if handshake is None else handshake.server_name,
        "server": "",
        "location": "",
        "sni_out": None,
        "peer": None,
        "problem": problem or "closed without a request",
        "detail": True,
    }


def session_row(
    ctx: SessionState, handshake: Handshake | None, lines: Sequence[str], ended: float
) -> Data:
    """The row of a session of `stream {}` that has ended at a POSIX time."""
    connection = ctx.connection
    last = ctx.upstream_states[-1] if ctx.upstream_states else None
    failure = None if handshake is None else handshake.failure
    return {
        "kind": "session",
        "time": ctx.started,
        "client": f"{connection.client_address}:{connection.client_port}",
        "connection": connection.number,
        "scheme": "udp" if ctx.is_udp else "tcp" if handshake is None else "tls",
        "method": "UDP" if ctx.is_udp else "TCP",
        "host": connection.listening,
        "target": "",
        "status": ctx.status,
        "seconds": round(max(ended - ctx.started, 0.0), 6),
        "sent": ctx.bytes_sent,
        "received": ctx.received,
        "sni_in": ctx.server_name,
        "server": "",
        "location": "",
        "sni_out": None if last is None else sent_name(last),
        "peer": None if last is None else last.address,
        "peer_tls": last is not None and last.tls is not None,
        "problem": _problem(last, lines) if failure is None else failure.message,
        "detail": False,
    }


def connection_details(trace: Trace | None, lines: Sequence[str]) -> Data:
    """All that is known of such a connection."""
    return {
        "trace": None if trace is None else _trace_data(trace),
        "lines": list(lines),
        "causes": causes(lines),
        "can_replay": False,
    }


# --- explanations and certificates -----------------------------------------------------------


def causes(lines: Sequence[str], proxy: ProxySettings | None = None) -> list[Data]:
    """What the lines mean, and what cures it, as `sniproxy explain --json` has it.

    `proxy` are the settings of the location, whose names the cures have.
    """
    if not lines:
        return []
    return [to_dict(group) for group in FailureDetail.from_log_lines(lines, proxy).groups]


def _certificates(ctx: RequestContext) -> Mapping[str, object]:
    tls = ctx.connection.tls
    own = None
    if isinstance(tls, TLSStream) and tls.own_certificate_der is not None:
        own = certificate(tls.own_certificate_der)
    attempts = [attempt for attempt in ctx.upstream_states if attempt.address]
    return {"client": [] if own is None else [own], "peers": [_chain(one) for one in attempts]}


def _chain(attempt: UpstreamState) -> list[Data]:
    """The certificates of an upstream, its own first."""
    stream = getattr(attempt, "stream", None)
    if not isinstance(stream, TLSStream) or not stream.established:
        return []
    own = stream.peer_certificate_der
    chain = [] if own is None else [own]
    chain += [one for one in map(_der, stream.peer_chain) if one != own]
    return [certificate(der) for der in chain]


def _der(found: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return found.public_bytes(Encoding.DER)


@lru_cache(maxsize=256)
def certificate(der: bytes) -> Data:
    """A certificate as the page shows it."""
    try:
        found = x509.load_der_x509_certificate(der)
        return {
            "subject": found.subject.rfc4514_string(),
            "issuer": found.issuer.rfc4514_string(),
            "names": list(certificate_names(found).all),
            "not_before": found.not_valid_before_utc.timestamp(),
            "not_after": found.not_valid_after_utc.timestamp(),
            "serial": f"{found.serial_number:X}",
        }
    except ValueError:
        return {"subject": "(unreadable)", "issuer": "", "names": [], "serial": ""}
