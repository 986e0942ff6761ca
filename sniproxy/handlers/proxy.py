"""`proxy_pass`: a request to an upstream, its answer to the client."""

from __future__ import annotations

from OpenSSL import SSL

from ..config.model import Location
from ..facts import Facts
from ..logs.error import ConnectionLog
from ..message import FailureClass, Outcome, Response, Special
from ..names import without_port
from ..script import Lookup
from ..tls.errors import NATIVE, Dialect
from ..upstream.attempt import Answer, Outgoing, RequestBody
from ..upstream.certificate import NamedCertificate
from ..upstream.connector import UpstreamTLS
from ..upstream.exchange import Exchange
from ..upstream.headers import (
    RequestFields,
    passed_on,
    rewritten_redirect,
    rewritten_refresh,
    upstream_uri,
)
from ..upstream.peers import Upstream
from ..variables import lookup
from .special import absolute_location


class ProxyHandler:
    """The `proxy_pass` of one location."""

    reads_body = True
    watches_client = True

    def __init__(
        self,
        location: Location,
        upstream: Upstream,
        context: SSL.Context | None,
        certificate: NamedCertificate | None = None,
        dialect: Dialect = NATIVE,
    ) -> None:
        target = location.proxy.proxy_pass
        assert target is not None
        self.location = location
        self.target = target
        self.upstream = upstream
        self.context = context
        self.certificate = certificate
        self.dialect = dialect
        self.tls = self._constant_tls()
        """The settings of every handshake, where no variables have a part in them."""
        self.fields = RequestFields.of(location.proxy)
        self.kept = upstream.kept.of(self) if upstream.kept is not None else None

    async def respond(self, facts: Facts, body: RequestBody | None, log: ConnectionLog) -> Outcome:
        facts.proxy_host = self.target.proxy_host
        answer = await Exchange(self._outgoing(facts, body, log)).respond()
        if isinstance(answer, FailureClass):
            log.action = "sending to client"
            return Special(answer.status)
        return self._response(answer, facts)

    def _outgoing(self, facts: Facts, body: RequestBody | None, log: ConnectionLog) -> Outgoing:
        uri = upstream_uri(self.location, facts)
        values = lookup(facts)
        length = facts.request.content_length if body is None else body.length
        head = self.fields.head(facts, uri, values, length)
        return Outgoing(
            self.upstream,
            self.kept,
            self.tls or self._tls(values),
            self.target.scheme,
            uri,
            head,
            body,
            self.location.proxy,
            facts,
            log,
        )

    def _constant_tls(self) -> UpstreamTLS | None:
        name = self.location.proxy.proxy_ssl_name
        if self.certificate is not None or not (name is None or name.is_constant):
            return None
        return self._tls(lambda variable: "")

    def _tls(self, values: Lookup) -> UpstreamTLS | None:
        if self.context is None:
            return None
        proxy, certificate = self.location.proxy, self.certificate
        if proxy.proxy_ssl_name is not None:
            name = proxy.proxy_ssl_name.render(values)
        else:
            assert self.target.address is not None
            name = self.target.address.host
        return UpstreamTLS(
            self.context,
            without_port(name),
            server_name=proxy.proxy_ssl_server_name,
            verify=proxy.proxy_ssl_verify,
            session_reuse=proxy.proxy_ssl_session_reuse,
            dialect=self.dialect,
            named=None if certificate is None else lambda: certificate.context(values),
        )

    def _response(self, answer: Answer, facts: Facts) -> Response:
        headers = list(passed_on(answer.head))
        content_type = ""
        location = None
        for position in range(len(headers) - 1, -1, -1):
            name, value = headers[position]
            lowered = name.lower()
            if lowered == "content-type":
                content_type = value
                del headers[position]
            elif lowered == "location":
                rewritten = rewritten_redirect(self.location, value)
                if rewritten is None:
                    continue
                location = absolute_location(facts, rewritten)
                if location is not None:
                    del headers[position]
                else:
                    headers[position] = (name, rewritten)
            elif lowered == "refresh":
                headers[position] = (name, rewritten_refresh(self.location, value) or value)
        return Response(
            answer.head.status,
            answer.body,
            content_type=content_type,
            content_length=answer.head.content_length,
            headers=tuple(headers),
            status_line=answer.head.status_line or None,
            location=location,
        )
