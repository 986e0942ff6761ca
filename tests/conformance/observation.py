"""What is observed of one scenario, as lines of text that must be equal for both programs.

Ports need not be normalized: both programs listen on the same ports and have the same upstreams.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from sniproxy.logs.error import MAX_ERROR_LINE
from sniproxy.testing.client import ClientRecord
from sniproxy.testing.upstreams import ConnectionRecord, RunningUpstream

Lines = tuple[str, ...]
ACCESS = "access: "
ALWAYS_LEFT = MAX_ERROR_LINE - 100
"""Number of characters that every truncated line has, from the level on."""
NEAR = 10 * 24 * 60
"""Minutes: a date this close to now was computed from the current time."""
VERSIONS = {0x0301: "TLSv1", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}


@dataclass(frozen=True, slots=True)
class Observation:
    """What is compared (the first four fields), and what the row makes statements about."""

    hellos: Lines
    requests: Lines
    responses: Lines
    logs: Lines
    statuses: tuple[int, ...]
    server_names: tuple[str | None, ...]
    """The SNI of every ClientHello."""
    offers: tuple[bool, ...]
    """Whether each ClientHello offers a session."""
    resumed: tuple[bool, ...]
    """Whether each finished handshake of the client resumed a session."""
    open_connections: int
    """Number of connections to upstreams that are open at the end."""

    @property
    def error_messages(self) -> Lines:
        """The messages of the error log."""
        return tuple(
            match[1] for line in self.logs if (match := re.match(r"\[\w+\] (?:\*\d+ )?(.*)", line))
        )

    @property
    def accesses(self) -> Lines:
        """The lines of the access log."""
        return tuple(line for line in self.logs if line.startswith(ACCESS))


def observe(
    upstreams: Sequence[RunningUpstream],
    clients: Sequence[ClientRecord],
    errors: str,
    accesses: str,
) -> Observation:
    records = [
        (f"upstream {number}, connection {index}", record)
        for number, upstream in enumerate(upstreams, 1)
        for index, record in enumerate(upstream.connections, 1)
    ]
    return Observation(
        hellos=tuple(f"{where}: {hello_line(record)}" for where, record in records),
        requests=tuple(line for where, record in records for line in request_lines(where, record)),
        responses=tuple(
            line
            for index, client in enumerate(clients, 1)
            for line in response_lines(f"client connection {index}", client)
        ),
        logs=(*error_lines(errors), *access_lines(accesses)),
        statuses=tuple(status(data) for client in clients for data in client.responses),
        server_names=tuple(record.server_name for _, record in records if record.hello),
        offers=tuple(record.hello.offers_session for _, record in records if record.hello),
        resumed=tuple(one.resumed for one in clients if one.handshake == "finished"),
        open_connections=sum(upstream.open_connections for upstream in upstreams),
    )


def hello_line(record: ConnectionRecord) -> str:
    hello = record.hello
    if hello is None:
        return "no hello"
    sni = "none" if record.server_name is None else f'"{record.server_name}"'
    numbers = hello.supported_versions or (hello.legacy_version,)
    versions = " ".join(VERSIONS.get(number, hex(number)) for number in numbers)
    alpn = b" ".join(hello.alpn).decode("latin-1") or "none"
    session = "offered" if hello.offers_session else "none"
    return f"SNI {sni}, versions {versions}, ALPN {alpn}, session {session}"


def request_lines(where: str, record: ConnectionRecord) -> Iterable[str]:
    if record.handshake:
        facts = [record.handshake, record.protocol, record.cipher]
        facts += ["resumed"] * record.resumed
        if record.client_certificate is not None:
            facts.append(f"client certificate {record.client_certificate}")
        yield f"{where}: handshake {', '.join(filter(None, facts))}"
    for number, request in enumerate(record.requests, 1):
        yield f"{where}: request {number}"
        yield from escaped_lines(request)
    yield from (f"{where}: {line}" for line in record.frames)
    yield f"{where}: {record.closed_by.value}"


def response_lines(where: str, client: ClientRecord) -> Iterable[str]:
    if client.handshake:
        facts = [client.handshake, client.protocol, client.cipher]
        facts += [client.alpn, client.certificate, "resumed" * client.resumed]
        yield f"{where}: handshake {', '.join(filter(None, facts))}"
    for number, response in enumerate(client.responses, 1):
        yield f"{where}: response {number}"
        yield from without_now(escaped_lines(response))
    yield f"{where}: {client.closed_by}"


def without_now(lines: Iterable[str]) -> Iterable[str]:
    """Replace Date, and Expires by its difference from Date.

    The difference is in whole minutes, as a new second may begin between the two.
    """
    now = None
    for line in lines:
        name, _, value = line.removesuffix("\\r").partition(": ")
        if name == "Date" and value.endswith("GMT"):
            now = parsedate_to_datetime(value)
            yield "Date: (now)" + "\\r" * line.endswith("\\r")
            continue
        if name == "Expires" and value.endswith("GMT") and now is not None:
            minutes = round((parsedate_to_datetime(value) - now).total_seconds() / 60)
            if abs(minutes) <= NEAR:
                line = f"Expires: (now{minutes:+} min)" + "\\r" * line.endswith("\\r")
        yield line


def escaped_lines(data: bytes) -> Iterable[str]:
    """Split bytes into lines, and escape what is not printable, including CR.

    Boundaries of multipart bodies are numbers that count up in a process, temporary files included.
    """
    data = _BOUNDARY.sub(b"(boundary)", data)
    for line in data.decode("latin-1").split("\n"):
        yield line.encode("unicode_escape").decode("ascii")


def status(response: bytes) -> int:
    """The status of a response; 0 if there is no status line."""
    match = re.match(rb"HTTP/1\.[01] ([0-9]{3})", response)
    return int(match[1]) if match else 0


_BOUNDARY = re.compile(rb"(?<=--|y=)0{10}[0-9]{10}(?![0-9])")
_STAMP = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (\[\w+\]) \d+#\d+: ")
_CONNECTION = re.compile(r"(?<=\] )\*(\d+) ")
_ERRNO = re.compile(r"\((\d+): [^)]*\)")
_VERIFY_WORDS = re.compile(r"\((\d+):[^)]*\)")
_NO_RECORD = re.compile(
    "error:0A00010B:SSL routines::wrong version number"
    "|error:(?:0A000092:SSL routines::data|0A0000C6:SSL routines::packet) length too long"
    " error:0A000139:SSL routines::record layer failure"
)
"""Errors about overlong and malformed records, which OpenSSL 3.3 and 3.5 report differently."""
_TEMPORARY_FILE = re.compile(r" to a temporary file [^\s,]+")
_TIME = re.compile(r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]")


def error_lines(text: str) -> Iterable[str]:
    """The lines of the error log without time, pid and the C library's error strings.

    Connections are renumbered in order of appearance, from `*1`. Where nginx truncates a long line
    depends on the length of the pid, so truncated lines are cut to a common length.
    """
    numbers: dict[str, int] = {}
    for line in text.splitlines():
        was_cut = len(line) == MAX_ERROR_LINE - 1
        line = _STAMP.sub(r"\1 ", line)
        if match := _CONNECTION.search(line):
            number = numbers.setdefault(match[1], len(numbers) + 1)
            line = _CONNECTION.sub(f"*{number} ", line, count=1)
        yield normalize(line[:ALWAYS_LEFT] + " (cut)" if was_cut else line)


def normalize(line: str) -> str:
    """Remove from `line` what legitimately differs between the programs.

    Those are the C library's error strings, so that `(111: Connection refused)` becomes `(111)`,
    paths of temporary files, and errors that OpenSSL 3.3 and 3.5 report differently.
    """
    line = _TEMPORARY_FILE.sub(" to a temporary file (path)", line)
    return _NO_RECORD.sub("error: no record of TLS", _ERRNO.sub(r"(\1)", line))


def without_error_text(line: str) -> str:
    """`normalize`, and `(18:self-signed certificate)` as `(18)`: rows may leave the text out."""
    return _VERIFY_WORDS.sub(r"(\1)", normalize(line))


def access_lines(text: str) -> Iterable[str]:
    for line in text.splitlines():
        yield ACCESS + _TIME.sub("[now]", line)
