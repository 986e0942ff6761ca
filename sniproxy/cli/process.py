"""Process control: signals, the pid file, and running in the background."""

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

from ..build import Application
from ..build.listeners import ListenSocket
from ..logs.error import ErrorLog
from ..logs.sinks import FileSink
from ..models import ConfigError, Level
from ..server import ConnectionServer

FAST_SHUTDOWN = (signal.SIGTERM, signal.SIGINT)


async def serve_until_signal(
    site: Application,
    sockets: Sequence[tuple[ListenSocket, socket.socket]],
    pid_file: PidFile,
    started: Callable[[], None],
) -> None:
    """Serve until TERM or INT (at once) or QUIT (gracefully); USR1 reopens the logs.

    `started` is called just before. Signals are handled from before the pid file is written.
    Raises `ConfigError` if it cannot be written.
    """
    server = ConnectionServer(site, sockets)
    handled = (*FAST_SHUTDOWN, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1)
    with trio.open_signal_receiver(*handled) as signals, pid_file:
        started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_run, server, nursery.cancel_scope)
            async for number in signals:
                name = signal.Signals(number).name
                if number in FAST_SHUTDOWN:
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


async def _run(server: ConnectionServer, cancel_scope: trio.CancelScope) -> None:
    await server.run()
    cancel_scope.cancel()


class PidFile:
    """The file with our process ID, which exists while we serve (directive `pid`)."""

    def __init__(self, path: str) -> None:
        self.path = path

    def check(self) -> None:
        """Raise `ConfigError` if the file could not be written; for `-t`."""
        existed = os.path.exists(self.path)
        with self._open("a"):
            pass
        if not existed:
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
    """Continue in the background (`daemon on`); the parent process exits.

    Output to stderr is redirected to the error log, unless that is stderr.
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
