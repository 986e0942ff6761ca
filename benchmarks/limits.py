"""The limits that sniproxy holds: `python -m benchmarks.limits [--size BYTES]`.

Large bodies in both directions over TLS on both sides, over HTTP/1, HTTP/2 and through `stream {}`,
through the cache and compressed, a slow client beside fast ones, many idle connections, many
requests at once on a group with dead peers.
Every figure is printed with its limit; the command fails if one is not held.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.certificates import write_certificates
from benchmarks.limits_origin import BLOCK, MIB, Origin, digest_of_body, expected_digest, read_head
from benchmarks.limits_protocols import HTTP2Client, tls_client
from benchmarks.measure import free_port
from benchmarks.wire import SERVER_NAME

PATIENCE = 30.0

CONFIGURATION = """
events {{ worker_connections 8192; }}
error_log stderr error;
pid {directory}/limits.pid;
http {{
    access_log off;
    client_max_body_size 0;
    keepalive_requests 100000;
    ssl_certificate ecdsa.crt;
    ssl_certificate_key ecdsa.key;
    proxy_cache_path cache keys_zone=large:1m;
    upstream five {{
        {peers}
    }}
    server {{
        listen 127.0.0.1:{port} ssl;
        http2 on;
        location /buffered/ {{ proxy_pass https://127.0.0.1:{origin}; }}
        location /direct/ {{
            proxy_pass https://127.0.0.1:{origin};
            proxy_buffering off;
            proxy_request_buffering off;
        }}
        location /cached/ {{
            proxy_pass https://127.0.0.1:{origin};
            proxy_cache large;
            proxy_cache_valid 1h;
        }}
        location /compressed/ {{
            proxy_pass https://127.0.0.1:{origin};
            gzip on;
            gzip_types *;
            gzip_http_version 1.0;
        }}
        location /five/ {{ proxy_pass https://five; }}
        location /here {{ return 200 here; }}
    }}
}}
stream {{
    map $ssl_preread_server_name $origin {{ default 127.0.0.1:{origin}; }}
    server {{ listen 127.0.0.1:{routed}; ssl_preread on; proxy_pass $origin; }}
}}
"""


@dataclass(slots=True)
class Report:
    """What was measured, and whether it was held."""

    held: bool = True

    def line(self, what: str, figure: str, held: bool) -> None:
        self.held = self.held and held
        print(f"{'held' if held else 'NOT HELD':>8}  {what}: {figure}", flush=True)


class Proxy:
    """sniproxy in a process of its own."""

    def __init__(self, directory: Path, origin: Origin) -> None:
        self.port, self.routed = free_port(), free_port()
        dead = [free_port() for _ in range(2)]
        ports = [origin.port, dead[0], origin.port, dead[1], origin.port]
        peers = "\n        ".join(f"server 127.0.0.1:{port};" for port in ports)
        text = CONFIGURATION.format(
            directory=directory, peers=peers, port=self.port, origin=origin.port, routed=self.routed
        )
        (directory / "limits.conf").write_text(text)
        self.log = (directory / "stderr").open("w+")
        command = [sys.executable, "-m", "sniproxy", "-p", str(directory), "-c", "limits.conf"]
        self.process = subprocess.Popen(command, stderr=self.log, stdout=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except ConnectionRefusedError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError((directory / "stderr").read_text()) from None
                time.sleep(0.01)

    def memory(self, field: str) -> int:
        """`VmRSS` or `VmHWM`, in bytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise LookupError(field)

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def client(self, port: int = 0, alpn: str = "http/1.1") -> ssl.SSLSocket:
        return tls_client(port or self.port, PATIENCE * 10, alpn)

    def get(self, path: str, on: ssl.SSLSocket | None = None) -> tuple[int, bytes]:
        """Status and body of a small answer."""
        tls = on or self.client()
        with contextlib.nullcontext() if on else tls:
            tls.sendall(f"GET {path} HTTP/1.1\r\nHost: {SERVER_NAME}\r\n\r\n".encode())
            answer = read_head(tls)
            assert answer is not None
            return int(answer[0][9:12]), answer[1]


def download(proxy: Proxy, path: str, size: int, port: int = 0) -> str:
    """The digest of a large answer's body."""
    with proxy.client(port) as tls:
        tls.sendall(f"GET {path}big HTTP/1.1\r\nHost: {SERVER_NAME}\r\n\r\n".encode())
        answer = read_head(tls)
        assert answer is not None
        return digest_of_body(tls, answer[1], size)


def inflated_download(proxy: Proxy, path: str) -> str:
    """The digest of a large answer's body, which the proxy has compressed."""
    with proxy.client() as tls:
        fields = f"Host: {SERVER_NAME}\r\nAccept-Encoding: gzip\r\n\r\n"
        tls.sendall(f"GET {path}big HTTP/1.1\r\n{fields}".encode())
        answer = http.client.HTTPResponse(tls)
        answer.begin()
        if answer.getheader("Content-Encoding") != "gzip":
            return "not compressed"
        digest, inflate = hashlib.sha256(), zlib.decompressobj(wbits=31)
        while piece := answer.read(262144):
            digest.update(inflate.decompress(piece))
        digest.update(inflate.flush())
        return digest.hexdigest()


def upload(proxy: Proxy, path: str, size: int, port: int = 0) -> bool:
    """Send a large body; whether it was answered with 200."""
    with proxy.client(port) as tls:
        head = f"PUT {path} HTTP/1.1\r\nHost: {SERVER_NAME}\r\nContent-Length: {size}\r\n\r\n"
        tls.sendall(head.encode())
        for _ in range(size // MIB):
            tls.sendall(BLOCK)
        answer = read_head(tls)
        return answer is not None and answer[0][9:12] == b"200"


def large_bodies(proxy: Proxy, origin: Origin, size: int, report: Report) -> None:
    expected = expected_digest(size)
    proxy.get("/buffered/")
    idle = proxy.memory("VmRSS")
    for way, path in (("buffered", "/buffered/"), ("unbuffered", "/direct/")):
        for what in ("download", "upload"):
            proxy.forget_peak()
            began = time.monotonic()
            if what == "download":
                whole = download(proxy, path, size) == expected
            else:
                whole = upload(proxy, path, size) and origin.received == expected
            took = time.monotonic() - began
            grown = proxy.memory("VmHWM") - idle
            figure = f"{size / MIB / took:.0f} MiB/s, {grown / MIB:+.1f} MiB at the peak (48)"
            report.line(f"{way} {what} of {size // MIB} MiB", figure, whole and grown < 48 * MIB)


def stored_bodies(proxy: Proxy, origin: Origin, size: int, report: Report) -> None:
    """A large body that is stored, then sent from the cache; and one that is compressed."""
    expected = expected_digest(size)
    idle = proxy.memory("VmRSS")
    small = size // 8
    for what, measured in (("being cached", size), ("from the cache", size), ("compressed", small)):
        proxy.forget_peak()
        began = time.monotonic()
        origin.size = measured
        if what == "compressed":
            whole = inflated_download(proxy, "/compressed/") == expected_digest(measured)
        else:
            whole = download(proxy, "/cached/", measured) == expected
        took = time.monotonic() - began
        grown = proxy.memory("VmHWM") - idle
        figure = f"{measured / MIB / took:.0f} MiB/s, {grown / MIB:+.1f} MiB at the peak (48)"
        report.line(f"download of {measured // MIB} MiB {what}", figure, whole and grown < 48 * MIB)
    origin.size = size


def other_protocols(proxy: Proxy, origin: Origin, size: int, report: Report) -> None:
    """Large bodies over HTTP/2, and through a session of stream that is routed by SNI."""
    whole_size, origin.size = origin.size, size
    expected = expected_digest(size)
    idle = proxy.memory("VmRSS")

    def over_http2(direction: str) -> bool:
        with proxy.client(alpn="h2") as tls:
            client = HTTP2Client(tls)
            if direction == "download":
                return client.download("/direct/big") == expected
            return client.upload("/direct/", BLOCK, size // MIB) and origin.received == expected

    def through_stream(direction: str) -> bool:
        if direction == "download":
            return download(proxy, "/", size, proxy.routed) == expected
        return upload(proxy, "/", size, proxy.routed) and origin.received == expected

    for way, transfer in (("HTTP/2", over_http2), ("stream", through_stream)):
        for direction in ("download", "upload"):
            proxy.forget_peak()
            began = time.monotonic()
            whole = transfer(direction)
            took = time.monotonic() - began
            grown = proxy.memory("VmHWM") - idle
            figure = f"{size / MIB / took:.0f} MiB/s, {grown / MIB:+.1f} MiB at the peak (48)"
            report.line(
                f"{way} {direction} of {size // MIB} MiB", figure, whole and grown < 48 * MIB
            )
    origin.size = whole_size
    with proxy.client(alpn="h2") as tls:
        statuses = HTTP2Client(tls).gets("/direct/", 100)
    figure = f"{statuses.count(200)} of 100 with 200"
    report.line("100 streams at once on one connection", figure, statuses == [200] * 100)


def slow_client(proxy: Proxy, report: Report) -> None:
    """Others' answers while one client takes a large one very slowly."""
    alone = _latency(proxy)
    with proxy.client() as slow:
        slow.sendall(f"GET /buffered/big HTTP/1.1\r\nHost: {SERVER_NAME}\r\n\r\n".encode())
        slow.recv(1024)
        beside = _latency(proxy)
    figure = f"{beside * 1000:.1f} ms beside it, {alone * 1000:.1f} ms alone (within 20 ms)"
    report.line("others' answers beside a slow client", figure, beside < alone + 0.020)


def _latency(proxy: Proxy) -> float:
    with proxy.client() as tls:
        times = []
        for _ in range(100):
            began = time.monotonic()
            proxy.get("/here", on=tls)
            times.append(time.monotonic() - began)
    return statistics.quantiles(times, n=20)[-1]


def idle_connections(proxy: Proxy, count: int, report: Report) -> None:
    before = proxy.memory("VmRSS")
    connections = []
    for _ in range(count):
        tls = proxy.client()
        proxy.get("/here", on=tls)
        connections.append(tls)
    each = (proxy.memory("VmRSS") - before) / count
    alive = sum(proxy.get("/here", on=tls)[0] == 200 for tls in connections)
    for tls in connections:
        tls.close()
    figure = f"{each / 1024:.1f} KiB each (80), {alive} of {count} alive"
    report.line(f"{count} idle TLS connections", figure, each < 80 * 1024 and alive == count)


def dead_peers(proxy: Proxy, requests: int, report: Report) -> None:
    statuses: list[int] = []
    clients = [proxy.client() for _ in range(requests)]

    def ask(tls: ssl.SSLSocket) -> None:
        statuses.append(proxy.get("/five/", on=tls)[0])

    threads = [threading.Thread(target=ask, args=(tls,)) for tls in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for tls in clients:
        tls.close()
    wrong = sum(status != 200 for status in statuses)
    figure = f"{wrong} of {len(statuses)} without 200"
    report.line(
        f"{requests} requests at once, 2 of 5 peers dead",
        figure,
        not wrong and len(statuses) == requests,
    )


@contextlib.contextmanager
def scene(size: int) -> Iterator[tuple[Proxy, Origin]]:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        write_certificates(directory)
        origin = Origin(directory, size)
        proxy = Proxy(directory, origin)
        try:
            yield proxy, origin
        finally:
            proxy.process.terminate()
            proxy.process.wait(PATIENCE)
            proxy.log.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("--size", type=int, default=2048 * MIB, help="bytes of a large body")
    parser.add_argument("--connections", type=int, default=2000, help="idle connections")
    options = parser.parse_args()
    report = Report()
    parts: tuple[Callable[[Proxy, Origin], None], ...] = (
        lambda proxy, origin: large_bodies(proxy, origin, options.size, report),
        lambda proxy, origin: stored_bodies(proxy, origin, options.size, report),
        lambda proxy, origin: other_protocols(proxy, origin, options.size // 4, report),
        lambda proxy, origin: slow_client(proxy, report),
        lambda proxy, origin: dead_peers(proxy, 200, report),
        lambda proxy, origin: idle_connections(proxy, options.connections, report),
    )
    with scene(options.size) as (proxy, origin):
        for part in parts:
            part(proxy, origin)
    return 0 if report.held else 1


if __name__ == "__main__":
    sys.exit(main())
