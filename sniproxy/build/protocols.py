"""Choose the protocol by which a location passes its requests, and the handler that does so."""

from __future__ import annotations

from ..config.directives.gateways import FastCGISettings, SCGISettings, UwsgiSettings
from ..config.directives.grpc import GrpcSettings
from ..config.directives.memcached import MemcachedSettings
from ..config.directives.upstream_settings import UpstreamSettings
from ..config.model import Location
from ..handlers.proxy import PassingRules, ProxyHandler
from ..upstream.http1 import HTTP1Protocol
from ..upstream.protocol import UpstreamProtocol

HTTP_2 = 20
"""`proxy_http_version 2`."""


def protocol_of(location: Location, settings: UpstreamSettings) -> UpstreamProtocol:
    """The protocol of a location; `settings` are those of the module that passes its requests."""
    # Imported here: most configurations have only `proxy_pass`, by HTTP/1.
    if isinstance(settings, GrpcSettings):
        from ..upstream.http2 import GrpcProtocol

        return GrpcProtocol(settings)
    if isinstance(settings, FastCGISettings):
        from ..upstream.fastcgi import FastCGIProtocol

        return FastCGIProtocol(settings)
    if isinstance(settings, UwsgiSettings):
        from ..upstream.gateway import UwsgiProtocol

        return UwsgiProtocol(settings)
    if isinstance(settings, SCGISettings):
        from ..upstream.gateway import SCGIProtocol

        return SCGIProtocol(settings)
    if isinstance(settings, MemcachedSettings):
        from ..upstream.memcached import MemcachedProtocol

        return MemcachedProtocol(settings)
    if location.proxy.proxy_http_version == HTTP_2:
        from ..upstream.http2 import HTTP2Protocol

        return HTTP2Protocol(location)
    return HTTP1Protocol(location)


def handler_of(rules: PassingRules) -> ProxyHandler:
    """The handler of a location that neither caches nor stores responses."""
    if isinstance(rules.settings, MemcachedSettings):
        from ..handlers.memcached_pass import MemcachedHandler

        return MemcachedHandler(rules)
    return ProxyHandler(rules)
