"""Receive the header of the PROXY protocol, which comes before TLS and HTTP."""

from __future__ import annotations

from ..context import Connection
from ..logs.error import ConnectionLog
from ..models import Level
from ..proxy_protocol import MAX_HEADER, InvalidProxyHeaderError, read_proxy_header
from ..tls.stream import SocketStream


async def receive_proxy_header(
    stream: SocketStream,
    connection: Connection,
    log: ConnectionLog,
    timeout: float,
    buffer_size: int | None,
) -> bool:
    """Receive a header and set `connection.proxy_header`; False after what is none.

    Like nginx, this looks at what has arrived first, and does not wait for the rest. `buffer_size`
    is its maximum length; None if TLS follows, where nginx has a limit of its own and logs another
    message about a client that closes. Raises `ProxyError`.
    """
    size = MAX_HEADER if buffer_size is None else buffer_size
    data = await stream.peek(timeout, max_bytes=size)
    if not data and buffer_size is not None:
        log.write(Level.INFO, "client closed connection")
        return False
    try:
        connection.proxy_header, length = read_proxy_header(data)
    except InvalidProxyHeaderError as invalid:
        if message := str(invalid):
            log.write(Level.ERROR, message)
        if buffer_size is not None:
            # What nginx has read does not make closing a reset; before TLS it only peeks.
            await stream.receive_some(0.0, size)
        return False
    await stream.receive_some(0.0, length)
    return True
