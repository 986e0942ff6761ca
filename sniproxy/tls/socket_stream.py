"""A plain connection on a non-blocking socket, and what it shares with `stream.TLSStream`.

Each operation tries first and waits only when the kernel has nothing to give, so that what
is there already costs no scheduling. The rules are in `stream.py`.
"""

from __future__ import annotations

import contextlib
import math
import socket
import struct

import trio

from ..models import ProxyError, Side
from ..timers import DescriptorTimer
from .errors import socket_failure, timeout_failure
from .openssl import WANT_READ, WANT_WRITE

CHUNK = 16384
PEEKED = 65536
"""Bytes that are looked at before they are read, at most."""
CHECKPOINT_INTERVAL = 32
"""Operations that may complete without blocking before the task runs a checkpoint."""


class SocketStream:
    """A plain connection. One task may read and one may write at a time."""

    # Defaults on the class: a connection that keeps them is made without setting them.
    broken = False
    """True while a write is under way, and for good once one has failed."""
    end_errno: int | None = None
    """The kernel's error where TLS took more than a FIN for the end."""
    requests = 0
    """Requests that it has carried, on a connection kept for more."""
    opened = 0.0
    """Monotonic seconds, on a connection kept for more."""
    watched = False
    """Whether it is registered with the pool's monitor of idle connections."""
    read_syscall = "recv()"
    """The call named when a read fails: nginx uses `readv()` for a buffered body."""
    write_syscall = "writev()"
    """The same for writes: `send()` on an upgraded connection."""
    _waiting = 0
    _immediate = 0
    """Operations since the last wait or checkpoint."""
    _read_timer: DescriptorTimer | None = None
    _write_timer: DescriptorTimer | None = None

    def __init__(self, sock: socket.socket, side: Side) -> None:
        if sock.gettimeout() != 0:
            sock.setblocking(False)
        self.sock = sock
        self.side = side
        self._fd = sock.fileno()
        """-1 once the connection is closed. OpenSSL knows the number alone, which may be another
        connection's by then, so it is checked before each operation."""

    def take_over(self, plain: SocketStream) -> None:
        """Continue a plain connection on the same socket."""
        self._read_timer, self._write_timer = plain._read_timer, plain._write_timer
        self.requests, self.opened, self.watched = plain.requests, plain.opened, plain.watched

    async def receive_some(
        self, timeout: float, max_bytes: int = CHUNK, *, wait_first: bool = False
    ) -> bytes:
        """What has arrived, at most `max_bytes`; b"" when the peer has closed.

        `timeout` is in seconds. `wait_first` saves the attempt that would find nothing: it is
        for a peer that is known to be silent so far. Raises Failed: `recv() failed`,
        `… timed out`.
        """
        return await self._receive(timeout, max_bytes, 0)

    async def peek(self, timeout: float) -> bytes:
        """What has arrived, left where it is; b"" when the peer has closed."""
        return await self._receive(timeout, PEEKED, socket.MSG_PEEK)

    async def _receive(self, timeout: float, max_bytes: int, flags: int) -> bytes:
        if self._fd < 0:
            raise trio.ClosedResourceError
        while True:
            try:
                data = self.sock.recv(max_bytes, flags)
            except BlockingIOError:
                pass
            except OSError as error:
                raise self._socket_failed(self.read_syscall, error) from None
            else:
                self._immediate += 1
                if self._immediate >= CHECKPOINT_INTERVAL:
                    await self._checkpoint()
                return data
            await self._wait(WANT_READ, trio.current_time() + timeout)

    async def send_all(self, data: bytes | bytearray | memoryview, timeout: float) -> None:
        """Send all of `data`; `timeout` is for each wait, not for the whole.

        Raises Failed: `writev() failed`, `… timed out`.
        """
        if self._fd < 0:
            raise trio.ClosedResourceError
        unsent = memoryview(data).cast("B")
        if not unsent:
            return
        self.broken = True
        while True:
            try:
                unsent = unsent[self.sock.send(unsent) :]
            except BlockingIOError:
                pass
            except OSError as error:
                raise self._socket_failed(self.write_syscall, error) from None
            if not unsent:
                break
            await self._wait(WANT_WRITE, trio.current_time() + timeout)
        self.broken = False
        self._immediate += 1
        if self._immediate >= CHECKPOINT_INTERVAL:
            await self._checkpoint()

    def shutdown(self) -> None:
        """End the connection in good order."""
        self.close()

    def shutdown_writing(self) -> None:
        """Tell the peer that nothing more will come; reading goes on."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def shutdown_reading(self) -> None:
        """Let the task that reads find the end at once."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RD)

    def is_reusable(self) -> bool:
        """Whether an idle connection may be used: it is open and nothing has arrived on it."""
        if self.broken:
            return False
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def drain(self) -> None:
        """Discard what has arrived, so that closing does not reset the connection."""
        with contextlib.suppress(OSError):
            while self.sock.recv(CHUNK):
                pass

    def set_linger_reset(self) -> None:
        """Let `close` discard unsent data and reset the connection (`SO_LINGER` of 0)."""
        with contextlib.suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def close(self) -> None:
        """End the connection at once. A task that waits on it gets trio.ClosedResourceError."""
        if self._waiting:
            trio.lowlevel.notify_closing(self._fd)
        if self._read_timer is not None:
            self._read_timer.discard()
        if self._write_timer is not None:
            self._write_timer.discard()
        self._fd = -1
        self.sock.close()

    async def wait_writable(self, timeout: float) -> None:
        """Wait for room to write, which a new connection has once it is established.

        Raises Failed.
        """
        await self._wait(WANT_WRITE, trio.current_time() + timeout)

    async def _wait(self, want: int, deadline: float) -> None:
        """Wait until the socket is readable, or writable; raises Failed at `deadline`."""
        self._immediate = 0
        if want == WANT_READ:
            wait, timer = trio.lowlevel.wait_readable, self._read_timer
            if timer is None:
                timer = self._read_timer = DescriptorTimer(self._fd)
        else:
            wait, timer = trio.lowlevel.wait_writable, self._write_timer
            if timer is None:
                timer = self._write_timer = DescriptorTimer(self._fd)
        while True:
            self._waiting += 1
            # `DescriptorTimer.set`, without its call.
            timer.deadline = deadline
            timer.expired = False
            if deadline < timer.heap_deadline:
                timer.schedule(deadline)
            try:
                await wait(self._fd)
                return
            except trio.ClosedResourceError:
                if self._fd < 0:
                    raise
            finally:
                self._waiting -= 1
                timer.deadline = math.inf
            if timer.expired:
                raise ProxyError(timeout_failure(self.side))
            # The timer of the other direction has ended this wait too: go on.

    async def _checkpoint(self) -> None:
        """Let other tasks run: the peer keeps this connection busy."""
        self._immediate = 0
        await trio.lowlevel.checkpoint()

    def _socket_failed(self, call: str, error: OSError) -> ProxyError:
        self.broken = True
        return ProxyError(socket_failure(f"{call} failed", self.side, error.errno or 0))
