"""A peer that stops reading and goes on: nothing is lost, whatever passes the data on."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import threading
from contextlib import ExitStack, suppress

import pytest

import sniproxy
from sniproxy.stream import relay

PIECE = os.urandom(1 << 20)
PIECES = 24
WHOLE = hashlib.blake2b(PIECE * PIECES).digest()
CONFIG = """
events {{}}
stream {{ server {{ listen 127.0.0.1:0 {listen}; {directives} proxy_pass 127.0.0.1:{port}; }} }}
"""


def digest(sock: socket.socket, blocked: threading.Event) -> bytes:
    """Read to the end, beginning when the sender is blocked."""
    found = hashlib.blake2b()
    blocked.wait(20)
    while data := sock.recv(1 << 20):
        found.update(data)
    return found.digest()


def send(sock: socket.socket, blocked: threading.Event) -> None:
    """Send all pieces; sets `blocked` when the other side takes no more, or at the end."""
    sock.settimeout(0.5)
    view = memoryview(PIECE * PIECES)
    while view:
        try:
            view = view[sock.send(view[: 1 << 20]) :]
        except TimeoutError:
            blocked.set()
            sock.settimeout(20)
    blocked.set()


@pytest.mark.parametrize("kind", ["splice", "copied", "tls"])
@pytest.mark.parametrize("direction", ["download", "upload"])
def test_peer_that_pauses_gets_everything(
    kind: str, direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender is blocked before the receiver begins to read; the end follows the last data."""
    if kind == "copied":
        monkeypatch.setattr(relay, "CAN_SPLICE", False)
    is_tls = kind == "tls"
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as opened:
        config = CONFIG.format(
            listen="ssl" if is_tls else "",
            directives="ssl_certificate auto; ssl_protocols TLSv1.2;" if is_tls else "",
            port=listener.getsockname()[1],
        )
        proxy = opened.enter_context(sniproxy.serve_in_thread(config))
        client = opened.enter_context(socket.create_connection(proxy.addresses[0]))
        if is_tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            client = opened.enter_context(context.wrap_socket(client))
        upstream = opened.enter_context(listener.accept()[0])
        source, target = (upstream, client) if direction == "download" else (client, upstream)
        target.settimeout(20)
        blocked = threading.Event()

        def work() -> None:
            send(source, blocked)
            if isinstance(source, ssl.SSLSocket):
                with suppress(OSError):  # the proxy closes without an answer
                    source.unwrap()
            else:
                source.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=work)
        sender.start()
        try:
            assert digest(target, blocked) == WHOLE
        finally:
            target.close()
            sender.join(20)
