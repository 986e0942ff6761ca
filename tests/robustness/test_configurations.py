"""Configurations that nobody means well by: a clear line, bounded time and memory, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sniproxy.cli import main
from tests.cli.processes import HEAD, ask, everything, served
from tests.programs import SNIPROXY

MEGABYTE = 1 << 20
LIMITED = ("sh", "-c", 'ulimit -v 1048576; exec "$@"', "sh")
"""A gigabyte of address space, which is more than what is really used."""
PATIENCE = 30.0

PLACE = " in FOLDER/nginx.conf:"
TOML = " in FOLDER/site.toml:"


@dataclass(frozen=True, slots=True)
class Case:
    """A file, and how its refusal begins and goes on; nothing for one that is taken."""

    text: Callable[[], bytes]
    begins: str = ""
    goes_on: str = ""
    name: str = "nginx.conf"
    heavy: bool = False
    """Whether it is to be seen that time and memory are bounded."""


def nested(levels: int) -> bytes:
    return b"events {} http { server { " + b"location /a { " * levels + b"}" * levels + b" } }"


CASES = {
    "empty": Case(lambda: b"", 'no "events" section in configuration'),
    "nul": Case(lambda: b"\0" * 1000, 'unexpected end of file, expecting ";" or "}"', PLACE),
    "binary": Case(lambda: bytes(range(256)) * 100, 'unknown directive "', PLACE),
    "program": Case(
        lambda: Path(sys.executable).resolve().read_bytes()[:MEGABYTE],
        'unknown directive "\x7fELF',
        PLACE,
    ),
    "latin-1": Case(lambda: b"\xe9v\xe9nements {}", 'unknown directive "\xe9v\xe9nements"', PLACE),
    "utf-16": Case(lambda: "events {}".encode("utf-16-le"), 'unknown directive "e"', PLACE),
    "byte-order-mark": Case(
        lambda: b"\xef\xbb\xbfevents {}", 'unknown directive "\xef\xbb\xbfevents"', PLACE
    ),
    "one-word": Case(
        lambda: b"a" * 50 * MEGABYTE, 'too long parameter "aaaaaaaaaa..."', PLACE, heavy=True
    ),
    "blanks": Case(
        lambda: b" " * 50 * MEGABYTE, 'no "events" section in configuration', heavy=True
    ),
    "open-quote": Case(
        lambda: b'events {} error_log "' + b"x" * 3000, "unexpected end of file, expecting", PLACE
    ),
    "nested": Case(lambda: nested(10_000), heavy=True),
    "nested-and-open": Case(
        lambda: nested(10_000)[:-100], 'unexpected end of file, expecting "}"', PLACE
    ),
    "includes-itself": Case(
        lambda: b"include nginx.conf;", '"FOLDER/nginx.conf" includes itself', PLACE
    ),
    "includes-a-folder": Case(lambda: b"include .;", 'pread() "FOLDER/." failed (21: '),
    "includes-zeros": Case(lambda: b"events {} include /dev/zero;", heavy=True),
    "includes-a-pipe": Case(lambda: b"events {} include pipe;", heavy=True),
    "many-servers": Case(
        lambda: (
            b"events {} http { server_names_hash_max_size 100000;"
            + b"".join(b"server { listen 127.0.0.1:1; server_name s%d; }" % n for n in range(2000))
            + b"}"
        ),
        heavy=True,
    ),
    "toml-binary": Case(lambda: bytes(range(256)), "invalid UTF-8", TOML, "site.toml"),
    "toml-latin-1": Case(lambda: b'error_log = "\xff"', "invalid UTF-8", TOML, "site.toml"),
    "toml-nested": Case(
        lambda: b"a = " + b"[" * 100_000, "invalid TOML: nested too deeply", TOML, "site.toml"
    ),
    "toml-tables": Case(
        lambda: b"[" + b".".join([b"a"] * 10_000) + b"]", 'unknown directive "a"', TOML, "site.toml"
    ),
    "toml-types": Case(
        lambda: b"http = 1\nevents = [[1, [2.5]], {a = 1979-05-27}]",
        'invalid type of "http"',
        TOML,
        "site.toml",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_odd_configuration_is_accepted_or_rejected_in_one_line(
    case: Case, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / case.name).write_bytes(case.text())
    os.mkfifo(tmp_path / "pipe")
    words = ["-p", f"{tmp_path}/", "-tqc", case.name]
    if case.heavy:
        command = [*LIMITED, *SNIPROXY.command, *words]
        status = subprocess.run(command, timeout=PATIENCE, check=False).returncode
    else:
        status = main(words)
    printed = capfdbinary.readouterr()
    assert printed.out == b""
    text = printed.err.decode("latin-1").replace(str(tmp_path), "FOLDER")
    lines = text.split("\n")[:-1]
    if not case.begins:
        assert (status, lines) == (0, [])
        return
    assert status == 1
    output, *others, failed = lines
    level = "crit" if case.begins.startswith("pread()") else "emerg"
    assert output.startswith(f"sniproxy: [{level}] {case.begins}")
    assert case.goes_on in output
    assert all(len(line) < 2048 for line in lines)
    # Below an unknown directive: the other ones, and how to go without them.
    assert all(line.startswith("sniproxy: ") for line in others)
    assert failed == f"sniproxy: configuration file FOLDER/{case.name} test failed"


def test_ten_thousand_nested_locations_answer(tmp_path: Path) -> None:
    location = "location /a { " * 10_000 + "}" * 10_000
    configuration = HEAD + f" http {{ server {{ listen 127.0.0.1:PORT; {location} }} }}"
    with served(SNIPROXY, tmp_path, configuration) as process:
        with process.connect() as client:
            ask(client, "/a", connection="close")
            assert everything(client).startswith(b"HTTP/1.1 404 ")
        assert process.stop() == 0
        assert process.read("stderr.log") == ""
        assert "[alert]" not in process.read("error.log")
