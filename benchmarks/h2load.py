"""The other load generator: nghttp2's h2load, which has many requests under way on a connection."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.wire import CIPHER, GROUP, HOST, UnexpectedDataError


@dataclass(frozen=True, slots=True)
class Load:
    """Connections, and how many requests are under way on each; HTTP/1 if that is one."""

    connections: int
    streams: int

    def command(self, port: int, size: int, seconds: float, log: Path) -> list[str]:
        options = ["-c", str(self.connections), "-m", str(self.streams)]
        options += ["-D", f"{seconds:g}", f"--log-file={log}"]
        options += [f"--tls13-ciphers={CIPHER}", f"--groups={GROUP}"]
        if self.streams == 1:
            options.append("--h1")
        return ["h2load", *options, f"https://{HOST}:{port}/{size}"]


def run_h2load(load: Load, port: int, size: int, seconds: float) -> list[float]:
    """Load for some seconds; returns the seconds that each request took.

    Raises `UnexpectedDataError` if h2load is missing, or a request was not answered with 200.
    """
    if shutil.which("h2load") is None:
        raise UnexpectedDataError("h2load is not installed (nghttp2-client)")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        done = subprocess.run(
            load.command(port, size, seconds, log), capture_output=True, text=True, check=False
        )
        rows = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    failed = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", done.stdout)
    if done.returncode or failed is None or any(map(int, failed.groups())):
        raise UnexpectedDataError(f"h2load: {(done.stdout + done.stderr).strip()[-200:]}")
    expected = "http/1.1" if load.streams == 1 else "h2"
    if f"Application protocol: {expected}\n" not in done.stdout:
        raise UnexpectedDataError(f"h2load: {expected} was not agreed on")
    if any(status != "200" for _, status, _ in rows):
        raise UnexpectedDataError("h2load: an answer was no 200")
    return [int(microseconds) / 1e6 for _, _, microseconds in rows]
