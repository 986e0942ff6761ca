"""What was seen of one scenario, as lines of text that two programs should share.

Ports need no replacing: both programs listen on the same ones and have the same upstreams.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from sniproxy.logs.error import MAX_LINE
from sniproxy.testing.client import ClientRecord
from sniproxy.testing.upstreams import ConnectionRecord, RunningUpstream

Lines = tuple[str, ...]
ACCESS = "access: "
ALWAYS_LEFT = MAX_LINE - 100
"""Characters from the level on that a line which was cut has in any case."""
NEAR = 10 * 24 * 60
"""Minutes: a date so near is one that was counted from now."""
VERSIONS = {0x0301: "TLSv1", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}


@dataclass(frozen=True, slots=True)
class Observation:
    """The four things that are compared."""

    hellos: Lines
    requests: Lines
    responses: Lines
    logs: Lines
    statuses: tuple[int, ...]
    server_names: tuple[str | None, ...]
    """SNI of every hello, for the check of the rule."""
    offers: tuple[bool, ...]
    """Whether each hello offers a session."""
    resumed: tuple[bool, ...]
    """Of the client's handshakes that came to their end."""
    staying: int
    """Connections to upstreams that are open at the end."""

    @property
    def error_messages(self) -> Lines:
        """The error log's lines from the message on."""
        return tuple(
            match[1] for line in self.logs if (match := re.match(r"\[\w+\] (?:\*\d+ )?(.*)", line))
        )

    @property
    def accesses(self) -> Lines:
        """The access log's lines."""
        return tuple(line for line in self.logs if line.startswith(ACCESS))


def observe(
    peers: Sequence[RunningUpstream], receptions: Sequence[ClientRecord], errors: str, accesses: str
) -> Observation:
    visits = [
        (f"upstream {number}, connection {turn}", visit)
        for number, peer in enumerate(peers, 1)
        for turn, visit in enumerate(peer.connections, 1)
    ]
    return Observation(
        hellos=tuple(f"{where}: {hello_line(visit)}" for where, visit in visits),
        requests=tuple(line for where, visit in visits for line in request_lines(where, visit)),
        responses=tuple(
            line
            for turn, reception in enumerate(receptions, 1)
            for line in response_lines(f"client connection {turn}", reception)
        ),
        logs=(*error_lines(errors), *access_lines(accesses)),
        statuses=tuple(status(data) for reception in receptions for data in reception.responses),
        server_names=tuple(visit.server_name for _, visit in visits if visit.hello),
        offers=tuple(visit.hello.offers_session for _, visit in visits if visit.hello),
        resumed=tuple(one.resumed for one in receptions if one.handshake == "finished"),
        staying=sum(peer.open_connections for peer in peers),
    )


def hello_line(visit: ConnectionRecord) -> str:
    hello = visit.hello
    if hello is None:
        return "no hello"
    sni = "none" if visit.server_name is None else f'"{visit.server_name}"'
    numbers = hello.supported_versions or (hello.legacy_version,)
    versions = " ".join(VERSIONS.get(number, hex(number)) for number in numbers)
    alpn = b" ".join(hello.alpn).decode("latin-1") or "none"
    session = "offered" if hello.offers_session else "none"
    return f"SNI {sni}, versions {versions}, ALPN {alpn}, session {session}"


def request_lines(where: str, visit: ConnectionRecord) -> Iterable[str]:
    if visit.handshake:
        facts = [visit.handshake, visit.protocol, visit.cipher]
        facts += ["resumed"] * visit.resumed
        if visit.client_certificate is not None:
            facts.append(f"client certificate {visit.client_certificate}")
        yield f"{where}: handshake {', '.join(filter(None, facts))}"
    for number, request in enumerate(visit.requests, 1):
        yield f"{where}: request {number}"
        yield from shown(request)
    yield f"{where}: {visit.closed_by.value}"


def response_lines(where: str, reception: ClientRecord) -> Iterable[str]:
    if reception.handshake:
        facts = [reception.handshake, reception.protocol, reception.cipher]
        facts += [reception.alpn, reception.certificate, "resumed" * reception.resumed]
        yield f"{where}: handshake {', '.join(filter(None, facts))}"
    for number, response in enumerate(reception.responses, 1):
        yield f"{where}: response {number}"
        yield from without_now(shown(response))
    yield f"{where}: {reception.closed_by}"


def without_now(lines: Iterable[str]) -> Iterable[str]:
    """The lines of a response without the time of day; Expires says how far it is from Date.

    In whole minutes: between the two a second may have begun.
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


def shown(data: bytes) -> Iterable[str]:
    """Bytes as readable lines: what is not printable, CR included, is escaped."""
    for line in data.decode("latin-1").split("\n"):
        yield line.encode("unicode_escape").decode("ascii")


def status(response: bytes) -> int:
    """0 when there is no status line."""
    match = re.match(rb"HTTP/1\.[01] ([0-9]{3})", response)
    return int(match[1]) if match else 0


_STAMP = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (\[\w+\]) \d+#\d+: ")
_CONNECTION = re.compile(r"(?<=\] )\*(\d+) ")
_ERRNO = re.compile(r"\((\d+): [^)]*\)")
_VERIFY_WORDS = re.compile(r"\((\d+):[^)]*\)")
_NO_RECORD = re.compile(
    "error:0A00010B:SSL routines::wrong version number"
    "|error:(?:0A000092:SSL routines::data|0A0000C6:SSL routines::packet) length too long"
    " error:0A000139:SSL routines::record layer failure"
)
"""What 3.3 tells of a record that is too long, or that is none, 3.5 tells in another way."""
_TEMPORARY_FILE = re.compile(r" to a temporary file [^\s,]+")
_TIME = re.compile(r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]")


def error_lines(text: str) -> Iterable[str]:
    """The error log without time, pid and the C library's wording.

    Connections are numbered anew, `*1` being the first to appear. Where a line is cut depends on
    the digits of its pid: of one that is, the same part is left of everybody's.
    """
    numbers: dict[str, int] = {}
    for line in text.splitlines():
        was_cut = len(line) == MAX_LINE - 1
        line = _STAMP.sub(r"\1 ", line)
        if match := _CONNECTION.search(line):
            number = numbers.setdefault(match[1], len(numbers) + 1)
            line = _CONNECTION.sub(f"*{number} ", line, count=1)
        yield worded(line[:ALWAYS_LEFT] + " (cut)" if was_cut else line)


def worded(line: str) -> str:
    """`line` without the C library's words for an errno: `(111: Connection refused)` becomes
    `(111)`; and one text for the errors that OpenSSL 3.3 and 3.5 do not share. Temporary
    files lie where a program has them."""
    line = _TEMPORARY_FILE.sub(" to a temporary file (path)", line)
    return _NO_RECORD.sub("error: no record of TLS", _ERRNO.sub(r"(\1)", line))


def numbered(line: str) -> str:
    """`worded`, and `(18:self-signed certificate)` as `(18)`: as a row may promise it."""
    return _VERIFY_WORDS.sub(r"(\1)", worded(line))


def access_lines(text: str) -> Iterable[str]:
    for line in text.splitlines():
        yield ACCESS + _TIME.sub("[now]", line)
