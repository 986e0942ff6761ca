"""Master and workers, told of both programs: what is logged, what is kept, what a death costs."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import ssl
import time
from functools import partial
from pathlib import Path

import pytest

from sniproxy.testing.authority import Authority
from tests.cli.processes import (
    PATIENCE,
    Served,
    ask,
    everything,
    lives,
    served,
    wait_until,
)
from tests.cli.test_process import FOREGROUND, both
from tests.programs import SNIPROXY, Command

HEAD = (
    "pid run.pid; user root; worker_processes 2; error_log error.log notice;"
    " events { worker_connections 400; } "
)
HELLO = HEAD + "http { access_log access.log; server { listen 127.0.0.1:PORT; return 200 hello; } }"


def workers(process: Served) -> set[int]:
    """The process IDs of the workers, dead ones that nobody has waited for left out."""
    found = set()
    children = Path(f"/proc/{process.process.pid}/task/{process.process.pid}/children")
    for pid in children.read_text().split():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if ") Z " not in Path(f"/proc/{pid}/stat").read_text():
                found.add(int(pid))
    return found


def answer(process: Served) -> bytes:
    with process.connect() as client:
        ask(client, connection="close")
        return everything(client)


def plain(text: str) -> list[str]:
    """Lines without times and process IDs, in the order of words: that of processes is no matter.

    What nginx's own way to send commands causes (SIGIO), and how many deaths one SIGCHLD stands
    for, is left out.
    """
    found = []
    for line in text.splitlines():
        line = re.sub(r"^[\d/]+ [\d:]+ (\[\w+\]) \d+#\d+: ", r"\1 ", line)
        line = re.sub(r"(process|from) \d+", r"\1 N", line)
        if "SIGIO" not in line and "SIGCHLD" not in line and "built by" not in line:
            found.append(re.sub("OS: .*", "OS: X", line))
    return sorted(found)


@pytest.mark.nginx
def test_the_log_is_nginx_s(tmp_path: Path) -> None:
    from tests.nginx import NGINX

    theirs, ours = _life(NGINX, tmp_path / "nginx"), _life(SNIPROXY, tmp_path / "sniproxy")
    for step, lines in theirs.items():
        assert ours[step] == lines, step
    assert ours["bad reload"][0] == '[emerg] unknown directive "foo" in FOLDER/nginx.conf:2'


def _life(program: Command, folder: Path) -> dict[str, list[str]]:
    """The lines of each step of a life."""
    folder.mkdir()
    steps: dict[str, list[str]] = {}
    with served(program, folder, HELLO, *FOREGROUND) as process:
        log = folder / "error.log"
        seen = 0

        def step(name: str, last: str, count: int = 1) -> None:
            """Wait for the last line of a step."""
            nonlocal seen
            wait_until(lambda: len(re.findall(last, log.read_text()[seen:])) >= count)
            text = log.read_text()[seen:]
            seen += len(text)
            steps[name] = plain(text.replace(str(folder), "FOLDER"))

        step("start", "start worker process ", 2)
        wait_until(lambda: answer(process).endswith(b"hello"))
        process.send(signal.SIGHUP)
        step("reload", "exited with code 0", 2)
        file = folder / "nginx.conf"
        good = file.read_text()
        file.write_text(good + "\nfoo;")
        process.send(signal.SIGHUP)
        step("bad reload", r"\[emerg\]")
        file.write_text(good)
        wait_until(lambda: answer(process).endswith(b"hello"))
        process.send(signal.SIGUSR1)
        step("reopen", "reopening logs\n", 4)
        time.sleep(1.1)  # sniproxy starts workers again once in a second
        os.kill(min(workers(process)), signal.SIGKILL)
        step("death", "start worker process")
        process.send(signal.SIGWINCH)
        step("winch in the foreground", "SIGWINCH")
        wait_until(lambda: answer(process).endswith(b"hello"))
        process.send(signal.SIGQUIT)
        step("quit", r"\d: exit\n", 3)
        assert process.process.wait(PATIENCE) == 0
    with served(program, folder, HELLO, *FOREGROUND) as process:
        step("second start", "start worker process ", 2)
        wait_until(lambda: answer(process).endswith(b"hello"))
        process.send(signal.SIGTERM)
        step("stop", r"\d: exit\n", 3)
        assert process.process.wait(PATIENCE) == 0
    return steps


@both
def test_workers_that_are_killed_are_replaced(program: Command, tmp_path: Path) -> None:
    with served(program, tmp_path, HELLO, *FOREGROUND) as process:
        wait_until(lambda: len(workers(process)) == 2)
        before = workers(process)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(workers(process)) == 2 and not workers(process) & before)
        assert answer(process).endswith(b"hello")
        assert process.stop() == 0
        log = process.read("error.log")
        for pid in before:
            assert f"[alert] {process.process.pid}#" in log
            assert f"worker process {pid} exited on signal 9" in log


def test_a_worker_that_dies_at_once_is_not_started_at_once_again(tmp_path: Path) -> None:
    """`worker_rlimit_nofile` leaves it no descriptor for an epoll."""
    configuration = "worker_rlimit_nofile 3; " + HELLO
    with served(SNIPROXY, tmp_path, configuration, *FOREGROUND) as process:
        wait_until(lambda: process.read("error.log").count("start worker process ") >= 4)
        began, starts = time.monotonic(), process.read("error.log").count("start worker process ")
        wait_until(lambda: process.read("error.log").count("start worker process ") >= starts + 2)
        assert time.monotonic() - began > 0.5
        assert process.stop() == 0


@both
def test_a_worker_without_privilege_is_not_started_again(program: Command, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may lose privileges")
    configuration = HELLO.replace("user root", "user nobody nogroup")
    unprivileged = ("setpriv", "--bounding-set", "-setuid,-setgid", "--inh-caps", "-all")
    command = Command(program.name, (*unprivileged, *program.command))
    with served(command, tmp_path, configuration, *FOREGROUND) as process:
        wait_until(lambda: process.read("error.log").count("cannot be respawned") == 2)
        lines = [line.split(": ", 1)[1] for line in process.read("error.log").splitlines()]
        gid = re.findall(r"setgid\((\d+)\) failed \(1: Operation not permitted\)", "\n".join(lines))
        assert len(gid) == 2
        assert process.stop() == 0


def test_workers_end_when_their_master_is_killed(tmp_path: Path) -> None:
    """They finish what is under way, and leave nobody on the port."""
    with served(SNIPROXY, tmp_path, HELLO, *FOREGROUND) as process:
        wait_until(lambda: len(workers(process)) == 2)
        assert answer(process).endswith(b"hello")
        orphans = workers(process)
        process.process.kill()
        process.process.wait()
        wait_until(lambda: not any(_runs(pid) for pid in orphans))
        assert process.refuses()
        assert "[alert]" in process.read("error.log")


def _runs(pid: int) -> bool:
    """Whether it lives, and is not a dead child that nobody waits for."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@both
def test_a_hundred_reloads(program: Command, tmp_path: Path) -> None:
    with served(program, tmp_path, HELLO, *FOREGROUND) as process:
        for _ in range(100):
            process.send(signal.SIGHUP)
            assert answer(process).endswith(b"hello")

        def is_stable() -> bool:
            return len(workers(process)) == 2 and answer(process).endswith(b"hello")

        wait_until(is_stable)
        assert "[alert]" not in process.read("error.log")
        assert process.stop() == 0


@both
def test_a_port_that_another_process_has_taken(program: Command, tmp_path: Path) -> None:
    with (
        served(program, tmp_path, HELLO, *FOREGROUND) as process,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        file = tmp_path / "nginx.conf"
        taken = other.getsockname()[1]
        file.write_text(file.read_text().replace("return", f"listen 127.0.0.1:{taken}; return"))
        process.send(signal.SIGHUP)
        wait_until(lambda: "still could not bind()" in process.read("error.log"))
        failure = rf"bind\(\) to 127.0.0.1:{taken} failed \(98: "
        assert len(re.findall(failure, process.read("error.log"))) == 5
        assert answer(process).endswith(b"hello")
        assert process.stop() == 0


@both
def test_every_worker_has_its_own_socket_with_reuseport(program: Command, tmp_path: Path) -> None:
    configuration = HELLO.replace(":PORT;", ":PORT reuseport;")
    with served(program, tmp_path, configuration, *FOREGROUND) as process:
        wait_until(lambda: answer(process).endswith(b"hello"))
        for _ in range(3):
            assert _listening(process.port) == 2
            process.send(signal.SIGHUP)
            wait_until(lambda: answer(process).endswith(b"hello"))
        for _ in range(50):
            assert answer(process).endswith(b"hello")
        process.send(signal.SIGQUIT)
        assert process.process.wait(PATIENCE) == 0
        assert _listening(process.port) == 0


def _listening(port: int) -> int:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def _handshake(process: Served, session: ssl.SSLSession | None) -> tuple[bool, ssl.SSLSession]:
    context = _handshake.context  # type: ignore[attr-defined]
    with (
        process.connect() as plain_socket,
        context.wrap_socket(plain_socket, server_hostname="w.test", session=session) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: w.test\r\nConnection: close\r\n\r\n")
        while client.recv(65536):
            pass
        assert client.session is not None
        return client.session_reused, client.session


def _new_context(version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    _handshake.context = context  # type: ignore[attr-defined]


@both
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tickets_are_valid_with_every_worker_and_after_a_reload(
    program: Command, version: ssl.TLSVersion, certificate: str, tmp_path: Path
) -> None:
    configuration = HELLO.replace(
        ":PORT;", f":PORT ssl; {certificate} ssl_session_cache shared:a:1m;"
    )
    _new_context(version)
    with served(program, tmp_path, configuration, *FOREGROUND) as process:
        _, session = _handshake(process, None)
        for _ in range(10):
            assert _handshake(process, session)[0]
        before = workers(process)
        process.send(signal.SIGHUP)
        wait_until(lambda: len(workers(process)) == 2 and not workers(process) & before)
        for _ in range(10):
            assert _handshake(process, session)[0]
        Authority.root("Other Root").issue("w.test").write(tmp_path, "own")
        before = workers(process)
        process.send(signal.SIGHUP)
        wait_until(lambda: len(workers(process)) == 2 and not workers(process) & before)
        if program is SNIPROXY:
            assert not _handshake(process, session)[0], "another certificate, other sessions"
        assert process.stop() == 0


@both
def test_workers_run_as_the_user(program: Command, open_folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    configuration = HELLO.replace("user root", "user nobody nogroup").replace(
        "return 200 hello;",
        "client_body_temp_path bodies 1; client_body_in_file_only on;"
        " location / { proxy_pass http://127.0.0.1:PORT/hello; }"
        " location /hello { return 200 $remote_port; }",
    )
    with served(program, open_folder, configuration, *FOREGROUND) as process:
        wait_until(lambda: len(workers(process)) == 2)
        wait_until(lambda: b"200 OK" in answer(process))

        def have_changed_user() -> bool:
            states = [Path(f"/proc/{pid}/status").read_text() for pid in workers(process)]
            return len(states) == 2 and all(
                re.search(r"Uid:(\s+65534){4}\nGid:(\s+65534){4}\n", state)
                and re.search(r"Groups:\s*65534\s", state)
                for state in states
            )

        wait_until(have_changed_user)
        for number in range(4):
            with process.connect() as client:
                client.sendall(
                    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
                    b"abc%d" % number
                )
                assert b"200 OK" in everything(client)
        bodies = [path for path in (open_folder / "bodies").rglob("*") if path.is_file()]
        assert sorted(path.read_bytes() for path in bodies) == [b"abc0", b"abc1", b"abc2", b"abc3"]
        assert {path.stat().st_uid for path in (open_folder / "bodies", *bodies)} == {65534}
        (open_folder / "access.log").rename(open_folder / "access.log.1")
        process.send(signal.SIGUSR1)
        wait_until(lambda: (open_folder / "access.log").exists())

        def is_written_to() -> bool:
            return b"200 OK" in answer(process) and process.read("access.log") != ""

        wait_until(is_written_to)
        assert (open_folder / "access.log").stat().st_uid == 65534
        assert process.stop() == 0


def test_another_program_takes_over(tmp_path: Path) -> None:
    """USR2, then QUIT to the old master: no connection is refused meanwhile.

    nginx obeys USR2 in the background only.
    """
    with served(SNIPROXY, tmp_path, HELLO, *FOREGROUND) as process:
        wait_until(lambda: answer(process).endswith(b"hello"))
        process.send(signal.SIGUSR2)
        old_pid_file = tmp_path / "run.pid.oldbin"
        wait_until(lambda: old_pid_file.exists() and process.pid_file.exists())
        wait_until(lambda: process.read("run.pid").endswith("\n"))
        assert old_pid_file.read_text() == f"{process.process.pid}\n"
        new = int(process.read("run.pid"))
        wait_until(lambda: process.read("error.log").count("start worker process ") == 4)
        process.send(signal.SIGQUIT)
        while process.process.poll() is None:
            assert answer(process).endswith(b"hello")
        assert not old_pid_file.exists()
        assert answer(process).endswith(b"hello")
        assert lives(new)
        os.kill(new, signal.SIGQUIT)
        wait_until(lambda: not process.pid_file.exists())
        wait_until(process.refuses)
        log = process.read("error.log")
        assert "signal 12 (SIGUSR2) received from" in log
        assert re.search(r'using inherited sockets from "\d+;"', log)
        assert f"start new binary process {new}" in log


def test_a_program_that_does_not_start_is_undone(tmp_path: Path) -> None:
    with served(SNIPROXY, tmp_path, HELLO, *FOREGROUND) as process:
        wait_until(lambda: answer(process).endswith(b"hello"))
        file = tmp_path / "nginx.conf"
        file.write_text("foo;")
        process.send(signal.SIGUSR2)
        wait_until(lambda: "new binary process" in process.read("error.log"))
        ended = re.compile(r"new binary process \d+ exited with code 1")
        wait_until(lambda: ended.search(process.read("error.log")) is not None)
        wait_until(process.pid_file.exists)
        assert process.read("run.pid") == f"{process.process.pid}\n"
        assert answer(process).endswith(b"hello")
        assert process.stop() == 0


@pytest.mark.parametrize("address", ["unix:socket", "[::1]:PORT", "PORT", "[::]:PORT"])
def test_every_kind_of_socket_is_handed_over(address: str, tmp_path: Path) -> None:
    configuration = HELLO.replace("127.0.0.1:PORT", address)

    def listening(pid: int) -> set[str]:
        """The sockets that a process holds and listens on, by inode."""
        held = set()
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                held.add(os.readlink(descriptor).removeprefix("socket:[").removesuffix("]"))
        found = set()
        for table, state, inode in (("tcp", 3, 9), ("tcp6", 3, 9), ("unix", 3, 6)):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                row = line.split()
                if row[state] in ("0A", "00010000") and row[inode] in held:
                    found.add(row[inode])
        return found

    with served(SNIPROXY, tmp_path, configuration, *FOREGROUND) as process:
        before = listening(process.process.pid)
        assert len(before) == 1
        process.send(signal.SIGUSR2)
        wait_until(lambda: process.read("error.log").count("start worker process ") == 4)
        new = int(process.read("run.pid"))
        assert new != process.process.pid
        assert listening(new) == before
        assert process.stop(signal.SIGQUIT) == 0
        if address == "unix:socket":
            assert (tmp_path / "socket").is_socket()
        os.kill(new, signal.SIGTERM)
        wait_until(lambda: not process.pid_file.exists())
        assert not (tmp_path / "socket").exists()


@both
def test_hup_during_a_graceful_stop(program: Command, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as upstream,
        served(
            program,
            tmp_path,
            HELLO.replace(
                "return 200 hello;",
                "location = /hello { return 200 hello; } location / { proxy_pass "
                f"http://127.0.0.1:{upstream.getsockname()[1]}; }}",
            ),
            *FOREGROUND,
        ) as process,
        process.connect() as client,
    ):
        ask(client, connection="close")
        with upstream.accept()[0] as behind:
            assert behind.recv(65536)
            process.send(signal.SIGQUIT)
            wait_until(process.refuses)
            process.send(signal.SIGHUP)
            wait_until(lambda: "SIGHUP" in process.read("error.log"))
            behind.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere")
            assert everything(client).endswith(b"there")
        assert process.process.wait(PATIENCE) == 0
        assert "]: reconfiguring" not in process.read("error.log")


@both
def test_what_a_killed_worker_had_in_its_hands_is_all_that_is_lost(
    program: Command, certificate: str, tmp_path: Path
) -> None:
    """Killed in a handshake, in an upload, and in an answer; the other workers go on."""
    configuration = HELLO.replace(":PORT;", f":PORT ssl; {certificate}")
    _new_context(ssl.TLSVersion.TLSv1_3)
    with served(program, tmp_path, configuration, *FOREGROUND) as process:
        wait_until(lambda: len(workers(process)) == 2)
        for _ in range(2):
            began = process.connect()
            began.sendall(b"\x16\x03\x01\x02\x00\x01")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            upload = context.wrap_socket(process.connect())
            upload.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\nabc")
            dead = workers(process)
            for pid in dead:
                os.kill(pid, signal.SIGKILL)
            wait_until(partial(_are_replaced, process, dead))
            assert everything(began) == b""
            assert not _handshake(process, None)[0]
            began.close()
            upload.close()
        assert process.stop() == 0


def _are_replaced(process: Served, dead: set[int]) -> bool:
    return len(workers(process) - dead) == 2


@both
def test_a_full_disk_under_the_logs(program: Command, tmp_path: Path) -> None:
    configuration = HELLO.replace("access_log access.log", "access_log /dev/full").replace(
        "error_log error.log notice", "error_log /dev/full notice"
    )
    with served(program, tmp_path, configuration, *FOREGROUND) as process:
        wait_until(lambda: answer(process).endswith(b"hello"))
        process.send(signal.SIGUSR1)
        process.send(signal.SIGHUP)
        wait_until(lambda: answer(process).endswith(b"hello"))
        assert process.stop() == 0
