"""The signals of nginx's processes: which ones a process takes, and the line that each leaves.

They are blocked, and taken with `sigwaitinfo`, which names the sender: so none is lost, and nothing
runs inside of a handler. Windows has only what ends a process, such as Ctrl-C, in handlers.
"""

from __future__ import annotations

import enum
import signal
import sys
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


def _signals(**actions: SignalAction) -> Mapping[Signals, SignalAction]:
    """The actions by signal, for the signals that this system has."""
    common = {
        "SIGTERM": SignalAction.TERMINATE,
        "SIGINT": SignalAction.TERMINATE,
        "SIGBREAK": SignalAction.TERMINATE,  # of Windows
        "SIGQUIT": SignalAction.QUIT,
        "SIGUSR1": SignalAction.REOPEN,
    }
    return {
        Signals(getattr(signal, name)): action
        for name, action in {**common, **actions}.items()
        if hasattr(signal, name)
    }


MASTER = _signals(
    SIGHUP=SignalAction.RELOAD,
    SIGUSR2=SignalAction.UPGRADE,
    SIGWINCH=SignalAction.STOP_ACCEPTING,
    SIGCHLD=SignalAction.REAP,
)
SINGLE = _signals(SIGHUP=SignalAction.RELOAD, SIGUSR2=SignalAction.IGNORE)
"""Of a process that serves without a master."""
WORKER = _signals(SIGHUP=SignalAction.IGNORE, SIGUSR2=SignalAction.IGNORE)
CAN_TIME_OUT = hasattr(signal, "sigtimedwait")
"""Whether `wait` may have a timeout, as the master needs it. macOS and Windows do not."""


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
    status of the first. Windows blocks none.
    """
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)


def unblock_all() -> None:
    """For a program that is about to be executed."""
    if sys.platform == "win32":
        raise NotImplementedError
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def wait(signals: Mapping[Signals, SignalAction], timeout: float | None = None) -> Received | None:
    """Wait for one of the blocked signals, at most `timeout` seconds."""
    if sys.platform == "win32":
        raise NotImplementedError
    if sys.platform == "darwin":
        # The sender is not known, and there is no timeout: nor is there a master that needs one.
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
    if sys.platform == "win32":
        with trio.open_signal_receiver(*signals) as arriving:
            async for number in arriving:
                handle(Received(Signals(number), 0), signals[Signals(number)])
        return
    while True:
        received = await trio.to_thread.run_sync(partial(wait, signals), abandon_on_cancel=True)
        assert received is not None
        handle(received, signals[received.number])
