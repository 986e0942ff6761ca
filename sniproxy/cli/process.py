"""The process around the loop: signals, the pid file, the background."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import IO

import trio

from ..logs.error import ErrorLog
from ..logs.sinks import FileSink
from ..message import ConfigError, Level
from ..server import Server
from ..site import Site
from ..site.listeners import Binding

FAST = (signal.SIGTERM, signal.SIGINT)


async def serve_until_signal(
    site: Site,
    sockets: Sequence[tuple[Binding, socket.socket]],
    pid_file: PidFile,
    started: Callable[[], None],
) -> None:
    """Serve until TERM or INT (at once) or QUIT (gracefully); USR1 opens the logs again.

    `started` is called when it is about to. Raises `ConfigError` if the pid file can not be
    written; whoever finds it may send signals.
    """
    server = Server(site, sockets)
    handled = (*FAST, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1)
    with trio.open_signal_receiver(*handled) as signals, pid_file:
        started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_run, server, nursery.cancel_scope)
            async for number in signals:
                name = signal.Signals(number).name
                if number in FAST:
                    site.error_log.write(
                        Level.NOTICE, f"signal {number} ({name}) received, exiting"
                    )
                    nursery.cancel_scope.cancel()
                elif number == signal.SIGQUIT:
                    text = f"signal {number} ({name}) received, shutting down"
                    site.error_log.write(Level.NOTICE, text)
                    server.stop_gracefully()
                    timeout = site.config.main.worker_shutdown_timeout
                    if timeout:
                        nursery.cancel_scope.deadline = trio.current_time() + timeout
                elif number == signal.SIGUSR1:
                    site.sinks.reopen()
                else:
                    site.error_log.write(
                        Level.WARN, "reloading is not supported by sniproxy yet: SIGHUP is ignored"
                    )


async def _run(server: Server, whole: trio.CancelScope) -> None:
    await server.run()
    whole.cancel()


class PidFile:
    """The file that holds our process id while we serve (`pid`)."""

    def __init__(self, path: str) -> None:
        self.path = path

    def check(self) -> None:
        """What `-t` wants to know: raises `ConfigError` where it could not be written."""
        known = os.path.exists(self.path)
        with self._open("a"):
            pass
        if not known:
            os.unlink(self.path)

    def __enter__(self) -> PidFile:
        """Raises `ConfigError`."""
        with self._open("w") as file:
            file.write(f"{os.getpid()}\n")
        return self

    def _open(self, mode: str) -> IO[str]:
        try:
            return open(self.path, mode, encoding="ascii")
        except OSError as error:
            raise ConfigError(f'open() "{self.path}" failed', errno=error.errno) from None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.path)


def daemonize(log: ErrorLog) -> None:
    """Go on in the background, as `daemon on` wants; the caller's process ends.

    What would be written to stderr goes to the error log, unless stderr is that log.
    """
    sys.stdout.flush()
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    if not log.is_on_stderr:
        os.dup2(null, 2)
        for target in log.targets:
            if isinstance(target.sink, FileSink):
                target.sink.redirect_fd(2)
    os.close(null)
