"""Send one request through a configuration without binding its addresses.

The client's connection is a pair of sockets on the loopback interface, which is passed to the
server as if it had been accepted by the listener for the port of the URL.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11
import trio

from ..build import Application
from ..build.listeners import UNIX, ListenSocket
from ..config.model import Server
from ..context import Connection
from ..models import Header, ProxyError, Side
from ..runtime import Listener
from ..server import ConnectionServer
from ..server_name import ascii_name, sent_server_name
from ..tls.contexts import upstream_context
from ..tls.stream import SocketStream, TLSStream
from ..version import SNIPROXY_VERSION
from .steps import Trace

LOOPBACK = "127.0.0.1"
_ANY = ("*", "[::]")
_PORTS = {"http": 80, "https": 443}
_LAST_WORDS = 2.0
"""Seconds to wait for the end of the request after the client gave up."""


class TraceError(Exception):
    """The request cannot be sent; `str()` is the reason."""


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """One request."""

    scheme: str
    host: str
    """Host as written in the URL; an IPv6 address is in brackets."""
    port: int
    target: str
    method: str = "GET"
    headers: tuple[Header, ...] = ()
    """Fields that replace the default ones."""
    server_name: str | None = None
    """The SNI; None if the host is not a name."""

    @property
    def request(self) -> h11.Request:
        """The request that is sent. Raises `h11.LocalProtocolError` if it is malformed."""
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        own = (
            ("Host", self.host + port),
            ("User-Agent", f"sniproxy/{SNIPROXY_VERSION}"),
            ("Accept", "*/*"),
            ("Connection", "close"),
        )
        given = {name.lower() for name, _ in self.headers}
        fields = [*(field for field in own if field[0].lower() not in given), *self.headers]
        return h11.Request(
            method=self.method.encode("latin-1"),
            target=self.target.encode("latin-1"),
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields],
        )


def make_trace_request(
    url: str,
    method: str = "GET",
    headers: Sequence[Header] = (),
    server_name: str | None = None,
) -> TraceRequest:
    """Create the request for a URL; raises `TraceError`. `server_name` replaces the SNI.

    International host names are encoded; what cannot be encoded is sent as it is.
    """
    typed, url = url, _latin1(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise TraceError(f"{url} is not a valid URL: {error}") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise TraceError(f"{url} is not an http:// or https:// URL")
    name = parts.hostname
    with contextlib.suppress(ValueError):
        name = ascii_name(urlsplit(typed).hostname or name)
    host = f"[{name}]" if ":" in name else name
    if server_name is not None:
        with contextlib.suppress(ValueError):
            server_name = ascii_name(server_name)
        server_name = _latin1(server_name)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    _check(method, target, headers)
    return TraceRequest(
        parts.scheme,
        host,
        _PORTS[parts.scheme] if port is None else port,
        target,
        method,
        tuple(headers),
        sent_server_name(host, proxy_ssl_server_name=True) if server_name is None else server_name,
    )


def _latin1(text: str) -> str:
    """An argument as its bytes, one character each."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _check(method: str, target: str, headers: Sequence[Header]) -> None:
    """Raise `TraceError` if the head would contain line breaks."""
    for text in (method, target, *[part for header in headers for part in header]):
        if any(character in text for character in "\r\n"):
            raise TraceError("URL, method and headers must not contain CR or LF")


def listener_for(site: Application, queried: TraceRequest) -> tuple[Listener[Server], str]:
    """The listener for port and scheme of the URL, and its address.

    Of several, the one whose address is the URL's host, else the first wildcard address, else the
    first. Raises `TraceError`.
    """
    host = queried.host.strip("[]")
    found = [
        entry
        for binding in site.bindings
        if binding.key[1] == queried.port and not binding.is_stream
        for entry in _addresses(binding)
        if entry[0].ssl is (queried.scheme == "https")
    ]
    if not found:
        raise TraceError(
            f"{site.config.file} does not listen with {queried.scheme} on port {queried.port}; "
            f"it listens on {_listening(site)}"
        )
    exact = [entry for entry in found if entry[1] == host]
    every = [entry for entry in found if not entry[1]]
    listener, address = (exact or every or found)[0]
    return listener, address or (host if _is_ip4(host) else LOOPBACK)


def _is_ip4(text: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(socket.inet_pton(socket.AF_INET, text))
    return False


def _addresses(binding: ListenSocket) -> Iterator[tuple[Listener[Server], str]]:
    """The listeners of a socket with their addresses; "" for the wildcard."""
    host, _ = binding.key
    if binding.wildcard is not None and not host.startswith(UNIX):
        yield binding.wildcard, "" if host in _ANY else host.strip("[]")
    for address, listener in binding.by_host.items():
        yield listener, address


def _listening(site: Application) -> str:
    displayed = [
        f"{one.text} ({binding.scheme})" for binding in site.bindings for one in binding.listeners
    ]
    return ", ".join(displayed) or "nothing"


class TraceResult:
    """Receives the trace of the request."""

    def __init__(self) -> None:
        self.trace: Trace | None = None
        self.come = trio.Event()
        self.given_up = False
        """Whether the client gave up waiting."""

    def callback(self, trace: Trace) -> None:
        """Store the first trace."""
        if self.trace is None:
            self.trace = trace
        self.come.set()


async def send(
    site: Application, queried: TraceRequest, answers: TraceResult, limit: float
) -> None:
    """Send a request to `site`, whose `Tracer` calls `answers`; wait at most `limit` seconds.

    The client then disconnects, which ends most requests with 499. Raises `TraceError`.
    """
    listener, address = listener_for(site, queried)
    http = h11.Connection(h11.CLIENT)
    try:
        data = (http.send(queried.request) or b"") + (http.send(h11.EndOfMessage()) or b"")
    except h11.LocalProtocolError as error:
        raise TraceError(f"the request is malformed: {error}") from None
    ours, theirs = _pair()
    with ours, theirs:
        connection = Connection(
            site.runtime.next_connection_id(), LOOPBACK, ours.getsockname()[1], address,
            queried.port, listener.text, sock=theirs,
        )  # fmt: skip
        server = ConnectionServer(site, ())

        async def serve() -> None:
            await server.serve_connection(listener, connection, theirs)
            answers.come.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run)
            with trio.move_on_after(limit):
                # Without addresses there would be no live upstreams.
                for names in site.group_names:
                    await names.wait()
            nursery.start_soon(serve)
            with trio.move_on_after(limit) as client:
                nursery.start_soon(_visit, ours, queried, data, http)
                await answers.come.wait()
            if client.cancelled_caught:
                answers.given_up = True
                with contextlib.suppress(OSError):
                    ours.shutdown(socket.SHUT_RDWR)
                with trio.move_on_after(_LAST_WORDS):
                    await answers.come.wait()
            nursery.cancel_scope.cancel()


def _pair() -> tuple[socket.socket, socket.socket]:
    """Create the two ends of a TCP connection."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs, _ = listening.accept()
    for end in (ours, theirs):
        end.setblocking(False)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ours, theirs


async def _visit(
    sock: socket.socket, queried: TraceRequest, request: bytes, http: h11.Connection
) -> None:
    """Run the client: TLS handshake and request; the response is read and discarded."""
    # The proxy reports errors.
    with contextlib.suppress(ProxyError, h11.RemoteProtocolError):
        await _converse(sock, queried, request, http)


async def _converse(
    sock: socket.socket, queried: TraceRequest, request: bytes, http: h11.Connection
) -> None:
    forever = float("inf")
    if queried.scheme == "https":
        stream: SocketStream = TLSStream(
            sock, Side.UPSTREAM, upstream_context(), server_name=queried.server_name or None
        )
        assert isinstance(stream, TLSStream)
        await stream.do_handshake(forever)
    else:
        stream = SocketStream(sock, Side.UPSTREAM)
    await stream.send_all(request, forever)
    while not isinstance(event := http.next_event(), h11.EndOfMessage):
        if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
            break
        if event is h11.NEED_DATA:
            http.receive_data(await stream.receive_some(forever))
    stream.shutdown()
