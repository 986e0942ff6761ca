"""A cache under load, kills and a full disk: `python -m tests.fuzz cache --seconds 60`.

Two workers serve a cache on a small file system of its own (root only; elsewhere the disk is never
full). Clients ask for bodies that are made from their path and Vary, so that each byte can be
checked; some leave early, some bypass the cache. Meanwhile workers are killed with SIGKILL, files
are removed or cut, and the disk is filled. A run fails if a client receives a wrong byte or a whole
response with a wrong length, if the log has an alert other than those of the kills, or if the site
stops answering.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

from tests.build.test_listeners import free_port

CLIENTS = 6
PATHS = 60
PATIENCE = 10.0
DISK = "24m"
SIZES = (0, 1, 500, 5_000, 70_000, 400_000)
CONFIGURATION = """
pid run.pid; error_log error.log info; user root; worker_processes 2; events { }
http {
    access_log off;
    proxy_cache_path disk/cache levels=1:2 keys_zone=z:16k inactive=5s max_size=8m TEMP;
    proxy_temp_path disk/temp;
    server {
        listen 127.0.0.1:PORT;
        location / {
            proxy_pass http://127.0.0.1:UPSTREAM;
            proxy_cache z;
            proxy_cache_valid 2s;
            proxy_cache_lock on;
            proxy_cache_lock_timeout 1s;
            proxy_cache_use_stale updating error;
            proxy_cache_background_update on;
            proxy_cache_bypass $http_x_bypass;
        }
    }
}
"""
_EXPECTED_ALERT = re.compile(r"worker process \d+ exited on signal 9")


@dataclass
class CacheRun:
    """One run, and what has been seen."""

    folder: Path
    port: int
    upstream_port: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)


def body_of(path: str, variant: str) -> bytes:
    """The only right body for a path and a value of the field that varies it."""
    seed = hashlib.sha256(f"{path} {variant}".encode()).digest()
    size = SIZES[seed[0] % len(SIZES)] + seed[1]
    return (seed * (size // len(seed) + 1))[:size]


async def upstream(stream: trio.SocketStream) -> None:
    """Send the right body; sometimes slowly, chunked, or cut off."""
    chance = random.Random()
    pending = b""
    with suppress(trio.BrokenResourceError):
        while True:
            while b"\r\n\r\n" not in pending:
                data = await stream.receive_some()
                if not data:
                    return
                pending += data
            head, _, pending = pending.partition(b"\r\n\r\n")
            found = re.search(rb"\r\nx-v: *(\w*)", head, re.IGNORECASE)
            path = head.split(b" ")[1].decode()
            body = body_of(path, found[1].decode() if found else "")
            fields = b"HTTP/1.1 200 OK\r\nVary: X-V\r\n"
            if path.startswith("/chunked"):
                await stream.send_all(fields + b"Transfer-Encoding: chunked\r\n\r\n")
                for start in range(0, len(body), 50_000):
                    piece = body[start : start + 50_000]
                    await stream.send_all(b"%x\r\n%s\r\n" % (len(piece), piece))
                if chance.random() < 0.1:
                    return
                await stream.send_all(b"0\r\n\r\n")
                continue
            await stream.send_all(fields + b"Content-Length: %d\r\n\r\n" % len(body))
            if body and chance.random() < 0.1:
                await stream.send_all(body[:-1])
                return
            await stream.send_all(body)


async def visit(run: CacheRun, chance: random.Random) -> str:
    kind = chance.choice(("chunked", "plain"))
    path = f"/{kind}/{chance.randrange(PATHS)}"
    variant = chance.choice(("", "a", "b"))
    fields = [f"GET {path} HTTP/1.1", "Host: a", "Connection: close"]
    if variant:
        fields.append(f"X-V: {variant}")
    if chance.random() < 0.1:
        fields.append("X-Bypass: 1")
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", run.port)
    except OSError:
        return "not connected"
    received = b""
    async with stream:
        try:
            await stream.send_all(("\r\n".join(fields) + "\r\n\r\n").encode())
            if chance.random() < 0.1:
                await stream.receive_some(2000)
                return "left early"
            while data := await stream.receive_some():
                received += data
        except trio.BrokenResourceError:
            pass
    return judge(run, path, variant, received)


def judge(run: CacheRun, path: str, variant: str, received: bytes) -> str:
    """A word for the statistics; a wrong byte is a trouble."""
    head, end, sent = received.partition(b"\r\n\r\n")
    if not end:
        return "no response"
    if not head.startswith(b"HTTP/1.1 200 "):
        return head.partition(b"\r\n")[0].decode("latin-1")
    expected = body_of(path, variant)
    complete = len(sent) == len(expected)
    if b"chunked" in head.lower():
        sent, complete = decode_chunks(sent)
    if not expected.startswith(sent) or (complete and sent != expected):
        run.troubles.append(f"{path} with {variant!r}: wrong bytes after {len(sent)}")
    return "complete" if complete else "cut off"


def decode_chunks(data: bytes) -> tuple[bytes, bool]:
    """The body so far, and whether the last chunk was there."""
    body = b""
    while True:
        line, end, rest = data.partition(b"\r\n")
        if not end:
            return body, False
        size = int(line, 16)
        if not size:
            return body, True
        body += rest[:size]
        if len(rest) < size + 2:
            return body, False
        data = rest[size + 2 :]


def workers_of(master: int) -> list[int]:
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return [int(child) for child in children]


async def disturb(run: CacheRun, master: int, chance: random.Random) -> None:
    """Kill workers, damage files, fill the disk."""
    disk = run.folder / "disk"
    while True:
        await trio.sleep(chance.uniform(0.05, 0.4))
        action = chance.choice(("kill", "remove", "cut", "fill", "empty", "hup"))
        run.outcomes[f"({action})"] += 1
        with suppress(OSError):
            if action == "kill":
                if alive := workers_of(master):
                    os.kill(chance.choice(alive), signal.SIGKILL)
            elif action == "hup":
                os.kill(master, signal.SIGHUP)
            elif action == "fill" and os.path.ismount(disk):
                await trio.to_thread.run_sync(fill, disk / "ballast")
            elif action == "empty":
                (disk / "ballast").unlink(missing_ok=True)
            else:
                files = [path for path in (disk / "cache").rglob("*") if path.is_file()]
                if files and action == "remove":
                    chance.choice(files).unlink()
                elif files:
                    # The length of a chunked body is in no file, in nginx's neither.
                    file = chance.choice(files)
                    if b"Content-Length" not in file.read_bytes()[:1000]:
                        continue
                    os.truncate(file, chance.randrange(file.stat().st_size + 1))


def fill(ballast: Path) -> None:
    with open(ballast, "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65536))


async def run_for(run: CacheRun, seconds: float, seed: str, master: int) -> None:
    end = trio.current_time() + seconds

    async def client(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        while trio.current_time() < end and not run.troubles:
            with trio.move_on_after(PATIENCE) as patience:
                run.outcomes[await visit(run, chance)] += 1
            if patience.cancelled_caught:
                run.troubles.append("a client was left hanging")

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            partial(trio.serve_tcp, upstream, run.upstream_port, host="127.0.0.1")
        )
        assert listeners
        nursery.start_soon(disturb, run, master, random.Random(f"{seed} disturbance"))
        async with trio.open_nursery() as clients:
            for number in range(CLIENTS):
                clients.start_soon(client, number)
        nursery.cancel_scope.cancel()


def run_fuzzer() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz cache")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"cache: {options.seconds:.0f} s, seed {options.seed}")
    with tempfile.TemporaryDirectory() as directory:
        run = CacheRun(Path(directory), free_port(), free_port())
        mounted = mount(run.folder / "disk")
        if not mounted:
            print("  no file system of its own: the disk is never full")
        try:
            serve(run, options)
        finally:
            if mounted:
                subprocess.run(["umount", "-l", str(run.folder / "disk")], check=False)
    for outcome, count in sorted(run.outcomes.items(), key=lambda item: -item[1]):
        print(f"  {count:>8}  {outcome}")
    for trouble in run.troubles[:20]:
        print(f"  TROUBLE: {trouble}")
    print("failed" if run.troubles else "passed")
    return 1 if run.troubles else 0


def mount(disk: Path) -> bool:
    disk.mkdir()
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(disk)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def serve(run: CacheRun, options: argparse.Namespace) -> None:
    """Serve the site and run the clients."""
    temp = random.Random(options.seed).choice(("use_temp_path=on", "use_temp_path=off"))
    values = {"PORT": str(run.port), "UPSTREAM": str(run.upstream_port), "TEMP": temp}
    text = re.sub("PORT|UPSTREAM|TEMP", lambda word: values[word[0]], CONFIGURATION)
    (run.folder / "nginx.conf").write_text(text)
    command = [sys.executable, "-m", "sniproxy", "-p", f"{run.folder}/", "-c", "nginx.conf"]
    process = subprocess.Popen([*command, "-g", "daemon off;"], stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while not (run.folder / "run.pid").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        trio.run(run_for, run, options.seconds, str(options.seed), process.pid)
        if process.poll() is not None:
            run.troubles.append(f"the master has ended with status {process.returncode}")
    finally:
        process.terminate()
        process.wait()
    for line in (run.folder / "error.log").read_text().splitlines():
        bad = "[alert]" in line or "[emerg]" in line or "Traceback" in line
        if bad and not _EXPECTED_ALERT.search(line):
            run.troubles.append(line)


if __name__ == "__main__":
    sys.exit(run_fuzzer())
