"""What a start or a test refuses: nginx's words, on stderr and in the log that is open by then."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sniproxy.build import listeners
from sniproxy.server import ConnectionServer
from sniproxy.testing.authority import Authority, self_signed
from sniproxy.testing.upstreams import reserve_port
from tests.cli.commands import Outcome, Sniproxy, nameless, run_nginx
from tests.conformance.observation import normalize
from tests.nginx import NGINX
from tests.tls.real_nginx import same_codes

LOGS = ("early.log", "error.log")

TEST = ("-t",)
START = ("-g", "daemon off;")


def site(server: str, main: str = "error_log error.log;", http: str = "") -> str:
    return f"{main} events {{}} http {{ {http} access_log off; server {{ {server} }} }}\n"


def tls(certificate: str, key: str, more: str = "") -> str:
    return site(
        f"listen 127.0.0.1:PORT ssl; ssl_certificate {certificate}; ssl_certificate_key {key};"
        + more
    )


CONFIGURATIONS = {
    # certificates and keys
    "no-certificate": tls("missing.pem", "good.key"),
    "no-key": tls("good.pem", "missing.key"),
    "both-missing": tls("missing.pem", "missing.key"),
    "key-of-another": tls("good.pem", "other.key"),
    "key-is-a-folder": tls("good.pem", "folder"),
    "certificate-is-a-key": tls("good.key", "good.key"),
    "key-is-a-certificate": tls("good.pem", "good.pem"),
    "empty-certificate": tls("empty", "good.key"),
    "absolute-path": tls("/nonexistent/missing.pem", "good.key"),
    "certificate-alone": site("listen 127.0.0.1:PORT ssl; ssl_certificate good.pem;"),
    "no-certificate-at-all": site("listen 127.0.0.1:PORT ssl;"),
    "upstream-ca-missing": site(
        "listen 127.0.0.1:PORT; location / { proxy_pass https://127.0.0.1:1; proxy_ssl_verify on;"
        " proxy_ssl_trusted_certificate missing.pem; }"
    ),
    "upstream-certificate-missing": site(
        "listen 127.0.0.1:PORT; location / { proxy_pass https://127.0.0.1:1;"
        " proxy_ssl_certificate missing.pem; proxy_ssl_certificate_key good.key; }"
    ),
    "first-of-two-servers": tls("good.pem", "missing-too.key").replace(
        "server {",
        "server { listen 127.0.0.1:PORT ssl; server_name a;"
        " ssl_certificate good.pem; ssl_certificate_key missing.key; } server {",
    ),
    # hosts
    "upstream-unknown": site("location / { proxy_pass http://nonexistent.invalid; }"),
    "group-unknown": site(
        "listen 127.0.0.1:PORT;", http="upstream u { server nonexistent.invalid; }"
    ),
    "listen-unknown": site("listen nonexistent.invalid:PORT;"),
    # addresses
    "not-our-address": site("listen 203.0.113.9:PORT;"),
    "socket-in-no-folder": site("listen unix:missing/socket;"),
    # files that are written
    "error-log": site("listen 127.0.0.1:PORT;", main="error_log missing/error.log;"),
    "access-log": site("listen 127.0.0.1:PORT; access_log missing/access.log;"),
    "pid": site("listen 127.0.0.1:PORT;", main="error_log error.log; pid missing/pid;"),
    "pid-and-error-log": site(
        "listen 127.0.0.1:PORT;", main="error_log missing/error.log; pid missing/pid;"
    ),
    # order
    "certificate-before-log": site(
        "listen 127.0.0.1:PORT ssl; ssl_certificate a; ssl_certificate_key b;",
        main="error_log missing/error.log;",
    ),
    "on-stderr": site("listen 203.0.113.9:PORT;", main="error_log stderr;"),
    "included": site("include missing.conf;"),
    "included-by-mask": site("include missing/*.conf; listen 203.0.113.9:PORT;"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    (folder / "folder").mkdir()
    (folder / "empty").write_bytes(b"")
    Authority.root("Test Root").issue("w.test").write(folder, "good")
    self_signed("w.test").write(folder, "other")
    return folder


@pytest.fixture
def port() -> Iterator[int]:
    """A port that is free, and stays free from other tests' sockets."""
    with reserve_port() as probe:
        yield int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Reports:
    outcome: Outcome
    logs: dict[str, str]


def reports(outcome: Outcome, folder: Path) -> Reports:
    logs = {}
    for name in LOGS:
        file = folder / name
        logs[name] = plain(nameless("", file.read_text("latin-1"))) if file.exists() else ""
        file.unlink(missing_ok=True)
    return Reports(Outcome(outcome.status, outcome.stdout, plain(outcome.stderr)), logs)


def plain(text: str) -> str:
    """Without the words of one C library or one OpenSSL."""
    return "\n".join(normalize(same_codes(line)) for line in text.splitlines())


@pytest.mark.nginx
@pytest.mark.parametrize("how", [TEST, START], ids=["test", "start"])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_what_is_refused_is_reported_as_nginx_reports_it(
    name: str,
    how: tuple[str, ...],
    files: Path,
    port: int,
    sniproxy: Sniproxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(files)
    monkeypatch.setattr(ConnectionServer, "run", lambda *_: pytest.fail("it serves"))
    (files / "nginx.conf").write_text(CONFIGURATIONS[name].replace("PORT", str(port)))
    words = ("-p", f"{files}/", "-c", "nginx.conf", "-e", "early.log", *how)
    theirs = reports(run_nginx(words, files), files)
    ours = reports(sniproxy(*words), files)
    assert ours == theirs
    assert ours.outcome.status == 1
    assert "[emerg]" in ours.outcome.stderr


@pytest.mark.nginx
@pytest.mark.parametrize("log", ["error.log", "stderr"])
def test_a_port_in_use_is_tried_five_times(
    log: str, tmp_path: Path, sniproxy: Sniproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        text = site(f"listen 127.0.0.1:{port};", main=f"error_log {log};")
        (tmp_path / "nginx.conf").write_text(text)
        words = ("-p", f"{tmp_path}/", "-c", "nginx.conf", "-e", "early.log")
        tested = reports(run_nginx((*words, "-t"), tmp_path), tmp_path)
        assert reports(sniproxy(*words, "-t"), tmp_path) == tested
        assert tested.outcome.status == 0
        theirs = reports(run_nginx((*words, *START), tmp_path), tmp_path)
        (tmp_path / "nginx.pid").unlink()  # of nginx -t
        pauses: list[float] = []
        monkeypatch.setattr(time, "sleep", pauses.append)
        ours = reports(sniproxy(*words, *START), tmp_path)
    assert ours == theirs
    assert ours.outcome.status == 1
    failure = f"[emerg] bind() to 127.0.0.1:{port} failed (98)"
    wanted = [failure] * 5 + ["[emerg] still could not bind()"]
    assert ours.outcome.lines == wanted
    assert ours.logs["error.log"].splitlines() == (wanted if log == "error.log" else [])
    assert pauses == [listeners.BIND_PAUSE] * (listeners.BIND_TRIES - 1)
    assert not list(tmp_path.glob("*.pid"))


def test_in_our_own_c_library_s_words(tmp_path: Path, sniproxy: Sniproxy) -> None:
    (tmp_path / "nginx.conf").write_text(site("listen 203.0.113.9:1;"))
    assert sniproxy("-t").lines[1] == (
        "[emerg] bind() to 203.0.113.9:1 failed (99: Cannot assign requested address)"
    )


@pytest.mark.nginx
def test_relative_names_start_where_nginx_s_do(
    tmp_path: Path, port: int, sniproxy: Sniproxy
) -> None:
    """Certificates and includes from the configuration's folder, logs and pid from the prefix."""
    conf = tmp_path / "conf"
    conf.mkdir()
    self_signed("w.test").write(conf, "own")
    (conf / "nginx.conf").write_text(
        "pid run.pid; error_log main.log; events {} http { include more/*.conf; }"
    )
    (conf / "more").mkdir()
    (conf / "more" / "a.conf").write_text(
        f"access_log access.log; server {{ listen 127.0.0.1:{port} ssl;"
        " ssl_certificate own.pem; ssl_certificate_key own.key; include names; }"
    )
    (conf / "names").write_text("server_name w.test;")
    words = ("-p", f"{tmp_path}/", "-c", "conf/nginx.conf", "-T")
    theirs = run_nginx(words, tmp_path)
    assert {"access.log", "main.log"} <= {file.name for file in tmp_path.iterdir()}
    (tmp_path / "access.log").unlink()
    (tmp_path / "main.log").unlink()
    (tmp_path / "run.pid").unlink()
    ours = sniproxy(*words)
    assert ours == theirs
    assert ours.status == 0
    assert {"access.log", "main.log"} <= {file.name for file in tmp_path.iterdir()}
    assert not (tmp_path / "run.pid").exists(), "a test leaves no pid file"
    heads = [line for line in ours.stdout.splitlines() if line.startswith("# configuration file ")]
    assert heads == [
        f"# configuration file {conf}/{name}:" for name in ("nginx.conf", "more/a.conf", "names")
    ]


@pytest.mark.nginx
def test_the_file_of_e_is_open_from_the_first_moment(tmp_path: Path, sniproxy: Sniproxy) -> None:
    (tmp_path / "nginx.conf").write_text("events {}")
    words = ("-p", f"{tmp_path}/", "-c", "nginx.conf", "-tq", "-e", "here.log")
    assert sniproxy(*words) == run_nginx(words, tmp_path) == Outcome(0, "", "")
    assert (tmp_path / "here.log").read_text() == ""


def test_without_a_prefix_names_start_from_the_current_folder(
    tmp_path: Path, sniproxy: Sniproxy
) -> None:
    (tmp_path / "nginx.conf").write_text("error_log e.log; events {}")
    assert sniproxy("-tq") == Outcome(0, "", "")
    assert (tmp_path / "e.log").exists()


def test_warnings_stop_nothing(tmp_path: Path, sniproxy: Sniproxy) -> None:
    server = "listen 127.0.0.1:1; server_name a;"
    (tmp_path / "nginx.conf").write_text(site(server, http=f"server {{ {server} }}"))
    assert sniproxy("-tq", "-e", "early.log") == Outcome(
        0, "", '[warn] conflicting server name "a" on 127.0.0.1:1, ignored\n'
    )
    logged = (tmp_path / "early.log").read_text()
    assert logged.endswith(': conflicting server name "a" on 127.0.0.1:1, ignored\n')


def test_nginx_is_there() -> None:
    """The program beside which all this is tested is the one that is imitated."""
    rendered = subprocess.run([*NGINX.command, "-v"], capture_output=True, text=True, check=True)
    assert rendered.stderr == "nginx version: nginx/1.31.3\n"
