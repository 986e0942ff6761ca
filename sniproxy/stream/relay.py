"""Pass data between a client and an upstream, in both directions, without a task for each.

An event of the loop (`relay_loop`) runs `Relay.on_event`, which reads and writes until nothing more
is possible (nginx's `ngx_stream_proxy_process`). Between plain sockets large amounts go through a
pipe by `splice()`, so that Python does not see the data. The session's own task only waits for the
end, for timeouts and for the pauses of a limited rate.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from ..models import Failure, Level, ProxyError, Side
from ..system import CAN_SPLICE, PIPE_SIZE, splice
from ..timers import CallbackTimer
from ..tls.errors import socket_failure
from ..tls.stream import SocketStream, TLSStream
from .relay_loop import Pipe, RelayLoop
from .session_log import SessionLog

BATCH = 64
"""Rounds of reading and writing for one event, after which other sessions have their turn."""
PROXYING = "proxying connection"
FROM_CLIENT = "proxying and reading from client", "proxying and sending to upstream"
FROM_UPSTREAM = "proxying and reading from upstream", "proxying and sending to client"
"""The actions of a direction in the error log: while it reads, and while it sends."""
BULK_READS = 2
"""Reads that fill the buffer, one after the other, before `splice()` is used."""


class Direction:
    """One direction of a session: from `source` to `target`."""

    __slots__ = (
        "at_end",
        "full_reads",
        "has_ended",
        "is_drained",
        "is_watched",
        "paused_until",
        "pending",
        "pipe",
        "piped",
        "rate",
        "received",
        "receiving",
        "sending",
        "sent",
        "side",
        "source",
        "start",
        "target",
    )

    def __init__(
        self, side: Side, source: SocketStream, target: SocketStream, rate: int, pending: bytes
    ) -> None:
        """`side` is that of `source`; `pending` was received before."""
        self.side = side
        self.source = source
        self.target = target
        self.rate = rate
        """Bytes per second; 0 is unlimited."""
        self.pending: bytes = pending
        """Data that was received and not sent completely."""
        self.start = 0
        """How much of `pending` was sent."""
        self.pipe: Pipe | None = None
        self.piped = 0
        """Bytes in the pipe."""
        self.received = len(pending)
        self.sent = 0
        self.at_end = False
        """Whether `source` has nothing more to send."""
        self.paused_until = 0.0
        """When reading goes on, by trio's clock, for the rate; 0 if it is not paused."""
        self.full_reads = 0
        self.has_ended = False
        """Whether an event has reported the end of `source`; data before it may be unread."""
        self.is_drained = False
        """Whether the last read has left nothing."""
        self.is_watched = False
        """Whether events report when `target` is writable."""
        self.receiving, self.sending = FROM_CLIENT if side is Side.CLIENT else FROM_UPSTREAM

    @property
    def is_blocked(self) -> bool:
        """Whether data waits for `target`."""
        return bool(self.pending or self.piped)


class Relay:
    """The two directions of a TCP session."""

    def __init__(
        self,
        loop: RelayLoop,
        up: Direction,
        down: Direction,
        *,
        timeout: float,
        buffer_size: int,
        half_close: bool,
        log: SessionLog,
    ) -> None:
        self.up = up
        self.down = down
        self.on_first_byte: Callable[[], None] | None = None
        """Called when the upstream has sent its first byte."""
        self.first_byte_at: float | None = None
        """Monotonic seconds when the upstream sent its first byte."""
        self.ended_by: Side | None = None
        """Who disconnected; None if an error or a timeout ended the session."""
        self._loop = loop
        self._timeout = timeout
        self._buffer_size = buffer_size
        self._half_close = half_close
        self._half_closed = False
        self._last_end: Side | None = None
        self._log = log
        self._started = time.time()
        self._timer = CallbackTimer(self._on_time)
        self._finished = False
        self._waiting: trio.lowlevel.Task | None = None
        """The session's task, while it waits for the end."""
        self._has_tls = isinstance(up.source, TLSStream) or isinstance(down.source, TLSStream)
        self._can_splice = CAN_SPLICE and not self._has_tls
        self._descriptors = up.source.sock.fileno(), down.source.sock.fileno()

    async def run(self) -> None:
        """Pass data until the session is over."""
        self._loop.add(self, *self._descriptors)
        try:
            if self._has_tls:
                for direction in (self.up, self.down):
                    self._watch_writing(direction)
            self._begin()
            if not self._finished:
                self._waiting = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._stop_waiting)
        finally:
            self._timer.discard()
            self._loop.remove(self, *self._descriptors)
            for direction in (self.up, self.down):
                if direction.pipe is not None:
                    self._loop.release_pipe(direction.pipe, is_empty=not direction.piped)
                    direction.pipe = None

    def _begin(self) -> None:
        """Send what was read before. epoll reports what has arrived since."""
        try:
            if self.up.pending:
                self._log.action = self.up.sending
                self._send_or_wait(self.up)
        except ProxyError as failed:
            self._log.write_failure(failed.failure)
            self._finish()
            return
        if self._has_tls:
            self.process()  # data may be decrypted already
        else:
            self._after_passing()

    # --- time

    def _set_timer(self) -> None:
        """Start the timeout again; while reading is paused, only the pause is timed."""
        up, down = self.up.paused_until, self.down.paused_until
        if up or down:
            self._timer.set(min(up or down, down or up))
        else:
            self._timer.set(trio.current_time() + self._timeout)

    def _on_time(self) -> None:
        if self._finished:
            return
        now = trio.current_time()
        paused = [one for one in (self.up, self.down) if one.paused_until]
        for one in paused:
            if one.paused_until <= now:
                one.paused_until = 0.0
        if paused:
            self.process()
        else:
            self._log.write_failure(Failure("connection timed out", Level.INFO, errno=110))
            self._finish()

    def _pause(self, direction: Direction, seconds: float) -> None:
        direction.paused_until = trio.current_time() + seconds

    def _finish(self) -> None:
        self._finished = True
        if self._waiting is not None:
            trio.lowlevel.reschedule(self._waiting)
            self._waiting = None

    def _stop_waiting(self, raise_cancel: Callable[[], None]) -> trio.lowlevel.Abort:
        """The session's task is cancelled."""
        self._waiting = None
        return trio.lowlevel.Abort.SUCCEEDED

    # --- data

    def on_event(self, descriptor: int, is_readable: bool, has_ended: bool) -> None:
        """A socket is readable or writable again."""
        outward, inward = self.up, self.down
        if descriptor != self._descriptors[0]:
            outward, inward = inward, outward
        if has_ended:
            outward.has_ended = True
        # A TLS connection may have to write before it can read, or the other way round.
        writes = inward.is_blocked or self._has_tls
        if is_readable or writes:
            self._process(
                outward if is_readable or self._has_tls else None, inward if writes else None
            )

    def process(self) -> None:
        """Read and write what is possible, in both directions."""
        self._process(self.up, self.down)

    def watchers(self) -> list[Callable[[], Awaitable[None]]]:
        """Functions that pass data without epoll, one for each direction (`TaskRelayLoop`)."""
        return [partial(self._watch, one) for one in (self.up, self.down)]

    async def _watch(self, direction: Direction) -> None:
        while not self._finished and (direction.is_blocked or not direction.at_end):
            if direction.is_blocked:
                await trio.lowlevel.wait_writable(direction.target.sock)
            elif direction.paused_until:
                await trio.sleep_until(direction.paused_until)
            else:
                await trio.lowlevel.wait_readable(direction.source.sock)
            await trio.lowlevel.checkpoint()
            self._process(direction)

    def _process(self, *directions: Direction | None) -> None:
        if self._finished:
            return
        try:
            for direction in directions:
                if direction is not None and self._pass(direction):
                    self._loop.continue_later(self)
        except ProxyError as failed:
            self._log.write_failure(failed.failure)
            self._finish()
            return
        self._after_passing()

    def _after_passing(self) -> None:
        self._log.action = PROXYING
        if self.up.at_end or self.down.at_end:
            if self._is_over():
                self._finish()
                return
            self._shut_down_half()
        self._set_timer()

    def _shut_down_half(self) -> None:
        """Pass on the end of one side, with `proxy_half_close`."""
        if self._half_close and not self._half_closed:
            for one in (self.up, self.down):
                if one.at_end and not one.is_blocked:
                    SocketStream.shutdown_writing(one.target)
                    self._half_closed = True
                    break

    def _is_over(self) -> bool:
        up, down = self.up, self.down
        if self._half_close:
            if not (up.at_end and down.at_end) or up.is_blocked or down.is_blocked:
                return False
        elif up.at_end:
            if not down.at_end and up.is_blocked:
                return False
        elif not down.at_end or down.is_blocked:
            return False
        self.ended_by = self._last_end
        return True

    def _pass(self, direction: Direction) -> bool:
        """Pass data in one direction; whether there is more to do.

        Raises `ProxyError` if it cannot be sent. A failure to receive counts as the end.
        """
        direction.is_drained = False
        for _ in range(BATCH):
            if direction.pending or direction.piped:
                self._log.action = direction.sending
                if not self._send_or_wait(direction):
                    return False
            if direction.at_end or direction.paused_until or direction.is_drained:
                return False
            size = self._buffer_size
            if direction.rate:
                elapsed = int(time.time()) - int(self._started) + 1
                limit = direction.rate * elapsed - direction.received
                if limit <= 0:
                    self._pause(direction, (-limit * 1000 // direction.rate + 1) / 1000)
                    return False
                size = min(size, limit)
            self._log.action = direction.receiving
            if not self._receive(direction, size):
                return False
        return True

    def _receive(self, direction: Direction, size: int) -> bool:
        """Whether something was received, or the end."""
        try:
            if direction.pipe is not None or self._opens_pipe(direction):
                received = self._splice_in(direction)
            else:
                data = direction.source.receive_nowait(size)
                received = None if data is None else len(data)
                if data:
                    direction.pending, direction.start = data, 0
                    if received == size:
                        direction.full_reads += 1
                    else:
                        direction.full_reads = 0
                        # What arrives from now on is another event.
                        direction.is_drained = not (self._has_tls or direction.has_ended)
        except ProxyError as failed:
            self._log.write_failure(failed.failure)
            received = 0
        if received is None:
            return False
        if direction.side is Side.UPSTREAM and self.first_byte_at is None:
            self.first_byte_at = time.monotonic()
            if self.on_first_byte is not None:
                self.on_first_byte()
        if not received:
            direction.at_end = True
            self._last_end = direction.side
            return True
        direction.received += received
        if direction.rate:
            delay = received * 1000 // direction.rate
            if delay:
                self._pause(direction, delay / 1000)
        return True

    def _opens_pipe(self, direction: Direction) -> bool:
        """Whether large amounts arrive, and a pipe for them was opened."""
        if direction.full_reads < BULK_READS or not self._can_splice or direction.rate:
            return False
        direction.pipe = self._loop.take_pipe()
        return direction.pipe is not None

    def _splice_in(self, direction: Direction) -> int | None:
        """Move received data into the pipe, which is empty; returns the number of bytes."""
        assert direction.pipe is not None
        try:
            received = splice(direction.source.sock.fileno(), direction.pipe[1], PIPE_SIZE)
        except BlockingIOError:
            self._loop.release_pipe(direction.pipe, is_empty=True)
            direction.pipe, direction.full_reads = None, 0
            return None
        except OSError as error:
            raise ProxyError(
                socket_failure("recv() failed", direction.side, error.errno or 0)
            ) from None
        direction.piped += received
        return received

    def _watch_writing(self, direction: Direction) -> None:
        direction.is_watched = True
        self._loop.watch_writing(direction.target.sock.fileno())

    def _send_or_wait(self, direction: Direction) -> bool:
        """Whether all was sent; if not, an event follows. Raises `ProxyError`."""
        if self._send(direction):
            return True
        if not direction.is_watched:
            self._watch_writing(direction)
        return False

    def _send(self, direction: Direction) -> bool:
        """Whether all was sent. Raises `ProxyError`."""
        while direction.pending:
            sent = direction.target.send_nowait(direction.pending, direction.start)
            if not sent:
                return False
            direction.sent += sent
            direction.start += sent
            if direction.start == len(direction.pending):
                direction.pending, direction.start = b"", 0
        while direction.piped:
            assert direction.pipe is not None
            try:
                sent = splice(direction.pipe[0], direction.target.sock.fileno(), direction.piped)
            except BlockingIOError:
                return False
            except OSError as error:
                side = direction.target.side
                raise ProxyError(
                    socket_failure("writev() failed", side, error.errno or 0)
                ) from None
            direction.sent += sent
            direction.piped -= sent
        return True
