"""Run upstreams, each on its own port, and record their connections.

async with open_upstreams(directory) as server:
    upstream = await server.start(catalog.GOOD)
    ...                             # a proxy connects to 127.0.0.1:upstream.port
    await server.wait_closed(upstream)
    upstream.connections            # tuple[ConnectionRecord, ...]
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import trio

from sniproxy.portal import ChangeNotifier
from sniproxy.testing.http_framing import message_length
from sniproxy.testing.streams import BIOTLSStream, ByteStream, RecordingStream, ssl_reason
from sniproxy.testing.upstreams.certificates import GOOD_NAME
from sniproxy.testing.upstreams.records import CloseKind, ConnectionRecord
from sniproxy.testing.upstreams.script import Signals, Step, run_script
from sniproxy.testing.upstreams.spec import (
    TLS,
    Action,
    AfterSend,
    HandshakeFault,
    ListenMode,
    ReceivedRequest,
    UpstreamSpec,
)
from sniproxy.tls.client_hello import NotTLSError, parse_client_hello

HOST = "127.0.0.1"


def reserve_port(port: int = 0) -> socket.socket:
    """Bind a port (0: any free one) without listening on it, and return the socket.

    Connections to the port are refused, and the kernel does not assign it to outgoing
    connections. A server that sets SO_REUSEADDR can still listen on it. Raises OSError if the
    port is taken.
    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
    except OSError:
        sock.close()
        raise
    return sock


@dataclass(eq=False, slots=True)
class RunningUpstream:
    """An upstream that runs on a port of 127.0.0.1, and the record of its connections."""

    spec: UpstreamSpec
    port: int
    changes: ChangeNotifier
    """Notified whenever the record of a connection to any upstream of the server changes."""
    certificates: Path
    """The folder with the generated certificates."""
    _connections: list[ConnectionRecord] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """URL for `proxy_pass`, without a path."""
        return f"{'https' if self.spec.tls else 'http'}://{self.address}"

    @property
    def root(self) -> Path:
        """The CA to trust: it has issued the certificates of all upstreams that should verify."""
        return self.certificates / "root.pem"

    @property
    def connections(self) -> tuple[ConnectionRecord, ...]:
        """All connections since the start or the last `clear()`, oldest first."""
        return tuple(self._connections)

    @property
    def open_connections(self) -> int:
        """The number of connections that are still open."""
        return sum(record.closed_by is CloseKind.OPEN for record in self._connections)

    def clear(self) -> None:
        """Drop all records. Connections that are open stay open, but are no longer recorded."""
        self._connections.clear()

    def wait_for(self, predicate: Callable[[], object], timeout: float = 5.0) -> bool:
        """Block until `predicate` is true, for at limit `timeout` seconds; return whether it is.

        Only for threads other than the one that runs the upstreams.
        """
        return self.changes.block_until(lambda: bool(predicate()), timeout)

    def open(self) -> ConnectionRecord:
        """Add a record for a new connection."""
        record = ConnectionRecord()
        self._connections.append(record)
        self.changes.notify()
        return record

    def update(self, before: ConnectionRecord, **changes: object) -> ConnectionRecord:
        """Replace the record `before` by a copy with `changes` applied, and return the copy."""
        after = replace(before, **changes)  # type: ignore[arg-type]
        self._connections = [after if record is before else record for record in self._connections]
        self.changes.notify()
        return after


class UpstreamServer:
    """Starts upstreams in a nursery; `certificates` is a folder for `generate_certificates`."""

    def __init__(self, nursery: trio.Nursery, certificates: Path) -> None:
        self._nursery = nursery
        self.certificates = certificates
        self.signals = Signals()
        self._contexts: dict[TLS, ssl.SSLContext] = {}
        self._changes = ChangeNotifier()
        self._sockets: list[socket.socket | trio.socket.SocketType] = []

    async def start(self, spec: UpstreamSpec, port: int = 0) -> RunningUpstream:
        """Start an upstream on a port (0: any free one).

        Raises OSError if the port is taken.
        """
        sock = reserve_port(port)
        upstream = RunningUpstream(spec, sock.getsockname()[1], self._changes, self.certificates)
        match spec.listen:
            case ListenMode.ABSENT:
                self._sockets.append(sock)
            case ListenMode.FULL:
                sock.listen(0)
                self._sockets += [sock, *await fill_queue(upstream.port)]
            case ListenMode.ACCEPTING:
                sock.listen(64)
                listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
                self._nursery.start_soon(self._accept, upstream, listener)
        return upstream

    async def wait_closed(self, *upstreams: RunningUpstream, allow_open: int = 0) -> None:
        """Wait until at most `allow_open` connections to these upstreams are open."""
        while sum(upstream.open_connections for upstream in upstreams) > allow_open:
            await self.wait_change()

    async def wait_change(self) -> None:
        """Wait until the record of any connection changes."""
        await self._changes.wait()

    def close(self) -> None:
        """Close the sockets of the upstreams that do not accept connections."""
        for sock in self._sockets:
            sock.close()

    async def _accept(self, upstream: RunningUpstream, listener: trio.SocketListener) -> None:
        async with listener, trio.open_nursery() as nursery:
            while True:
                stream = await listener.accept()
                nursery.start_soon(self._handle, upstream, stream)

    async def _handle(self, upstream: RunningUpstream, stream: trio.SocketStream) -> None:
        async with stream:
            await ConnectionHandler(
                upstream, RecordingStream(stream), self._context, self.signals
            ).run()

    def _context(self, tls: TLS, server_name: str | None) -> ssl.SSLContext:
        if tls.default_certificate and server_name != GOOD_NAME:
            tls = replace(tls, certificate=tls.default_certificate)
        if tls not in self._contexts:
            self._contexts[tls] = server_context(tls, self.certificates)
        return self._contexts[tls]


class ConnectionHandler:
    """Serves one connection to an upstream as its spec says, and records it."""

    def __init__(
        self,
        upstream: RunningUpstream,
        stream: RecordingStream,
        context: Callable[[TLS, str | None], ssl.SSLContext],
        signals: Signals,
    ) -> None:
        self.upstream = upstream
        self.signals = signals
        self._received = b""
        self.stream = stream
        self.context = context
        self.tls: BIOTLSStream | None = None
        self.record = upstream.open()

    @property
    def channel(self) -> ByteStream:
        return self.tls or self.stream

    async def run(self) -> None:
        await self._serve()
        notified = self.tls is not None and self.tls.close_notify_received
        self._update(
            raw=bytes(self.stream.received),
            closed_by=CloseKind.CLOSE_NOTIFY if notified else CloseKind.CLOSED,
        )

    async def _serve(self) -> None:
        spec = self.upstream.spec
        fault = spec.handshake_fault
        if fault and fault.before_read:
            return await self._perform(fault.action)
        first = await self._first_bytes()
        if fault and not self._is_allowed(fault):
            return await self._perform(fault.action)
        if spec.tls:
            context = self.context(spec.tls, self.record.server_name)
            if not await self._handshake(context, first):
                return await self.stream.finish()
            first = b""
        if spec.script:
            return await self._run_script(spec.script, first)
        return await self._respond(first)

    async def _first_bytes(self) -> bytes:
        """Read the first bytes; if they begin a ClientHello, read until it is complete."""
        data = await self.stream.read()
        try:
            while (hello := parse_client_hello(data)) is None:
                if not (more := await self.stream.read()):
                    return data
                data += more
        except NotTLSError:
            return data
        self._update(hello=hello)
        return data

    def _is_allowed(self, fault: HandshakeFault) -> bool:
        protocols = self.record.hello.alpn if self.record.hello else ()
        return self.record.server_name in fault.allow_sni or not {*protocols}.isdisjoint(
            fault.allow_alpn
        )

    async def _handshake(self, context: ssl.SSLContext, first: bytes) -> bool:
        tls = BIOTLSStream(self.stream, context, server_side=True, first=first)
        try:
            await tls.handshake()
        except ssl.SSLError as error:
            self._update(handshake=ssl_reason(error))
            return False
        self.tls = tls
        self._update(
            handshake="finished",
            protocol=tls.tls.version() or "",
            resumed=bool(tls.tls.session_reused),
            cipher=(tls.tls.cipher() or ("",))[0],
            client_certificate=_common_name(tls.tls.getpeercert()),
        )
        return True

    async def _respond(self, data: bytes) -> None:
        action = self.upstream.spec.response
        while True:
            while (length := message_length(data)) is None:
                more = await self.channel.read()
                if not more:
                    if data:
                        self._update(requests=(*self.record.requests, data))
                    return None
                data += more
            request, data = data[:length], data[length:]
            self._update(requests=(*self.record.requests, request))
            limit = self.upstream.spec.max_requests
            if limit is not None and len(self.record.requests) > limit:
                return await self._perform(Action())
            if action.then is not AfterSend.WAIT:
                return await self._perform(action, request)
            await self._send(action, request)

    async def _run_script(self, steps: tuple[Step, ...], first: bytes) -> None:
        rest = await run_script(steps, self.channel, self.signals, self._record_request, first)
        action = self.upstream.spec.response
        if action.then is AfterSend.WAIT:
            self._record_request(rest)
            while data := await self.channel.read():
                self._record_request(data)
        else:
            await self._perform(Action(then=action.then))

    def _record_request(self, data: bytes) -> None:
        self._received += data
        self._update(requests=(self._received,))

    async def _send(self, action: Action, request: bytes = b"") -> None:
        data = action.send
        if callable(data):
            data = data(ReceivedRequest(self.record.server_name, request))
        if action.byte_interval:
            await self._send_slowly(data, action.byte_interval)
        elif data:
            await self.channel.send(data)

    async def _send_slowly(self, data: bytes, interval: float) -> None:
        """Send one byte every `interval` seconds until the other side closes."""
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                while await self.channel.read():
                    pass
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            for byte in data:
                await self.channel.send(bytes((byte,)))
                await trio.sleep(interval)
            nursery.cancel_scope.cancel()

    async def _perform(self, action: Action, request: bytes = b"") -> None:
        """Perform an action: send its bytes, then close as it says."""
        await self._send(action, request)
        match action.then:
            case AfterSend.RESET:
                self.stream.reset()
            case AfterSend.SILENCE | AfterSend.WAIT:
                while await self.channel.read():
                    pass
            case AfterSend.CUT:
                await self.stream.finish()
            case AfterSend.CLOSE:
                if self.tls:
                    await self.tls.close_notify()
                await self.stream.finish()

    def _update(self, **changes: object) -> None:
        self.record = self.upstream.update(self.record, **changes)


@contextlib.asynccontextmanager
async def open_upstreams(certificates: Path) -> AsyncIterator[UpstreamServer]:
    """A server whose upstreams are stopped when the block ends."""
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        server = UpstreamServer(nursery, certificates)
        try:
            yield server
        except BaseException as error:
            # The nursery would wrap the caller's exception in an ExceptionGroup.
            failure = error
        server.close()
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def server_context(tls: TLS, certificates: Path) -> ssl.SSLContext:
    """The context of an upstream; `certificates` is the folder of its certificate files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        # Old versions are deprecated, and offered here on purpose.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = tls.min_version, tls.max_version
    context.load_cert_chain(
        certificates / f"{tls.certificate}.pem", certificates / f"{tls.certificate}.key"
    )
    if tls.ciphers:
        context.set_ciphers(tls.ciphers)
    if tls.group:
        context.set_ecdh_curve(tls.group)
    if tls.dh_params:
        context.load_dh_params(str(certificates / tls.dh_params))
    if tls.alpn:
        context.set_alpn_protocols(list(tls.alpn))
    if tls.client_ca:
        context.verify_mode = (
            ssl.CERT_REQUIRED if tls.require_client_certificate else ssl.CERT_OPTIONAL
        )
        context.load_verify_locations(certificates / f"{tls.client_ca}.pem")
    return context


def _common_name(certificate: dict[str, Any] | None) -> str | None:
    """The common name in the result of `getpeercert()`; None without a certificate."""
    subject = dict(pair for part in (certificate or {}).get("subject", ()) for pair in part)
    return subject.get("commonName")


async def fill_queue(port: int) -> list[trio.socket.SocketType]:
    """Connect until the accept queue of `port` is full, and return the sockets."""
    waiting = []
    while True:
        sock = trio.socket.socket()
        waiting.append(sock)
        with trio.move_on_after(0.1) as timeout:
            await sock.connect((HOST, port))
        if timeout.cancelled_caught:
            return waiting
