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


SNIPROXY = Program("sniproxy", (sys.executable, "-m", "sniproxy"))


PROBE = b"GET /ready HTTP/1.1\r\nHost: ready\r\nConnection: close\r\n\r\n"


class DidNotStart(Exception):
    """The program ended before it listened; the text is what it wrote to stderr."""


@contextlib.asynccontextmanager
async def running(
    program: Program, prefix: Path, configuration: Path, port: int
) -> AsyncIterator[None]:
    """The program, from the moment it answers on 127.0.0.1:`port`; stopped with the block.

    What it is asked then is PROBE, whatever it answers. Its stderr and its early log go to
    `stderr.log` and `early.log` in `prefix`. Raises DidNotStart.
    """
    command = [
        *program.command,
        *("-p", str(prefix), "-c", str(configuration), "-e", str(prefix / "early.log")),
        *("-g", "daemon off; master_process off;"),
    ]
    with (prefix / "stderr.log").open("wb") as stderr:
        process = await trio.lowlevel.open_process(
            command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr
        )
    try:
        await _answering(process, port)
        yield
    except _Ended:
        words = (prefix / "stderr.log").read_text(errors="replace")
        raise DidNotStart(f"{program.name}: exit status {process.returncode}\n{words}") from None
    finally:
        with trio.CancelScope(shield=True):
            await _stop(process)


class _Ended(Exception):
    pass


async def _answering(process: trio.Process, port: int) -> None:
    while True:
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
        except OSError:
            if process.poll() is not None:
                raise _Ended from None
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
