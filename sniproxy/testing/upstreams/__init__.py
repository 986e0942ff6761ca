"""Upstreams for tests, well-behaved and faulty, that record every connection.

An upstream is a frozen `UpstreamSpec` (`spec.py`). `catalog/` has a spec for each common fault,
`server.py` runs specs, and what a running upstream has seen is a list of frozen
`ConnectionRecord`s. This package neither starts a proxy nor judges what it records.

    async with open_upstreams(directory) as server:       # trio
    with upstreams_in_thread(directory) as server:        # any other code
"""

from sniproxy.testing.upstreams.catalog import UnknownUpstreamError
from sniproxy.testing.upstreams.certificates import generate_certificates
from sniproxy.testing.upstreams.records import CloseKind, ConnectionRecord
from sniproxy.testing.upstreams.responder import RecordedRequest
from sniproxy.testing.upstreams.running import RunningUpstream, reserve_port
from sniproxy.testing.upstreams.server import UpstreamServer, open_upstreams
from sniproxy.testing.upstreams.spec import (
    TLS,
    Action,
    AfterSend,
    HandshakeFault,
    ListenMode,
    Reply,
    UpstreamSpec,
)
from sniproxy.testing.upstreams.sync import ThreadUpstreams, upstreams_in_thread

__all__ = [
    "TLS",
    "Action",
    "AfterSend",
    "CloseKind",
    "ConnectionRecord",
    "HandshakeFault",
    "ListenMode",
    "RecordedRequest",
    "Reply",
    "RunningUpstream",
    "ThreadUpstreams",
    "UnknownUpstreamError",
    "UpstreamServer",
    "UpstreamSpec",
    "generate_certificates",
    "open_upstreams",
    "reserve_port",
    "upstreams_in_thread",
]
