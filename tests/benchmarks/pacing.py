"""A client and an origin that send only when the proxy has nothing left to do.

What a proxy does for a request depends on what has come when it looks: less waiting, fewer calls.
Here nothing ever has come, so that the same exchange costs the same each time, on any machine.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded

from benchmarks.cases import Case, Mode
from benchmarks.load import read_answer, read_end
from benchmarks.origin import response
from benchmarks.wire import (
    HOST,
    SERVER_NAME,
    UnexpectedDataError,
    client_context,
    connect,
    server_context,
)


class Pace:
    """When one may send: when the proxy, once there is one, sleeps."""

    def __init__(self) -> None:
        self._state: int | None = None

    def wait(self) -> None:
        """Raises `Unexpected` when the proxy has ended."""
        # Twice: between the two it would have taken up what had just come.
        while not (self._sleeps() and self._sleeps()):
            os.sched_yield()

    @contextlib.contextmanager
    def of(self, pid: int) -> Iterator[None]:
        """In the block it is the pace of process `pid`, by its main thread."""
        self._state = os.open(f"/proc/{pid}/task/{pid}/stat", os.O_RDONLY)
        try:
            yield
        finally:
            os.close(self._state)
            self._state = None

    def _sleeps(self) -> bool:
        if self._state is None:
            return True
        state = os.pread(self._state, 512, 0).rpartition(b") ")[2][:1]
        if state in b"ZX":
            raise UnexpectedDataError("the proxy has ended")
        return state == b"S"


class PacedTLS:
    """TLS on a blocking socket. The handshake is done when it is there."""

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, server: bool, pace: Pace
    ) -> None:
        self._sock = sock
        self._pace = pace
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = None if server else SERVER_NAME
        self._tls = context.wrap_bio(self._in, self._out, server, name)
        self._until_done(self._tls.do_handshake)

    def recv(self, size: int, /) -> bytes:
        """Nothing at the end."""
        with contextlib.suppress(ssl.SSLZeroReturnError):
            return self._until_done(lambda: self._tls.read(size))
        return b""

    def send(self, data: bytes) -> None:
        self._until_done(lambda: self._tls.write(data))

    def unwrap(self) -> None:
        """Tells the end, and waits for the other side to tell it."""
        with contextlib.suppress(OSError):
            self._until_done(self._tls.unwrap)

    def close(self) -> None:
        self._pace.wait()
        self._sock.close()

    def _until_done(self, step: Callable[[], object]) -> bytes:
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                self._flush()
                received = self._sock.recv(65536)
                self._in.write(received) if received else self._in.write_eof()
            else:
                self._flush()
                return done if isinstance(done, bytes) else b""

    def _flush(self) -> None:
        if self._out.pending:
            self._pace.wait()
            self._sock.sendall(self._out.read())


class PacedClient:
    """Does one exchange of a case after the other."""

    def __init__(self, case: Case, port: int, pace: Pace) -> None:
        self._case = case
        self._port = port
        self._pace = pace
        self._context = client_context()
        self._http2 = Http2Exchanges(case.size) if (case.streams or 1) > 1 else None
        if self._http2 is not None:
            self._context.set_alpn_protocols(["h2"])
        self._open: PacedTLS | None = None
        close = "" if case.client is Mode.KEEPALIVE else "Connection: close\r\n"
        self._request = f"GET /{case.size} HTTP/1.1\r\nHost: {SERVER_NAME}\r\n{close}\r\n".encode()

    def exchange(self) -> None:
        """Raises `Unexpected` or OSError."""
        tls = self._open or self._connect()
        if self._http2 is not None:
            self._open = tls
            self._http2.exchange(tls)
            return
        tls.send(self._request)
        read_answer(tls, self._case.size)
        if self._case.client is Mode.KEEPALIVE:
            self._open = tls
        else:
            read_end(tls)
            tls.close()

    def close(self) -> None:
        if self._open:
            self._open.close()

    def _connect(self) -> PacedTLS:
        self._pace.wait()
        sock = connect(self._port)
        try:
            return PacedTLS(sock, self._context, False, self._pace)
        except BaseException:
            sock.close()
            raise


class Http2Exchanges:
    """Exchanges on one HTTP/2 connection, each on a stream of its own."""

    def __init__(self, size: int) -> None:
        """`size` is the length of each response."""
        self._size = size
        self._connection = H2Connection()
        self._connection.initiate_connection()
        self._fields = [
            (":method", "GET"),
            (":scheme", "https"),
            (":path", f"/{size}"),
            (":authority", SERVER_NAME),
        ]

    def exchange(self, tls: PacedTLS) -> None:
        """Raises `UnexpectedDataError` or OSError."""
        connection = self._connection
        stream = connection.get_next_available_stream_id()
        connection.send_headers(stream, self._fields, end_stream=True)
        tls.send(connection.data_to_send())
        length, is_complete = 0, False
        while not is_complete:
            data = tls.recv(65536)
            if not data:
                raise UnexpectedDataError("the connection was closed")
            for event in connection.receive_data(data):
                if isinstance(event, DataReceived):
                    length += len(event.data)
                    # Sent with the next request.
                    connection.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, StreamEnded):
                    is_complete = True
        if length != self._size:
            raise UnexpectedDataError(f"{length} bytes instead of {self._size}")


@contextlib.contextmanager
def paced_origin(certificates: Path, pace: Pace) -> Iterator[int]:
    """An origin on the port that it gives: one connection at a time, in a thread."""
    context = server_context(f"{certificates}/ecdsa.crt", f"{certificates}/ecdsa.key")
    with socket.create_server((HOST, 0)) as listening:
        thread = threading.Thread(target=_serve, args=(listening, context, pace))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listening: socket.socket, context: ssl.SSLContext, pace: Pace) -> None:
    while True:
        try:
            sock, _ = listening.accept()
        except OSError:
            return  # shut down
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # What breaks here the client sees.
        with sock, contextlib.suppress(OSError, UnexpectedDataError):
            _answer_all(PacedTLS(sock, context, True, pace))


def _answer_all(tls: PacedTLS) -> None:
    while head := tls.recv(16384):
        close = b"\r\nConnection: close\r\n" in head
        tls.send(response(head, close))
        if close:
            tls.unwrap()
            break
    tls.close()
