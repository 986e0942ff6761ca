"""Ask an OCSP responder: resolve its name, connect, send a request, read the response."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import h11

from ..config.addresses import Address, AddressError, parse_address
from ..config.directives.upstream import PeerSettings
from ..models import Level, ProxyError
from ..tls.stream import SocketStream
from ..upstream.connector import connect
from ..upstream.dynamic import NameResolver, peer_at
from ..upstream.selector import Peer

TIMEOUT = 60.0
"""Seconds between two reads."""
_MOST = 16384
"""Maximum length of a response in bytes."""
_TYPE = b"application/ocsp-response"
_INVALID = "OCSP responder sent invalid response"
_CLOSED = "OCSP responder prematurely closed connection"
PREFIX = "http://"


class ResponderURLError(Exception):
    """A URL is not that of an OCSP responder."""


@dataclass(frozen=True, slots=True)
class OCSPServer:
    """An OCSP responder."""

    address: Address
    known: tuple[str, ...] = ()
    """IP addresses of its name that were found at start."""
    resolver: NameResolver | None = None
    resolver_timeout: float = 0.0

    @property
    def uri(self) -> str:
        return self.address.uri or "/"

    @property
    def host(self) -> str:
        return self.address.host


def parse_responder(url: str) -> Address:
    """The address and URI of a responder's URL. Raises `ResponderURLError`."""
    if url[: len(PREFIX)].lower() != PREFIX or len(url) == len(PREFIX):
        raise ResponderURLError(f'invalid URL prefix in OCSP responder "{url}"')
    rest = url[len(PREFIX) :]
    try:
        return parse_address(rest, 80, uri_allowed=True)
    except AddressError as error:
        raise ResponderURLError(f'{error} in OCSP responder "{rest}"') from None


@dataclass(slots=True)
class RequestLog:
    """The log of a request to a responder: adds nginx's context to messages."""

    write_line: Callable[[Level, str], None]
    host: str
    certificate: str = ""
    """File name of the certificate, if it is one of the configuration."""
    peer: str = field(default="", init=False)

    def write(self, level: Level, message: str) -> None:
        context = f" while requesting certificate status, responder: {self.host}"
        if self.peer:
            context += f", peer: {self.peer}"
        if self.certificate:
            context += f', certificate: "{self.certificate}"'
        self.write_line(level, message + context)


class RequestFailedError(Exception):
    """No address of a responder has sent a response; that was logged."""


class _InvalidResponseError(Exception):
    """A responder's response is not one of HTTP or OCSP; the text is for the log."""


async def ask(responder: OCSPServer, target: str, log: RequestLog) -> bytes:
    """Send a request; returns the OCSP response. Raises `RequestFailedError`.

    The addresses of a responder are tried one after the other.
    """
    for peer in await _peers(responder, log):
        log.peer = peer.name
        try:
            return await _exchange(peer, target, responder.host)
        except _InvalidResponseError as invalid:
            log.write(Level.ERROR, str(invalid))
        except ProxyError as failed:
            failure = failed.failure
            if failure.errno == errno.ETIMEDOUT:
                text = f"({errno.ETIMEDOUT}: {os.strerror(errno.ETIMEDOUT)})"
                log.write(Level.ERROR, f"OCSP responder timed out {text}")
            else:
                # As in nginx a refused connection shows when the response is read.
                log.write(failure.level, failure.message.replace("connect() ", "recv() ", 1))
                log.write(Level.ERROR, _CLOSED)
    raise RequestFailedError


async def _peers(responder: OCSPServer, log: RequestLog) -> Sequence[Peer]:
    address, resolver = responder.address, responder.resolver
    settings = PeerSettings(address)
    hosts = responder.known
    if address.is_literal:
        hosts = (address.host.strip("[]"),)
    elif resolver is None:
        level = Level.WARN if hosts else Level.ERROR
        log.write(level, f"no resolver defined to resolve {address.host}")
    else:
        from ..upstream.resolver_query import ResolveError

        try:
            hosts = tuple(await resolver.addresses(address.host, responder.resolver_timeout))
        except ResolveError as error:
            log.write(Level.ERROR, f"{address.host} could not be resolved ({error})")
            raise RequestFailedError from None
    return [peer_at(host, address.port, settings) for host in hosts]


async def _exchange(peer: Peer, target: str, host: str) -> bytes:
    """Send the request to one address. Raises `ProxyError` and `_InvalidResponseError`."""
    stream = await connect(peer, TIMEOUT)
    try:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST)
        fields = [("Host", host), ("Connection", "close")]
        head = h11.Request(method="GET", target=target, headers=fields)
        request = connection.send(head) + connection.send(h11.EndOfMessage())
        await stream.send_all(request, TIMEOUT)
        return await _read_response(connection, stream)
    except h11.RemoteProtocolError:
        raise _InvalidResponseError(_INVALID) from None
    finally:
        stream.close()


async def _read_response(connection: h11.Connection, stream: SocketStream) -> bytes:
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await stream.receive_some(TIMEOUT)
            if not data and connection.their_state is not h11.SEND_BODY:
                raise _InvalidResponseError(_CLOSED)
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            kind = dict(event.headers).get(b"content-type", _TYPE)
            if kind.lower() != _TYPE:
                text = kind.decode("latin-1")
                raise _InvalidResponseError(
                    f'OCSP responder sent invalid "Content-Type" header: "{text}"'
                )
            if event.status_code != 200:
                return b""
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _MOST:
                raise _InvalidResponseError(_INVALID)
        elif isinstance(event, h11.EndOfMessage):
            return body
