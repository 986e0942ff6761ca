"""Watch the sockets of all sessions of a process, and let these pass data when something happens.

One epoll beside trio's watches them, edge-triggered as nginx does. Systems without epoll have a
task for each direction of a session (`TaskRelayLoop`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

Pipe = tuple[int, int]


class WatchedSession(Protocol):
    """A session whose sockets a `RelayLoop` watches."""

    def on_event(self, descriptor: int, is_readable: bool, has_ended: bool) -> None:
        """A socket is readable, or writable, again; `has_ended`: its peer sends no more."""
        ...

    def process(self) -> None:
        """Go on with what was not finished."""
        ...

    def watchers(self) -> list[Callable[[], Awaitable[None]]]:
        """Functions that pass data until the session ends; a task runs each."""
        ...


class RelayLoop(Protocol):
    """Watches the sockets of all sessions of a process."""

    async def run(self) -> None:
        """Process events until cancelled."""
        ...

    def add(self, relay: WatchedSession, *descriptors: int) -> None:
        """Watch the sockets of a session, for reading."""
        ...

    def watch_writing(self, descriptor: int) -> None:
        """Also report, from now on, when a socket of a session is writable again."""
        ...

    def remove(self, relay: WatchedSession, *descriptors: int) -> None:
        """Forget sockets that are about to be closed."""
        ...

    def continue_later(self, relay: WatchedSession) -> None:
        """Call `process` again after the events of others."""
        ...

    def take_pipe(self) -> Pipe | None:
        """An empty pipe, or None if there is none."""
        ...

    def release_pipe(self, pipe: Pipe, *, is_empty: bool) -> None:
        """Keep a pipe for another session, or close it."""
        ...


class TaskRelayLoop:
    """Watches them with a task for each direction of a session."""

    def __init__(self) -> None:
        self._scopes: dict[WatchedSession, list[trio.CancelScope]] = {}
        self._new: dict[WatchedSession, None] = {}
        self._unfinished: dict[WatchedSession, None] = {}
        self._wake = trio.Event()

    async def run(self) -> None:
        """Process events until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                await self._wake.wait()
                self._wake = trio.Event()
                new, self._new = self._new, {}
                for session in new:
                    for watch in session.watchers():
                        scope = trio.CancelScope()
                        self._scopes[session].append(scope)
                        nursery.start_soon(self._watch, scope, watch)
                unfinished, self._unfinished = self._unfinished, {}
                for session in unfinished:
                    session.process()
                await trio.lowlevel.checkpoint()

    async def _watch(self, scope: trio.CancelScope, watch: Callable[[], Awaitable[None]]) -> None:
        with scope, contextlib.suppress(trio.ClosedResourceError, OSError):
            await watch()

    def add(self, relay: WatchedSession, *descriptors: int) -> None:
        """Watch the sockets of a session."""
        self._scopes[relay] = []
        self._new[relay] = None
        self._wake.set()

    def watch_writing(self, descriptor: int) -> None:
        """Nothing to do: the session's own tasks wait for that."""

    def remove(self, relay: WatchedSession, *descriptors: int) -> None:
        """Forget sockets that are about to be closed."""
        self._new.pop(relay, None)
        self._unfinished.pop(relay, None)
        for scope in self._scopes.pop(relay):
            scope.cancel()
        for descriptor in descriptors:
            trio.lowlevel.notify_closing(descriptor)

    def continue_later(self, relay: WatchedSession) -> None:
        """Call `process` again after the events of others."""
        self._unfinished[relay] = None
        self._wake.set()

    def take_pipe(self) -> Pipe | None:
        """None: without splice() a pipe has no use."""
        return None

    def release_pipe(self, pipe: Pipe, *, is_empty: bool) -> None:
        """There are no pipes."""
