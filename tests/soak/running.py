"""The processes of a soak, and its rounds."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from types import TracebackType

from sniproxy.testing.upstreams import reserve_port
from tests.soak import figures
from tests.soak.configuration import Ports, write
from tests.soak.counted import COUNTS
from tests.soak.figures import Sample

PATIENCE = 30.0
_BUG = re.compile(r"^\S+ \S+ \[(alert|emerg)\].*|Traceback.*", re.MULTILINE)
_QUIET = 2.0
"""Seconds within which counts have to come to rest after a round."""


class Soak:
    """sniproxy, its upstream and its clients, from `__enter__` to `__exit__`."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self._folder = folder
        self._options = options
        self._stack = contextlib.ExitStack()
        self.done: Counter[str] = Counter()
        """Exchanges by kind."""
        self._failures: list[str] = []
        self._began = time.monotonic()

    def __enter__(self) -> Soak:
        with self._stack:
            self._start()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _start(self) -> None:
        numbers = {}
        for name in Ports.__slots__:
            reserved = self._stack.enter_context(reserve_port())
            numbers[name] = reserved.getsockname()[1]
        ports = Ports(**numbers)
        write(self._folder, ports, self._options.workers)
        folder = str(self._folder)
        origin = self._run("origin", folder, ports.plain, ports.secure, ports.echo)
        assert origin.stdout is not None
        assert origin.stdout.readline() == "serving\n"
        stderr = self._stack.enter_context((self._folder / "stderr").open("w"))
        environment = os.environ | {COUNTS: folder}
        self.proxy = self._run(
            "counted", "-p", folder, "-c", "nginx.conf", stderr=stderr, env=environment
        )
        self._wait_for((self._folder / "run.pid").exists)
        self._clients = self._run(
            *("clients", folder, ports.front, ports.routed, ports.datagrams, self._options.rate),
            stdin=subprocess.PIPE,
        )

    def _run(self, module: str, *words: object, **options: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", f"tests.soak.{module}", *map(str, words)]
        process: subprocess.Popen[str] = subprocess.Popen(  # type: ignore[call-overload]
            command, text=True, **({"stdout": subprocess.PIPE} | options)
        )
        self._stack.callback(self._end, process)
        return process

    @staticmethod
    def _end(process: subprocess.Popen[str]) -> None:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def _wait_for(self, condition: object) -> None:
        assert callable(condition)
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self.proxy.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "stderr").read_text())
            time.sleep(0.01)

    def run(self, seconds: float) -> list[Sample]:
        """Rounds until the time is over; the samples after each."""
        samples = []
        number = 0
        self._began = time.monotonic()
        while time.monotonic() < self._began + seconds:
            number += 1
            reloads = number % self._options.reload == 0
            self._round(self._options.round, reloads)
            samples.append(self._sample())
            if self._options.samples:
                write_samples(self._options.samples, samples)
            self._read_logs()
        return samples

    def _round(self, seconds: float, reloads: bool) -> None:
        assert self._clients.stdin is not None
        assert self._clients.stdout is not None
        self._clients.stdin.write(f"{seconds}\n")
        self._clients.stdin.flush()
        timer = threading.Timer(seconds / 2, self._disturb, args=(reloads,))
        timer.start()
        line = self._clients.stdout.readline()
        timer.join()
        if self.proxy.poll() is not None:
            raise RuntimeError((self._folder / "stderr").read_text())
        result = json.loads(line)
        self.done.update(result["done"])
        self.done.update({f"{name} (again)": count for name, count in result["again"].items()})
        self._failures += result["unexpected"]

    def _disturb(self, reloads: bool) -> None:
        """Rotate the access log, and reload."""
        (self._folder / "access.log").replace(self._folder / "access.old")
        self.proxy.send_signal(signal.SIGUSR1)
        if reloads:
            self.proxy.send_signal(signal.SIGHUP)

    def _sample(self) -> Sample:
        """Count once the same was counted for a while."""
        deadline = time.monotonic() + _QUIET
        before = None
        while True:
            pids = figures.processes_of(self.proxy.pid)
            counts = (*figures.descriptors(pids), figures.tasks(self._folder, pids))
            if counts == before or time.monotonic() > deadline:
                break
            before = counts
            time.sleep(0.5)
        return Sample(
            at=time.monotonic() - self._began,
            memory=figures.memory(pids),
            descriptors=counts[0],
            tasks=counts[2],
            connections=counts[1],
            requests=sum(self.done.values()),
        )

    def _read_logs(self) -> None:
        """Find bugs in the error log, and empty it."""
        for name in ("error.log", "stderr"):
            file = self._folder / name
            text = file.read_text("latin-1")
            self._failures += [found.group() for found in _BUG.finditer(text)]
            os.truncate(file, 0)

    def failures(self) -> list[str]:
        """Unexpected outcomes, and bugs in the logs."""
        return self._failures[:50]


def write_samples(file: Path, samples: Sequence[Sample]) -> None:
    names = [field.name for field in fields(Sample)]
    lines = [",".join(str(getattr(one, name)) for name in names) for one in samples]
    file.write_text("\n".join([",".join(names), *lines, ""]))
