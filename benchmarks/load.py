"""The load generator: processes, each of which does one exchange after the other.

A plain blocking loop is the cheapest client that Python can be, and its latency is the
proxy's, not that of a queue of ours. How many exchanges are under way is the number of
processes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import re
import signal
import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import FrameType
from typing import Protocol

from benchmarks.cases import Mode
from benchmarks.wire import (
    CIPHER,
    SERVER_NAME,
    SOCKET_SECONDS,
    UnexpectedDataError,
    answer,
    check_agreed,
    client_context,
    connect,
    is_answer_at,
)


@dataclass(slots=True)
class Tally:
    """What the generator saw in one window; `failure` is the text that ended it early."""

    full: int = 0
    resumed: int = 0
    latencies: list[float] = field(default_factory=list)
    """Seconds of each exchange that was answered as expected, from before the connect (if
    there was one) to the last byte."""
    failure: str | None = None

    @property
    def exchanges(self) -> int:
        return len(self.latencies)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.full + other.full,
            self.resumed + other.resumed,
            self.latencies + other.latencies,
            self.failure or other.failure,
        )


@dataclass(frozen=True, slots=True)
class Task:
    """What `processes` of the generator's are to do each: warm up, wait for the word, then load
    for `window` seconds."""

    processes: int
    port: int
    mode: Mode
    size: int
    warm: float
    window: float
    cipher: str
    gzip: bool = False


class Client:
    """One client of the proxy: asks for `size` bytes, again and again, and checks each byte.

    Raises `Unexpected` or OSError (ssl.SSLError is one).
    """

    def __init__(
        self, port: int, mode: Mode, size: int, cipher: str = CIPHER, *, gzip: bool = False
    ) -> None:
        self._read = read_compressed_answer if gzip else read_answer
        self._cipher = cipher
        self._port = port
        self._mode = mode
        self._size = size
        self._context = client_context()
        self._session: ssl.SSLSession | None = None
        self._open: ssl.SSLSocket | None = None
        fields = "" if mode is Mode.KEEPALIVE else "Connection: close\r\n"
        if gzip:
            fields += "Accept-Encoding: gzip\r\n"
        self._request = f"GET /{size} HTTP/1.1\r\nHost: {SERVER_NAME}\r\n{fields}\r\n".encode()

    def exchange(self, tally: Tally) -> None:
        """One request, on a connection as the mode has it."""
        began = time.perf_counter()
        tls = self._open or self._connect(tally)
        tls.sendall(self._request)
        self._read(tls, self._size)
        tally.latencies.append(time.perf_counter() - began)
        if self._mode is Mode.KEEPALIVE:
            self._open = tls
            return
        if self._mode is Mode.RESUMED:
            self._session = tls.session
        read_end(tls)
        tls.close()

    def close(self) -> None:
        if self._open:
            self._open.close()

    def _connect(self, tally: Tally) -> ssl.SSLSocket:
        sock = connect(self._port)
        tls = self._context.wrap_socket(sock, server_hostname=SERVER_NAME, session=self._session)
        check_agreed(tls, self._cipher)
        if tls.session_reused:
            tally.resumed += 1
        else:
            tally.full += 1
        return tls


_HEAD = re.compile(rb"HTTP/1\.1 200 .*\r\nContent-Length: (\d+)\r\n", re.DOTALL | re.IGNORECASE)


class Receiver(Protocol):
    """The part of a socket that reading needs."""

    def recv(self, size: int, /) -> bytes: ...


def read_answer(tls: Receiver, size: int) -> None:
    """Reads a response; raises `Unexpected` unless it is a 200 with the right `size` bytes."""
    received = b""
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += _receive(tls)
    head = _HEAD.match(received[: end + 2])
    if head is None or int(head[1]) != size:
        raise UnexpectedDataError(f"answer {received[:60]!r}, not a 200 with {size} bytes")
    chunk, offset = received[end + 4 :], 0
    while True:
        if not is_answer_at(chunk, offset):
            raise UnexpectedDataError(f"wrong bytes in an answer, behind byte {offset}")
        offset += len(chunk)
        if offset >= size:
            break
        chunk = _receive(tls)
    if offset > size:
        raise UnexpectedDataError(f"{offset - size} bytes behind an answer")


def read_compressed_answer(tls: Receiver, size: int) -> None:
    """Reads a chunked response in gzip; raises `Unexpected` unless it has the right bytes."""
    received = b""
    while not received.endswith(b"\r\n0\r\n\r\n"):
        received += _receive(tls)
    head, _, chunks = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 ") or b"Content-Encoding: gzip" not in head:
        raise UnexpectedDataError(f"answer {received[:60]!r}, not a 200 in gzip")
    body = b""
    while chunks:
        length, _, rest = chunks.partition(b"\r\n")
        end = int(length, 16)
        body, chunks = body + rest[:end], rest[end + 2 :]
    if zlib.decompress(body, 31) != answer(size):
        raise UnexpectedDataError("wrong bytes in a compressed answer")


def read_end(tls: Receiver) -> None:
    """Raises `Unexpected` unless the connection ends here."""
    if data := tls.recv(64):
        raise UnexpectedDataError(f"{len(data)} bytes behind an answer")


def _receive(tls: Receiver) -> bytes:
    chunk = tls.recv(16384)
    if not chunk:
        raise UnexpectedDataError("the connection ended inside an answer")
    return chunk


class Generator:
    """The processes, seen from the one that started them."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def run(self, task: Task, before_window: Callable[[], None]) -> tuple[Tally, float]:
        """Has `task` done. `before_window` is called when they are warm and none has an
        exchange under way. Returns what they saw, and how many seconds the window took."""
        pipes = self._pipes[: task.processes]
        for pipe in pipes:
            pipe.send(task)
        for pipe in pipes:
            pipe.recv()
        before_window()
        began = time.perf_counter()
        for pipe in pipes:
            pipe.send(None)
        tallies: list[Tally] = [pipe.recv() for pipe in pipes]
        return sum(tallies, Tally()), time.perf_counter() - began


@contextlib.contextmanager
def running_generator(processes: int) -> Iterator[Generator]:
    """Starts the generator's processes; they end with the block."""
    context = multiprocessing.get_context("spawn")
    ours: list[Connection] = []
    started = []
    for number in range(processes):
        our_end, their_end = context.Pipe()
        process = context.Process(target=_work, args=(their_end,), name=f"load {number}")
        process.start()
        their_end.close()
        ours.append(our_end)
        started.append(process)
    try:
        yield Generator(ours)
    finally:
        for pipe in ours:
            pipe.close()
        for process in started:
            process.join()


def _work(pipe: Connection) -> None:
    """One process: does tasks until nobody is left to send one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            task: Task = pipe.recv()
            with contextlib.closing(
                Client(task.port, task.mode, task.size, task.cipher, gzip=task.gzip)
            ) as client:
                warm = load(client, task.warm)
                pipe.send(None)
                pipe.recv()
                pipe.send(warm if warm.failure else load(client, task.window))


def load(client: Client, seconds: float) -> Tally:
    """Exchanges, one after the other, until `seconds` are over or one fails."""
    tally = Tally()
    end = time.perf_counter() + seconds
    try:
        with patience(seconds + SOCKET_SECONDS):
            while time.perf_counter() < end:
                client.exchange(tally)
    except (OSError, UnexpectedDataError) as error:
        tally.failure = reason(error)
    return tally


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Raises `Unexpected` in a block that takes longer. The kernel's timers do not do for TLS: the
    ssl module goes on reading when they are over."""

    def lost(number: int, frame: FrameType | None) -> None:
        raise UnexpectedDataError(f"nothing came for {SOCKET_SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, lost)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def reason(error: Exception) -> str:
    """Why an exchange failed, in words for the table."""
    if isinstance(error, (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError)):
        return f"nothing came for {SOCKET_SECONDS} seconds"
    return str(error) or type(error).__name__
