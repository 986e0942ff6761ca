"""The signals of nginx's processes: which ones a process takes, and the line that each leaves.

They are blocked, and taken with `sigwaitinfo`, which names the sender: so none is lost, and nothing
runs inside of a handler.
"""

from __future__ import annotations

import enum
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from signal import Signals

import trio


class SignalAction(enum.Enum):
    """What a signal asks for; the value is nginx's word in the log."""

    TERMINATE = "exiting"
    QUIT = "shutting down"
    RELOAD = "reconfiguring"
    REOPEN = "reopening logs"
    UPGRADE = "changing binary"
    STOP_ACCEPTING = "stop accepting connections"
    REAP = "reaping"
    IGNORE = "ignoring"


_COMMON = {
    Signals.SIGTERM: SignalAction.TERMINATE,
    Signals.SIGINT: SignalAction.TERMINATE,
    Signals.SIGQUIT: SignalAction.QUIT,
    Signals.SIGUSR1: SignalAction.REOPEN,
}
MASTER: Mapping[Signals, SignalAction] = {
    **_COMMON,
    Signals.SIGHUP: SignalAction.RELOAD,
    Signals.SIGUSR2: SignalAction.UPGRADE,
    Signals.SIGWINCH: SignalAction.STOP_ACCEPTING,
    Signals.SIGCHLD: SignalAction.REAP,
}
SINGLE: Mapping[Signals, SignalAction] = {
    **_COMMON,
    Signals.SIGHUP: SignalAction.RELOAD,
    Signals.SIGUSR2: SignalAction.IGNORE,
}
"""Of a process that serves without a master."""
WORKER: Mapping[Signals, SignalAction] = {
    **_COMMON,
    Signals.SIGHUP: SignalAction.IGNORE,
    Signals.SIGUSR2: SignalAction.IGNORE,
}


@dataclass(frozen=True, slots=True)
class Received:
    """A signal that has arrived."""

    number: Signals
    sender: int
    """The process that sent it; 0 for the kernel, as after Ctrl-C."""

    def message(self, action: str = "") -> str:
        """`signal 1 (SIGHUP) received from 4711, reconfiguring`."""
        sender = f" from {self.sender}" if self.sender else ""
        verb = f", {action}" if action else ""
        return f"signal {int(self.number)} ({self.number.name}) received{sender}{verb}"


def block(signals: Mapping[Signals, SignalAction]) -> None:
    """Keep signals for `wait` from now on. Processes that are forked inherit it.

    They stay blocked until the process ends: so a second signal to stop does not change the exit
    status of the first.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)


def unblock_all() -> None:
    """For a program that is about to be executed."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def wait(signals: Mapping[Signals, SignalAction], timeout: float | None = None) -> Received | None:
    """Wait for one of the blocked signals, at most `timeout` seconds."""
    if not hasattr(signal, "sigwaitinfo"):
        # macOS, where there is no master either: nobody knows the sender, or has a time-out.
        return Received(Signals(signal.sigwait(signals)), 0)
    if timeout is None:
        found: signal.struct_siginfo | None = signal.sigwaitinfo(signals)
    else:
        found = signal.sigtimedwait(signals, max(timeout, 0))
    if found is None:
        return None
    # A fault of the kernel's has no sender, and the field then holds something else.
    sender = found.si_pid if found.si_code <= 0 or found.si_signo == Signals.SIGCHLD else 0
    return Received(Signals(found.si_signo), sender)


async def each(
    signals: Mapping[Signals, SignalAction], handle: Callable[[Received, SignalAction], None]
) -> None:
    """Call `handle` with every blocked signal that arrives, until cancelled.

    A thread waits, which needs no interpreter lock meanwhile; it ends with the process.
    """
    while True:
        received = await trio.to_thread.run_sync(partial(wait, signals), abandon_on_cancel=True)
        assert received is not None
        handle(received, signals[received.number])
