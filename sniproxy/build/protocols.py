"""Choose the protocol by which a location passes its requests."""

from __future__ import annotations

from ..config.directives.upstream_settings import UpstreamSettings
from ..config.model import Location
from ..upstream.http1 import HTTP1Protocol
from ..upstream.protocol import UpstreamProtocol


def protocol_of(location: Location, settings: UpstreamSettings) -> UpstreamProtocol:
    """The protocol of a location; `settings` are those of the module that passes its requests."""
    return HTTP1Protocol(location)
