"""How workers share one live page: entries go to the worker that serves it.

All of it is made before the fork. Entries are datagrams in a pair of sockets, which no name in a
file system leads to; whether somebody looks, at requests or at the state of upstreams, is a time in
shared memory. A worker that starts in place of another inherits both.
"""

from __future__ import annotations

import contextlib
import errno
import json
import mmap
import socket
import struct
import time
from collections.abc import AsyncIterator
from typing import Any

import trio

from ..system import unix_family
from .ring import dump
from .worker_states import WorkerState

_TIMES = struct.Struct("dd")
BUFFER = 4 << 20
MAX_MESSAGE = 1 << 20
INTERVAL = 0.25
"""Seconds between two looks at the shared memory."""


class WorkerLink:
    """Connects the workers with the one that serves the live page."""

    def __init__(self) -> None:
        self._input, self._output = socket.socketpair(unix_family(), socket.SOCK_DGRAM)
        for sock in (self._input, self._output):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._memory = mmap.mmap(-1, _TIMES.size)

    def close(self) -> None:
        self._input.close()
        self._output.close()
        self._memory.close()

    @property
    def looking(self) -> bool:
        """Whether somebody looks at the page."""
        return time.monotonic() < self._times()[0]

    @property
    def wants_states(self) -> bool:
        """Whether the workers are to send the state of their upstreams."""
        return time.monotonic() < self._times()[1]

    def look_until(self, deadline: float) -> None:
        """Let all workers observe their requests until then, in monotonic seconds."""
        self._memory[:] = _TIMES.pack(deadline, self._times()[1])

    def want_states_until(self, deadline: float) -> None:
        """Let all workers send the state of their upstreams until then, in monotonic seconds."""
        self._memory[:] = _TIMES.pack(self._times()[0], deadline)

    def _times(self) -> tuple[float, float]:
        looking, states = _TIMES.unpack(self._memory[:])
        return looking, states

    def send_state(self, state: WorkerState) -> None:
        """Send the state of this worker, unless its reader is too slow or it is too large."""
        with contextlib.suppress(OSError):
            self._output.send(dump({"state": state.value()}))

    def send(self, row: dict[str, Any], detail: dict[str, Any]) -> bool:
        """Send an entry; False if it was dropped, because its reader is too slow.

        One that is too large for a datagram is sent without its details.
        """
        try:
            self._output.send(dump([row, detail]))
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                return False
            try:
                self._output.send(dump([{**row, "detail": False}, {}]))
            except OSError:
                return False
        return True

    async def send_surely(self, row: dict[str, Any], detail: dict[str, Any]) -> None:
        """Send an entry, and wait for room if there is none."""
        while not self.send(row, detail):
            await trio.lowlevel.wait_writable(self._output)

    async def received(self) -> AsyncIterator[tuple[dict[str, Any], dict[str, Any]] | WorkerState]:
        """The entries, and the states, of other workers."""
        while True:
            await trio.lowlevel.wait_readable(self._input)
            try:
                message = json.loads(self._input.recv(MAX_MESSAGE))
            except (BlockingIOError, ValueError):
                continue
            if isinstance(message, dict):
                yield WorkerState(**message["state"])
            else:
                row, detail = message
                yield row, detail
