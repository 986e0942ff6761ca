"""Notice that a client has closed its side while its request is with an upstream.

nginx then closes the connection to the upstream and logs 499 (`proxy_ignore_client_abort off`).
One epoll beside trio's, edge-triggered for EPOLLRDHUP, watches the sockets of all such clients:
a task for each would cost every request a task. Without epoll (macOS, Windows) nothing is
noticed, as with nginx's `poll` and `select` methods.
"""

from __future__ import annotations

import select
from types import TracebackType

import trio

_EVENTS = getattr(select, "EPOLLRDHUP", 0) | getattr(select, "EPOLLET", 0)


class LazyCancelScope:
    """A cancel scope that is entered when it is first needed.

    Entering a `trio.CancelScope` costs about 15 microseconds, 2% of a TLS handshake, and a
    connection that never uses an upstream needs none. So the `with` block of the connection
    enters nothing, and the first request to an upstream calls `open`: from then to the end of
    the block the scope is active. trio wants scopes to be left in the reverse order
    of entering, hence the rule: `open` must not be called inside another scope or nursery that
    was opened within the block. Only `ConnectedClient` calls it, from the connection's own task.
    """

    __slots__ = ("_scope",)

    def __init__(self) -> None:
        self._scope: trio.CancelScope | None = None

    def __enter__(self) -> None:
        pass

    def open(self) -> None:
        """Enter the scope, until the end of the block."""
        self._scope = trio.CancelScope()
        self._scope.__enter__()

    def cancel(self) -> None:
        assert self._scope is not None
        self._scope.cancel()

    @property
    def cancel_called(self) -> bool:
        return self._scope is not None and self._scope.cancel_called

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return None if self._scope is None else self._scope.__exit__(kind, error, trace)


class ClientAbort:
    """Whether a client has closed its side; inside the context this cancels the connection.

    In HTTP/2 it is the stream that is closed and cancelled.
    """

    __slots__ = ("_active", "_connection", "_suspended", "happened")

    def __init__(self, connection: LazyCancelScope | trio.CancelScope) -> None:
        self.happened = False
        self._connection = connection
        self._active = 0
        """How often the context was entered: subrequests do within that of a response."""
        self._suspended = False

    def __enter__(self) -> None:
        self._active += 1
        if self.happened:
            self._maybe_cancel()

    def __exit__(self, *_: object) -> None:
        self._active -= 1

    def suspend(self) -> None:
        """Ignore an abort until `resume`: body bytes sent before the FIN are still forwarded."""
        self._suspended = True

    def resume(self) -> None:
        self._suspended = False
        self._maybe_cancel()

    def set(self) -> None:
        """Note that the client has closed its side."""
        self.happened = True
        self._maybe_cancel()

    def _maybe_cancel(self) -> None:
        if self.happened and self._active and not self._suspended:
            self._connection.cancel()


class ClientAbortMonitor:
    """Monitors the clients of a running configuration for aborts."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        """Made when it is first needed: processes that are forked must not share it."""
        self._aborts: dict[int, ClientAbort] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        self._open()
        if self._epoll is None:
            return
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                for descriptor, _ in self._epoll.poll(0):
                    abort = self._aborts.get(descriptor)
                    if abort is not None:
                        abort.set()
        finally:
            self._epoll.close()

    def _open(self) -> None:
        if self._epoll is None and hasattr(select, "epoll"):
            self._epoll = select.epoll()

    def add(self, descriptor: int, connection: LazyCancelScope) -> ClientAbort:
        """Watch a socket until `remove`, which follows when it is closed.

        `connection` is cancelled when the client closes its side inside the abort's context.
        """
        abort = ClientAbort(connection)
        self._open()
        if self._epoll is not None and not self._epoll.closed:
            self._aborts[descriptor] = abort
            self._epoll.register(descriptor, _EVENTS)
        return abort

    def remove(self, descriptor: int, abort: ClientAbort) -> None:
        """Stop watching a socket that was closed; its descriptor may have been reused."""
        if self._aborts.get(descriptor) is abort:
            del self._aborts[descriptor]
