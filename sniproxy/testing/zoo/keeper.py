"""The zoo itself: gives each upstream a port, plays it, and keeps what it saw.

async with open_zoo(directory) as zoo:
    peer = await zoo.house(animals.GOOD)
    ...                             # a proxy connects to 127.0.0.1:peer.port
    await zoo.settled(peer)
    peer.visits                     # tuple[Visit, ...]
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

from sniproxy.in_thread import Changes
from sniproxy.testing.framing import message_length
from sniproxy.testing.wire import Channel, TLSWire, Wire, reason
from sniproxy.testing.zoo.behaviour import (
    TLS,
    Ending,
    Listens,
    Move,
    Question,
    Refusal,
    Upstream,
)
from sniproxy.testing.zoo.records import Parting, Visit
from sniproxy.testing.zoo.script import Cues, Step, play
from sniproxy.testing.zoo.wardrobe import GOOD_NAME
from sniproxy.tls.hello import NotTLS, parse_client_hello

HOST = "127.0.0.1"


def reserve_port(port: int = 0) -> socket.socket:
    """A socket that holds a port (0: any that is free) without listening.

    Connections to it are refused, and no outgoing connection gets the port by chance; a
    server that sets SO_REUSEADDR may still listen on it.
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
class Peer:
    """An upstream on its port."""

    upstream: Upstream
    port: int
    changes: Changes
    """Of its visits, and of others'."""
    certificates: Path
    """The folder of the wardrobe."""
    _visits: list[Visit] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """What to write behind `proxy_pass`."""
        return f"{'https' if self.upstream.tls else 'http'}://{self.address}"

    @property
    def root(self) -> Path:
        """The CA that has issued its certificate, if that is any good."""
        return self.certificates / "root.pem"

    @property
    def visits(self) -> tuple[Visit, ...]:
        return tuple(self._visits)

    @property
    def staying(self) -> int:
        """How many connections are open."""
        return sum(visit.parting is Parting.STAYED for visit in self._visits)

    def forget(self) -> None:
        """Forget all visits so far; a connection that is open stays open, unrecorded."""
        self._visits.clear()

    def wait_for(self, predicate: Callable[[], object], timeout: float = 5.0) -> bool:
        """In another thread than the zoo's: wait until `predicate` holds; whether it does."""
        return self.changes.block_until(lambda: bool(predicate()), timeout)

    def begin(self) -> Visit:
        visit = Visit()
        self._visits.append(visit)
        self.changes.notify()
        return visit

    def record(self, before: Visit, **changes: object) -> Visit:
        """Replace `before`, a visit of ours, by what has become of it."""
        after = replace(before, **changes)  # type: ignore[arg-type]
        self._visits = [after if visit is before else visit for visit in self._visits]
        self.changes.notify()
        return after


class Zoo:
    """Upstreams that live as long as the nursery; `certificates` holds the wardrobe."""

    def __init__(self, nursery: trio.Nursery, certificates: Path) -> None:
        self._nursery = nursery
        self.certificates = certificates
        self.cues = Cues()
        self._contexts: dict[TLS, ssl.SSLContext] = {}
        self._changes = Changes()
        self._held: list[socket.socket | trio.socket.SocketType] = []

    async def house(self, upstream: Upstream, port: int = 0) -> Peer:
        """Give the upstream a port (0: any that is free) and open it.

        Raises OSError if the port is taken.
        """
        sock = reserve_port(port)
        peer = Peer(upstream, sock.getsockname()[1], self._changes, self.certificates)
        match upstream.listens:
            case Listens.ABSENT:
                self._held.append(sock)
            case Listens.FULL:
                sock.listen(0)
                self._held += [sock, *await fill_queue(peer.port)]
            case Listens.ACCEPTING:
                sock.listen(64)
                listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
                self._nursery.start_soon(self._accept, peer, listener)
        return peer

    async def settled(self, *peers: Peer, staying: int = 0) -> None:
        """Wait until at most so many connections to these upstreams are open."""
        while sum(peer.staying for peer in peers) > staying:
            await self.change()

    async def change(self) -> None:
        """Wait until any visit has got further."""
        await self._changes.wait()

    def close(self) -> None:
        for sock in self._held:
            sock.close()

    async def _accept(self, peer: Peer, listener: trio.SocketListener) -> None:
        async with listener, trio.open_nursery() as nursery:
            while True:
                stream = await listener.accept()
                nursery.start_soon(self._receive, peer, stream)

    async def _receive(self, peer: Peer, stream: trio.SocketStream) -> None:
        async with stream:
            await Conversation(peer, Wire(stream), self._context, self.cues).run()

    def _context(self, tls: TLS, server_name: str | None) -> ssl.SSLContext:
        if tls.otherwise and server_name != GOOD_NAME:
            tls = replace(tls, certificate=tls.otherwise)
        if tls not in self._contexts:
            self._contexts[tls] = server_context(tls, self.certificates)
        return self._contexts[tls]


class Conversation:
    """One connection to an upstream, from its first byte to its end."""

    def __init__(
        self,
        peer: Peer,
        wire: Wire,
        context: Callable[[TLS, str | None], ssl.SSLContext],
        cues: Cues,
    ) -> None:
        self.peer = peer
        self.cues = cues
        self.heard = b""
        self.wire = wire
        self.context = context
        self.tls: TLSWire | None = None
        self.visit = peer.begin()

    @property
    def channel(self) -> Channel:
        return self.tls or self.wire

    async def run(self) -> None:
        await self._meet()
        heard = self.tls is not None and self.tls.close_notify_received
        self._record(
            raw=bytes(self.wire.received),
            parting=Parting.CLOSE_NOTIFY if heard else Parting.CLOSED,
        )

    async def _meet(self) -> None:
        upstream = self.peer.upstream
        refusal = upstream.refuses
        if refusal and refusal.at_once:
            return await self._make(refusal.move)
        first = await self._first_bytes()
        if refusal and not self._is_welcome(refusal):
            return await self._make(refusal.move)
        if upstream.tls:
            context = self.context(upstream.tls, self.visit.server_name)
            if not await self._handshake(context, first):
                return await self.wire.finish()
            first = b""
        if upstream.plays:
            return await self._play(upstream.plays, first)
        return await self._answer(first)

    async def _first_bytes(self) -> bytes:
        """The first bytes; when they are a ClientHello's, all of that."""
        data = await self.wire.read()
        try:
            while (hello := parse_client_hello(data)) is None:
                if not (more := await self.wire.read()):
                    return data
                data += more
        except NotTLS:
            return data
        self._record(hello=hello)
        return data

    def _is_welcome(self, refusal: Refusal) -> bool:
        protocols = self.visit.hello.alpn if self.visit.hello else ()
        return self.visit.server_name in refusal.unless or not {*protocols}.isdisjoint(refusal.alpn)

    async def _handshake(self, context: ssl.SSLContext, first: bytes) -> bool:
        tls = TLSWire(self.wire, context, server_side=True, first=first)
        try:
            await tls.handshake()
        except ssl.SSLError as error:
            self._record(handshake=reason(error))
            return False
        self.tls = tls
        self._record(
            handshake="finished",
            protocol=tls.tls.version() or "",
            resumed=bool(tls.tls.session_reused),
            cipher=(tls.tls.cipher() or ("",))[0],
            client_certificate=_common_name(tls.tls.getpeercert()),
        )
        return True

    async def _answer(self, data: bytes) -> None:
        move = self.peer.upstream.answers
        while True:
            while (length := message_length(data)) is None:
                more = await self.channel.read()
                if not more:
                    if data:
                        self._record(requests=(*self.visit.requests, data))
                    return None
                data += more
            request, data = data[:length], data[length:]
            self._record(requests=(*self.visit.requests, request))
            most = self.peer.upstream.most
            if most is not None and len(self.visit.requests) > most:
                return await self._make(Move())
            if move.then is not Ending.WAIT:
                return await self._make(move, request)
            await self._say(move, request)

    async def _play(self, steps: tuple[Step, ...], first: bytes) -> None:
        rest = await play(steps, self.channel, self.cues, self._hear, first)
        move = self.peer.upstream.answers
        if move.then is Ending.WAIT:
            self._hear(rest)
            while data := await self.channel.read():
                self._hear(data)
        else:
            await self._make(Move(then=move.then))

    def _hear(self, data: bytes) -> None:
        self.heard += data
        self._record(requests=(self.heard,))

    async def _say(self, move: Move, request: bytes = b"") -> None:
        data = move.send
        if callable(data):
            data = data(Question(self.visit.server_name, request))
        if move.pace:
            await self._drip(data, move.pace)
        elif data:
            await self.channel.send(data)

    async def _drip(self, data: bytes, pace: float) -> None:
        """Byte for byte, as long as somebody is there to take them."""
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                while await self.channel.read():
                    pass
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            for byte in data:
                await self.channel.send(bytes((byte,)))
                await trio.sleep(pace)
            nursery.cancel_scope.cancel()

    async def _make(self, move: Move, request: bytes = b"") -> None:
        """Say what there is to say, and leave."""
        await self._say(move, request)
        match move.then:
            case Ending.RESET:
                self.wire.reset()
            case Ending.SILENCE | Ending.WAIT:
                while await self.channel.read():
                    pass
            case Ending.CUT:
                await self.wire.finish()
            case Ending.CLOSE:
                if self.tls:
                    await self.tls.close_notify()
                await self.wire.finish()

    def _record(self, **changes: object) -> None:
        self.visit = self.peer.record(self.visit, **changes)


@contextlib.asynccontextmanager
async def open_zoo(certificates: Path) -> AsyncIterator[Zoo]:
    """A zoo whose upstreams all leave when the block ends."""
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        zoo = Zoo(nursery, certificates)
        try:
            yield zoo
        except BaseException as error:
            # The nursery would wrap it into a group: it is the caller's own.
            failure = error
        zoo.close()
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def server_context(tls: TLS, certificates: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        # That the old versions are no good is why they are here.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = tls.minimum, tls.maximum
    context.load_cert_chain(
        certificates / f"{tls.certificate}.pem", certificates / f"{tls.certificate}.key"
    )
    if tls.ciphers:
        context.set_ciphers(tls.ciphers)
    if tls.group:
        context.set_ecdh_curve(tls.group)
    if tls.dh:
        context.load_dh_params(str(certificates / tls.dh))
    if tls.alpn:
        context.set_alpn_protocols(list(tls.alpn))
    if tls.client_authority:
        context.verify_mode = ssl.CERT_REQUIRED if tls.insists else ssl.CERT_OPTIONAL
        context.load_verify_locations(certificates / f"{tls.client_authority}.pem")
    return context


def _common_name(certificate: dict[str, Any] | None) -> str | None:
    """The CN of what `getpeercert` gives."""
    subject = dict(pair for part in (certificate or {}).get("subject", ()) for pair in part)
    return subject.get("commonName")


async def fill_queue(port: int) -> list[trio.socket.SocketType]:
    """Connections that wait to be accepted, until the queue takes no more."""
    waiting = []
    while True:
        sock = trio.socket.socket()
        waiting.append(sock)
        with trio.move_on_after(0.1) as patience:
            await sock.connect((HOST, port))
        if patience.cancelled_caught:
            return waiting
