"""Send the request of a probe by HTTP/2, and read the response as nginx reads it."""

from __future__ import annotations

import trio

from ..config.directives.upstream_target import ProxyPass
from ..context import RequestContext
from ..http.response_head import EARLY_HINTS
from ..http.upstream_control import CONNECTION_START, ConnectionWindows, UpstreamFrameError
from ..http.upstream_frames import ResponseFrames
from ..models import Failure, FailureType, ProxyError
from ..tls.stream import SocketStream
from ..upstream.http2_request import Http2HeaderBuilder, headers_frames
from .http_exchange import CLOSED_EARLY
from .model import Setting

ACCEPTED_BY_GRPC = (("content-type", "application/grpc"), ("te", "trailers"))
_TIMED_OUT = Failure("upstream timed out", kind=FailureType.TIMEOUT, errno=110)


def http2_request(
    setting: Setting, target: ProxyPass, ctx: RequestContext, uri: str, *, grpc: bool
) -> bytes:
    """The request; with `grpc` a call without a message."""
    proxy = setting.proxy
    ctx.upstream_target = target
    builder = Http2HeaderBuilder(proxy.proxy_set_header, passes_headers=not grpc, grpc=grpc)
    block = builder.build(
        ctx,
        "POST" if grpc else "GET",
        uri,
        body_length=None,
        validators=ACCEPTED_BY_GRPC if grpc else (),
    )
    return CONNECTION_START + headers_frames(1, block, ends=True)


async def read_http2_status(stream: SocketStream, timeout: float, buffer_size: int) -> int:
    """Read the head of the response; returns its status.

    Raises what the proxy raises: `ProxyError` with nginx's message.
    """
    frames = ResponseFrames(ConnectionWindows(), limit=buffer_size)
    with trio.move_on_after(timeout) as timer:
        while True:
            data = await stream.receive_some(timeout, frames.room)
            if not data:
                raise ProxyError(CLOSED_EARLY)
            frames.feed(data)
            try:
                while frames.read_head():
                    if frames.head is not None and frames.head.status != EARLY_HINTS:
                        return frames.head.status
            except UpstreamFrameError as error:
                kind = FailureType.INVALID_HEADER
                raise ProxyError(Failure(error.lines[0], kind=kind)) from None
            if frames.has_answers:
                await stream.send_all(frames.take_answers(), timeout)
    assert timer.cancelled_caught
    raise ProxyError(_TIMED_OUT)
