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


def protocol_of(location: Location, settings: UpstreamSettings) -> UpstreamProtocol:
    """The protocol of a location; `settings` are those of the module that passes its requests."""
    # Imported here: most configurations have only `proxy_pass`.
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
    if not isinstance(settings, GrpcSettings) and location.proxy.proxy_http_version < 20:
        return HTTP1Protocol(location)
    from ..upstream.http2 import GrpcProtocol, HTTP2Protocol

    if isinstance(settings, GrpcSettings):
        return GrpcProtocol(settings)
    return HTTP2Protocol(location)


def handler_of(rules: PassingRules) -> ProxyHandler:
    """The handler of a location that neither caches nor stores responses."""
    if isinstance(rules.settings, MemcachedSettings):
        from ..handlers.memcached_pass import MemcachedHandler

        return MemcachedHandler(rules)
    return ProxyHandler(rules)
