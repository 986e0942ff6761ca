"""`sniproxy.serve` and `serve_in_thread`: a proxy as a value."""

from __future__ import annotations

import socket
import ssl
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import trio
import trio.testing

import sniproxy
from sniproxy.models import Level, Side
from sniproxy.testing.authority import Authority
from tests.compare_nginx import get, served
from tests.conformance.observation import error_lines
from tests.programs import OURS, SNIPROXY

PLAIN = """
events {}
http {
    server {
        listen 127.0.0.1:0;
        location / { return 200 %s; }
        location /down/ { proxy_pass http://127.0.0.1:1; }
    }
}
"""

TLS = """
events {}
http {
    ssl_certificate auto;
    server { listen 127.0.0.1:0 ssl; server_name origin.test; location / { return 200 origin; } }
    server { listen 127.0.0.1:0 ssl default_server; ssl_reject_handshake on; }
}
"""

FRONT = """
events {}
http {
    server {
        listen 127.0.0.1:0;
        location /without/ { proxy_pass %(origin)s/; }
        location /with/ {
            proxy_pass %(origin)s/;
            proxy_ssl_server_name on;
            proxy_ssl_name origin.test;
            proxy_set_header Host origin.test;
        }
    }
}
"""


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def test_serve_in_trio() -> None:
    async with sniproxy.serve(PLAIN % "hello") as proxy:
        ((host, port),) = proxy.addresses
        assert host == "127.0.0.1"
        assert proxy.urls == [f"http://127.0.0.1:{port}"]
        answer = await trio.to_thread.run_sync(fetch, proxy.urls[0])
        assert answer == (200, "hello")
        await proxy.wait_for(lambda: len(proxy.access_log) == 1)
        assert '"GET / HTTP/1.1" 200 5 ' in proxy.access_log[0]


def test_the_502_and_its_cure() -> None:
    with (
        sniproxy.serve_in_thread(TLS) as origin,
        sniproxy.serve_in_thread(FRONT % {"origin": origin.urls[0]}) as front,
    ):
        assert fetch(front.urls[0] + "/without/")[0] == 502
        (error,) = [r for r in front.error_log if r.level is Level.ERROR]
        assert error.message.startswith("SSL_do_handshake() failed (SSL: error:0A000458:")
        assert error.action == "SSL handshaking to upstream"
        assert error.request == "GET /without/ HTTP/1.1"
        assert error.upstream == origin.urls[0] + "/"
        assert fetch(front.urls[0] + "/with/") == (200, "origin")
        failed, good = [h for h in front.handshakes if h.side is Side.UPSTREAM]
        assert failed.server_name is None
        assert failed.failure is not None
        assert (good.server_name, good.failure) == ("origin.test", None)
        assert [h.server_name for h in origin.handshakes] == [None, "origin.test"]


def test_client_that_trusts_development_ca_connects() -> None:
    from sniproxy.tls.ca import DevCA

    context = ssl.create_default_context(cafile=str(DevCA.open().certificate_path))
    with sniproxy.serve_in_thread(TLS) as origin:
        _, port = origin.addresses[0]
        import socket

        with (
            socket.create_connection(("127.0.0.1", port)) as sock,
            context.wrap_socket(sock, server_hostname="origin.test") as tls,
        ):
            assert tls.version() == "TLSv1.3"


async def test_reload_keeps_port_and_records() -> None:
    async with sniproxy.serve(PLAIN % "one") as proxy:
        (url,) = proxy.urls
        assert (await trio.to_thread.run_sync(fetch, url))[1] == "one"
        await proxy.reload(PLAIN % "two")
        assert proxy.urls == [url]
        assert (await trio.to_thread.run_sync(fetch, url))[1] == "two"
        with pytest.raises(sniproxy.ConfigError, match='unknown directive "evnts"'):
            await proxy.reload("evnts {}")
        assert (await trio.to_thread.run_sync(fetch, url))[1] == "two"
        await proxy.wait_for(lambda: len(proxy.access_log) == 3)


async def test_reload_keeps_a_unix_socket_and_tls_contexts(tmp_path: Path) -> None:
    Authority.root("Test Root").issue("w.test").write(tmp_path, "own")
    text = (
        "events {} http { server { listen unix:%s/socket; listen 127.0.0.1:0 ssl;"
        " ssl_certificate own.pem; ssl_certificate_key own.key; return 200 %s; } }"
    )
    path = tmp_path / "socket"
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def ask() -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"".join(iter(lambda: client.recv(65536), b""))

    def resumes(session: ssl.SSLSession | None) -> tuple[bool, ssl.SSLSession]:
        with (
            socket.create_connection(proxy.addresses[1]) as plain,
            context.wrap_socket(plain, session=session) as client,
        ):
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while client.recv(65536):
                pass
            assert client.session is not None
            return bool(client.session_reused), client.session

    async with sniproxy.serve(text % (tmp_path, "one"), prefix=tmp_path) as proxy:
        assert (await trio.to_thread.run_sync(ask)).endswith(b"one")
        _, session = await trio.to_thread.run_sync(resumes, None)
        for word in ("two", "three"):
            await proxy.reload(text % (tmp_path, word))
            await trio.testing.wait_all_tasks_blocked()
            assert (await trio.to_thread.run_sync(ask)).endswith(word.encode())
            reused, session = await trio.to_thread.run_sync(resumes, session)
            assert reused
        Authority.root("Other Root").issue("w.test").write(tmp_path, "own")
        await proxy.reload(text % (tmp_path, "four"))
        assert not (await trio.to_thread.run_sync(resumes, session))[0]
    assert not path.exists()


def test_reload_in_a_thread() -> None:
    with sniproxy.serve_in_thread(PLAIN % "one") as proxy:
        proxy.reload(PLAIN % "two")
        assert fetch(proxy.urls[0])[1] == "two"


def test_wait_for_in_a_thread() -> None:
    with sniproxy.serve_in_thread(PLAIN % "one") as proxy:
        assert fetch(proxy.urls[0] + "/down/")[0] == 502
        assert proxy.wait_for(lambda: any("refused" in r.message for r in proxy.error_log))
        with pytest.raises(TimeoutError, match=r"not true within 0\.01 s; the proxy has logged"):
            proxy.wait_for(lambda: False, timeout=0.01)


@pytest.mark.parametrize(
    ("text", "syntax", "message"),
    [
        ("events {", "nginx", "unexpected end of file"),
        ("[http", "toml", "configuration:1"),
        (
            "events {} http { server { listen 127.0.0.1:1; listen 127.0.0.1:1; } }",
            "nginx",
            "a duplicate listen",
        ),
    ],
)
def test_invalid_configuration_raises(text: str, syntax: str, message: str) -> None:
    with (
        pytest.raises(sniproxy.ConfigError, match=message),
        sniproxy.serve_in_thread(text, syntax=syntax),  # type: ignore[arg-type]
    ):
        pytest.fail("it runs")


def test_address_in_use_raises_at_once() -> None:
    with sniproxy.serve_in_thread(PLAIN % "one") as proxy:
        taken = (PLAIN % "two").replace("127.0.0.1:0", f"127.0.0.1:{proxy.addresses[0][1]}")
        with (
            pytest.raises(sniproxy.ConfigError, match=r"bind\(\) to 127.0.0.1:\d+ failed"),
            sniproxy.serve_in_thread(taken),
        ):
            pytest.fail("it runs")


def test_toml_files_and_directives(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(
        '[[http.server]]\nlisten = "127.0.0.1:0"\n[http.server.location."/"]\nreturn = "200 toml"\n'
    )
    with sniproxy.serve_in_thread(file, directives="ssl_error_dialect 3.5;") as proxy:
        assert fetch(proxy.urls[0]) == (200, "toml")
    with sniproxy.serve_in_thread(file.read_text(), syntax="toml") as proxy:
        assert fetch(proxy.urls[0]) == (200, "toml")


FILES = """
error_log error.log;
events {}
http {
    access_log access.log;
    server { listen 127.0.0.1:0; root pages; include more.conf; }
}
"""


@pytest.mark.parametrize("as_text", [True, False], ids=["text", "file"])
def test_file_names_are_relative_to_prefix(tmp_path: Path, as_text: bool) -> None:
    """Those of logs and pages; `include` starts from the file, which a text has not."""
    prefix = tmp_path / "pr\xe9fixe"
    (prefix / "pages").mkdir(parents=True)
    (prefix / "pages" / "index.html").write_text("a page")
    file = tmp_path / "nginx.conf"
    file.write_text(FILES)
    more = (prefix if as_text else tmp_path) / "more.conf"
    more.write_text("location /down { proxy_pass http://127.0.0.1:1; }")
    with sniproxy.serve_in_thread(FILES if as_text else file, prefix=prefix) as proxy:
        assert fetch(proxy.urls[0]) == (200, "a page")
        assert fetch(proxy.urls[0] + "/down")[0] == 502
        assert proxy.wait_for(lambda: len(proxy.access_log) == 2)
    assert (prefix / "access.log").read_text().splitlines() == proxy.access_log
    assert "connect() failed" in (prefix / "error.log").read_text()


BOTH = """
    log_format short '$remote_addr "$request" $status $upstream_addr';
    access_log access.log short;
    server {
        listen 127.0.0.1:@PORT@;
        location / { root pages; }
        location /down { proxy_pass http://127.0.0.1:1; }
        location /said { return 200 $document_root; }
    }
"""


def test_command_line_behaves_as_serve(tmp_path: Path) -> None:
    """Whatever the tests find out about `sniproxy.serve` holds for the process too."""
    seen = []
    for program in (OURS, SNIPROXY):
        room = tmp_path / type(program).__name__
        room.mkdir()
        with served(program, room, BOTH) as one:
            answers = one.ask([get("/nosuch?q"), get("/down"), get("/said")])
            reports = [(answer.status, answer.body) for answer in answers]
            accesses = one.log(lines=3)
            errors = [line for line in one.log("error.log") if "[error]" in line]
            seen.append((reports, accesses, list(error_lines("\n".join(errors)))))
    in_process, command = seen
    assert in_process == command
    assert [status for status, _ in in_process[0]] == [404, 502, 200]
    assert [line.split()[0] for line in in_process[2]] == ["[error]", "[error]"]
    assert (tmp_path / "Command" / "stderr.log").read_bytes() == b""


async def test_exception_of_the_block_is_not_wrapped_in_a_group() -> None:
    with pytest.raises(ZeroDivisionError):
        async with sniproxy.serve(PLAIN % "x"):
            raise ZeroDivisionError


async def test_cancellation_stops_the_proxy() -> None:
    with trio.move_on_after(0.05) as scope:
        async with sniproxy.serve(PLAIN % "x"):
            await trio.sleep_forever()
    assert scope.cancelled_caught


def test_stopped_proxy_leaves_no_threads_or_descriptors() -> None:
    before = threading.active_count()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        with sniproxy.serve_in_thread(PLAIN % "x") as proxy:
            assert fetch(proxy.urls[0])[0] == 200
    assert threading.active_count() == before
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors
