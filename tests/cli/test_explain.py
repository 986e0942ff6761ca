"""`sniproxy explain`: from a file, from a pipe that stays open, for machines."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import Sniproxy

COMMAND = [sys.executable, "-m", "sniproxy", "explain"]
FIELDS = (
    ', client: 192.0.2.1, server: a.test, request: "GET / HTTP/1.1", '
    'upstream: "https://192.0.2.9:443/", host: "a.test"'
)
ALERT = (
    "2024/07/15 17:14:08 [error] 1#1: *1 SSL_do_handshake() failed (SSL: error:0A000458:"
    "SSL routines::tlsv1 unrecognized name:SSL alert number 112) while SSL handshaking to upstream"
    f"{FIELDS}"
)
REFUSED = (
    "2024/07/15 17:14:09 [error] 1#1: *2 connect() failed (111: Connection refused) while "
    f"connecting to upstream{FIELDS}"
)
OTHER = "2024/07/15 17:14:10 [notice] 1#1: start worker process 30"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "error.log"
    file.write_text("\n".join([ALERT, REFUSED, OTHER, REFUSED]) + "\n")
    return file


def test_a_file_is_explained_by_frequency(sniproxy: Sniproxy, log: Path) -> None:
    output = sniproxy("explain", str(log))
    assert output.status == 0
    assert output.stdout.index("connect-failed") < output.stdout.index("sni-missing"), "by weight"
    assert "2 lines, 2024/07/15 17:14:09" in output.stdout
    assert "proxy_ssl_server_name on;" in output.stdout
    assert "openssl s_client -connect 192.0.2.9:443" in output.stdout
    assert output.lines == ["4 lines: 3 explained in 2 groups, 1 unrecognized."]


def test_json_has_all_groups(sniproxy: Sniproxy, log: Path) -> None:
    output = sniproxy("explain", "--json", str(log))
    refused, alert = json.loads(output.stdout)
    assert (refused["side"], refused["causes"]) == ("upstream", ["connect-failed"])
    assert (refused["count"], refused["first"]) == (2, "2024/07/15 17:14:09")
    assert alert["causes"][:2] == ["sni-missing", "sni-wrong-name"]
    assert alert["upstream"] == "https://192.0.2.9:443"
    assert alert["details"][0]["fixes"][0]["directives"] == ["proxy_ssl_server_name on;"]


def test_fixes_are_in_the_form_of_another_program(sniproxy: Sniproxy, log: Path) -> None:
    text = sniproxy("explain", "--for", "haproxy", str(log)).stdout
    assert (
        "server upstream 192.0.2.9:443 ssl sni str(<the upstream's name>) verify required" in text
    )
    assert "proxy_ssl_server_name on;" not in text
    output = sniproxy("explain", "--json", "--for", "caddy", str(log))
    alert = json.loads(output.stdout)[1]["details"][0]
    secure, insecure = alert["form_fixes"][0]["blocks"]
    assert not secure["weakens"]
    assert "        tls_insecure_skip_verify" in insecure["lines"]
    assert insecure["weakens"]


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("", 1, "0 lines: 0 explained in 0 groups, 0 unrecognized."),
        (f"{OTHER}\n", 1, "1 lines: 0 explained in 0 groups, 1 unrecognized."),
    ],
)
def test_unrecognized_lines_are_counted(
    sniproxy: Sniproxy, tmp_path: Path, text: str, status: int, words: str
) -> None:
    (tmp_path / "log").write_text(text)
    assert sniproxy("explain", "log").status == status
    output = sniproxy("explain", "log", "--json")
    assert (output.status, json.loads(output.stdout), output.lines) == (status, [], [words])


@pytest.mark.parametrize(
    ("name", "words"), [("gone.log", "No such file or directory"), (".", "Is a directory")]
)
def test_an_unreadable_file_is_reported(sniproxy: Sniproxy, name: str, words: str) -> None:
    output = sniproxy("explain", name)
    assert (output.status, output.stdout, output.lines) == (2, "", [f"{name}: {words}"])


def test_bytes_of_every_kind(sniproxy: Sniproxy, tmp_path: Path) -> None:
    noise = bytes(range(256)) * 5000
    (tmp_path / "log").write_bytes(noise + ALERT.encode() + b"\n" + noise + b"\n" + noise[:10])
    output = sniproxy("explain", "log")
    assert output.status == 0
    assert "sni-missing" in output.stdout
    assert all(one.isprintable() or one == "\n" for one in output.stdout)


# --- as it comes ---


@pytest.fixture
def following() -> Iterator[subprocess.Popen[str]]:
    """The command behind a pipe that stays open."""
    process = subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()


def until(process: subprocess.Popen[str], words: str) -> str:
    """Read the answer as far as a line that has `words`."""
    assert process.stdout is not None
    seen = ""
    while words not in seen:
        line = process.stdout.readline()
        assert line, f"ended without {words!r}:\n{seen}"
        seen += line
    return seen


def write(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()


@pytest.mark.parametrize("end", ["the end of the pipe", "Ctrl-C"])
def test_groups_from_a_pipe_are_printed_at_once(following: subprocess.Popen[str], end: str) -> None:
    write(following, f"{ALERT}\n")
    until(following, "Beware")
    write(following, f"{ALERT}\n{REFUSED}\n")
    assert "sni-missing" not in until(following, "connect-failed"), "told twice"
    if end == "Ctrl-C":
        following.send_signal(signal.SIGINT)
        rest, complaints = following.communicate(timeout=60)
    else:
        rest, complaints = following.communicate(timeout=60)
    assert "=== Summary" in rest
    assert "2 × sni-missing" in rest
    assert "1 × connect-failed" in rest
    assert (following.returncode, complaints) == (0, "")


def test_a_cut_line_is_not_waited_for(following: subprocess.Popen[str]) -> None:
    write(following, ALERT[:-20])
    until(following, "sni-missing")


def test_a_closed_output_pipe_is_no_error(log: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        done = subprocess.run([*COMMAND, str(log)], stdout=theirs, stderr=subprocess.PIPE)
    finally:
        os.close(theirs)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)


def test_progress_is_for_terminals(log: Path) -> None:
    leader, follower = pty.openpty()
    try:
        done = subprocess.run([*COMMAND, str(log)], stdout=subprocess.PIPE, stderr=follower)
        rendered = os.read(leader, 65_536).decode()
    finally:
        os.close(leader)
        os.close(follower)
    assert done.returncode == 0
    assert "100 %  4 lines, 2 groups" in rendered
    assert b"%  4 lines" not in done.stdout
