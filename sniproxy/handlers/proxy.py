"""`proxy_pass`: a request to an upstream, its answer to the client."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from OpenSSL import SSL

from ..config.directives.proxy import LocalAddress, ProxyPass, local_address
from ..config.directives.slots import parse_size
from ..config.model import Location
from ..facts import Facts
from ..http.upstream_head import SWITCHING_PROTOCOLS
from ..http.uri import URIError, internal_target
from ..logs.error import ConnectionLog
from ..message import Elsewhere, Failed, FailureClass, Header, Level, Outcome, Response, Special
from ..names import without_port
from ..script import Lookup
from ..tls.errors import NATIVE, Dialect
from ..upstream.attempt import Answer, Outgoing
from ..upstream.body import Reading
from ..upstream.certificate import NamedCertificate
from ..upstream.connector import UpstreamTLS
from ..upstream.destinations import Destinations
from ..upstream.exchange import Exchange, tell
from ..upstream.headers import RequestFields, upstream_uri
from ..upstream.peers import Upstream
from ..upstream.replies import ReplyRules, is_buffered, limit_rate
from ..upstream.sending import ClientFailed, RequestBody, StreamedBody
from ..variables import lookup
from .ranged import ranged
from .special import absolute_location

AUTHENTICATE = "www-authenticate"
REDIRECT = "X-Accel-Redirect"


class ProxyHandler:
    """The `proxy_pass` of one location."""

    reads_body = True

    def __init__(
        self,
        location: Location,
        upstream: Upstream | Destinations,
        context: SSL.Context | None,
        certificate: NamedCertificate | None = None,
        dialect: Dialect = NATIVE,
    ) -> None:
        target = location.proxy.proxy_pass
        assert target is not None
        self.location = location
        self.target = target
        self.upstream = upstream
        """Where requests go: to one place, or to what variables say."""
        self.context = context
        self.certificate = certificate
        self.dialect = dialect
        self.tls = self._constant_tls()
        """The settings of every handshake, where no variables have a part in them."""
        proxy = location.proxy
        self.fields = RequestFields.of(proxy)
        self.rules = ReplyRules.of(proxy)
        self.streams_body = (
            not proxy.proxy_request_buffering
            and proxy.proxy_set_body is None
            and proxy.proxy_pass_request_body
        )
        self.watches_client = not proxy.proxy_ignore_client_abort
        timeout = proxy.proxy_read_timeout
        trailers = proxy.proxy_buffer_size if proxy.proxy_pass_trailers else 0
        self.buffered = Reading(timeout, held=proxy.proxy_buffers[1], trailers=trailers)
        self.unbuffered = Reading(timeout, held=0, most=proxy.proxy_buffer_size, trailers=trailers)

    async def respond(
        self, facts: Facts, body: RequestBody | StreamedBody | None, log: ConnectionLog
    ) -> Outcome:
        values = lookup(facts)
        log.upstream = ""
        try:
            target, upstream = await self._found(facts, values)
        except Failed as failed:
            lines = tell(failed.failure, facts, log)
            if failed.failure.kind is not FailureClass.INTERNAL:
                log.action = "sending to client"
            return Special(failed.failure.kind.status, lines=lines)
        try:
            outgoing = await self._outgoing(target, upstream, facts, body, values, log)
            exchange = Exchange(outgoing)
            answer = await exchange.respond()
        except ClientFailed as failed:
            return failed.outcome
        if isinstance(answer, FailureClass):
            log.action = "sending to client"
            return Special(answer.status, lines=exchange.lines)
        return self._reply(answer, facts, values, log)

    # --- the request ---

    async def _outgoing(
        self,
        target: ProxyPass,
        upstream: Upstream,
        facts: Facts,
        body: RequestBody | StreamedBody | None,
        values: Lookup,
        log: ConnectionLog,
    ) -> Outgoing:
        proxy = self.location.proxy
        streamed = None
        if body is not None and isinstance(body, StreamedBody):
            if body.length is None and proxy.proxy_http_version == 10:
                body = await body.whole()
            else:
                body, streamed = None, body
        uri = upstream_uri(self.location, target, facts)
        length = facts.request.content_length if body is None else body.length
        payload = b""
        if proxy.proxy_set_body is not None:
            payload = proxy.proxy_set_body.render(values).encode("latin-1")
            body, length = None, len(payload)
        elif not proxy.proxy_pass_request_body:
            body = None
        method = facts.method
        if proxy.proxy_method is not None:
            method = proxy.proxy_method.render(values)
        head = self.fields.head(
            facts, method, uri, values, length, chunked=streamed is not None and length is None
        )
        return Outgoing(
            upstream,
            upstream.kept.of(self.location) if upstream.kept is not None else None,
            self.tls or (self._tls(upstream.name, values) if target.tls else None),
            target.scheme,
            uri,
            head + payload,
            body,
            streamed,
            method,
            proxy,
            self._local_address(values, log),
            lambda headers: self._hint(facts, headers, values),
            facts,
            log,
        )

    def _local_address(self, values: Lookup, log: ConnectionLog) -> LocalAddress | None:
        bind = self.location.proxy.proxy_bind
        text = "" if bind is None else bind.address.render(values)
        if not text:
            return None
        address = local_address(text)
        if address is None:
            log.write(Level.ERROR, f'invalid local address "{text}"')
        return address

    async def _hint(self, facts: Facts, headers: Sequence[Header], values: Lookup) -> None:
        """Pass early hints on, where `early_hints` wants it."""
        wanted = any(
            condition.render(values) not in ("", "0")
            for said in facts.location.core.early_hints
            for condition in said
        )
        passed = self.rules.without_hidden(headers)
        if wanted and passed and facts.request.version >= 11 and facts.hint is not None:
            await facts.hint(facts, passed)

    async def _found(self, facts: Facts, values: Lookup) -> tuple[ProxyPass, Upstream]:
        """Where a request goes; raises `Failed` where its variables lead nowhere."""
        target, upstream = self.target, self.upstream
        facts.proxy_host = facts.proxy_port = ""
        if isinstance(upstream, Destinations):
            target = upstream.target(values)
        facts.proxy_host, facts.proxy_port = target.proxy_host, target.proxy_port
        facts.next_upstream()
        if isinstance(upstream, Destinations):
            upstream = await upstream.upstream(target)
        return target, upstream

    def _constant_tls(self) -> UpstreamTLS | None:
        name = self.location.proxy.proxy_ssl_name
        if self.certificate is not None or not (name is None or name.is_constant):
            return None
        if isinstance(self.upstream, Destinations):
            return None
        return self._tls(self.upstream.name, lambda variable: "")

    def _tls(self, host: str, values: Lookup) -> UpstreamTLS | None:
        if self.context is None:
            return None
        proxy, certificate = self.location.proxy, self.certificate
        name = host if proxy.proxy_ssl_name is None else proxy.proxy_ssl_name.render(values)
        return UpstreamTLS(
            self.context,
            without_port(name),
            server_name=proxy.proxy_ssl_server_name,
            verify=proxy.proxy_ssl_verify,
            session_reuse=proxy.proxy_ssl_session_reuse,
            dialect=self.dialect,
            named=None if certificate is None else lambda: certificate.context(values),
        )

    # --- the answer ---

    def _reply(self, answer: Answer, facts: Facts, values: Lookup, log: ConnectionLog) -> Outcome:
        head, proxy, rules = answer.head, self.location.proxy, self.rules
        if (
            proxy.proxy_intercept_errors
            and head.status >= 300
            and facts.location.core.page_for(head.status) is not None
        ):
            return self._intercepted(answer, facts, log)
        accelerated = rules.accelerated(head)
        if accelerated:
            facts.limit_rate = limit_rate(accelerated, facts.limit_rate)
            if "redirect" in accelerated:
                return self._redirected(accelerated["redirect"], answer, facts, values, log)
        reply = rules.reply(
            head.headers, values, facts.matched, lambda target: absolute_location(facts, target)
        )
        content_type = reply.content_type or facts.carried_type
        if accelerated.get("charset") and content_type:
            log.write(Level.ERROR, f'unknown charset "{accelerated["charset"]}" to override')
        switches = head.status == SWITCHING_PROTOCOLS and facts.request.header("upgrade")
        buffered = is_buffered(accelerated, proxy.proxy_buffering)
        if not buffered:
            facts.limit_rate = 0
        reading = self._reading(buffered, values, log)
        whole = None if switches or proxy.proxy_force_ranges else answer.whole_body()
        body = None if switches or whole is not None else answer.body(reading)
        response = Response(
            head.status,
            whole or b"" if body is None else body,
            content_type=content_type,
            content_length=head.content_length,
            headers=tuple(reply.headers),
            status_line=head.status_line or None,
            location=reply.location,
            own_server=rules.own_server,
            own_date=rules.own_date,
            flushes=not (buffered or answer.rest),
            watched=self.watches_client and not (body is None or body.is_here),
            trailers=None if body is None else lambda: rules.without_hidden(body.trailers),
            upgraded=answer.upgraded() if switches else None,
        )
        return ranged(response, facts) if proxy.proxy_force_ranges else response

    def _intercepted(self, answer: Answer, facts: Facts, log: ConnectionLog) -> Special:
        """An error of the upstream's that `error_page` answers."""
        answer.abandon()
        log.action = "sending to client"
        if answer.head.status == 401:
            asked = [field for field in answer.head.headers if field[0].lower() == AUTHENTICATE]
            facts.carried = (*facts.carried, *asked)
        return Special(answer.head.status)

    def _redirected(
        self, target: str, answer: Answer, facts: Facts, values: Lookup, log: ConnectionLog
    ) -> Outcome:
        """`X-Accel-Redirect`: another place of this server has the answer."""
        answer.abandon()
        reply = self.rules.carried(answer.head.headers, values, facts.matched)
        facts.carried = (*facts.carried, *reply.headers)
        facts.carried_type = reply.content_type or facts.carried_type
        if target.startswith("@"):
            return Elsewhere(target, by=REDIRECT)
        try:
            path, args = internal_target(target)
        except URIError as unsafe:
            log.write(Level.ERROR, f'unsafe URI "{unsafe}" was detected')
            return Special(404)
        if facts.method != "HEAD":
            facts.method = "GET"
        return Elsewhere(path, args, REDIRECT)

    def _reading(self, buffered: bool, values: Lookup, log: ConnectionLog) -> Reading:
        """How the body is read."""
        if not buffered:
            return self.unbuffered
        rate = self.location.proxy.proxy_limit_rate
        if rate is None:
            return self.buffered
        text = rate.render(values)
        size = parse_size(text)
        if size is None:
            log.write(Level.ERROR, f'invalid size "{text}"')
        return replace(self.buffered, rate=size or 0)
