"""Directives of nginx's stream upstream module and its balancing modules."""

from __future__ import annotations

from .directive import STREAM_UPSTREAM, Args, settings
from .upstream import Keepalive, PeerSettings, UpstreamGroup, upstream_server


def stream_peer(args: Args) -> PeerSettings:
    peer = upstream_server(args, 0)
    if peer.resolve or peer.route or peer.drain:
        args.unsupported('"resolve" of "server" in stream is not supported by sniproxy yet')
    if not (peer.address.port or peer.address.is_unix):
        args.fail(f'no port in upstream "{args.first}"')
    return peer


@settings(
    "",
    contexts=STREAM_UPSTREAM,
    converters={"server": stream_peer},
    without=("ip_hash", "least_time"),
    fixed={
        "sticky": None,
        "keepalive": Keepalive(0),
        "keepalive_requests": 1000,
        "keepalive_time": 3600.0,
        "keepalive_timeout": 60.0,
    },
)
class StreamGroup(UpstreamGroup):
    """Settings of an `upstream {}` block of `stream {}`."""
