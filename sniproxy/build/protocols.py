"""Choose the protocol by which a location passes its requests."""

from __future__ import annotations

from ..config.directives.grpc import GrpcSettings
from ..config.directives.upstream_settings import UpstreamSettings
from ..config.model import Location
from ..upstream.http1 import HTTP1Protocol
from ..upstream.protocol import UpstreamProtocol


def protocol_of(location: Location, settings: UpstreamSettings) -> UpstreamProtocol:
    """The protocol of a location; `settings` are those of the module that passes its requests."""
    if not isinstance(settings, GrpcSettings) and location.proxy.proxy_http_version < 20:
        return HTTP1Protocol(location)
    # Imported here: most configurations have no HTTP/2 upstream.
    from ..upstream.http2 import GrpcProtocol, HTTP2Protocol

    if isinstance(settings, GrpcSettings):
        return GrpcProtocol(settings)
    return HTTP2Protocol(location)
