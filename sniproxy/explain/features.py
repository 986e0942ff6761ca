"""Extract from a log record the features that signatures match on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network

from .log_fields import CLIENT, STARTUP, UPSTREAM, head_of, phase_of, quoted, side_of_phase
from .log_reader import LogRecord
from .openssl_errors import OpenSSLErrors, OpenSSLVocabulary, parse_openssl_errors

MAX_ADDRESS = 64
PLAIN_PORTS = frozenset(map(str, (
    80, 81, 3000, 3001, 4000, 4200, 5000, 5001, 5173, 8000, 8001, 8008, 8080, 8081, 8082, 8088,
    8090, 8888, 9000, 9080,
)))  # fmt: skip
"""Ports on which servers usually speak plain HTTP."""
BODILESS_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
DOCUMENTATION_NETWORKS = tuple(
    map(ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))
)
"""Reserved for examples (RFC 5737, 3849): people write them in the place of public addresses."""
_IPV6 = re.compile(r"\[[0-9a-f]*:[0-9a-f:.]*\]", re.IGNORECASE)
_NAME = re.compile(r'does not match (?:host )?"([^"]*)')
_ERRNO = re.compile(r"\((\d+): ")
_ADDRESS = re.compile(r"\[?[0-9a-f.:x]*[.:][0-9a-f.:x]*\]?(?::\d+)?$")
_URL = re.compile(r"upstream: \W*([a-z]+)\W*://([^/\s\"',]*)")
_STREAM = re.compile(r"unix:[^\s:]+|[\w.-]+:\d+|\[[0-9a-f:]+\]:\d+")
_IN_FILE = re.compile(r" in [^\s:]+:\d+$")
_STARTUP_TEXT = re.compile(
    r"SSL_CTX_|cannot load |X509_check_private_key|PEM_read_bio|bind\(\) to "
)
_HANDSHAKE = re.compile(r"SSL_do_handshake\(\)|peer closed connection|timed out")
_UPSTREAM_PREFIXES = ("upstream ", "an upstream ", "lua ssl ", "js http fetch ")
_CLIENT_TEXTS = ("client prematurely closed", "that client", "ignoring stale global SSL error")
_BOTH_WAYS = ("proxying upgraded connection", "proxying connection")
"""Phases in which both connections are read and written."""
_EITHER_SIDE = re.compile(
    r"SSL_|peer closed connection in SSL|(?:recv|send|readv|writev|WSARecv|WSASend)\(\) failed"
)
"""Messages about either side: a client's are logged at info, an upstream's at error."""


@dataclass(frozen=True, slots=True)
class UpstreamAddress:
    """The upstream as written in a log line."""

    scheme: str
    authority: str
    """`203.0.113.240:443`, `[2001:db8::1]:443`, `unix:/path`, a group's name."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}" if self.scheme else self.authority

    @property
    def address(self) -> str:
        """host:port, with the scheme's default port if the line has none."""
        host, colon, port = self.authority.rpartition(":")
        if colon and port.isdigit() and (":" not in host or host.endswith("]")):
            return self.authority
        if not self.scheme or self.authority.startswith("unix:"):
            return self.authority
        return f"{self.authority}:{443 if self.scheme in ('https', 'grpcs') else 80}"


def parse_upstream(text: str, start: int = 0) -> UpstreamAddress | None:
    """The upstream in a log line, searched from `start`."""
    url = quoted(text, "upstream", start)
    scheme, mark, rest = url.partition("://")
    if mark and scheme.isalpha():
        if rest.startswith("unix:"):
            return UpstreamAddress(scheme, rest.partition(":/")[0] if rest.count(":") > 1 else rest)
        authority = rest.partition("/")[0]
        return UpstreamAddress(scheme, authority) if authority else None
    if _STREAM.fullmatch(url):
        return UpstreamAddress("", url)
    match = _URL.search(text, start)
    return UpstreamAddress(match[1], match[2]) if match and match[2] else None


@lru_cache(maxsize=4_096)
def is_public_https(upstream: UpstreamAddress) -> bool:
    """Whether it is a public address on port 443: probably a site or CDN with many names.

    A name, or an address of which parts were made unreadable, counts as public if it has a dot.
    """
    host, _, port = upstream.address.rpartition(":")
    if upstream.scheme != "https" or port != "443":
        return False
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return "." in host
    return address.is_global or any(address in network for network in DOCUMENTATION_NETWORKS)


def is_address(text: str) -> bool:
    """Whether `text` is an IP address, in brackets or not."""
    try:
        ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def method_in(text: str, start: int = 0) -> str:
    """The method in the field `request:`, searched from `start`; "" if there is none."""
    method = quoted(text, "request", start).partition(" ")[0]
    return method if method.isascii() and method.isupper() else ""


def host_is_address(text: str, start: int = 0) -> bool:
    """Whether the client's Host was an IP address."""
    host = quoted(text, "host", start)
    if not host or len(host) > MAX_ADDRESS:
        return False
    return _ADDRESS.match(host) is not None and any(one.isdigit() for one in host)


@dataclass(frozen=True, slots=True)
class LineFeatures:
    """The features of a log line that signatures match on."""

    head: str
    level: str | None
    phase: str
    side: str | None
    """The side concerned; None if unknown."""
    openssl: OpenSSLErrors
    errno: int | None
    scheme: str
    port: str
    host_is_address: bool
    to_public_https: bool
    ipv6: bool
    name_is_address: bool
    may_have_body: bool

    @property
    def to_plain_port(self) -> bool:
        return self.port in PLAIN_PORTS


def extract_features(
    record: LogRecord,
    vocabulary: OpenSSLVocabulary,
    upstream: UpstreamAddress | None,
    host_is_address: bool,
    method: str = "",
) -> LineFeatures:
    """Extract the features; the last three arguments come from the record's fields."""
    head = head_of(record.text)
    phase = phase_of(head)
    is_cut = len(head) == len(record.text)
    errors = parse_openssl_errors(head, vocabulary)
    side = detect_side(record, head, phase, is_cut, errors, upstream)
    errno = _ERRNO.findall(head)
    return LineFeatures(
        head=head,
        level=record.level,
        phase=phase,
        side=side,
        openssl=errors,
        errno=int(errno[-1]) if errno and len(errno[-1]) < 6 else None,
        scheme=upstream.scheme if upstream else "",
        port=upstream.address.rpartition(":")[2] if upstream else "",
        host_is_address=host_is_address,
        to_public_https=upstream is not None and is_public_https(upstream),
        ipv6="[" in (upstream.authority if upstream else "") or _IPV6.search(head) is not None,
        name_is_address=(name := _NAME.search(head)) is not None and is_address(name[1]),
        may_have_body=method not in BODILESS_METHODS,
    )


def detect_side(
    record: LogRecord,
    head: str,
    phase: str,
    is_cut: bool,
    errors: OpenSSLErrors,
    upstream: UpstreamAddress | None,
) -> str | None:
    """The side that a record concerns, by the most reliable evidence available."""
    message = head.rpartition(" while ")[0] if phase else head
    level = record.level
    if level == "emerg" or (not phase and _IN_FILE.search(head)):
        return STARTUP
    if level is None and not phase and _STARTUP_TEXT.search(message):
        return STARTUP
    if message.startswith("client ") or any(vocabulary in message for vocabulary in _CLIENT_TEXTS):
        return CLIENT
    if "upstream SSL" in message or message.startswith(_UPSTREAM_PREFIXES):
        return UPSTREAM
    if phase.startswith(_BOTH_WAYS):
        # The error of a client's connection is logged at info, that of an upstream's at error.
        return CLIENT if level == "info" else UPSTREAM
    if phase:
        side = side_of_phase(phase, is_cut=is_cut)
        # Failed handshakes of clients are logged at info: this one is an upstream's, and the
        # line was truncated before "to upstream".
        is_error = level == "error" and _HANDSHAKE.search(message)
        if is_cut and phase == "SSL handshaking" and is_error:
            return UPSTREAM
        if side is not None:
            return side
    if upstream is not None:
        return UPSTREAM
    if errors.side is not None:
        return errors.side
    if _EITHER_SIDE.search(message):
        return {"info": CLIENT, "error": UPSTREAM}.get(level or "")
    return None
