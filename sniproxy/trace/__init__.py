"""Traces: the steps of one request as a tree and as data (`--trace`, `sniproxy trace`).

    RequestContext, attempts, handshakes ─► builder ─► Trace ─► render ─► lines
              (recorded)                            (immutable)           (or JSON)

A trace is built when a request has finished. Reasons are obtained by calling the functions that
decided (`routing`, `server_name`) again. Only `recorder` is called during requests, and only
`client` uses sockets.
"""

from .recorder import Tracer
from .render import as_data, lines
from .steps import Trace

__all__ = ["Trace", "Tracer", "as_data", "lines"]
