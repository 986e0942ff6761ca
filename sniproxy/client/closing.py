"""How a client's connection ends (`lingering_close`, `reset_timedout_connection`)."""

from __future__ import annotations

import trio

from ..config.directives.core import ALWAYS, NEVER, CoreLocation
from ..message import Failed
from ..tls.stream import SocketStream

TIMED_OUT = frozenset((408, 444))
"""Statuses that end a connection as a time-out does."""


async def close_in_order(stream: SocketStream, core: CoreLocation, *, unread: bool) -> None:
    """End a connection; `unread` is whether the client may have sent what nobody has read.

    A socket that is closed with bytes unread is reset, and the client may lose an answer that it
    has not read yet: so what it still sends is read over for a while.
    """
    if core.lingering_close == NEVER or not (unread or core.lingering_close == ALWAYS):
        if unread:
            stream.throw_away()
        stream.shutdown()
        return
    stream.shutdown_writing()
    with trio.move_on_after(core.lingering_time):
        try:
            while await SocketStream.receive_some(stream, core.lingering_timeout):
                pass
        except Failed:
            pass


def timed_out(stream: SocketStream, core: CoreLocation) -> None:
    """The end of a connection that nobody waits for any more."""
    if core.reset_timedout_connection:
        stream.reset_when_closed()
