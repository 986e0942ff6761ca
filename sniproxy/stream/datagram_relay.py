"""Pass the datagrams of a UDP session between its client and its upstream."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Awaitable, Callable

import trio

from ..config.directives.stream_proxy import UNLIMITED_RESPONSES, StreamProxySettings
from ..models import Failure, Level, Side
from ..tls.errors import socket_failure
from .datagrams import LARGEST, DatagramClient
from .relay import BATCH
from .relay_loop import RelayLoop
from .session_log import SessionLog


class DatagramRelay:
    """A UDP session with an upstream."""

    def __init__(
        self,
        loop: RelayLoop,
        client: DatagramClient,
        settings: StreamProxySettings,
        *,
        log: SessionLog,
        rates: tuple[int, int],
    ) -> None:
        """`rates` are bytes per second from the client and the upstream; 0 is unlimited."""
        self.received = 0
        """Bytes from the client after the first datagram."""
        self.sent = 0
        self.from_upstream = 0
        self.to_upstream = 0
        self.requests = 1
        self.responses = 0
        self.on_first_byte: Callable[[], None] | None = None
        """Called when the upstream has sent its first datagram."""
        self.first_byte_at: float | None = None
        self.upstream: socket.socket | None = None
        self.ended: str | None = None
        """Why the session ended, for the log: `udp done`, …; None after an error."""
        self.timed_out = False
        """Whether responses were missing at the end."""
        self.peer_failed = False
        self._loop = loop
        self._client = client
        self._settings = settings
        self._log = log
        self._rates = rates
        self._queue: list[bytes] = []
        self._queued = 0
        self._started = time.time()
        self._deadline = math.inf
        self._finished = False
        self._is_stopping = False
        self._done = trio.Event()
        client.deliver = self.deliver

    async def run(self, upstream: socket.socket, first: bytes) -> None:
        """Pass datagrams until the session is over; `first` is the client's."""
        self.upstream = upstream
        descriptor = upstream.fileno()
        self._loop.add(self, descriptor)
        try:
            for data in (first, *self._queue):
                self._send_to_upstream(data)
            self._queue.clear()
            self.process()
            while not self._finished:
                with trio.CancelScope(deadline=self._deadline):
                    await self._done.wait()
                if not self._finished and self._deadline <= trio.current_time():
                    self._on_timeout()
        finally:
            self._loop.remove(self, descriptor)

    def stop(self) -> None:
        """End the session with its next event, as the process stops."""
        self._is_stopping = True

    def deliver(self, data: bytes) -> None:
        """A further datagram of the client."""
        if self._finished:
            return
        if self._exceeds(self._rates[0], self.received):
            return
        if self.upstream is None and self._queued + len(data) > self._settings.proxy_buffer_size:
            return
        self.requests += 1
        self.received += len(data)
        if self.upstream is None:
            self._queue.append(data)
            self._queued += len(data)
            return
        self._send_to_upstream(data)
        self._after_event()

    def on_event(self, descriptor: int, is_readable: bool, has_ended: bool) -> None:
        self.process()

    def watchers(self) -> list[Callable[[], Awaitable[None]]]:
        return [self._watch]

    async def _watch(self) -> None:
        assert self.upstream is not None
        while not self._finished:
            await trio.lowlevel.wait_readable(self.upstream)
            self.process()
            await trio.lowlevel.checkpoint()

    def process(self) -> None:
        """Pass on what the upstream has sent."""
        assert self.upstream is not None
        if self._is_stopping:
            self._finish("disconnected on shutdown")
            return
        for _ in range(BATCH):
            if self._finished or self._exceeds(self._rates[1], self.from_upstream):
                break
            self._log.action = "proxying and reading from upstream"
            try:
                data = self.upstream.recv(LARGEST)
            except BlockingIOError:
                break
            except OSError as error:
                self._log.write_failure(
                    socket_failure("recv() failed", Side.UPSTREAM, error.errno or 0)
                )
                self.peer_failed = True
                data = b""
            if self.first_byte_at is None:
                self.first_byte_at = time.monotonic()
                if self.on_first_byte is not None:
                    self.on_first_byte()
            self.responses += 1
            self.from_upstream += len(data)
            if self.peer_failed:
                break
            self._send_to_client(data)
            self._check_end()
        else:
            self._loop.continue_later(self)
        self._after_event()

    def _send_to_client(self, data: bytes) -> None:
        self._log.action = "proxying and sending to client"
        try:
            self._client.send(data)
        except BlockingIOError:
            return  # the datagram is lost
        except OSError as error:
            self._log.write_failure(
                socket_failure("sendmsg() failed", Side.CLIENT, error.errno or 0)
            )
            self._finish(None)
            return
        self.sent += len(data)

    def _send_to_upstream(self, data: bytes) -> None:
        assert self.upstream is not None
        self._log.action = "proxying and sending to upstream"
        try:
            self.to_upstream += self.upstream.send(data)
        except BlockingIOError:
            return
        except OSError as error:
            self._log.write_failure(
                socket_failure("sendmsg() failed", Side.UPSTREAM, error.errno or 0)
            )
            self._finish(None)

    def _exceeds(self, limit: int, passed: int) -> bool:
        return bool(limit) and passed >= limit * (int(time.time()) - int(self._started) + 1)

    def _after_event(self) -> None:
        if not self._finished:
            self._log.action = "proxying connection"
            self._check_end()
            self._deadline = trio.current_time() + self._settings.proxy_timeout

    def _check_end(self) -> None:
        """End the session if all responses have arrived (`proxy_requests`, `proxy_responses`)."""
        settings = self._settings
        if settings.proxy_requests:
            if self.requests < settings.proxy_requests:
                return
            self._client.forget()
        if settings.proxy_responses == UNLIMITED_RESPONSES or not self._has_all_responses:
            return
        self._finish("udp done")

    @property
    def _has_all_responses(self) -> bool:
        return self.responses >= self._settings.proxy_responses * self.requests

    def _on_timeout(self) -> None:
        unlimited = self._settings.proxy_responses == UNLIMITED_RESPONSES
        if unlimited or self._has_all_responses:
            self._finish("udp timed out")
            return
        self._log.write_failure(Failure("upstream timed out", Level.ERROR, errno=110))
        self.timed_out = self.peer_failed = True
        self._finish(None)

    def _finish(self, why: str | None) -> None:
        if not self._finished:
            self._finished = True
            self.ended = why
            self._done.set()
