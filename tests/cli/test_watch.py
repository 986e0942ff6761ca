"""`--watch`: a change of a file is a reload, with one process and with workers."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sniproxy.build.file_signature import file_signature
from sniproxy.testing.authority import Authority
from sniproxy.watch_files import FileWatcher
from tests.cli.processes import HEAD, Served, ask, everything, served, wait_until
from tests.cli.test_process import FOREGROUND
from tests.programs import SNIPROXY

HELLO = (
    HEAD + " http { access_log off; include more/*.conf;"
    " server { listen 127.0.0.1:PORT; return 200 hello; } }"
)
LIMIT = 2.0
"""Seconds within which a change is served."""

processes = pytest.mark.parametrize("main", ["", "worker_processes 2;"], ids=["one", "workers"])


def _answer(process: Served, host: str = "a") -> bytes:
    with process.connect() as client, contextlib.suppress(ConnectionError):
        client.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return everything(client)
    return b""


def _within_limit(condition: Callable[[], bool]) -> None:
    began = time.monotonic()
    wait_until(condition)
    assert time.monotonic() - began < LIMIT


@processes
def test_the_configuration_is_edited_broken_and_mended(main: str, tmp_path: Path) -> None:
    configuration = HELLO.replace("worker_processes 1;", main)
    (tmp_path / "more").mkdir()
    with served(SNIPROXY, tmp_path, configuration, "--watch", *FOREGROUND) as process:
        file = tmp_path / "nginx.conf"
        good = file.read_text()
        assert _answer(process).endswith(b"hello")
        file.write_text(good.replace("hello", "changed"))
        _within_limit(lambda: _answer(process).endswith(b"changed"))
        assert f"sniproxy: [notice] {file} changed, reloading\n" in process.read("stderr.log")
        file.write_text(good + "foo;")
        refused = f'sniproxy: [emerg] unknown directive "foo" in {file}:1\n'
        _within_limit(lambda: refused in process.read("stderr.log"))
        assert _answer(process).endswith(b"changed")
        replacement = tmp_path / "nginx.conf~"
        replacement.write_text(good.replace("hello", "mended"))
        replacement.replace(file)
        _within_limit(lambda: _answer(process).endswith(b"mended"))
        (tmp_path / "more" / "new.conf").write_text(
            f"server {{ listen 127.0.0.1:{process.port}; server_name b; return 200 new; }}"
        )
        _within_limit(lambda: _answer(process, "b").endswith(b"new"))
        (tmp_path / "more" / "new.conf").unlink()
        _within_limit(lambda: _answer(process, "b").endswith(b"mended"))
        assert process.stop() == 0


@processes
def test_a_certificate_is_renewed(main: str, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    Authority.root("First").issue("w.test").write(tmp_path, "own")
    configuration = HELLO.replace("worker_processes 1;", main).replace(
        ":PORT;", ":PORT ssl; ssl_certificate own.pem; ssl_certificate_key own.key;"
    )

    def served_certificate(process: Served) -> str:
        return ssl.get_server_certificate(("127.0.0.1", process.port))

    with served(SNIPROXY, tmp_path, configuration, "--watch", *FOREGROUND) as process:
        first = served_certificate(process)
        (tmp_path / "own.pem").write_bytes(b"garbage")
        wait_until(lambda: "cannot load certificate" in process.read("stderr.log"))
        assert served_certificate(process) == first
        Authority.root("Second").issue("w.test").write(tmp_path, "own")
        _within_limit(lambda: served_certificate(process) != first)
        assert process.stop() == 0


def test_a_bad_file_that_is_included_anew_is_watched_too(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    with served(SNIPROXY, tmp_path, HELLO, "--watch", *FOREGROUND) as process:
        bad = tmp_path / "elsewhere.conf"
        bad.write_text("foo;")
        file = tmp_path / "nginx.conf"
        file.write_text(f"include {bad};" + file.read_text().replace("hello", "changed"))
        wait_until(lambda: f"in {bad}:1" in process.read("stderr.log"))
        bad.write_text("")
        _within_limit(lambda: _answer(process).endswith(b"changed"))
        assert process.stop() == 0


def test_changes_are_reported_once(tmp_path: Path) -> None:
    file, other = str(tmp_path / "a"), str(tmp_path / "b")
    watcher = FileWatcher()
    Path(file).write_text("1")
    watcher.watch([file, other], [str(tmp_path / "*.conf")])
    assert watcher.changes() == []
    Path(file).write_text("22")
    assert watcher.changes() == [file]
    assert watcher.changes() == []
    Path(other).write_text("")
    Path(tmp_path / "x.conf").write_text("")
    assert watcher.changes() == [other, str(tmp_path / "x.conf")]
    Path(file).unlink()
    assert watcher.changes() == [], "an editor may be about to replace it"
    Path(file).write_text("22")
    assert watcher.changes() == [file]
    Path(file).unlink()
    assert [watcher.changes(), watcher.changes(), watcher.changes()] == [[], [file], []]


def test_the_signature_differs_when_a_file_is_touched_or_replaced(tmp_path: Path) -> None:
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_text("1")
    first = file_signature(str(file))
    os.utime(file, (1, 1))
    second = file_signature(str(file))
    other.write_text("1")
    os.utime(other, (1, 1))
    other.replace(file)
    assert len({first, second, file_signature(str(file)), file_signature("\0")}) == 4
    assert file_signature(str(other)) is None


def test_a_connection_under_way_survives_a_change(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    with (
        socket.create_server(("127.0.0.1", 0)) as upstream,
        served(
            SNIPROXY,
            tmp_path,
            HELLO.replace(
                "return 200 hello;",
                "location / { return 200 old; } location = /slow "
                f"{{ proxy_pass http://127.0.0.1:{upstream.getsockname()[1]}; }}",
            ),
            "--watch",
            *FOREGROUND,
        ) as process,
        process.connect() as client,
    ):
        ask(client, "/slow", connection="close")
        with upstream.accept()[0] as behind:
            assert behind.recv(65536)
            file = tmp_path / "nginx.conf"
            file.write_text(file.read_text().replace("old", "new"))
            wait_until(lambda: _answer(process).endswith(b"new"))
            behind.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere")
            assert everything(client).endswith(b"there")
        assert process.stop() == 0
