"""The master: binds, forks workers, and waits for signals (`ngx_master_process_cycle`).

A plain loop: no trio runs in it, before a fork or later. Workers inherit the sockets, the open logs
and the TLS contexts, and with these the keys of session tickets. Their commands go through a socket
to each (`worker`), so that a worker also notices the end of its master.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass

from . import process_signals as signals
from .build.listeners import close_all, close_sockets, of_worker
from .cycle import WATCH_INTERVAL, ConfigurationLoader, Cycle, RunningPage
from .inherited import InheritedSockets, execute
from .models import Failure, Level
from .pid_file import OLD, PidFile
from .process_signals import MASTER, Received, SignalAction
from .worker import COMMANDS, FATAL, run_worker
from .worker_setup import User, give_file, user_of, worker_count

assert sys.platform != "win32"

KILL_AFTER = 1.5
"""Seconds until a worker that a fast stop does not end is killed."""
RESPAWN_INTERVAL = 1.0
"""Seconds from the start of a worker that dies to that of the next in its place, at least."""

_BYTES = {action: byte for byte, action in COMMANDS.items()}


@dataclass(slots=True, eq=False)
class WorkerProcess:
    """A worker as its master knows it."""

    pid: int
    index: int
    channel: socket.socket
    started: float
    retiring: bool = False
    """Whether it was asked to end, so that no other takes its place."""

    def send(self, action: SignalAction) -> None:
        with contextlib.suppress(OSError):  # it has ended
            self.channel.send(_BYTES[action], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


class Master:
    """Keeps the workers of a configuration running."""

    def __init__(
        self,
        cycle: Cycle,
        loader: ConfigurationLoader,
        pid_file: PidFile,
        inherited: InheritedSockets,
        *,
        background: bool = False,
        watch: bool = False,
        page: RunningPage | None = None,
    ) -> None:
        self.cycle = cycle
        """The one that is served."""
        self._loader = loader
        self._pid_file = pid_file
        self._inherited = inherited
        self._background = background
        self._watch = watch
        self._page = page
        self._workers: dict[int, WorkerProcess] = {}
        """By process ID."""
        self._respawns: dict[int, float] = {}
        """When a worker is due to be started again, by index."""
        self._ending = False
        self._accepting = True
        self._kill_at: float | None = None
        self._successor = 0
        """The process of the program that is to replace this one; 0 if there is none."""
        self._next_look = time.monotonic() + WATCH_INTERVAL

    def run(self) -> None:
        """Start the workers; returns when the last one has ended."""
        self._start_workers()
        while self._workers or not self._ending:
            received = signals.wait(MASTER, self._timeout())
            if received is not None:
                self._on_signal(received)
            self._do_what_is_due()
        self._log(Level.NOTICE, "exit")

    def close(self) -> None:
        """Close logs and sockets."""
        self._close_sockets()
        self.cycle.site.close()

    def _close_sockets(self) -> None:
        """Listen no more; files of UNIX sockets stay if another program listens on them."""
        if self._other_program_serves():
            close_sockets(self.cycle.sockets)
        else:
            close_all(self.cycle.sockets)

    def _other_program_serves(self) -> bool:
        """Whether a new binary of this process (USR2), or the one it replaces, is running."""
        return bool(self._successor) or self._inherited.parent_serves()

    def _log(self, level: Level, text: str) -> None:
        self.cycle.site.error_log.write(level, text)

    # --- time ---

    def _timeout(self) -> float | None:
        due = list(self._respawns.values())
        if self._kill_at is not None:
            due.append(self._kill_at)
        if self._watch and not self._ending:
            due.append(self._next_look)
        return min(due) - time.monotonic() if due else None

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        for index, due in list(self._respawns.items()):
            if due <= now:
                del self._respawns[index]
                self._start_worker(index)
        if self._kill_at is not None and self._kill_at <= now:
            self._kill_at = None
            for pid in self._workers:
                os.kill(pid, signal.SIGKILL)
        if self._watch and not self._ending and self._next_look <= now:
            self._next_look = now + WATCH_INTERVAL
            if self._loader.changed_files():
                self._reload()

    # --- signals ---

    def _on_signal(self, received: Received) -> None:
        action = MASTER[received.number]
        ignored = self._why_ignored(action)
        word = "" if action is SignalAction.REAP else action.value
        if ignored is not None:
            word = ignored
        self._log(Level.NOTICE, received.message(word))
        if action is SignalAction.UPGRADE and ignored is not None:
            text = (
                "the changing binary signal is ignored: you should shutdown or terminate before "
                "either old or new binary's process"
            )
            self._log(Level.CRIT, text)
        if ignored is not None:
            return
        if action is SignalAction.TERMINATE:
            self._end(action)
            self._kill_at = self._kill_at or time.monotonic() + KILL_AFTER
        elif action is SignalAction.QUIT:
            self._end(action)
        elif action is SignalAction.RELOAD:
            if not self._ending:
                self._reload()
        elif action is SignalAction.REOPEN:
            self._log(Level.NOTICE, "reopening logs")
            self.cycle.site.reopen_logs()
            user = self._user()
            if user is not None:
                for path in self.cycle.site.sinks.paths:
                    give_file(path, user)
            self._send_all(action)
        elif action is SignalAction.UPGRADE:
            self._log(Level.NOTICE, "changing binary")
            self._start_successor()
        elif action is SignalAction.STOP_ACCEPTING:
            self._accepting = False
            self._retire_all()
        else:
            self._reap()

    def _why_ignored(self, action: SignalAction) -> str | None:
        """What the log says of a signal that is not obeyed."""
        if action is SignalAction.STOP_ACCEPTING and not self._background:
            return ""
        if action is SignalAction.UPGRADE and self._other_program_serves():
            return SignalAction.IGNORE.value
        return None

    def _end(self, action: SignalAction) -> None:
        """Ask all workers to end, and listen no more."""
        self._ending = True
        self._respawns.clear()
        self._send_all(action)
        for worker in self._workers.values():
            worker.retiring = True
        if action is SignalAction.QUIT:
            self._close_sockets()

    def _send_all(self, action: SignalAction) -> None:
        for worker in self._workers.values():
            worker.send(action)

    def _retire_all(self) -> None:
        self._respawns.clear()
        for worker in self._workers.values():
            if not worker.retiring:
                worker.retiring = True
                worker.send(SignalAction.QUIT)

    # --- workers ---

    def _user(self) -> User | None:
        return user_of(self.cycle.site.config.main)

    def _start_workers(self) -> None:
        self._accepting = True
        self._log(Level.NOTICE, "start worker processes")
        # Pages that the collector does not touch stay shared with the workers.
        gc.collect()
        gc.freeze()
        try:
            for index in range(worker_count(self.cycle.site.config.main)):
                self._start_worker(index)
        finally:
            gc.unfreeze()

    def _start_worker(self, index: int) -> None:
        ours, theirs = socket.socketpair()
        user = self._user()
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError as error:
            text = 'fork() failed while spawning "worker process"'
            self._log(Level.ALERT, Failure(text, errno=error.errno).message)
            ours.close()
            theirs.close()
            self._respawns[index] = time.monotonic() + RESPAWN_INTERVAL
            return
        if not pid:
            status = 1
            try:
                ours.close()
                status = self._be_worker(index, theirs, user)
            finally:
                os._exit(status)
        theirs.close()
        self._workers[pid] = WorkerProcess(pid, index, ours, time.monotonic())
        self._log(Level.NOTICE, f"start worker process {pid}")

    def _be_worker(self, index: int, channel: socket.socket, user: User | None) -> int:
        for other in self._workers.values():
            other.channel.close()
        sockets = of_worker(self.cycle.sockets, index)
        own = {sock for _, sock in sockets}
        close_sockets([bound for bound in self.cycle.sockets if bound[1] not in own])
        return run_worker(self.cycle.site, sockets, channel, index, user, self._page)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            worker = self._workers.pop(pid, None)
            what = "new binary process" if pid == self._successor else "unknown process"
            self._log_exit(pid, status, what if worker is None else "worker process")
            if pid == self._successor:
                self._successor_ended()
            if worker is not None:
                worker.channel.close()
                self._replace(worker, status)

    def _log_exit(self, pid: int, status: int, what: str) -> None:
        if os.WIFSIGNALED(status):
            core = " (core dumped)" if os.WCOREDUMP(status) else ""
            text = f"{what} {pid} exited on signal {os.WTERMSIG(status)}{core}"
            self._log(Level.ALERT, text)
        else:
            code = os.waitstatus_to_exitcode(status)
            self._log(Level.NOTICE, f"{what} {pid} exited with code {code}")

    def _replace(self, worker: WorkerProcess, status: int) -> None:
        """Start another worker in place of one that has ended by itself."""
        if worker.retiring or self._ending:
            return
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == FATAL:
            text = f"worker process {worker.pid} exited with fatal code {FATAL} "
            self._log(Level.ALERT, f"{text}and cannot be respawned")
            return
        due = worker.started + RESPAWN_INTERVAL
        if due > time.monotonic():
            self._respawns[worker.index] = due
        else:
            self._start_worker(worker.index)

    # --- reload ---

    def _reload(self) -> None:
        if self._successor:
            # The other program has this configuration: take over from it again.
            self._start_workers()
            return
        self._log(Level.NOTICE, "reconfiguring")
        fresh = self._loader.reload(self.cycle)
        if fresh is None:
            return
        previous, self.cycle = self.cycle, fresh
        # Before the fork: a new worker must not listen on an address that is given up.
        previous.close(fresh)
        old = list(self._workers.values())
        self._respawns.clear()
        self._start_workers()
        for worker in old:
            worker.retiring = True
            worker.send(SignalAction.QUIT)

    # --- another program ---

    def _start_successor(self) -> None:
        """Execute the program anew, with the sockets; its master runs beside this one."""
        path = self._pid_file.path
        try:
            self._pid_file.rename(path + OLD)
        except OSError as error:
            text = f'rename() {path} to {path}{OLD} failed before executing new binary process "'
            text += f'{sys.executable}"'
            self._log(Level.ALERT, Failure(text, errno=error.errno).message)
            return
        try:
            page = self._page
            if page is None:
                self._successor = execute(self.cycle.sockets)
            else:
                sockets = [*self.cycle.sockets, *page.sockets]
                self._successor = execute(sockets, page.handover)
        except OSError as error:
            text = f'fork() failed while spawning "{sys.executable}"'
            self._log(Level.ALERT, Failure(text, errno=error.errno).message)
            self._successor_ended()
            return
        self._log(Level.NOTICE, f"start new binary process {self._successor}")

    def _successor_ended(self) -> None:
        self._successor = 0
        path = self._pid_file.path
        try:
            self._pid_file.rename(path.removesuffix(OLD))
        except OSError as error:
            text = f"rename() {path} back to {path.removesuffix(OLD)} failed after the new binary "
            text += "process exited"
            self._log(Level.ALERT, Failure(text, errno=error.errno).message)
        if not self._accepting and not self._ending:
            self._start_workers()
