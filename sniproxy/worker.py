"""A worker: one trio loop on the sockets that the master has bound (`ngx_worker_process_cycle`).

The master sends one byte for each command through a socket. If the master is killed, the socket is
closed, and the worker shuts down gracefully.
"""

from __future__ import annotations

import socket

import trio

from . import process_signals as signals
from .build import Application
from .build.listeners import BoundSocket
from .cycle import RunningPage
from .models import Level
from .process_signals import WORKER, Received, SignalAction
from .server import ConnectionServer, format_exception
from .worker_setup import SetupError, User, become, set_affinity, set_limits

COMMANDS = {
    b"t": SignalAction.TERMINATE,
    b"q": SignalAction.QUIT,
    b"o": SignalAction.REOPEN,
}
"""What the master sends."""
FATAL = 2
"""Exit status of a worker that would fail again if it were restarted."""


def run_worker(
    site: Application,
    sockets: list[BoundSocket],
    channel: socket.socket,
    index: int,
    user: User | None,
    page: RunningPage | None = None,
) -> int:
    """Serve until a signal or command to stop; returns the exit status of the process."""
    main, log = site.config.main, site.error_log
    set_limits(main, log)
    try:
        if user is not None:
            become(user)
    except SetupError as error:
        log.write(Level.EMERG, str(error))
        return FATAL
    if main.worker_cpu_affinity is not None:
        set_affinity(main.worker_cpu_affinity, index, log)
    channel.setblocking(False)
    try:
        trio.run(_Worker(site, sockets, channel, index, page).run)
    except Exception as bug:
        log.write(Level.ALERT, f"internal error: {format_exception(bug)}")
        return 1
    log.write(Level.NOTICE, "exiting")
    log.write(Level.NOTICE, "exit")
    site.close()
    return 0


class _Worker:
    def __init__(
        self,
        site: Application,
        sockets: list[BoundSocket],
        channel: socket.socket,
        index: int,
        page: RunningPage | None,
    ) -> None:
        self._site = site
        self._channel = channel
        self._server = ConnectionServer(site, sockets)
        self._scope = trio.CancelScope()
        self._stopping = False
        self._index = index
        self._page = page

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            self._scope = nursery.cancel_scope
            nursery.start_soon(signals.each, WORKER, self._on_signal)
            nursery.start_soon(self._read_commands)
            if self._page is not None:
                nursery.start_soon(self._page.run, self._index)
            await self._server.run()
            if self._page is not None:
                await self._page.finish()
            nursery.cancel_scope.cancel()

    def _on_signal(self, received: Received, action: SignalAction) -> None:
        self._site.error_log.write(Level.NOTICE, received.message(action.value))
        self._obey(action)

    async def _read_commands(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._channel)
            try:
                received = self._channel.recv(64)
            except OSError:
                received = b""
            if not received:
                text = "the master process has ended without its workers, shutting down"
                self._site.error_log.write(Level.ALERT, text)
                self._obey(SignalAction.QUIT)
                return
            for number in received:
                self._obey(COMMANDS[bytes((number,))])

    def _obey(self, action: SignalAction) -> None:
        log = self._site.error_log
        if action is SignalAction.TERMINATE:
            self._scope.cancel()
        elif action is SignalAction.QUIT and not self._stopping:
            self._stopping = True
            log.write(Level.NOTICE, "gracefully shutting down")
            self._server.stop_gracefully()
            if self._page is not None:
                self._page.stop()
        elif action is SignalAction.REOPEN:
            log.write(Level.NOTICE, "reopening logs")
            self._site.reopen_logs()
