"""Programs that are started like nginx, and run until they are told to stop."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import trio


@dataclass(frozen=True, slots=True)
class Program:
    """A command that understands `-p DIR -c FILE -e FILE -g DIRECTIVES`."""

    name: str
    command: tuple[str, ...]
    directives: str = ""
    """What `running` adds to the `-g` of its own."""


SNIPROXY = Program("sniproxy", (sys.executable, "-m", "sniproxy"))


PROBE = b"GET /ready HTTP/1.1\r\nHost: ready\r\nConnection: close\r\n\r\n"


class Ended(Exception):
    """The program ended by itself; the text is what it wrote to stderr."""


@dataclass(frozen=True, slots=True)
class Running:
    program: Program
    process: trio.Process
    stderr: Path

    def check(self) -> None:
        """Raises Ended."""
        if (status := self.process.poll()) is not None:
            words = self.stderr.read_text(errors="replace")
            raise Ended(f"{self.program.name} ended with exit status {status}\n{words}")


@contextlib.asynccontextmanager
async def running(
    program: Program, prefix: Path, configuration: Path, port: int
) -> AsyncIterator[Running]:
    """The program, from the moment it answers on 127.0.0.1:`port`; stopped with the block.

    What it is asked then is PROBE, whatever it answers. Its stderr and its early log go to
    `stderr.log` and `early.log` in `prefix`. Raises Ended if it does not start.
    """
    command = [
        *program.command,
        *("-p", str(prefix), "-c", str(configuration), "-e", str(prefix / "early.log")),
        *("-g", f"daemon off; master_process off; {program.directives}"),
    ]
    stderr = prefix / "stderr.log"
    with stderr.open("wb") as file:
        process = await trio.lowlevel.open_process(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    state = Running(program, process, stderr)
    try:
        await _answering(state, port)
        yield state
    finally:
        with trio.CancelScope(shield=True):
            await _stop(process)


async def _answering(state: Running, port: int) -> None:
    while True:
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
        except OSError:
            state.check()
            await trio.sleep(0.005)
            continue
        async with stream:
            await stream.send_all(PROBE)
            async for _ in stream:
                pass
        return


async def _stop(process: trio.Process) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    with trio.move_on_after(5) as patience:
        await process.wait()
    if patience.cancelled_caught:
        process.kill()
        await process.wait()
