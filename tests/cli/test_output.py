"""What becomes of the output: width, closed and full streams, readers that leave, Ctrl-C."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from sniproxy import cli
from sniproxy.cli.parsers import command_parser
from tests.cli.commands import Sniproxy
from tests.cli.test_explain import ALERT, OTHER, REFUSED

COMMAND = [sys.executable, "-m", "sniproxy"]
COMMANDS = {
    "ca": ["ca"],
    "completion": ["completion", "bash"],
    "convert": ["convert", "site.conf"],
    "diagnose": ["diagnose", "-c", "site.conf", "--offline"],
    "explain": ["explain", ALERT],
    "help": ["help", "diagnose"],
    "names": ["names", "site.conf"],
    "reverse": ["reverse", "https://192.0.2.1", "--print"],
    "trace": ["trace", "-c", "site.conf", "http://127.0.0.1:8080/old"],
    "upstreams": ["upstreams", "--list"],
    "-T": ["-T", "-p", ".", "-c", "site.conf"],
    "--help": ["--help"],
}
"""A use of each command that ends by itself and prints something."""
SITE = """
events {}
http {
    server {
        listen 127.0.0.1:8080;
        location / { proxy_pass https://192.0.2.1; }
        location /old { return 302 /new; }
    }
}
"""


def test_every_command_is_tested_here() -> None:
    assert set(COMMANDS) >= set(cli.COMMANDS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site.conf").write_text(SITE)
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
@pytest.mark.long
def test_a_closed_output(name: str, folder: Path) -> None:
    command = [*COMMAND, *COMMANDS[name]]
    usual = subprocess.run(command, capture_output=True, cwd=folder)
    for closed in (">&-", "2>&-", ">&- 2>&-"):
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}', "sh", *command], capture_output=True, cwd=folder
        )
        assert b"Traceback" not in done.stderr
        assert b"Exception" not in done.stderr
        assert done.returncode == usual.returncode


ENTRY_POINTS = {
    "-m": ["-m", "sniproxy"],
    "script": ["-c", "import sys; from sniproxy.__main__ import main; sys.exit(main())"],
}


INTERRUPTED = [(name, "-m", "argparse") for name in COMMANDS] + [
    ("names", entry, module)
    for entry in ENTRY_POINTS
    for module in ("sniproxy.cli", "sniproxy.cli.output", "sniproxy.cli.names", "tomllib")
]


@pytest.mark.parametrize(("name", "entry", "module"), INTERRUPTED)
def test_ctrl_c_while_modules_are_imported(
    name: str, entry: str, module: str, folder: Path
) -> None:
    """At any moment after our first module is there; before, it is Python's own."""
    command = [sys.executable, "-X", "importtime", *ENTRY_POINTS[entry], *COMMANDS[name]]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stderr is not None
        begun = False
        for line in process.stderr:
            imported = line.rpartition("|")[2].strip()
            begun = begun or imported == "sniproxy.interrupt"
            if begun and imported == module:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert "Traceback" not in rest
    # A command may have ended before the signal reached it.
    assert process.returncode in (130, -signal.SIGINT, 0, 4)


def test_ctrl_c_later_is_silent_too(folder: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "explain"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{ALERT}\n\n{ALERT}\n".encode())
        process.stdin.flush()
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert b"Traceback" not in stderr


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


def on_terminal(
    words: list[str], columns: int, folder: Path, **environment: str
) -> tuple[int, str]:
    """Exit status and output of a command on a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [*COMMAND, *words],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={**inherited, "TERM": "xterm-256color", **environment},
    )
    os.close(theirs)
    output = b""
    # At its end a terminal raises EIO.
    with contextlib.suppress(OSError):
        while data := os.read(ours, 65536):
            output += data
    os.close(ours)
    text = output.decode().replace("\r\n", "\n").replace("\r\x1b[K", "")
    return process.wait(20), text


COPIED = {
    "ca": r"curl |ssl\.create|fingerprint|certutil|install -m|certificate  ",
    "completion": "",
    "convert": "",
    "explain": r"^    |^       ",
    "reverse": r";$|#",
    "-T": "",
}
"""Lines for copying may be wider than the terminal: commands, directives, configurations."""
STYLE = re.compile(r"\x1b\[([0-9;]*)m")


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("name", COMMANDS)
def test_output_fits_the_terminal(name: str, columns: int, folder: Path) -> None:
    _, output = on_terminal(COMMANDS[name], columns, folder)
    assert "Traceback" not in output
    for line in STYLE.sub("", output).splitlines():
        pattern = COPIED.get(name)
        if len(line) > columns and not (pattern is not None and re.search(pattern, line)):
            *_, longest = sorted(line.split(), key=len)
            assert len(longest) > columns / 2, f"could be wrapped: {line}"


@pytest.mark.parametrize("name", COMMANDS)
def test_colors_can_be_read_on_dark_and_light_terminals(name: str, folder: Path) -> None:
    status, output = on_terminal(COMMANDS[name], 80, folder)
    plain_status, plain = on_terminal(COMMANDS[name], 80, folder, NO_COLOR="1")
    used = {code for codes in STYLE.findall(output) for code in codes.split(";")}
    black_white_yellow = {"30", "33", "37", "90", "93", "97"}
    assert not used & black_white_yellow
    in_plain = {code for codes in STYLE.findall(plain) for code in codes.split(";")}
    assert in_plain <= {"", "0", "1", "2"}, "weight is no color"
    assert status == plain_status
    if name == "explain":
        assert used > in_plain


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_locale_without_utf_8(name: str, encoding: str, folder: Path) -> None:
    locale = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": encoding}
    environment = os.environ | locale
    command = [*COMMAND, *COMMANDS[name]]
    done = subprocess.run(command, capture_output=True, env=environment, cwd=folder)
    usual = subprocess.run(command, capture_output=True, cwd=folder)
    assert b"Traceback" not in done.stderr
    assert done.returncode == usual.returncode
    assert done.stdout
    done.stdout.decode(encoding)


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_exit_statuses_are_in_the_help(name: str) -> None:
    assert "exit status: 0 " in (command_parser(name).epilog or "")


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


def test_international_names_are_encoded(sniproxy: Sniproxy, tmp_path: Path) -> None:
    (tmp_path / "site.conf").write_text(
        "events {} http { server { listen 127.0.0.1:8080; location / "
        "{ proxy_pass https://$host; proxy_ssl_server_name on; } } }"
    )
    (tmp_path / "echo.conf").write_text(
        'events {} http { server { listen 127.0.0.1:8080; return 200 "$host"; } }'
    )
    assert "xn--bcher-kva.test" in sniproxy("names", "site.conf", "--host", "bücher.test").stdout
    traced = sniproxy("trace", "-c", "echo.conf", "http://bücher.test:8080/")
    assert traced.status == 0
    assert "Host: xn--bcher-kva.test" in traced.stdout
    assert sniproxy("names", "site.conf", "--host", "é" * 80 + ".test").status == 2
