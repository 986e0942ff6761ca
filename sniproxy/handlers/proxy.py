"""`proxy_pass` and its kin: send the request to an upstream, and its response to the client."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Protocol

from OpenSSL import SSL

from ..config.directives.proxy import ProxySettings
from ..config.directives.slots import parse_size
from ..config.directives.upstream_settings import UpstreamSettings
from ..config.directives.upstream_target import ProxyPass
from ..config.model import Location
from ..context import RequestContext
from ..http.response_head import SWITCHING_PROTOCOLS
from ..http.uri import URIError, internal_target
from ..logs.error import ConnectionLog
from ..models import (
    ClientAbortedError,
    Failure,
    FailureType,
    HandlerResult,
    InternalRedirect,
    Level,
    ProxyError,
    RequestBody,
    Response,
    ResponseHead,
    SpecialResponse,
    StreamedBody,
)
from ..server_name import without_port
from ..template import VariableLookup
from ..tls.errors import NATIVE, Dialect
from ..upstream.connector import UpstreamTLSConfig, bound_address
from ..upstream.dynamic import DynamicUpstream
from ..upstream.protocol import UpstreamProtocol
from ..upstream.request import UpstreamRequest, UpstreamResponse, write_failure
from ..upstream.response_body import BodyReadOptions, UpstreamBody
from ..upstream.response_headers import is_buffered, limit_rate
from ..upstream.selector import Upstream
from ..upstream.spool import SpooledBody, SpoolLimits
from ..upstream.variable_certificate import VariableCertificate
from ..variables import lookup
from .base import Client
from .charset import ask_for_charset

AUTHENTICATE = "www-authenticate"
REDIRECT = "X-Accel-Redirect"


class DiscardableResponse(Protocol):
    """A response whose head was read."""

    @property
    def head(self) -> ResponseHead: ...
    def discard(self) -> None:
        """Release what the body needs."""
        ...


DEFAULT_FILE_LIMIT = 1 << 30
"""nginx's default of `proxy_max_temp_file_size`."""
_NO_CONTEXT = contextlib.nullcontext()


def spool_limits(settings: UpstreamSettings) -> SpoolLimits:
    """How much of a response is read ahead of a slow client."""
    count, size = settings.buffers
    folder = settings.temp_path
    limit = settings.max_temp_file_size
    return SpoolLimits(
        count * size,
        DEFAULT_FILE_LIMIT if limit is None else limit,
        None if folder is None else folder[0],
    )


@dataclass(frozen=True, slots=True)
class PassingRules:
    """Where and how a location passes its requests: what its handler is made from."""

    location: Location
    settings: UpstreamSettings
    """Those of the module that passes (`proxy_pass`, `fastcgi_pass`, …)."""
    protocol: UpstreamProtocol
    upstream: Upstream | DynamicUpstream
    context: SSL.Context | None = None
    certificate: VariableCertificate | None = None
    dialect: Dialect = NATIVE


class ProxyHandler:
    """The `proxy_pass` (`fastcgi_pass`, …) of one location. Constant parts are prepared once."""

    def __init__(self, rules: PassingRules) -> None:
        self.location = rules.location
        self.settings = settings = rules.settings
        self.protocol = rules.protocol
        target = settings.target
        assert target is not None
        self.target = target
        self.upstream = rules.upstream
        self.context = rules.context
        self.certificate = rules.certificate
        self.dialect = rules.dialect
        self.tls = self._constant_tls()
        """The TLS settings of every request, unless they depend on variables."""
        self.response_headers = self.protocol.response_headers
        self.ignores_client_abort = settings.ignore_client_abort
        timeout, trailers = settings.read_timeout, self.protocol.trailers
        self.buffered = BodyReadOptions(timeout, buffer_size=settings.buffers[1], trailers=trailers)
        self.unbuffered = BodyReadOptions(
            timeout, buffer_size=0, read_size=settings.buffer_size, trailers=trailers
        )
        self.spool_limits = spool_limits(settings)
        self._sets_variables = isinstance(settings, ProxySettings)
        """Whether the requests have `$proxy_host`."""
        self._proxy_host: str | None = None
        self._proxy_port: str | None = None
        if self._sets_variables and isinstance(self.upstream, Upstream):
            self._proxy_host, self._proxy_port = target.proxy_host, target.proxy_port

    async def handle(
        self, ctx: RequestContext, client: Client, log: ConnectionLog
    ) -> HandlerResult:
        body: RequestBody | None = None
        streamed: StreamedBody | None = None
        if client.has_body and not ctx.discards_body:
            read_body = await self._read_body(ctx, client)
            if isinstance(read_body, SpecialResponse | Response):
                return read_body
            body, streamed = read_body
        with _NO_CONTEXT if self.ignores_client_abort else client.abort():
            log.upstream = None
            if isinstance(self.upstream, Upstream):
                target, upstream = self.target, self.upstream
                ctx.proxy_host, ctx.proxy_port = self._proxy_host, self._proxy_port
                ctx.begin_upstream()
            else:
                try:
                    target = self._dynamic_target(self.upstream, ctx)
                    upstream = await self.upstream.upstream(target)
                except ProxyError as failed:
                    return self._no_upstream(failed.failure, ctx, log)
            try:
                if (
                    streamed is not None
                    and streamed.length is None
                    and not self.protocol.streams_unknown_length
                ):
                    body, streamed = await streamed.read_all(), None
                try:
                    request = self._request(target, upstream, ctx, client, body, streamed, log)
                except ProxyError as failed:
                    return self._no_upstream(failed.failure, ctx, log)
                response = await request.run()
            except ClientAbortedError as failed:
                return failed.outcome
            if isinstance(response, FailureType):
                log.action = "sending to client"
                return SpecialResponse(response.status, lines=request.failure_lines)
            return self._respond(response, ctx, log)

    # --- the request ---

    async def _read_body(
        self, ctx: RequestContext, client: Client
    ) -> tuple[RequestBody | None, StreamedBody | None] | SpecialResponse | Response:
        """Read the request body, or begin to stream it; a response if it is rejected."""
        read = client.stream_body if self.protocol.streams_body else client.read_body
        body = await read(ctx)
        if isinstance(body, SpecialResponse | Response):
            return body
        return (None, body) if isinstance(body, StreamedBody) else (body, None)

    def _request(
        self,
        target: ProxyPass,
        upstream: Upstream,
        ctx: RequestContext,
        client: Client,
        body: RequestBody | None,
        streamed: StreamedBody | None,
        log: ConnectionLog,
        cache_header: int = 0,
    ) -> UpstreamRequest:
        """Create the request to the upstream.

        If the response is to be cached, `cache_header` is the number of bytes before its head in
        the cache file.
        """
        protocol, settings = self.protocol, self.settings
        uri = protocol.uri(target, ctx)
        message = protocol.request(ctx, uri, body, streamed, stores=cache_header > 0)
        return UpstreamRequest(
            ctx,
            client,
            client.observer,
            log,
            self.location,
            settings,
            protocol.attempt,
            upstream,
            self.tls or (self._tls(upstream.name, lookup(ctx)) if target.tls else None),
            target.scheme,
            uri if message.logged_uri is None else message.logged_uri,
            message.method,
            message.head,
            message.body,
            message.streamed,
            None if settings.bind is None else bound_address(settings.bind, lookup(ctx), log),
            self.response_headers,
            cache_header,
        )

    def _dynamic_target(self, dynamic: DynamicUpstream, ctx: RequestContext) -> ProxyPass:
        """Evaluate the URL of a `proxy_pass` with variables; raises `ProxyError`."""
        ctx.proxy_host = ctx.proxy_port = "" if self._sets_variables else None
        target = dynamic.target(lookup(ctx))
        if self._sets_variables:
            ctx.proxy_host, ctx.proxy_port = target.proxy_host, target.proxy_port
        ctx.begin_upstream()
        return target

    def _no_upstream(
        self, failure: Failure, ctx: RequestContext, log: ConnectionLog
    ) -> SpecialResponse:
        """The response if the upstream of a `proxy_pass` with variables is not found."""
        lines = write_failure(failure, ctx, log)
        if failure.kind is not FailureType.INTERNAL:
            log.action = "sending to client"
        return SpecialResponse(failure.kind.status, lines=lines)

    def _constant_tls(self) -> UpstreamTLSConfig | None:
        name = self.settings.ssl_name
        if self.certificate is not None or not (name is None or name.is_constant):
            return None
        if not isinstance(self.upstream, Upstream):
            return None
        return self._tls(self.upstream.name, lambda variable: "")

    def _tls(self, host: str, values: VariableLookup) -> UpstreamTLSConfig | None:
        if self.context is None:
            return None
        settings, certificate = self.settings, self.certificate
        name = host if settings.ssl_name is None else settings.ssl_name.render(values)
        return UpstreamTLSConfig(
            self.context,
            without_port(name),
            server_name=settings.ssl_server_name,
            verify=settings.ssl_verify,
            session_reuse=settings.ssl_session_reuse,
            dialect=self.dialect,
            named=None if certificate is None else lambda: certificate.context(values),
        )

    # --- the response ---

    def _respond(
        self, upstream: UpstreamResponse, ctx: RequestContext, log: ConnectionLog
    ) -> HandlerResult:
        """Convert the upstream's response to a response for the client."""
        head, settings, policy = upstream.head, self.settings, self.response_headers
        if (
            settings.intercept_errors
            and head.status >= 300
            and (
                ctx.location.core.page_for(head.status) is not None
                or (head.status == 404 and self.protocol.intercepts_not_found)
            )
        ):
            return self._intercept(upstream, ctx, log)
        upstream.pass_on()
        x_accel = policy.x_accel_headers(head)
        if x_accel:
            ctx.limit_rate = limit_rate(x_accel, ctx.limit_rate)
            ask_for_charset(x_accel, head, ctx, log)
            if "redirect" in x_accel:
                return self._redirect(x_accel["redirect"], upstream, ctx, log)
        filtered = policy.filter(head, ctx)
        content_type = filtered.content_type or ctx.redirect_content_type
        buffered = is_buffered(x_accel, settings.buffering) if x_accel else settings.buffering
        if not buffered:
            ctx.limit_rate = 0
        upgrades = (
            head.status == SWITCHING_PROTOCOLS
            and self.protocol.may_upgrade
            and ctx.request.header("upgrade")
        )
        options = self._body_options(buffered, ctx, log)
        body: bytes | UpstreamBody | None = None
        if not (upgrades or settings.force_ranges):
            body = upstream.take_complete_body()
        if body is None:
            body = b"" if upgrades else upstream.body(options)
        streamed = None if isinstance(body, bytes) else body
        spooled: SpooledBody | None = None
        if streamed is not None and buffered and not streamed.is_complete:
            spooled = SpooledBody(streamed, self.spool_limits, ctx.server.prefix, log)
        return Response(
            head.status,
            spooled or body,
            content_type,
            head.content_length,
            tuple(filtered.headers),
            head.status_line or None,
            filtered.location,
            add_server=policy.own_server or policy.adds("server", head),
            add_date=policy.own_date or policy.adds("date", head),
            flush_headers=not (buffered or upstream.preread),
            flushes=not buffered,
            read_ahead=None if spooled is None else spooled.read_ahead,
            force_ranges=settings.force_ranges,
            cancel_on_client_abort=streamed is not None
            and not self.ignores_client_abort
            and not streamed.is_complete,
            trailers=None if streamed is None else lambda: policy.drop_hidden(streamed.trailers),
            upgraded=upstream.upgraded() if upgrades else None,
        )

    def _intercept(
        self, upstream: UpstreamResponse, ctx: RequestContext, log: ConnectionLog
    ) -> SpecialResponse:
        """Replace the response by an `error_page` (`proxy_intercept_errors`)."""
        upstream.discard()
        log.action = "sending to client"
        head = upstream.head
        if head.status == 401:
            challenges = [field for field in head.headers if field[0].lower() == AUTHENTICATE]
            ctx.redirect_headers = (*ctx.redirect_headers, *challenges)
        return SpecialResponse(head.status)

    def _redirect(
        self, target: str, upstream: DiscardableResponse, ctx: RequestContext, log: ConnectionLog
    ) -> HandlerResult:
        """Redirect internally as requested by the upstream (`X-Accel-Redirect`)."""
        upstream.discard()
        passed = self.response_headers.redirect_headers(upstream.head.headers, ctx)
        ctx.redirect_headers = (*ctx.redirect_headers, *passed.headers)
        ctx.redirect_content_type = passed.content_type or ctx.redirect_content_type
        if target.startswith("@"):
            return InternalRedirect(target, source=REDIRECT)
        try:
            path, args = internal_target(target)
        except URIError as unsafe:
            log.write(Level.ERROR, f'unsafe URI "{unsafe}" was detected')
            return SpecialResponse(404)
        if ctx.method != "HEAD":
            ctx.method = "GET"
        return InternalRedirect(path, args, REDIRECT, "?" in target)

    def _body_options(
        self, buffered: bool, ctx: RequestContext, log: ConnectionLog
    ) -> BodyReadOptions:
        if not buffered:
            return self.unbuffered
        rate = self.settings.limit_rate
        if rate is None:
            return self.buffered
        text = rate.render(lookup(ctx))
        size = parse_size(text)
        if size is None:
            log.write(Level.ERROR, f'invalid size "{text}"')
        return replace(self.buffered, rate=size or 0)
