"""A plain connection on a non-blocking socket, and what it shares with `stream.TLSStream`.

Each operation tries first and waits only when the kernel has nothing to give, so that what
is there already costs no scheduling. The rules are told in `stream.py`.
"""

from __future__ import annotations

import contextlib
import socket
import struct

import trio

from ..message import Failed, Side
from ..timers import Alarm
from .errors import socket_failure, timeout_failure
from .openssl import WANT_READ, WANT_WRITE

CHUNK = 16384
PEEKED = 65536
"""Bytes that are looked at before they are read, at most."""
EAGER_TURNS = 32
"""How many operations in a row may succeed at once before others get their turn."""


class SocketStream:
    """A plain connection. Not for several readers, nor several writers, at a time."""

    # Of the class while nothing else is known: a connection is made without them.
    broken = False
    """True while a write is under way, and for good when it did not end well."""
    end_errno: int | None = None
    """What the kernel said where TLS took more than a FIN for the end."""
    requests = 0
    """Exchanges that it has carried, where it is kept for more."""
    opened = 0.0
    """Monotonic seconds, where it is kept for more."""
    watched = False
    """Whether it has been named to who watches idle connections."""
    reads_by = "recv()"
    """The call that a failed read is told by: nginx takes `readv()` for a buffered body."""
    writes_by = "writev()"
    """The same for writes: `send()` on an upgraded connection."""
    _waiting = 0
    _eager_turns = 0

    def __init__(self, sock: socket.socket, side: Side) -> None:
        if sock.gettimeout() != 0:
            sock.setblocking(False)
        self.sock = sock
        self.side = side
        self._fd = sock.fileno()
        self._alarms: dict[int, Alarm] = {}
        """One a direction that has been waited for."""

    def adopt(self, plain: SocketStream) -> None:
        """Go on with what is known of a plain connection, whose socket this is too."""
        self._alarms = plain._alarms
        self.requests, self.opened, self.watched = plain.requests, plain.opened, plain.watched

    async def receive_some(self, timeout: float, max_bytes: int = CHUNK) -> bytes:
        """What has arrived, at most `max_bytes`; b"" when the peer has closed.

        `timeout` is in seconds. Raises Failed: `recv() failed`, `… timed out`.
        """
        return await self._receive(timeout, max_bytes, 0)

    async def peek(self, timeout: float) -> bytes:
        """What has arrived, left where it is; b"" when the peer has closed."""
        return await self._receive(timeout, PEEKED, socket.MSG_PEEK)

    async def _receive(self, timeout: float, max_bytes: int, flags: int) -> bytes:
        self._check_open()
        while True:
            try:
                data = self.sock.recv(max_bytes, flags)
            except BlockingIOError:
                pass
            except OSError as error:
                raise self._socket_failed(self.reads_by, error) from None
            else:
                await self._take_turns()
                return data
            await self._wait(WANT_READ, timeout)

    async def send_all(self, data: bytes | bytearray | memoryview, timeout: float) -> None:
        """Sends all of `data`; `timeout` is for each wait, not for the whole.

        Raises Failed: `writev() failed`, `… timed out`.
        """
        self._check_open()
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
                raise self._socket_failed(self.writes_by, error) from None
            if not unsent:
                break
            await self._wait(WANT_WRITE, timeout)
        self.broken = False
        await self._take_turns()

    def shutdown(self) -> None:
        """Ends the connection in good order."""
        self.close()

    def shutdown_writing(self) -> None:
        """Tells the peer, in good order, that nothing more will come; reading goes on."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def shutdown_reading(self) -> None:
        """Lets whoever reads find the end at once."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RD)

    def is_quiet(self) -> bool:
        """Whether an idle connection is fit for use: open, and nothing has come unasked."""
        if self.broken:
            return False
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def throw_away(self) -> None:
        """Read what is there and nobody wants, so that closing does not reset."""
        with contextlib.suppress(OSError):
            while self.sock.recv(CHUNK):
                pass

    def reset_when_closed(self) -> None:
        """Let `close` throw away what is not sent yet, and reset the connection."""
        with contextlib.suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def close(self) -> None:
        """Ends the connection at once. Whoever waits on it gets trio.ClosedResourceError."""
        if self._waiting:
            trio.lowlevel.notify_closing(self._fd)
        for alarm in self._alarms.values():
            alarm.discard()
        self.sock.close()

    def _check_open(self) -> None:
        # The library knows the descriptor's number alone, which may be another connection's
        # by now.
        if self.sock.fileno() < 0:
            raise trio.ClosedResourceError

    async def wait_writable(self, timeout: float) -> None:
        """Wait for room to write, which a new connection has once it stands; raises Failed."""
        await self._wait(WANT_WRITE, timeout)

    async def _wait(self, want: int, timeout: float) -> None:
        await self._wait_until(want, trio.current_time() + timeout)

    async def _wait_until(self, want: int, deadline: float) -> None:
        """Wait until the socket is readable, or writable; raises Failed at `deadline`."""
        self._eager_turns = 0
        wait = trio.lowlevel.wait_readable if want == WANT_READ else trio.lowlevel.wait_writable
        alarm = self._alarms.get(want)
        if alarm is None:
            alarm = self._alarms[want] = Alarm(self._fd)
        self._waiting += 1
        try:
            alarm.set(deadline)
            await wait(self._fd)
            return
        except trio.ClosedResourceError:
            if self.sock.fileno() < 0:
                raise
        finally:
            self._waiting -= 1
            alarm.stop()
        if alarm.rang:
            raise Failed(timeout_failure(self.side))
        # It was the alarm of the other direction.
        await self._wait_until(want, deadline)

    async def _take_turns(self) -> None:
        self._eager_turns += 1
        if self._eager_turns >= EAGER_TURNS:
            self._eager_turns = 0
            await trio.lowlevel.checkpoint()

    def _socket_failed(self, call: str, error: OSError) -> Failed:
        self.broken = True
        return Failed(socket_failure(f"{call} failed", self.side, error.errno or 0))
