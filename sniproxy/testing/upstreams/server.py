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
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import trio

from sniproxy.portal import ChangeNotifier
from sniproxy.testing.streams import RecordingStream
from sniproxy.testing.upstreams.handler import ConnectionHandler
from sniproxy.testing.upstreams.running import HOST, RunningUpstream, reserve_port
from sniproxy.testing.upstreams.script import Signals
from sniproxy.testing.upstreams.spec import (
    TLS,
    ListenMode,
    UpstreamSpec,
)


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
        if tls.default_certificate and server_name != tls.name:
            tls = replace(tls, certificate=tls.default_certificate)
        if tls not in self._contexts:
            self._contexts[tls] = server_context(tls, self.certificates)
        return self._contexts[tls]


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
