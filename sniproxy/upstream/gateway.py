"""uwsgi and SCGI to upstreams, and what FastCGI shares with them."""

from __future__ import annotations

from typing import ClassVar

from ..config.directives.gateways import GatewaySettings, SCGISettings, UwsgiSettings
from ..config.directives.upstream_target import ProxyPass
from ..context import RequestContext
from ..http.response_head import read_gateway_head
from ..logs.error import ConnectionLog
from ..models import (
    Failure,
    FailureType,
    Level,
    ProxyError,
    RequestBody,
    ResponseHead,
    StreamedBody,
)
from .gateway_params import GatewayParams
from .http1 import HeadParser, HTTP1Attempt, parse_stored_head
from .protocol import UpstreamMessage
from .request import UpstreamAttempt, UpstreamRequest
from .request_writer import UNFRAMED, BodyFraming
from .response_headers import X_ACCEL_FIELDS, ResponseHeaderPolicy

MAX_PACKET = 65535
"""Maximum length of the parameters of uwsgi and FastCGI."""


class GatewayAttempt(HTTP1Attempt):
    """An attempt to get a response of a uwsgi or SCGI server, which closes the connection."""

    parse: ClassVar[HeadParser] = staticmethod(read_gateway_head)
    interim_status = 0

    def framing(self, request: UpstreamRequest) -> BodyFraming:
        return UNFRAMED


class GatewayProtocol:
    """The requests of one location that are passed to an application server."""

    attempt: type[UpstreamAttempt] = GatewayAttempt
    may_upgrade = True
    intercepts_not_found = False
    streams_unknown_length = False
    trailers = 0
    hidden_fields: tuple[str, ...] = ("status", *X_ACCEL_FIELDS)

    def __init__(self, settings: GatewaySettings) -> None:
        self.passes_body = settings.pass_request_body
        self.streams_body = not settings.request_buffering and self.passes_body
        self.response_headers = ResponseHeaderPolicy.of(settings, self.hidden_fields)
        self._params = self._stored_params = GatewayParams(settings)
        if settings.cache is not None:
            self._stored_params = GatewayParams(settings, stores=True)

    def uri(self, target: ProxyPass, ctx: RequestContext) -> str:
        return ""

    def cache_key(self, target: ProxyPass, ctx: RequestContext) -> str:
        return ""

    def request(
        self,
        ctx: RequestContext,
        uri: str,
        body: RequestBody | None,
        streamed: StreamedBody | None,
        *,
        stores: bool,
    ) -> UpstreamMessage:
        length = (ctx.request.content_length or 0) if body is None else body.length
        if not self.passes_body:
            body = None
        params = (self._stored_params if stores else self._params).pairs(ctx)
        has_body = body is not None or streamed is not None
        head = self.encode(params, length, has_body=has_body)
        return UpstreamMessage(ctx.method, head, body, streamed)

    def encode(self, params: list[tuple[str, str]], length: int, *, has_body: bool) -> bytes:
        """What is sent before the body; `length` is the client's. Raises `ProxyError`."""
        raise NotImplementedError

    def stored_head(self, head: bytes, log: ConnectionLog) -> ResponseHead | None:
        return parse_stored_head(read_gateway_head, head, log)


class SCGIProtocol(GatewayProtocol):
    """The requests of a location with `scgi_pass`."""

    def __init__(self, settings: SCGISettings) -> None:
        super().__init__(settings)

    def encode(self, params: list[tuple[str, str]], length: int, *, has_body: bool) -> bytes:
        return scgi_request(params, length)


class UwsgiProtocol(GatewayProtocol):
    """The requests of a location with `uwsgi_pass`."""

    hidden_fields = X_ACCEL_FIELDS

    def __init__(self, settings: UwsgiSettings) -> None:
        super().__init__(settings)
        self._modifiers = settings.uwsgi_modifier1, settings.uwsgi_modifier2
        self._appended = (settings.uwsgi_string or "").encode("latin-1")

    def encode(self, params: list[tuple[str, str]], length: int, *, has_body: bool) -> bytes:
        packet = b"".join(map(_uwsgi_param, params)) + self._appended
        check_length(packet, "uwsgi request is too big")
        first, second = self._modifiers
        return bytes((first, len(packet) & 0xFF, len(packet) >> 8, second)) + packet


def _uwsgi_param(param: tuple[str, str]) -> bytes:
    return b"".join([_uwsgi_text(text.encode("latin-1")) for text in param])


def _uwsgi_text(text: bytes) -> bytes:
    return (len(text) & 0xFFFF).to_bytes(2, "little") + text


def scgi_request(params: list[tuple[str, str]], length: int) -> bytes:
    """The netstring of an SCGI request with a body of `length` bytes."""
    pairs = (("CONTENT_LENGTH", str(length)), *params)
    text = "".join([f"{name}\0{value}\0" for name, value in pairs]).encode("latin-1")
    return b"%d:%b," % (len(text), text)


def check_length(packet: bytes, refusal: str) -> None:
    """Raise `ProxyError` if all parameters of a request are too long together."""
    if len(packet) > MAX_PACKET:
        text = f"{refusal}: {len(packet)}"
        raise ProxyError(Failure(text, Level.ALERT, FailureType.INTERNAL))
