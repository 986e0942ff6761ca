"""What becomes of the output: width, closed and full streams, readers that leave, Ctrl-C."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import Sniproxy
from tests.cli.test_explain import ALERT, OTHER, REFUSED

COMMAND = [sys.executable, "-m", "sniproxy"]
COMMANDS = {
    "upstreams": ["upstreams", "--list"],
    "explain": ["explain", ALERT],
    "names": ["names", "site.conf"],
    "diagnose": ["diagnose", "-c", "site.conf", "--offline"],
    "help": ["help", "diagnose"],
    "test": ["-T", "-p", ".", "-c", "site.conf"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site.conf").write_text(
        "events {} http { server { listen 127.0.0.1:8080; location / { proxy_pass "
        "https://192.0.2.1; } } }"
    )
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_configured(name: str, folder: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *COMMANDS[name]], stdout=full, stderr=subprocess.PIPE, text=True, cwd=folder
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_that_leaves_is_no_error(name: str, folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*COMMAND, *COMMANDS[name]],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
        )
    finally:
        os.close(writer)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_closed_output(name: str, folder: Path) -> None:
    script = 'exec "$@" >&-'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *COMMAND, *COMMANDS[name]],
        stderr=subprocess.PIPE, text=True, cwd=folder,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("module", ["sniproxy.cli.output", "sniproxy.cli.parsers", "trio"])
def test_ctrl_c_while_modules_are_imported(module: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "sniproxy", "upstreams", "good"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if line.rpartition("|")[2].strip() == module:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert "Traceback" not in rest
    assert process.returncode in (-signal.SIGINT, 130, 0)


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_prose_fits_the_terminal(columns: int) -> None:
    environment = {**os.environ, "COLUMNS": str(columns)}
    done = subprocess.run(
        [*COMMAND, "explain", ALERT], capture_output=True, text=True, env=environment
    )
    # Commands and directives are for copying, and are not broken.
    prose = [line for line in done.stdout.splitlines() if not line.startswith(("    ", "       "))]
    assert prose
    assert max(map(len, prose)) <= columns


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_a_locale_without_utf_8(locale: str) -> None:
    environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [*COMMAND, "explain", "--brief", ALERT], capture_output=True, env=environment
    )
    assert done.returncode == 0
    assert b"sni-missing" in done.stdout


# --- explain: its inputs ---


def test_several_files_are_counted_together(sniproxy: Sniproxy, tmp_path: Path) -> None:
    (tmp_path / "error.log").write_text(f"{ALERT}\n{OTHER}\n")
    with gzip.open(tmp_path / "error.log.1.gz", "wt") as file:
        file.write(f"{ALERT}\n{REFUSED}\n")
    files = [str(tmp_path / name) for name in ("error.log", "error.log.1.gz")]
    output = sniproxy("explain", "--brief", "--unknown", *files)
    assert output.status == 0
    first, second = output.stdout.splitlines()
    assert first.split()[:3] == ["2", "×", "sni-missing"]
    assert second.split()[:3] == ["1", "×", "connect-failed"]
    assert any("unrecognized: start worker process" in line for line in output.lines)


def test_a_line_may_be_the_argument(sniproxy: Sniproxy) -> None:
    output = sniproxy("explain", ALERT)
    assert output.status == 0
    assert "proxy_ssl_server_name on;" in output.stdout


@pytest.mark.parametrize("name", ["none.log", "broken.gz", "cut.gz", "folder"])
def test_unreadable_files(name: str, sniproxy: Sniproxy, tmp_path: Path) -> None:
    (tmp_path / "broken.gz").write_bytes(b"no gzip")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(ALERT.encode() * 100)[:-20])
    (tmp_path / "folder").mkdir()
    output = sniproxy("explain", str(tmp_path / name))
    assert output.status == 2
    assert any(name in line for line in output.lines)


# --- arguments ---


@pytest.mark.parametrize(
    "words", [["good", "--port", "99999"], ["--all", "--port", "65500"], ["good", "--port", "-1"]]
)
def test_ports_that_do_not_exist(words: list[str]) -> None:
    done = subprocess.run([*COMMAND, "upstreams", *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_input_is_configured() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, "explain"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == "sniproxy: -: Bad file descriptor\n"
