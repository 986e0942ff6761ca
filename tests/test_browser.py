"""A browser's page that lives on what comes later: a WebSocket and server-sent events, over TLS."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sniproxy.testing.upstreams import reserve_port
from tests.browser import page_of
from tests.services import Service, service

PATIENCE = 20.0

SITE = """
daemon off;
master_process off;
error_log stderr error;
events {}
http {
    access_log off;
    ssl_certificate auto;

    map $http_upgrade $connection_upgrade {
        default upgrade;
        ""      close;
    }

    server {
        listen 127.0.0.1:%(front)d ssl;
        http2 %(http2)s;
        server_name localhost;

        location / {
            proxy_pass http://127.0.0.1:%(back)d;
            proxy_buffering off;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }
    }
}
"""

PAGE = """\
<!doctype html>
<title>waiting</title>
<p id="websocket"></p>
<p id="events"></p>
<script>
    const missing = new Set(["websocket", "events"]);

    function received(where, text) {
        document.getElementById(where).textContent = text;
        missing.delete(where);
        if (missing.size === 0) {
            document.title = "complete";
            fetch("/complete");
        }
    }

    const websocket = new WebSocket(`wss://${location.host}/ws`);
    websocket.onopen = () => websocket.send("a word");
    websocket.onmessage = message => received("websocket", message.data);

    const events = new EventSource("/events");
    events.onmessage = event => received("events", event.data);
</script>
<img src="/last" alt="">
"""


class Living(Service):
    """Serves the page. It is loaded when its picture is, which is held back until the page has
    told that it is complete: then the browser prints it.
    """

    name = "the service"
    complete: threading.Event

    def do_GET(self) -> None:  # noqa: N802 (the name http.server calls)
        match self.path:
            case "/":
                self.answer(PAGE, "text/html")
            case "/events":
                self.send_event()
            case "/complete":
                self.complete.set()
                self.answer("")
            case "/last":
                self.complete.wait(PATIENCE)
                self.answer("", "image/png")
            case _:
                super().do_GET()

    def send_event(self) -> None:
        """One, on a stream that goes on until the browser has left."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"data: an event\n\n")
        self.rfile.read(1)


@contextmanager
def proxied(folder: Path, back: int, http2: str) -> Iterator[int]:
    """`python -m sniproxy` in front of `back`: its port. It has logged no error in the end."""
    with ExitStack() as held:
        front = held.enter_context(reserve_port()).getsockname()[1]
        (folder / "site.conf").write_text(SITE % {"front": front, "back": back, "http2": http2})
        process = subprocess.Popen(
            [sys.executable, "-m", "sniproxy", "-p", f"{folder}/", "-c", "site.conf"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        held.callback(process.communicate)
        held.callback(process.kill)
        answering(process, front)
        yield front
        process.terminate()
        _, stderr = process.communicate(timeout=PATIENCE)
        assert (process.returncode, stderr.decode()) == (0, "")


def answering(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        else:
            return


@pytest.mark.needs("chromium", "certutil")
@pytest.mark.parametrize("http2", ["off", "on"])
def test_browser_receives_websocket_messages_and_events(
    tmp_path: Path, development_ca: Path, http2: str
) -> None:
    class OfThisTest(Living):
        complete = threading.Event()

    with service(OfThisTest) as back, proxied(tmp_path, back, http2) as front:
        home = tmp_path / "home"
        trust(development_ca / "ca" / "ca.pem", home)
        page = page_of(f"https://localhost:{front}/", home)
    assert '<p id="websocket">the service echoes: a word</p>' in page
    assert '<p id="events">an event</p>' in page
    assert "<title>complete</title>" in page


def trust(ca: Path, home: Path) -> None:
    """Make the Chromium of this home trust a CA."""
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    certutil = ["certutil", "-d", f"sql:{database}"]
    subprocess.run([*certutil, "-N", "--empty-password"], check=True)
    subprocess.run([*certutil, "-A", "-t", "C,,", "-n", "sniproxy", "-i", str(ca)], check=True)
