"""What a start on a terminal says: where it listens, and how to ask."""

from __future__ import annotations

import os
import pty
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sniproxy.build import build_application
from sniproxy.build.paths import Paths
from sniproxy.cli.banner import banner
from sniproxy.config import parse
from sniproxy.testing.upstreams import reserve_port
from sniproxy.tls.ca import STATE_VARIABLE, DevCA
from sniproxy.version import SNIPROXY_VERSION
from tests.cli.processes import PATIENCE
from tests.programs import SNIPROXY

CONFIGURATION = """
error_log stderr error;
events {}
http {
    access_log off;
    server {
        listen 127.0.0.1:PORT ssl;
        server_name w.test;
        ssl_certificate auto;
        location / { return 200 "this is w.test\\n"; }
    }
    server {
        listen 127.0.0.1:PORT ssl;
        server_name v.test;
        ssl_certificate auto;
        location = /here { return 200 "this is v.test\\n"; }
    }
}
"""


@pytest.fixture(autouse=True)
def existing_ca() -> None:
    """A development CA from an earlier start."""
    DevCA.open()


def reports(configuration: str, folder: Path) -> list[str]:
    site = build_application(parse(configuration), Paths(str(folder), str(folder)))
    try:
        return banner(site).splitlines()
    finally:
        site.close()


def http(servers: str) -> str:
    return f"events {{}} http {{ access_log off; ssl_certificate auto; {servers} }}"


def test_every_address_with_its_scheme_and_every_tls_location_with_a_command(
    tmp_path: Path,
) -> None:
    servers = """
        server { listen 127.0.0.1:8080; location / { return 200; } }
        server {
            listen 127.0.0.1:8443 ssl; server_name w.test;
            location / { return 200; }
            location = /exact { return 200; }
            location ^~ /static/ { return 200; }
            location ~ \\.php$ { return 200; }
        }
        server { listen 127.0.0.1:8443 ssl; server_name v.test x.test; }
    """
    assert reports(http(servers), tmp_path) == [
        f"sniproxy {SNIPROXY_VERSION}, configuration configuration",
        "  listening on http://127.0.0.1:8080",
        "  listening on https://127.0.0.1:8443",
        "    curl -k https://127.0.0.1:8443/",
        "    curl -k https://127.0.0.1:8443/exact",
        "    curl -k https://127.0.0.1:8443/static/",
        "    curl -k --resolve v.test:8443:127.0.0.1 https://v.test:8443/",
    ]


@pytest.mark.parametrize(
    ("listen", "query"),
    [
        ("8443", "127.0.0.1:8443"),
        ("0.0.0.0:8443", "127.0.0.1:8443"),
        ("[::]:8443", "[::1]:8443"),
        ("[::1]:8443", "[::1]:8443"),
    ],
)
def test_any_address_is_queried_on_this_machine(listen: str, query: str, tmp_path: Path) -> None:
    lines = reports(http(f"server {{ listen {listen} ssl; }}"), tmp_path)
    assert lines[2:] == [f"    curl -k https://{query}/"]


def test_names_that_are_no_names_are_queried_by_address(tmp_path: Path) -> None:
    servers = "".join(
        f"server {{ listen 127.0.0.1:8443 ssl; server_name {name}; }}"
        for name in ("first.test", "*.w.test", "~^x", '""')
    )
    assert reports(http(servers), tmp_path)[2:] == ["    curl -k https://127.0.0.1:8443/"] * 4


def test_responses_that_could_surprise_are_explained(tmp_path: Path) -> None:
    servers = """
        server {
            listen 127.0.0.1:8443 ssl;
            location /old { return 302 /new; }
            location /gone { return 410; }
            location /ok { return 200 ok; }
            location /off { proxy_pass https://127.0.0.1:8444; }
            location /address { proxy_pass https://127.0.0.1:8444; proxy_ssl_server_name on; }
            location /on { proxy_pass https://127.0.0.1:8444; proxy_ssl_server_name on;
                           proxy_ssl_name a.test; }
            location /host { proxy_pass https://127.0.0.1:8444; proxy_ssl_server_name on;
                             proxy_ssl_name $host; }
            location /plain { proxy_pass http://127.0.0.1:8444; }
        }
        server { listen 127.0.0.1:8445 ssl; ssl_reject_handshake on; }
        server { listen 127.0.0.1:8446 ssl; return 301 https://a.test$request_uri; }
    """
    upstream = "      the upstream https://127.0.0.1:8444 gets no SNI:"
    curl = "    curl -k https://127.0.0.1"
    assert [line for line in reports(http(servers), tmp_path) if "listening" not in line][1:] == [
        f"{curl}:8443/old",
        "      responds 302, a redirect to /new (curl -L follows it)",
        f"{curl}:8443/gone",
        "      responds 410, as the configuration says",
        f"{curl}:8443/ok",
        f"{curl}:8443/off",
        f"{upstream} proxy_ssl_server_name is off",
        f"{curl}:8443/address",
        f"{upstream} 127.0.0.1 is an address",
        f"{curl}:8443/on",
        f"{curl}:8443/host",
        f"{curl}:8443/plain",
        f"{curl}:8445/",
        "      fails: ssl_reject_handshake refuses every handshake of this server",
        f"{curl}:8446/",
        "      responds 301, a redirect to https://a.test$request_uri (curl -L follows it)",
    ]


def test_a_new_ca_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    servers = http("server { listen 127.0.0.1:8443 ssl; }")
    lines = reports(servers, tmp_path)
    assert "A development CA was created" in lines[3]
    assert lines[4] == "    sniproxy ca install"
    assert lines[6] == f"    curl --cacert {tmp_path}/ca/ca.pem"
    assert reports(servers, tmp_path) == lines[:3]


@contextmanager
def on_a_terminal(folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    (folder / "nginx.conf").write_text(CONFIGURATION.replace("PORT", str(port)))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*SNIPROXY.command, "-p", str(folder), "-c", "nginx.conf"],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.communicate()
        os.close(ours)


def read_lines(terminal: int, number: int) -> list[str]:
    deadline, text = time.monotonic() + PATIENCE, ""
    while text.count("\n") < number:
        readable, _, _ = select.select([terminal], [], [], deadline - time.monotonic())
        assert readable, f"no more than {text!r}"
        text += os.read(terminal, 4096).decode()
    return text.splitlines()


@pytest.mark.needs("curl")
def test_on_a_terminal_the_commands_work(tmp_path: Path) -> None:
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
        with on_a_terminal(tmp_path, port) as (process, terminal):
            lines = read_lines(terminal, 4)
            assert lines[:2] == [
                f"sniproxy {SNIPROXY_VERSION}, configuration {tmp_path}/nginx.conf",
                f"  listening on https://127.0.0.1:{port}",
            ]
            pages = [
                subprocess.run(
                    [*shlex.split(line), "-sS"], capture_output=True, text=True, check=True
                ).stdout
                for line in lines[2:]
            ]
            assert pages == ["this is w.test\n", "this is v.test\n"]
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=PATIENCE)
            assert (process.returncode, stderr) == (0, b"")


def test_elsewhere_nothing_is_configured(tmp_path: Path) -> None:
    with reserve_port() as reserved:
        text = CONFIGURATION.replace("PORT", str(reserved.getsockname()[1]))
        (tmp_path / "nginx.conf").write_text(text)
        process = subprocess.Popen(
            [*SNIPROXY.command, "-p", str(tmp_path), "-c", "nginx.conf", "-g", "pid run.pid;"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        pid_file = tmp_path / "run.pid"
        while not (pid_file.exists() and pid_file.read_text()):
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=PATIENCE) == (b"", b"")
        assert process.returncode == 0
