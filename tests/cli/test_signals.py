"""`-s stop|quit|reopen|reload`, told of both programs."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.commands import Sniproxy, run, run_nginx
from tests.cli.processes import PATIENCE, ask, everything, served, wait_until
from tests.cli.test_process import FOREGROUND, HELLO, both
from tests.programs import SNIPROXY, Command
from tests.tls.real_nginx import same_codes

GOOD = "pid run.pid; events {}\n"

PID_FILES = {
    "missing": None,
    "empty": "",
    "a line": "\n",
    "a word": "word\n",
    "negative": "-5\n",
    "space": " 12\n",
    "two numbers": "1 2\n",
    "stale": "4194305\n",
    "stale, many ends of line": "4194305\n\r\n\n",
    "larger than any process ID": "2147483647\n",
    "larger than 64 bits": "99999999999999999999999\n",
}


@pytest.mark.nginx
@pytest.mark.parametrize("name", PID_FILES)
@pytest.mark.parametrize("word", ["stop", "quit", "reopen", "reload"])
def test_wrong_pid_files_are_reported_as_by_nginx(
    word: str, name: str, tmp_path: Path, sniproxy: Sniproxy
) -> None:
    (tmp_path / "nginx.conf").write_text(GOOD)
    text = PID_FILES[name]
    if text is not None:
        (tmp_path / "run.pid").write_text(text)
    words = ("-p", f"{tmp_path}/", "-c", "nginx.conf", "-e", "early.log", "-s", word)
    theirs = run_nginx(words, tmp_path)
    their_log = (tmp_path / "early.log").read_text()
    (tmp_path / "early.log").unlink()
    ours = sniproxy(*words)
    assert (ours.status, same_codes(ours.stderr)) == (theirs.status, same_codes(theirs.stderr))
    assert ours.status == 1
    assert _plain((tmp_path / "early.log").read_text()) == _plain(their_log)


def _plain(log: str) -> list[str]:
    """The lines without time and process."""
    return [
        same_codes(line.split(" ", 2)[2].split(" ", 2)[0] + line.split(": ", 1)[1])
        for line in log.splitlines()
    ]


@pytest.mark.nginx
def test_a_folder_as_pid_file(tmp_path: Path, sniproxy: Sniproxy) -> None:
    (tmp_path / "nginx.conf").write_text(GOOD)
    (tmp_path / "run.pid").mkdir()
    words = ("-p", f"{tmp_path}/", "-c", "nginx.conf", "-s", "stop")
    theirs, ours = run_nginx(words, tmp_path), sniproxy(*words)
    assert (ours.status, same_codes(ours.stderr)) == (theirs.status, same_codes(theirs.stderr))


def test_a_pid_file_in_a_folder_that_is_gone(tmp_path: Path, sniproxy: Sniproxy) -> None:
    (tmp_path / "nginx.conf").write_text("pid gone/run.pid; events {}")
    refused = sniproxy("-s", "reload")
    assert refused.status == 1
    assert refused.lines == ['[error] open() "gone/run.pid" failed (2: No such file or directory)']


def test_process_0_is_no_one(tmp_path: Path, sniproxy: Sniproxy) -> None:
    """nginx would signal its own process group."""
    (tmp_path / "nginx.conf").write_text(GOOD)
    (tmp_path / "run.pid").write_text("0\n")
    refused = sniproxy("-s", "stop")
    assert (refused.status, refused.lines) == (1, ['[error] invalid PID number "0" in "run.pid"'])


@pytest.mark.nginx
def test_a_bad_configuration_sends_nothing(tmp_path: Path, sniproxy: Sniproxy) -> None:
    (tmp_path / "nginx.conf").write_text(GOOD + "foo;")
    (tmp_path / "run.pid").write_text("4194305\n")
    words = ("-p", f"{tmp_path}/", "-c", "nginx.conf", "-s", "stop")
    ours = sniproxy(*words)
    assert ours == run_nginx(words, tmp_path)
    assert ours.lines == [f'[emerg] unknown directive "foo" in {tmp_path}/nginx.conf:2']


@pytest.mark.nginx
def test_a_test_sends_nothing(tmp_path: Path, sniproxy: Sniproxy) -> None:
    (tmp_path / "nginx.conf").write_text(GOOD)
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        words = ("-p", f"{tmp_path}/", "-c", "nginx.conf", "-t", "-s", "stop")
        (tmp_path / "run.pid").write_text(f"{sleeper.pid}\n")
        assert sniproxy(*words) == run_nginx(words, tmp_path)
        assert sleeper.poll() is None
        sleeper.kill()


def _signal(program: Command, folder: Path, word: str) -> None:
    sent = run(program, ("-p", f"{folder}/", "-c", "nginx.conf", "-e", "s.log", "-s", word), folder)
    assert (sent.status, sent.stdout, sent.stderr) == (0, "", "")


@both
@pytest.mark.parametrize("word", ["stop", "quit"])
def test_stop_and_quit(program: Command, word: str, tmp_path: Path) -> None:
    with served(program, tmp_path, HELLO, *FOREGROUND) as process:
        with process.connect() as client:
            ask(client)
            assert client.recv(65536).endswith(b"hello")
            _signal(program, tmp_path, word)
            assert everything(client) == b""
        assert process.process.wait(PATIENCE) == 0
        assert not process.pid_file.exists()


@both
def test_reload(program: Command, tmp_path: Path) -> None:
    with served(program, tmp_path, HELLO, *FOREGROUND) as process:
        with process.connect() as pool:
            ask(pool)
            assert pool.recv(65536).endswith(b"hello")
            file = tmp_path / "nginx.conf"
            file.write_text(file.read_text().replace("hello", "changed"))
            _signal(program, tmp_path, "reload")
            assert everything(pool) == b"", "idle connections of the old one are closed"

        def answers_anew() -> bool:
            with process.connect() as client:
                ask(client, connection="close")
                return everything(client).endswith(b"changed")

        wait_until(answers_anew)
        file.write_text(file.read_text() + "nonsense;")
        process.send(signal.SIGHUP)
        wait_until(lambda: 'unknown directive "nonsense"' in process.read("error.log"))
        assert answers_anew()
        assert process.stop() == 0


@both
def test_reload_moves_to_other_addresses(program: Command, tmp_path: Path) -> None:
    with served(program, tmp_path, HELLO, *FOREGROUND) as process:
        file = tmp_path / "nginx.conf"
        file.write_text(
            file.read_text().replace(f"127.0.0.1:{process.port}", f"127.0.0.9:{process.port}")
        )
        process.send(signal.SIGHUP)
        wait_until(process.refuses)
        assert process.stop() == 0


@both
def test_a_bad_certificate_at_reload(program: Command, tmp_path: Path) -> None:
    with served(program, tmp_path, HELLO, *FOREGROUND) as process:
        file = tmp_path / "nginx.conf"
        (tmp_path / "bad.pem").write_bytes(b"\x00garbage")
        file.write_text(
            file.read_text().replace(
                "return 200", "ssl_certificate bad.pem; ssl_certificate_key bad.pem; return 200"
            )
        )
        process.send(signal.SIGHUP)
        wait_until(lambda: "cannot load certificate" in process.read("error.log"))
        with process.connect() as client:
            ask(client, connection="close")
            assert everything(client).endswith(b"hello")
        assert process.stop() == 0


@both
def test_the_pid_file_follows_the_configuration(program: Command, tmp_path: Path) -> None:
    with served(program, tmp_path, HELLO, *FOREGROUND) as process:
        file = tmp_path / "nginx.conf"
        file.write_text(file.read_text().replace("run.pid", "other.pid"))
        process.send(signal.SIGHUP)
        wait_until(lambda: (tmp_path / "other.pid").exists() and not process.pid_file.exists())
        assert process.read("other.pid") == f"{process.process.pid}\n"
        assert process.stop() == 0
        assert not (tmp_path / "other.pid").exists()


def test_a_log_that_cannot_be_opened_again(tmp_path: Path) -> None:
    """The old file is written to further, as in nginx, and the error is in the log."""
    configuration = HELLO.replace("access_log access.log", "access_log logs/access.log")
    (tmp_path / "logs").mkdir()
    with served(SNIPROXY, tmp_path, configuration, *FOREGROUND) as process:
        (tmp_path / "logs").rename(tmp_path / "moved")
        process.send(signal.SIGUSR1)
        wait_until(lambda: "[emerg]" in process.read("error.log"))
        with process.connect() as client:
            ask(client, connection="close")
            assert everything(client).endswith(b"hello")
        wait_until(lambda: process.read("moved/access.log") != "")
        assert process.stop() == 0


def test_ctrl_c_ends_it_without_a_word(tmp_path: Path) -> None:
    with served(SNIPROXY, tmp_path, HELLO.replace("user root; ", ""), *FOREGROUND) as process:
        with process.connect() as client:  # on Windows it has its handler once it answers
            ask(client, connection="close")
            everything(client)
        process.send(signal.SIGINT)
        try:
            assert process.process.wait(PATIENCE) == 0
        except subprocess.TimeoutExpired:
            pytest.fail("it does not end")
        assert process.read("stderr.log") == ""


@pytest.mark.parametrize("main", ["", "worker_processes 2;"], ids=["one", "workers"])
def test_more_signals_to_stop_change_nothing(main: str, tmp_path: Path) -> None:
    configuration = HELLO.replace("worker_processes 1;", main)
    with served(SNIPROXY, tmp_path, configuration, *FOREGROUND) as process:
        while process.process.poll() is None:
            process.send(signal.SIGTERM)
        assert process.process.returncode == 0
        assert not process.pid_file.exists()
