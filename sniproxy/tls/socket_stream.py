"""A plain connection on a non-blocking socket; base class of `stream.TLSStream`.

Each operation tries first, and waits only if it would block, so that available data needs no
scheduling. The rules are in `stream.py`.
"""

from __future__ import annotations

import contextlib
import math
import socket
import struct
import sys
from collections.abc import Callable

import trio

from ..models import ProxyError, Side
from ..system import LINGER_FORMAT
from ..timers import DescriptorTimer
from .errors import socket_failure, timeout_failure
from .openssl import WANT_READ, WANT_WRITE

CHUNK = 16384
PEEK_PAUSE = 0.01
"""Seconds after which incomplete data is looked at again, where the system cannot wait for more."""
PEEKED = 65536
"""Maximum number of bytes to peek."""
CHECKPOINT_INTERVAL = 32
"""Operations that may complete without blocking before the task runs a checkpoint."""


class SocketStream:
    """A plain connection. One task may read and one may write at a time."""

    # Class attributes as defaults, so that creating a connection does not set them.
    broken = False
    """True during a write, and permanently after one failed."""
    end_errno: int | None = None
    """The errno if TLS reading ended with a socket error instead of EOF."""
    requests = 0
    """Number of requests sent, for pooled connections."""
    opened = 0.0
    """When it was opened, in monotonic seconds, for pooled connections."""
    link: object | None = None
    """What the protocol keeps about a connection from one request to the next."""
    watched = False
    """Whether it is registered with the pool's monitor of idle connections."""
    read_syscall = "recv()"
    """System call named in messages about reads: nginx uses `readv()` for a buffered body."""
    write_syscall = "writev()"
    """System call named in messages about writes: `send()` on an upgraded connection."""
    has_waited = False
    """Whether nothing was sent since the last wait for writing."""
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
        """File descriptor; -1 after closing. OpenSSL only has the number, which may be reused by
        another connection then, so it is checked before each operation."""

    def take_over(self, plain: SocketStream) -> None:
        """Continue a plain connection on the same socket."""
        self._read_timer, self._write_timer = plain._read_timer, plain._write_timer
        self.requests, self.opened, self.watched = plain.requests, plain.opened, plain.watched

    async def receive_some(
        self, timeout: float, max_bytes: int = CHUNK, *, wait_first: bool = False
    ) -> bytes:
        """Receive at most `max_bytes`; b"" if the peer has closed.

        `timeout` is in seconds. `wait_first` skips the first attempt, if the peer is known to
        have sent nothing yet. Raises `ProxyError`: `recv() failed`,
        `… timed out`.
        """
        return await self._receive(timeout, max_bytes, 0)

    async def peek(self, timeout: float, least: int = 1, max_bytes: int = PEEKED) -> bytes:
        """Return received data without removing it; b"" if the peer has closed.

        Waits for `least` bytes, or the end.
        """
        if least > 1:
            await self._wait_for_bytes(least, trio.current_time() + timeout)
        return await self._receive(timeout, max_bytes, socket.MSG_PEEK)

    async def _wait_for_bytes(self, count: int, deadline: float) -> None:
        """Wait for more bytes than have arrived: `count`, or the end.

        Windows only knows that there are some, so it returns after a pause there.
        """
        if sys.platform == "win32":
            await self._wait(WANT_READ, deadline)
            await trio.sleep(PEEK_PAUSE)
            return
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
        try:
            await self._wait(WANT_READ, deadline)
        finally:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

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

    def receive_nowait(self, max_bytes: int) -> bytes | None:
        """Receive what has arrived, at most `max_bytes`; b"" at the end, None if there is nothing.

        Raises `ProxyError`.
        """
        try:
            return self.sock.recv(max_bytes)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._socket_failed(self.read_syscall, error) from None

    def send_nowait(self, data: bytes | memoryview, start: int) -> int:
        """Send some of `data` from `start` on; returns how many bytes, 0 if it would block.

        Raises `ProxyError`.
        """
        try:
            return self.sock.send(memoryview(data)[start:] if start else data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._socket_failed(self.write_syscall, error) from None

    async def send_all(
        self,
        data: bytes | bytearray | memoryview,
        timeout: float,
        on_blocked: Callable[[], None] | None = None,
    ) -> None:
        """Send all of `data`; `timeout` applies to each wait, before which `on_blocked` is called.

        Raises `ProxyError`: `writev() failed`, `… timed out`.
        """
        if self._fd < 0:
            raise trio.ClosedResourceError
        unsent = memoryview(data).cast("B")
        if not unsent:
            return
        self.broken = True
        while True:
            try:
                # As in nginx, a part is followed by the next at once: it may be refused.
                while unsent:
                    unsent = unsent[self.sock.send(unsent) :]
                    self.has_waited = False
                break
            except BlockingIOError:
                pass
            except OSError as error:
                raise self._socket_failed(self.write_syscall, error) from None
            if on_blocked is not None:
                on_blocked()
            await self._wait(WANT_WRITE, trio.current_time() + timeout)
            self.has_waited = True
        self.broken = False
        self._immediate += 1
        if self._immediate >= CHECKPOINT_INTERVAL:
            await self._checkpoint()

    def shutdown(self) -> None:
        """Close the connection in an orderly way."""
        self.close()

    def shutdown_writing(self) -> None:
        """Close the sending side; reading continues."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def shutdown_reading(self) -> None:
        """Make a task that is reading see EOF at once."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RD)

    def is_reusable(self) -> bool:
        """Whether an idle connection can be reused: it is open and no data has arrived."""
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
        """Discard received data, so that closing does not reset the connection."""
        with contextlib.suppress(OSError):
            while self.sock.recv(CHUNK):
                pass

    def set_linger_reset(self) -> None:
        """Let `close` discard unsent data and reset the connection (`SO_LINGER` of 0)."""
        with contextlib.suppress(OSError):
            linger = struct.pack(LINGER_FORMAT, 1, 0)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def close(self) -> None:
        """Close the connection at once. A waiting task gets `trio.ClosedResourceError`."""
        if self._waiting:
            trio.lowlevel.notify_closing(self._fd)
        if self._read_timer is not None:
            self._read_timer.discard()
        if self._write_timer is not None:
            self._write_timer.discard()
        self._fd = -1
        self.sock.close()

    async def wait_writable(self, timeout: float) -> None:
        """Wait until the socket is writable: a new connection is then established.

        Raises `ProxyError`.
        """
        await self._wait(WANT_WRITE, trio.current_time() + timeout)

    async def _wait(self, want: int, deadline: float) -> None:
        """Wait until the socket is readable, or writable; raises `ProxyError` at `deadline`."""
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
            # The timer of the other direction ended this wait too: continue.

    async def _checkpoint(self) -> None:
        """Let other tasks run, although this connection would not block."""
        self._immediate = 0
        await trio.lowlevel.checkpoint()

    def _socket_failed(self, call: str, error: OSError) -> ProxyError:
        self.broken = True
        return ProxyError(socket_failure(f"{call} failed", self.side, error.errno or 0))
