"""Watch the sockets of all sessions of a process with one epoll beside trio's."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import sys

import trio

from ..system import PIPE_SIZE
from .relay_loop import Pipe, WatchedSession

assert sys.platform == "linux"

MAX_IDLE_PIPES = 64
ROUNDS = 4
"""How often events are asked for, while there are some, before other tasks have their turn."""
_READING = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
_ENDED = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_READABLE = select.EPOLLIN | _ENDED


class EpollRelayLoop:
    """Watches them with one epoll."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._relays: dict[int, WatchedSession] = {}
        self._unfinished: dict[WatchedSession, None] = {}
        """Relays that have more to do, although no event will follow."""
        self._pipes: list[Pipe] = []
        self._wake: trio.Event | None = None

    async def run(self) -> None:
        """Process events until cancelled."""
        try:
            while True:
                if self._epoll is None:
                    self._wake = trio.Event()
                    await self._wake.wait()
                assert self._epoll is not None
                if self._unfinished:
                    await trio.lowlevel.checkpoint()
                else:
                    await trio.lowlevel.wait_readable(self._epoll.fileno())
                for _ in range(ROUNDS):
                    events = self._epoll.poll(0, 128)
                    for descriptor, mask in events:
                        relay = self._relays.get(descriptor)
                        if relay is not None:
                            relay.on_event(descriptor, mask & _READABLE != 0, mask & _ENDED != 0)
                    if not events:
                        break
                if self._unfinished:
                    unfinished, self._unfinished = self._unfinished, {}
                    for relay in unfinished:
                        relay.process()
        finally:
            self._close()

    def add(self, relay: WatchedSession, *descriptors: int) -> None:
        if self._epoll is None:
            self._epoll = select.epoll()
            if self._wake is not None:
                self._wake.set()
        for descriptor in descriptors:
            self._relays[descriptor] = relay
            self._epoll.register(descriptor, _READING)

    def watch_writing(self, descriptor: int) -> None:
        assert self._epoll is not None
        # If it is writable by now, that is reported too.
        self._epoll.modify(descriptor, _READING | select.EPOLLOUT)

    def remove(self, relay: WatchedSession, *descriptors: int) -> None:
        """Forget sockets that are about to be closed."""
        self._unfinished.pop(relay, None)
        for descriptor in descriptors:
            # The kernel forgets a socket when it is closed: no system call is needed.
            self._relays.pop(descriptor, None)

    def continue_later(self, relay: WatchedSession) -> None:
        """Call `process` again after the events of others."""
        self._unfinished[relay] = None

    def take_pipe(self) -> Pipe | None:
        """An empty pipe, or None if there is none."""
        if self._pipes:
            return self._pipes.pop()
        try:
            pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        return pipe

    def release_pipe(self, pipe: Pipe, *, is_empty: bool) -> None:
        if is_empty and len(self._pipes) < MAX_IDLE_PIPES:
            self._pipes.append(pipe)
        else:
            _close_pipe(pipe)

    def _close(self) -> None:
        for pipe in self._pipes:
            _close_pipe(pipe)
        self._pipes.clear()
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None


def _close_pipe(pipe: Pipe) -> None:
    for descriptor in pipe:
        os.close(descriptor)
