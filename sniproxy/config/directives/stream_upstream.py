"""Directives of nginx's stream upstream module and its balancing modules."""

from __future__ import annotations

from functools import partial

from .directive import STREAM_UPSTREAM, Args, settings
from .upstream import Keepalive, PeerSettings, UpstreamGroup, least_time, upstream_server


def stream_peer(args: Args) -> PeerSettings:
    peer = upstream_server(args, 0, allows_sticky=False)
    if not (peer.address.port or peer.address.is_unix or peer.service):
        args.fail(f'no port in upstream "{args.first}"')
    return peer


@settings(
    "",
    contexts=STREAM_UPSTREAM,
    converters={"server": stream_peer, "least_time": partial(least_time, of_session=True)},
    without=("ip_hash",),
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
