"""Misbehaving peers on blocking sockets in threads, for tests of both our stream and nginx."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

Behaviour = Callable[[socket.socket], None]
"""Handles an accepted connection, which is closed afterwards."""


@contextlib.contextmanager
def listening(behaviour: Behaviour) -> Iterator[int]:
    """A server on a port of 127.0.0.1 that handles every connection with `behaviour`."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def accept() -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            if over.is_set():
                connection.close()
                return
            threading.Thread(target=treat, args=(connection,), daemon=True).start()

    def treat(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            behaviour(connection)

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    port = listener.getsockname()[1]
    try:
        yield port
    finally:
        over.set()
        socket.create_connection(("127.0.0.1", port)).close()
        acceptor.join()
        listener.close()


def drain(connection: socket.socket) -> None:
    """Read to the end: closing a socket with unread data would send a reset."""
    while connection.recv(65536):
        pass


def sends(data: bytes) -> Behaviour:
    def behaviour(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        drain(connection)

    return behaviour


def alert(number: int) -> Behaviour:
    return sends(bytes([0x15, 3, 3, 0, 2, 2, number]))


def closes(connection: socket.socket) -> None:
    connection.recv(65536)


def resets(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silent(connection: socket.socket) -> None:
    drain(connection)


def serves(context: ssl.SSLContext, answer: bytes = b"HTTP/1.0 200 OK\r\n\r\n") -> Behaviour:
    """A TLS server that responds to one request."""

    def behaviour(connection: socket.socket) -> None:
        tls = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with contextlib.suppress(OSError):
            tls.do_handshake()
            tls.recv(65536)
            tls.sendall(answer)
            tls.unwrap()
        with socket.socket(fileno=tls.detach()) as rest:
            drain(rest)

    return behaviour


def hello(data: bytes) -> bytes:
    """Wrap `data` in a handshake record."""
    return b"\x16\x03\x01" + len(data).to_bytes(2) + data
