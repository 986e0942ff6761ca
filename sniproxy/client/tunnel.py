"""A client and an upstream that speak a protocol of their own (nginx's upgraded connections).

What either says goes to the other, until one of them ends, or the upstream has been silent for
`proxy_read_timeout` while nothing went either way.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import trio

from ..facts import Facts
from ..logs.error import ConnectionLog
from ..message import Failed, Failure, FailureClass, Level, Upgraded
from ..tls.stream import SocketStream

UPGRADED = "proxying upgraded connection"
LATE = Failure("upstream timed out", Level.INFO, FailureClass.TIMEOUT, errno=110)


async def tunnel(
    client: SocketStream, upstream: Upgraded, rest: bytes, facts: Facts, log: ConnectionLog
) -> None:
    """Pass on until it is over; `rest` has come from the client already."""
    send_timeout = facts.location.core.send_timeout
    client.writes_by = "send()"

    async def to_client(data: bytes) -> None:
        await client.send_all(data, send_timeout)
        facts.bytes_sent += len(data)
        facts.body_bytes_sent += len(data)

    async def from_client() -> bytes:
        return await client.receive_some(math.inf)

    try:
        if rest:
            await upstream.send(rest)
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as silence:
                both = _Both(nursery.cancel_scope, silence, upstream.read_timeout, log)
                both.heard()
                nursery.start_soon(both.pump, from_client, upstream.send)
                await both.pump(upstream.receive, to_client)
            if silence.cancelled_caught:
                log.write_failure(LATE)
                nursery.cancel_scope.cancel()
    except Failed as failed:
        log.write_failure(failed.failure)
    finally:
        upstream.end()


class _Both:
    """The two directions, which end together."""

    def __init__(
        self,
        everything: trio.CancelScope,
        silence: trio.CancelScope,
        timeout: float,
        log: ConnectionLog,
    ) -> None:
        self._everything = everything
        self._silence = silence
        self._timeout = timeout
        self._log = log

    def heard(self) -> None:
        """Something went one way or the other."""
        self._silence.deadline = trio.current_time() + self._timeout

    async def pump(
        self,
        receive: Callable[[], Awaitable[bytes]],
        send: Callable[[bytes], Awaitable[None]],
    ) -> None:
        try:
            while data := await receive():
                self.heard()
                await send(data)
                self.heard()
        except Failed as failed:
            self._log.write_failure(failed.failure)
        self._everything.cancel()
