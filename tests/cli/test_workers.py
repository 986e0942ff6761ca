"""What a worker is: its CPUs, its priority, its limits, whom it runs as."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from sniproxy import config
from sniproxy.config.directives.main import CPUAffinity
from sniproxy.worker_setup import uses_master
from tests.cli.commands import Sniproxy, run, run_nginx
from tests.cli.processes import ask, everything, served, wait_until
from tests.cli.test_master import answer, workers
from tests.cli.test_process import FOREGROUND, both
from tests.programs import SNIPROXY, Command
from tests.tls.real_nginx import same_codes

HEAD = (
    "pid run.pid; user root; worker_processes 2; error_log error.log notice; events {EVENTS} "
    "http { access_log access.log; server { listen 127.0.0.1:PORT; return 200 $connection; } }"
)
PLAIN = HEAD.replace("EVENTS", "")

TESTED = [
    "worker_cpu_affinity 01 10;",
    "worker_cpu_affinity 01 10 01;",
    "worker_processes 2; worker_cpu_affinity 01 10;",
    "worker_processes 3; worker_cpu_affinity 01;",
    "worker_cpu_affinity auto;",
    "worker_cpu_affinity auto 01;",
    "worker_cpu_affinity auto 01 10;",
    "worker_cpu_affinity auto auto;",
    "worker_cpu_affinity 012;",
    "worker_cpu_affinity '0000 0001';",
    f"worker_cpu_affinity {'0' * 1025};",
    "worker_priority 5;",
    "worker_priority -5;",
    "worker_priority +5;",
    "worker_priority +-3;",
    "worker_priority --3;",
    "worker_priority '';",
    "worker_priority 1 2;",
    "worker_rlimit_nofile 100;",
    "worker_rlimit_nofile x;",
    "worker_rlimit_core 1g;",
    "worker_rlimit_core 1x;",
    "worker_processes 0;",
    "worker_processes -1;",
    "user nosuch;",
    "user root nosuchgroup;",
    "user nosuch nosuchgroup;",
    "user root;",
    "user a b c;",
    "user '';",
    "events { worker_connections 0; } http { server { listen 127.0.0.1:1; } }",
    "events { worker_connections 1; } http { server { listen 127.0.0.1:1; } }",
    "events { worker_connections 2; } http { server { listen 127.0.0.1:1; } }",
]


@pytest.mark.nginx
@pytest.mark.parametrize("text", TESTED)
def test_what_a_test_finds(text: str, tmp_path: Path, sniproxy: Sniproxy) -> None:
    if "events" not in text:
        text += " events {}"
    (tmp_path / "nginx.conf").write_text(f"pid run.pid; error_log error.log; {text}")
    words = ("-p", f"{tmp_path}/", "-c", "nginx.conf", "-t", "-e", "early.log")
    theirs, ours = run_nginx(words, tmp_path), sniproxy(*words)
    assert (ours.status, same_codes(ours.stderr)) == (theirs.status, same_codes(theirs.stderr))


@pytest.mark.nginx
def test_a_user_without_privilege(open_folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    from tests.nginx import NGINX

    open_folder.chmod(0o777)
    (open_folder / "nginx.conf").write_text("pid run.pid; user nosuch; events {}")
    words = ("-p", f"{open_folder}/", "-c", "nginx.conf", "-t", "-e", "stderr")
    # Reading everything stays allowed: the environment may lie in a folder that only root enters.
    reading = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    setpriv = ("setpriv", "--reuid", "65534", "--clear-groups", *reading)
    theirs, ours = (
        run(Command(program.name, (*setpriv, *program.command)), words, open_folder)
        for program in (NGINX, SNIPROXY)
    )
    assert ours.status == theirs.status == 0, ours
    warning = '[warn] the "user" directive makes sense only if the master process runs with '
    assert warning in theirs.stderr
    assert ours.lines[0] in theirs.stderr
    assert ours.lines[0].startswith(warning)


@both
def test_limits_and_cpus(program: Command, tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = 500 if hard == resource.RLIM_INFINITY else min(500, hard)
    configuration = (
        f"worker_priority 3; worker_rlimit_nofile {limit}; worker_rlimit_core 1m;"
        " worker_cpu_affinity 1;" + PLAIN
    )
    with served(program, tmp_path, configuration, *FOREGROUND) as process:
        wait_until(lambda: len(workers(process)) == 2)
        wait_until(lambda: process.read("error.log").count("using cpu #0") == 2)
        assert b"200 OK" in answer(process)
        for pid in workers(process):
            assert os.getpriority(os.PRIO_PROCESS, pid) == 3
            limits = Path(f"/proc/{pid}/limits").read_text()
            assert re.search(rf"Max open files +{limit} +{limit} ", limits)
            assert re.search(r"Max core file size +1048576 +1048576 ", limits)
            assert os.sched_getaffinity(pid) == {0}
        assert process.stop() == 0


@both
def test_more_connections_than_files(program: Command, tmp_path: Path) -> None:
    command = Command(program.name, ("sh", "-c", 'ulimit -n 300; exec "$0" "$@"', *program.command))
    with served(command, tmp_path, PLAIN, *FOREGROUND) as process:
        text = "[warn] PID: 512 worker_connections exceed open file resource limit: 300"
        wait_until(lambda: "start worker process " in process.read("error.log"))
        assert text in re.sub(r"\d+#\d+", "PID", process.read("error.log"))
        assert process.stop() == 0


@both
def test_numbers_of_connections_are_one_row(program: Command, tmp_path: Path) -> None:
    with served(program, tmp_path, PLAIN, *FOREGROUND) as process:
        numbers = [int(answer(process).rsplit(b"\n", 1)[1]) for _ in range(20)]
        process.send(signal.SIGHUP)
        wait_until(lambda: "exited with code 0" in process.read("error.log"))
        numbers += [int(answer(process).rsplit(b"\n", 1)[1]) for _ in range(20)]
        assert numbers == sorted(set(numbers))
        assert process.stop() == 0


def test_worker_connections(tmp_path: Path) -> None:
    """Idle connections make room for new ones; without any, a new one is refused."""
    configuration = HEAD.replace("EVENTS", " worker_connections 5; ").replace(
        "worker_processes 2", "worker_processes 1"
    )
    with served(SNIPROXY, tmp_path, configuration, *FOREGROUND) as process:
        clients = [process.connect() for _ in range(4)]
        for client in clients:
            ask(client)
            assert b"200 OK" in client.recv(65536)
        with process.connect() as fifth:
            ask(fifth)
            assert b"200 OK" in fifth.recv(65536)
            assert everything(clients[0]) == b"", "the oldest idle one was closed"
        text = process.read("error.log")
        assert "5 worker_connections are not enough, reusing connections" in text
        for client in clients:
            client.close()
        wait_until(lambda: b"200 OK" in answer(process))
        busy = [process.connect() for _ in range(5)]
        for client in busy:
            client.sendall(b"GET / HTTP/1.1\r\n")
        assert everything(busy[-1]) == b""
        assert "[alert]" in process.read("error.log")
        for client in busy:
            client.close()
        assert process.stop() == 0


def test_which_configurations_have_a_master() -> None:
    for text, expected in (
        ("", False),
        ("worker_processes 1;", False),
        ("worker_processes 2;", True),
        ("worker_processes 1; daemon on;", True),
        ("worker_processes 2; master_process off;", False),
        ("master_process on;", True),
        ("user nobody nogroup;", os.geteuid() == 0),
        ("user root;", False),
    ):
        assert uses_master(config.parse(text + "events {}").main) is expected, text


def test_cpus_of_workers() -> None:
    masks = (frozenset({0}), frozenset({1, 3}))
    each = CPUAffinity(masks)
    assert [each.cpus(worker, 4) for worker in range(3)] == [{0}, {1, 3}, {1, 3}]
    auto = CPUAffinity((), auto=True)
    assert [auto.cpus(worker, 2) for worker in range(3)] == [{0}, {1}, {0}]
    limited = CPUAffinity((frozenset({1, 2, 9}),), auto=True)
    assert [limited.cpus(worker, 4) for worker in range(3)] == [{1}, {2}, {1}]


def test_a_process_without_a_master_does_not_get_one_by_reload(tmp_path: Path) -> None:
    configuration = PLAIN.replace("worker_processes 2", "worker_processes 1")
    with served(SNIPROXY, tmp_path, configuration, *FOREGROUND) as process:
        file = tmp_path / "nginx.conf"
        file.write_text(file.read_text().replace("worker_processes 1", "worker_processes 2"))
        process.send(signal.SIGHUP)
        wait_until(lambda: "serves without a master" in process.read("error.log"))
        wait_until(lambda: b"200 OK" in answer(process))
        assert workers(process) == set()
        assert process.stop() == 0


@pytest.mark.needs("unshare", "nsenter", "ip", "curl")
@both
def test_port_443_for_a_user_without_rights(
    program: Command, certificate: str, open_folder: Path
) -> None:
    """In a network namespace of its own, relative names all the way."""
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    configuration = (
        "pid run.pid; user nobody nogroup; error_log error.log notice; events {} http {"
        " access_log access.log; client_body_temp_path bodies; client_body_in_file_only on;"
        f" server {{ listen 127.0.0.1:443 ssl; {certificate} location / {{"
        " proxy_pass http://127.0.0.1:80; } }"
        " server { listen 127.0.0.1:80; access_log off; return 200 $remote_addr; } }"
    )
    inside = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$0" "$@"')
    command = Command(program.name, (*inside, *program.command))
    with served(command, open_folder, configuration, *FOREGROUND) as process:
        wait_until(lambda: len(workers(process)) == 1)
        enter = ["nsenter", f"--net=/proc/{process.process.pid}/ns/net"]
        fetch = ["curl", "-sk", "--retry", "9", "--retry-connrefused", "-d", "abc"]
        fetched = subprocess.run(
            [*enter, *fetch, "https://127.0.0.1/"], capture_output=True, check=True, timeout=20
        )
        assert fetched.stdout == b"127.0.0.1"
        (worker,) = workers(process)
        status = Path(f"/proc/{worker}/status").read_text()
        assert re.search(r"Uid:(\s+65534){4}\nGid:(\s+65534){4}\n", status)
        assert re.search(r"Groups:\s*65534\s", status)
        assert re.search(r"CapEff:\s+0+\n", status)
        (body,) = [path for path in (open_folder / "bodies").rglob("*") if path.is_file()]
        assert (body.read_bytes(), body.stat().st_uid) == (b"abc", 65534)
        wait_until(lambda: "POST / HTTP/1.1" in process.read("access.log"))
        assert process.stop() == 0
        assert not process.pid_file.exists()
