"""Forward data between a client and an upstream that switched protocols (WebSocket, for example).

Ends when either side closes, or when no data was sent in either direction for
`proxy_read_timeout`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import trio

from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import Failure, FailureType, Level, ProxyError, UpgradedConnection
from ..tls.stream import SocketStream

UPGRADED = "proxying upgraded connection"
LATE = Failure("upstream timed out", Level.INFO, FailureType.TIMEOUT, errno=110)


async def tunnel(
    client: SocketStream,
    upstream: UpgradedConnection,
    rest: bytes,
    ctx: RequestContext,
    log: ConnectionLog,
) -> None:
    """Run until either side closes; `rest` was already read from the client."""
    send_timeout = ctx.location.core.send_timeout
    client.write_syscall = "send()"

    async def to_client(data: bytes) -> None:
        await client.send_all(data, send_timeout)
        ctx.bytes_sent += len(data)
        ctx.body_bytes_sent += len(data)

    async def from_client() -> bytes:
        return await client.receive_some(math.inf)

    try:
        if rest:
            await upstream.send(rest)
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as idle_scope:
                pump = _Pump(nursery.cancel_scope, idle_scope, upstream.read_timeout, log)
                pump.touch()
                nursery.start_soon(pump.run, from_client, upstream.send)
                await pump.run(upstream.receive, to_client)
            if idle_scope.cancelled_caught:
                log.write_failure(LATE)
                nursery.cancel_scope.cancel()
    except ProxyError as failed:
        log.write_failure(failed.failure)
    finally:
        upstream.close()


class _Pump:
    """Forwards both directions, which end together."""

    def __init__(
        self,
        everything: trio.CancelScope,
        idle_scope: trio.CancelScope,
        timeout: float,
        log: ConnectionLog,
    ) -> None:
        self._everything = everything
        self._idle_scope = idle_scope
        self._timeout = timeout
        self._log = log

    def touch(self) -> None:
        """Restart the timeout, because data was forwarded."""
        self._idle_scope.deadline = trio.current_time() + self._timeout

    async def run(
        self,
        receive: Callable[[], Awaitable[bytes]],
        send: Callable[[bytes], Awaitable[None]],
    ) -> None:
        try:
            while data := await receive():
                self.touch()
                await send(data)
                self.touch()
        except ProxyError as failed:
            self._log.write_failure(failed.failure)
        self._everything.cancel()
