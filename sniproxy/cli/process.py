"""The process itself: into the background, and the signals of `-s`."""

from __future__ import annotations

import os
import signal
import sys

from ..config.numbers import parse_number
from ..logs.error import ErrorLog
from ..logs.sinks import FileSink
from ..models import ConfigError, Level

SIGNALS = {"stop": "SIGTERM", "quit": "SIGQUIT", "reopen": "SIGUSR1", "reload": "SIGHUP"}
"""The arguments of `-s`."""
STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGBREAK") if hasattr(signal, name)
)
"""The signals that end commands which serve until they are stopped; SIGBREAK is of Windows."""
NO_SIGNALS = "-s needs signals, which this system lacks: Ctrl-C stops the process that serves"
PID_SIZE = 22
"""Bytes of a pid file that are read."""


def send_signal(name: str, pid_path: str) -> None:
    """Send a signal to the process whose ID is in a file; raises `ConfigError`."""
    if sys.platform == "win32":
        raise ConfigError(NO_SIGNALS, level=Level.ERROR)
    number = signal.Signals[SIGNALS[name]]
    try:
        with open(pid_path, "rb") as file:
            text = file.read(PID_SIZE).rstrip(b"\r\n").decode("latin-1")
    except IsADirectoryError as error:
        message = f'pread() "{pid_path}" failed'
        raise ConfigError(message, errno=error.errno, level=Level.CRIT) from None
    except OSError as error:
        message = f'open() "{pid_path}" failed'
        raise ConfigError(message, errno=error.errno, level=Level.ERROR) from None
    pid = parse_number(text)
    if not pid:
        raise ConfigError(f'invalid PID number "{text}" in "{pid_path}"', level=Level.ERROR)
    try:
        os.kill(pid, number)
    except (OSError, OverflowError) as error:
        message = f"kill({pid}, {int(number)}) failed"
        errno = getattr(error, "errno", None)
        raise ConfigError(message, errno=errno, level=Level.ALERT) from None


def daemonize(log: ErrorLog) -> None:
    """Continue in the background (`daemon on`); the parent process exits.

    Output to stderr is redirected to the error log, unless that is stderr.
    """
    if sys.platform == "win32":
        raise NotImplementedError
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
