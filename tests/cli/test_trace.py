"""`sniproxy trace`, and `--trace`."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sniproxy.cli import trace
from sniproxy.testing.upstreams import RunningUpstream
from tests.cli.commands import Sniproxy
from tests.cli.processes import HEAD, PATIENCE, ask, everything, served, wait_until
from tests.programs import SNIPROXY

ServerSetup = Callable[[str], RunningUpstream]

CONFIGURATION = """
events {{}}
http {{
    access_log never.log;
    error_log never.log;
    server {{
        listen 443 ssl;
        listen 203.0.113.7:8443 ssl;
        server_name front.test;
        ssl_certificate auto;
        location / {{ return 200 "$server_addr:$server_port"; }}
        location /no {{ return 404; }}
        location /up/ {{ proxy_pass https://{upstream}/; {names} }}
    }}
    server {{ listen 80; server_name plain.test; return 301 https://front.test; }}
}}
"""
NAMED = "proxy_ssl_server_name on; proxy_ssl_name upstream.test;"


@pytest.fixture
def configured(tmp_path: Path, tls_upstream: ServerSetup) -> Callable[[str], None]:
    """Writes `nginx.conf`, with these directives at its upstream that wants the SNI."""

    def configure(names: str) -> None:
        upstream = tls_upstream("needs-sni-112").address
        text = CONFIGURATION.format(upstream=upstream, names=names)
        (tmp_path / "nginx.conf").write_text(text)

    return configure


def test_the_way_of_one_request(
    sniproxy: Sniproxy, configured: Callable[[str], None], tmp_path: Path
) -> None:
    configured("")
    done = sniproxy("trace", "-c", "nginx.conf", "https://front.test/up/x", "-H", "X-A: b")
    assert done.status == 1
    assert "SNI: none, since proxy_ssl_server_name is off" in done.stdout
    assert "SSL alert number 112" in done.stdout
    assert "X-A: b" in done.stdout
    assert "to 0.0.0.0:443" in done.stdout
    assert done.stdout.endswith("\n\n")
    assert not done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nginx.conf"]

    configured(NAMED)
    done = sniproxy("trace", "-c", "nginx.conf", "https://front.test/up/x", "-X", "POST")
    assert done.status == 0
    assert "SNI: upstream.test" in done.stdout
    assert "sent: POST /x HTTP/1.1" in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "output"),
    [
        (("https://front.test/no",), 0, "-> 404 in"),
        (("http://plain.test/",), 0, "-> 301 in"),
        (("https://front.test/", "--sni", "other.test"), 0, "SNI received: other.test"),
        (("https://front.test/", "--sni", ""), 0, "SNI received: none"),
        (("https://203.0.113.7:8443/",), 0, "to 203.0.113.7:8443"),
        (("https://front.test:8443/",), 0, "to 203.0.113.7:8443"),
        (("https://front.test/", "-H", "Host: a b"), 0, "-> 400 in"),
        (("https://front.test/", "-H", "Cookie: a=verysecret"), 0, "Cookie: (masked)"),
    ],
)
def test_exit_statuses(
    words: tuple[str, ...],
    status: int,
    output: str,
    sniproxy: Sniproxy,
    configured: Callable[[str], None],
) -> None:
    configured("")
    done = sniproxy("trace", "-c", "nginx.conf", *words)
    assert (done.status, done.stderr) == (status, "")
    assert output in done.stdout


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (
            ("https://front.test:9443/",),
            "nginx.conf does not listen with https on port 9443; it listens on "
            "0.0.0.0:443 (https), 203.0.113.7:8443 (https), 0.0.0.0:80 (http)",
        ),
        (("http://front.test:443/",), "nginx.conf does not listen with http on port 443; "),
        (("ftp://front.test/",), "ftp://front.test/ is not an http:// or https:// URL"),
        (("https://[/",), "https://[/ is not a valid URL: "),
        (("https://a:b/",), "https://a:b/ is not a valid URL: "),
        (("https://front.test/", "-X", "GET\r\nA: b"), "URL, method and headers must not"),
        (("https://front.test/", "-H", "A: b\nC: d"), "URL, method and headers must not"),
    ],
)
def test_what_can_not_be_queried(
    words: tuple[str, ...], output: str, sniproxy: Sniproxy, configured: Callable[[str], None]
) -> None:
    configured("")
    done = sniproxy("trace", "-c", "nginx.conf", *words)
    assert done.status == 2
    assert done.stdout == ""
    assert done.stderr.startswith(output)


def test_a_configuration_that_is_wrong(sniproxy: Sniproxy, tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("events {}\nhttp { server { listne 80; } }\n")
    done = sniproxy("trace", "-c", "nginx.conf", "http://a/")
    assert done.status == 2
    assert done.lines == ['[emerg] unknown directive "listne" in nginx.conf:2']
    done = sniproxy("trace", "-c", "none.conf", "http://a/")
    assert done.status == 2
    assert done.stderr.startswith('[emerg] open() "none.conf" failed (2: ')


def test_json(sniproxy: Sniproxy, configured: Callable[[str], None]) -> None:
    configured(NAMED)
    done = sniproxy("trace", "-c", "nginx.conf", "https://front.test/up/x", "--json")
    output = json.loads(done.stdout)
    assert output["answer"]["status"] == 200
    assert output["tls"]["handshake"]["side"] == "client"
    location, query = output["steps"]
    assert (location["kind"], location["location"]) == ("location", "/up/")
    (peer,) = query["peers"]
    assert peer["handshake"]["server_name"] == "upstream.test"
    assert peer["handshake"]["failure"] is None


def test_toml(sniproxy: Sniproxy, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(
        '[[http.server]]\nlisten = "8080"\n[http.server.location."/"]\nreturn = "204"\n'
    )
    done = sniproxy("trace", "-c", "site.toml", "http://[::1]:8080/a?b")
    assert (done.status, done.stderr) == (0, "")
    assert "request: GET /a?b HTTP/1.1" in done.stdout
    assert "location for /a: / (longest prefix) site.toml:3" in done.stdout


def test_an_upstream_that_takes_too_long(
    sniproxy: Sniproxy, tmp_path: Path, tls_upstream: ServerSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "LIMIT", 0.2)
    address = tls_upstream("needs-sni-silent").address
    (tmp_path / "nginx.conf").write_text(
        f"events {{}} http {{ server {{ listen 80; location / {{ proxy_pass https://{address};"
        " } } }"
    )
    done = sniproxy("trace", "-c", "nginx.conf", "http://a/")
    assert done.status == 1
    assert "-> 499 in" in done.stdout
    assert done.stderr == "no response within 0.2 s\n"


def test_a_process_with_trace(tmp_path: Path) -> None:
    site = HEAD + (
        " http { access_log off; server { listen 127.0.0.1:PORT; location /a { return 200 hello; }"
        " location / { return 404; } } }"
    )
    out = tmp_path / "out"
    with (
        out.open("wb") as file,
        served(SNIPROXY, tmp_path, site, "--trace", stdout=file) as process,
    ):
        for path in ("/a", "/b"):
            with process.connect() as client:
                ask(client, path, connection="close")
                everything(client)
        wait_until(lambda: out.read_text("utf-8").count("\n\n") == 2)
        assert process.stop() == 0
    first, second = out.read_text("utf-8").removesuffix("\n\n").split("\n\n")
    assert first.startswith(f"GET http://a:{process.port}/a -> 200 in ")
    assert "location for /a: /a (longest prefix) " in first
    assert second.startswith(f"GET http://a:{process.port}/b -> 404 in ")


def test_a_reader_that_leaves(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("events {} http { server { listen 80; return 204; } }")
    command = [*SNIPROXY.command, "trace", "-c", "nginx.conf", "http://a/"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_ctrl_c(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        upstream.settimeout(PATIENCE)
        port = upstream.getsockname()[1]
        (tmp_path / "nginx.conf").write_text(
            "events {} http { server { listen 80; location / "
            f"{{ proxy_pass http://127.0.0.1:{port}; }} }} }}"
        )
        command = [*SNIPROXY.command, "trace", "-c", "nginx.conf", "http://a/"]
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            with upstream.accept()[0]:
                process.send_signal(signal.SIGINT)
                assert process.communicate() == (b"", b"")
            assert process.returncode == 130
