"""The protocol by which the requests of a location are passed to its upstream."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..config.directives.upstream_target import ProxyPass
from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import RequestBody, ResponseHead, StreamedBody
from .request import UpstreamAttempt
from .response_headers import ResponseHeaderPolicy


class UpstreamMessage(NamedTuple):
    """A request to an upstream."""

    method: str
    head: bytes
    """What is sent before the body."""
    body: RequestBody | None
    streamed: StreamedBody | None
    """A body that is sent as it arrives, instead of `body`."""
    logged_uri: str | None = None
    """The request target as log lines show it, if they do not show it as it is sent."""


class UpstreamProtocol(Protocol):
    """How requests of one location are built, sent, and answered (`ngx_http_upstream_t`).

    Its constant parts are prepared when the configuration is loaded.
    """

    response_headers: ResponseHeaderPolicy
    streams_body: bool
    """Whether request bodies are sent as they arrive (`proxy_request_buffering off`)."""
    streams_unknown_length: bool
    """Whether that is possible if their length is unknown."""
    may_upgrade: bool
    """Whether a response with status 101 switches to another protocol."""
    intercepts_not_found: bool
    """Whether status 404 is always replaced by nginx's page."""
    trailers: int
    """Maximum size in bytes of trailers that the client receives; 0 drops them."""

    @property
    def attempt(self) -> type[UpstreamAttempt]:
        """The class of attempts, which send a request and read the response."""
        ...

    def uri(self, target: ProxyPass, ctx: RequestContext) -> str:
        """The request target, which log lines show too; "" if the protocol has none."""
        ...

    def cache_key(self, target: ProxyPass, ctx: RequestContext) -> str:
        """The key of a response in the cache if no directive sets it."""
        ...

    def request(
        self,
        ctx: RequestContext,
        uri: str,
        body: RequestBody | None,
        streamed: StreamedBody | None,
        *,
        stores: bool,
    ) -> UpstreamMessage:
        """Build a request; `stores` is whether its response is to be cached.

        Raises `ProxyError` of type INTERNAL if that is impossible.
        """
        ...

    def stored_head(self, head: bytes, log: ConnectionLog) -> ResponseHead | None:
        """Parse a response head in a cache file, as it was received; None if it is invalid."""
        ...
