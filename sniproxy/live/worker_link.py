"""How workers share one live page: entries go to the worker that serves it.

All of it is made before the fork. Entries are datagrams in a pair of sockets, which no name in a
file system leads to; whether somebody looks is a time in shared memory. A worker that starts in
place of another inherits both.
"""

from __future__ import annotations

import errno
import json
import mmap
import socket
import struct
import time
from collections.abc import AsyncIterator
from typing import Any

import trio

from .ring import dump

_TIME = struct.Struct("d")
BUFFER = 4 << 20
MAX_MESSAGE = 1 << 20
INTERVAL = 0.25
"""Seconds between two looks at the shared memory."""


class WorkerLink:
    """Connects the workers with the one that serves the live page."""

    def __init__(self) -> None:
        self._input, self._output = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for sock in (self._input, self._output):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._memory = mmap.mmap(-1, _TIME.size)

    def close(self) -> None:
        self._input.close()
        self._output.close()
        self._memory.close()

    @property
    def looking(self) -> bool:
        """Whether somebody looks at the page."""
        return time.monotonic() < float(_TIME.unpack(self._memory[:])[0])

    def look_until(self, deadline: float) -> None:
        """Let all workers observe their requests until then, in monotonic seconds."""
        self._memory[:] = _TIME.pack(deadline)

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

    async def received(self) -> AsyncIterator[tuple[dict[str, Any], dict[str, Any]]]:
        """The entries of other workers."""
        while True:
            await trio.lowlevel.wait_readable(self._input)
            try:
                row, detail = json.loads(self._input.recv(MAX_MESSAGE))
            except (BlockingIOError, ValueError):
                continue
            yield row, detail
