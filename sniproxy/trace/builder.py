"""Build a `Trace` from what was recorded, when the request has finished.

Nothing is decided here: the functions that selected the virtual server and the location are
called again to explain their choice.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ..build.logs import DEFAULT_ACCESS_LOG
from ..build.paths import Paths
from ..config.directives.gateways import GatewaySettings
from ..config.directives.grpc import GrpcSettings
from ..config.directives.log import COMBINED
from ..config.directives.proxy import ProxySettings
from ..config.directives.ssl import Ssl
from ..config.directives.upstream_settings import UpstreamSettings
from ..config.directives.upstream_tls import ConnectionSettings
from ..config.model import Location, Server
from ..context import RequestContext, RoutingStep, UpstreamState
from ..http.header_fields import valid_host
from ..logs.access_format import AccessFormat
from ..logs.parser import parse_error_line
from ..models import Handshake, Header, ResponseHead
from ..runtime import AccessLog, Listener, Runtime, VariableAccessLog
from ..server_name import certificate_names, verified, why_not_sent
from ..template import Template, VariableLookup, compile_template
from ..tls.peer_certificate import PeerCertificate
from ..tls.stream import TLSStream
from ..variables import lookup
from . import reasons
from .masking import MASK, is_secret_variable, masked, masked_fields, secrets
from .steps import (
    Answer,
    Certificate,
    ClientTLSTrace,
    FileStep,
    Head,
    Names,
    PeerTrace,
    RedirectStep,
    Step,
    Trace,
    UpstreamStep,
)

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class HandlerCall:
    """A call of a handler, with values that are not available after the request."""

    ctx: RequestContext
    location: Location
    path: str
    after: int
    """Number of routing steps before the call."""
    tries: Sequence[UpstreamState]
    """The attempts; they change until the body was read."""
    proxy_host: str
    variables: tuple[tuple[str, str | None], ...]


def handler_call(
    ctx: RequestContext, location: Location, path: str, after: int, tries: int
) -> HandlerCall:
    """Record a finished call of a handler; `tries` attempts were made before."""
    settings = location.upstreams.active
    templates = () if settings is None else _templates(settings)
    values = lookup(ctx)
    names = dict.fromkeys(name for template in templates for name in template.variables)
    return HandlerCall(
        ctx,
        location,
        path,
        after,
        ctx.upstream_states[tries:],
        ctx.proxy_host or "",
        tuple([(name, MASK if is_secret_variable(name) else values(name)) for name in names]),
    )


def _templates(settings: UpstreamSettings) -> Iterator[Template]:
    """The templates that are evaluated to create a request to an upstream."""
    assert settings.target is not None
    directive = [settings.target.template, settings.ssl_name, settings.ssl_certificate]
    if isinstance(settings, ProxySettings):
        fields = [field.value for field in settings.proxy_set_header]
        directive += [settings.proxy_method, *fields, settings.proxy_set_body]
    elif isinstance(settings, GrpcSettings):
        directive += [field.value for field in settings.grpc_set_header]
    elif isinstance(settings, GatewaySettings):
        directive += [param.value for param in settings.params]
    directive.append(None if settings.bind is None else settings.bind.address)
    return (template for template in directive if template is not None)


# --- finished requests ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FinishedRequest:
    """A finished request."""

    ctx: RequestContext
    handshake: Handshake | None
    """The client's handshake."""
    handler_calls: Sequence[HandlerCall]
    lines: Sequence[str]


def request_trace(over: FinishedRequest, running: Runtime, paths: Paths) -> Trace:
    """The trace of a finished request."""
    ctx, connection = over.ctx, over.ctx.connection
    listener = next(one for one in running.listeners if one.text == connection.listening)
    host = ctx.request.host
    trace = Trace(
        connection=connection.number,
        number=connection.requests,
        client=f"{connection.client_address}:{connection.client_port}",
        listening=listener.text,
        tls=_client_tls(over.handshake, ctx, listener, running, paths),
        request=Head(ctx.request.line, masked_fields(ctx.request.headers)),
        url=_url(ctx),
        server=reasons.server(listener.names, host, "Host", listener.text),
        steps=tuple(_way(over, running)),
        answer=_answer(ctx),
        access_log=tuple(_access_lines(over.ctx, running)),
        error_log=tuple(over.lines),
    )
    return masked(trace, secrets(_all_fields(over)))


def _url(ctx: RequestContext) -> str:
    """The URL of the request."""
    connection, request = ctx.connection, ctx.request
    usual = {"https": 443, "http": 80}[connection.scheme]
    port = "" if connection.server_port in (0, usual) else f":{connection.server_port}"
    return (
        f"{connection.scheme}://{request.host or connection.server_address}{port}{request.target}"
    )


def _all_fields(over: FinishedRequest) -> Iterator[Header]:
    yield from over.ctx.request.headers
    for one in over.handler_calls:
        for tried in one.tries:
            yield from tried.head.headers if tried.head is not None else ()
    if over.ctx.sent_head:
        yield from _fields(over.ctx.sent_head)


def _answer(ctx: RequestContext) -> Answer:
    return Answer(
        ctx.status,
        head_of(ctx.sent_head) if ctx.sent_head else None,
        ctx.complete,
        (ctx.finished or time.monotonic()) - ctx.started,
        ctx.request_length,
        ctx.bytes_sent,
        ctx.body_bytes_sent,
    )


def _access_lines(ctx: RequestContext, running: Runtime) -> Iterator[str]:
    server = running.servers[ctx.server]
    location = server.location_runtimes.get(ctx.location, server.default_location)
    values = lookup(ctx)
    lines: dict[str, None] = {}
    if not location.access_logs and ctx.location.log.access_log is DEFAULT_ACCESS_LOG:
        # nginx's default file is not opened in an embedded proxy.
        lines[AccessFormat(compile_template(COMBINED)).line(ctx).rstrip("\n")] = None
    for target in location.access_logs:
        if not isinstance(target, AccessLog | VariableAccessLog):
            continue
        if target.condition is None or target.condition.render(values) not in ("", "0"):
            lines[target.format.line(ctx).rstrip("\n")] = None
    yield from lines


def head_of(data: bytes) -> Head:
    """The head at the start of `data`; a body after it is ignored."""
    return Head(data.partition(b"\r\n")[0].decode("latin-1"), masked_fields(_fields(data)))


def _fields(data: bytes) -> Iterator[Header]:
    lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    for line in lines[1:]:
        name, _, value = line.partition(":")
        yield name, value.strip(" ")


# --- failed handshakes ---------------------------------------------------------------------


def handshake_trace(
    handshake: Handshake, lines: Sequence[str], running: Runtime, listening: str = ""
) -> Trace:
    """The trace of a client whose handshake failed; the last of `lines` reports that.

    `listening` is the address that it has connected to, if there are no lines.
    """
    record = parse_error_line(lines[-1]) if lines else None
    text = (record.server if record is not None else None) or listening
    listener = next((one for one in running.listeners if one.text == text), None)
    server = None
    if listener is not None:
        server = reasons.server(listener.names, _sni(handshake.server_name), "SNI", text)
    return Trace(
        connection=None if record is None else record.connection,
        number=0,
        client=handshake.peer,
        listening=text,
        tls=ClientTLSTrace(handshake, server, None),
        request=None,
        url="",
        server=None,
        steps=(),
        answer=None,
        access_log=(),
        error_log=tuple(lines),
    )


# --- steps ----------------------------------------------------------------------------------


def _way(over: FinishedRequest, running: Runtime) -> Iterator[Step]:
    """The steps of the request, in order."""
    ctx = over.ctx
    server = running.servers[ctx.server]
    path, waits = ctx.request.path, True
    for number, detour in enumerate((*ctx.routing_steps, None)):
        if waits and (detour is None or detour.location is not server.settings.default_location):
            explained = server.locations.explain(path)
            if detour is not None or ctx.location is not server.settings.default_location:
                yield reasons.located(path, explained)
            waits = False
        yield from _stops(one for one in over.handler_calls if one.after == number)
        if detour is None:
            continue
        yield _turned(detour)
        if detour.uri.startswith("@"):
            location = server.named.get(detour.uri)
            if location is not None:
                yield reasons.named(location.settings)
        elif detour.relocates:
            # After too many redirects there is no further search.
            is_last = number == len(ctx.routing_steps) - 1
            path, waits = detour.uri, not (is_last and ctx.uri_changes_left <= 0)


def _turned(detour: RoutingStep) -> RedirectStep:
    to = detour.uri + (f"?{detour.args}" if detour.args else "")
    name = reasons.location_name(detour.location.name)
    return RedirectStep(
        detour.source, "" if detour.source == "return" else to, name, reasons.place(detour.location)
    )


def _stops(handler_call: Iterable[HandlerCall]) -> Iterator[Step]:
    for one in handler_call:
        subrequest = one.ctx.uri if one.ctx.is_subrequest else ""
        settings = one.location.upstreams.active
        if settings is None:
            yield FileStep(one.path, subrequest)
        else:
            yield _upstream_step(one, settings, subrequest)


def _upstream_step(one: HandlerCall, settings: UpstreamSettings, subrequest: str) -> UpstreamStep:
    target = settings.target
    assert target is not None
    tries = [tried for tried in one.tries if tried.address]
    return UpstreamStep(
        target.url,
        f"{target.file}:{target.line}",
        one.proxy_host,
        one.variables,
        names_trace(settings, tries),
        tuple([peer_trace(tried, is_http=isinstance(settings, HTTP_SETTINGS)) for tried in tries]),
        subrequest,
        f"{settings.PREFIX}pass",
    )


def names_trace(settings: ConnectionSettings, tries: Sequence[UpstreamState]) -> Names | None:
    """The upstream name of attempts; None without TLS."""
    tls = next((tried.tls for tried in tries if tried.tls is not None), None)
    if tls is None:
        return None
    name, prefix = settings.ssl_name, settings.PREFIX
    not_sent = why_not_sent(tls.name, proxy_ssl_server_name=tls.server_name)
    checked = verified(
        tls.name,
        proxy_ssl_verify=settings.ssl_verify,
        trusted=settings.ssl_trusted_certificate,
        depth=settings.ssl_verify_depth,
    )
    return Names(
        tls.name,
        f"the host of {prefix}pass" if name is None else f"{prefix}ssl_name {name}",
        not_sent.replace("proxy_", prefix),
        checked.replace("proxy_", prefix),
        tuple(sorted(settings.ssl_protocols)),
    )


HTTP_SETTINGS = (ProxySettings, GrpcSettings)


def peer_trace(tried: UpstreamState, *, is_http: bool) -> PeerTrace:
    """An attempt with a peer."""
    handshake = tried.handshake()
    head = tried.head
    return PeerTrace(
        tried.address,
        tried.reused,
        _connect_time(tried, handshake),
        handshake,
        head_of(tried.request) if tried.bytes_sent and is_http else None,
        None if head is None else _response(head),
        "" if tried.failure is None else tried.failure.message,
        tried.status,
        tried.header_time,
        tried.response_time,
        tried.bytes_sent,
        tried.bytes_received,
    )


def _connect_time(tried: UpstreamState, handshake: Handshake | None) -> float | None:
    """Connect time without the handshake; nginx's time includes it and is missing if it failed."""
    if handshake is None:
        return tried.connect_time
    whole = tried.response_time if tried.connect_time is None else tried.connect_time
    return None if whole is None else max(whole - handshake.duration, 0.0)


def _response(head: ResponseHead) -> Head:
    version = {9: "HTTP/0.9", 10: "HTTP/1.0", 20: "HTTP/2"}.get(head.version, "HTTP/1.1")
    status = head.status if head.version == 20 else head.status_line
    return Head(f"{version} {status}".rstrip(), masked_fields(head.headers))


# --- the client's TLS -----------------------------------------------------------------------


def _client_tls(
    handshake: Handshake | None,
    ctx: RequestContext,
    listener: Listener[Server],
    running: Runtime,
    paths: Paths,
) -> ClientTLSTrace | None:
    tls = ctx.connection.tls
    if handshake is None or not isinstance(tls, TLSStream):
        return None
    chosen = _negotiated(listener, running, handshake.server_name)
    return ClientTLSTrace(
        handshake,
        reasons.server(listener.names, _sni(handshake.server_name), "SNI", listener.text),
        certificate_trace(tls.own_certificate_der, chosen.ssl, lookup(ctx), paths),
    )


def _sni(name: str | None) -> str:
    return (valid_host(name) if name else None) or ""


def _negotiated(listener: Listener[Server], running: Runtime, name: str | None) -> Server:
    """The server whose certificate was used: the default server, if it has none."""
    found = running.negotiated(listener, name)
    server = listener.names.default if found is None else found[1].settings
    return server if running.servers[server].tls is not None else listener.names.default


def certificate_trace(
    der: bytes | None, settings: Ssl, values: VariableLookup, paths: Paths
) -> Certificate | None:
    """The certificate that was sent; None if there was none."""
    if der is None:
        return None
    try:
        names = certificate_names(x509.load_der_x509_certificate(der)).all
        issuer = PeerCertificate(der).issuer
    except ValueError:
        names, issuer = (), ""
    return Certificate(names, issuer, _source(der, settings, values, paths))


def _source(der: bytes, settings: Ssl, values: VariableLookup, paths: Paths) -> str:
    """The `ssl_certificate` value of the certificate that was used; "" if unknown."""
    if AUTO in settings.ssl_certificate:
        return AUTO
    sources = [certificate.render(values) for certificate, _ in settings.pairs()]
    if len(sources) == 1:
        return sources[0]
    return next((source for source in sources if _holds(paths.in_conf(source), der)), "")


def _holds(path: str, der: bytes) -> bool:
    """Whether the first certificate in a file is this one."""
    try:
        with open(path, "rb") as file:
            found = x509.load_pem_x509_certificate(file.read())
    except (OSError, ValueError):
        return False
    return found.public_bytes(Encoding.DER) == der
