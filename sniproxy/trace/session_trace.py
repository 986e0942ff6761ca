"""Build the `Trace` of a session of `stream {}` when it is over."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..build.paths import Paths
from ..config.directives.stream_core import PassTo, ReturnText
from ..config.directives.upstream_target import ProxyPass
from ..http.header_fields import valid_host
from ..models import Handshake
from ..stream.session_context import SessionContext
from ..stream.session_variables import session_lookup
from ..tls.stream import TLSStream
from . import reasons
from .builder import certificate_trace, names_trace, peer_trace
from .steps import Answer, ClientTLSTrace, ContentStep, PrereadStep, Step, Trace, UpstreamStep


def session_trace(
    ctx: SessionContext, handshake: Handshake | None, lines: Sequence[str], paths: Paths
) -> Trace:
    """The trace of a session that is over; `lines` are those of its error log."""
    connection = ctx.proxy_connection or ctx.connection
    names = ctx.names
    assert names is not None, "set before an observer is called"
    name = valid_host(ctx.server_name) if ctx.server_name else None
    server = reasons.server(names, name or "", "SNI", connection.listening)
    return Trace(
        connection=connection.number,
        number=1,
        client=f"{connection.client_address}:{connection.client_port}",
        listening=connection.listening,
        tls=_client_tls(ctx, handshake, paths),
        request=None,
        url=f"{'udp' if ctx.is_udp else 'tcp'}://{connection.listening}",
        server=server,
        steps=tuple(_steps(ctx)),
        answer=Answer(
            ctx.status,
            None,
            True,
            max(time.time() - ctx.started, 0.0),
            ctx.received,
            ctx.bytes_sent,
            ctx.bytes_sent,
        ),
        access_log=(),
        error_log=tuple(lines),
    )


def _client_tls(
    ctx: SessionContext, handshake: Handshake | None, paths: Paths
) -> ClientTLSTrace | None:
    tls = ctx.connection.tls
    if handshake is None or not isinstance(tls, TLSStream):
        return None
    der, settings = tls.own_certificate_der, ctx.server.ssl
    return ClientTLSTrace(
        handshake, None, certificate_trace(der, settings, session_lookup(ctx), paths)
    )


def _steps(ctx: SessionContext) -> Iterator[Step]:
    core, content = ctx.server.core, ctx.server.content.content
    if core.ssl_preread:
        hello = ctx.hello
        yield (
            PrereadStep(None, "", "")
            if hello is None
            else PrereadStep(hello.server_name, hello.protocol, hello.alpn)
        )
    place = reasons.place(ctx.server)
    if isinstance(content, ProxyPass):
        if ctx.upstream_states:
            yield _upstream_step(ctx, content)
    elif isinstance(content, ReturnText):
        yield ContentStep(f"return {content.text.source!r}", place)
    elif isinstance(content, PassTo):
        address = "" if content.address is None else content.address.url
        target = address if content.template is None else content.template.source
        yield ContentStep(f"pass {target}", place)
    else:
        yield ContentStep("no proxy_pass, return or pass", place)


def _upstream_step(ctx: SessionContext, target: ProxyPass) -> UpstreamStep:
    settings, values = ctx.server.proxy, session_lookup(ctx)
    templates = [one for one in (target.template, settings.ssl_name) if one is not None]
    used = dict.fromkeys(name for one in templates for name in one.variables)
    tries = [tried for tried in ctx.upstream_states if tried.address]
    url = target.url if target.template is None else target.template.render(values)
    peers = [peer_trace(tried, is_http=False) for tried in tries]
    return UpstreamStep(
        target.url,
        f"{target.file}:{target.line}",
        url,
        tuple((name, values(name)) for name in used),
        names_trace(settings, tries),
        tuple(
            replace(peer, status=None if peer.failure else ctx.status, first="first byte")
            for peer in peers
        ),
    )
