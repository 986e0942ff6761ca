"""Selecting the virtual server by SNI, before or during OpenSSL's handshake."""

from __future__ import annotations

import contextlib
import socket

import pytest
import trio
import trio.testing
from OpenSSL import SSL

from sniproxy.models import Failure, Level, ProxyError, Side
from sniproxy.tls.contexts import server_context, upstream_context
from sniproxy.tls.openssl import Session
from sniproxy.tls.stream import REJECT, ContextSelector, Reject, TLSStream

from . import authority
from .conftest import Files


async def meet(
    server: TLSStream, client: TLSStream, relay: tuple[socket.socket, socket.socket] | None
) -> tuple[Failure | None, Failure | None]:
    """Perform a handshake, optionally over a slow relay, and send one byte each way; returns the
    failures of both sides.
    """
    failures: dict[TLSStream, Failure] = {}

    async def side(stream: TLSStream, first: bool) -> None:
        try:
            await stream.do_handshake(5)
            if first:
                await stream.send_all(b"x", 5)
            await stream.receive_some(5)
            if not first:
                await stream.send_all(b"x", 5)
        except ProxyError as error:
            failures[stream] = error.failure
            stream.close()

    async with trio.open_nursery() as nursery:
        if relay is not None:
            nursery.start_soon(_carry, *relay)
            nursery.start_soon(_carry, *relay[::-1])
        async with trio.open_nursery() as sides:
            sides.start_soon(side, server, True)
            sides.start_soon(side, client, False)
        server.shutdown()
        client.shutdown()
    return failures.get(server), failures.get(client)


async def _carry(source: socket.socket, target: socket.socket) -> None:
    """Forward bytes, the first hundred well before the others."""
    first = True
    while True:
        await trio.lowlevel.wait_readable(source)
        try:
            data = source.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            break
        if first:
            first = False
            target.sendall(data[:100])
            data = data[100:]
            await trio.testing.wait_all_tasks_blocked(0.01)
        if data:
            try:
                target.sendall(data)
            except OSError:
                break
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class Listener:
    """A listener with virtual servers that receives ClientHellos whole or in pieces."""

    def __init__(self, whole: bool, default: SSL.Context, choose: ContextSelector) -> None:
        self.whole = whole
        self.default = default
        self.choose = choose
        self.query: list[str | None] = []

    def _note(self, name: str | None) -> SSL.Context | Reject:
        self.query.append(name)
        return self.choose(name)

    def visit(
        self, client_context: SSL.Context, name: str | None, session: Session | None = None
    ) -> tuple[TLSStream, TLSStream, Failure | None, Failure | None]:
        near, far = socket.socketpair()
        relay = None
        if not self.whole:
            middle_near, middle_far = near, far
            near, a = socket.socketpair()
            b, far = socket.socketpair()
            middle_near.close()
            middle_far.close()
            relay = (b, a)
        server = TLSStream(near, Side.CLIENT, self.default, choose=self._note)
        client = TLSStream(far, Side.UPSTREAM, client_context, server_name=name, session=session)
        try:
            return server, client, *trio.run(meet, server, client, relay)
        finally:
            for sock in (near, far, *(relay or ())):
                sock.close()


@pytest.fixture(params=[True, False], ids=["whole", "in pieces"])
def whole(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def other(files: Files) -> SSL.Context:
    """The context of the server other.test."""
    pair = authority.make("other.test", issuer=files.ca)
    return server_context(certificates=[pair.write(files.folder, "other")])


@pytest.fixture(scope="module")
def default(files: Files) -> SSL.Context:
    return server_context(certificates=[files.leaf])


@pytest.mark.parametrize("protocol", ["TLSv1.2", "TLSv1.3"])
def test_each_name_gets_its_certificate(
    protocol: str, whole: bool, default: SSL.Context, other: SSL.Context
) -> None:
    listener = Listener(whole, default, lambda name: other if name == "other.test" else default)
    client_context = upstream_context(protocols=[protocol])
    for name, expected in (("other.test", "other.test"), ("w.test", "w.test"), (None, "w.test")):
        server, client, *failures = listener.visit(client_context, name)
        assert failures == [None, None]
        assert client.handshake("").certificate_names == (expected,)
        assert server.server_name == name
    assert listener.query == ["other.test", "w.test", None]


@pytest.mark.parametrize("protocol", ["TLSv1.2", "TLSv1.3"])
def test_ssl_reject_handshake(protocol: str, whole: bool, default: SSL.Context) -> None:
    listener = Listener(whole, default, lambda name: REJECT if name == "no.test" else default)
    client_context = upstream_context(protocols=[protocol])
    server, _, reports, seen = listener.visit(client_context, "no.test")
    assert reports == Failure("handshake rejected", Level.INFO)
    assert seen is not None
    assert seen.text.endswith("unrecognized name:SSL alert number 112)")
    assert server.server_name == "no.test"
    assert listener.visit(client_context, "w.test")[2:] == (None, None)


def test_ssl_verify_client_of_the_named_server(
    whole: bool, files: Files, default: SSL.Context
) -> None:
    asking = server_context(
        certificates=[files.leaf],
        verify_client="optional",
        client_certificate=files.ca_file,
    )
    listener = Listener(whole, default, lambda name: asking if name == "asks.test" else default)
    client_context = upstream_context(certificate=files.client)
    server = listener.visit(client_context, "asks.test")[0]
    assert server.peer_certificate is not None
    assert server.verify_result == 0
    server = listener.visit(client_context, "w.test")[0]
    assert server.peer_certificate is None


def test_ssl_protocols_of_the_named_server(files: Files, default: SSL.Context) -> None:
    """As in nginx since 1.27: the name selects the server before the version is negotiated."""
    old = server_context(certificates=[files.leaf], protocols=["TLSv1.2"])
    listener = Listener(True, default, lambda name: old if name == "old.test" else default)
    assert listener.visit(upstream_context(), "old.test")[0].protocol == "TLSv1.2"
    assert listener.visit(upstream_context(), "w.test")[0].protocol == "TLSv1.3"


def test_sessions_are_not_resumed_under_another_server(
    whole: bool, files: Files, default: SSL.Context, other: SSL.Context
) -> None:
    """Otherwise a client certificate accepted by one server would be accepted by the other."""
    listener = Listener(whole, default, lambda name: other if name == "other.test" else default)
    client_context = upstream_context()
    session = listener.visit(client_context, "w.test")[1].session
    assert session is not None
    assert listener.visit(client_context, "w.test", session)[0].resumed
    server, _, reports, _ = listener.visit(client_context, "other.test", session)
    assert reports is not None or not server.resumed
    # A ticket issued after a late selection is not accepted by the default server either.
    session = listener.visit(client_context, "other.test")[1].session
    listener.whole = True
    server, *_ = listener.visit(client_context, "w.test", session)
    assert not server.resumed


@pytest.mark.parametrize("protocol", ["TLSv1.2", "TLSv1.3"])
def test_client_verification_is_not_shared_between_servers(files: Files, protocol: str) -> None:
    """Even if certificates and announced CAs are the same, in which case nginx resumes it."""
    other = authority.make(ca=True, common_name="Other CA")
    bundle = files.folder / "other-ca.pem"
    bundle.write_bytes(authority.pem(other.certificate))
    trusting, distrusting = (
        server_context(certificates=[files.leaf], verify_client="on", trusted_certificate=trusted)
        for trusted in (files.ca_file, str(bundle))
    )
    listener = Listener(
        True, trusting, lambda name: distrusting if name == "other.test" else trusting
    )
    client_context = upstream_context(certificate=files.client, protocols=[protocol])
    server, client, *_ = listener.visit(client_context, "w.test")
    assert server.verify_result == 0
    server, *_ = listener.visit(client_context, "w.test", client.session)
    assert (server.resumed, server.verify_result) == (True, 0)
    server, *_ = listener.visit(client_context, "other.test", client.session)
    assert not server.resumed
    assert server.verify_result != 0


def test_errors_while_selecting_a_server_propagate(whole: bool, default: SSL.Context) -> None:
    def choose(name: str | None) -> SSL.Context:
        raise LookupError(name)

    with pytest.raises(ExceptionGroup) as raised:
        Listener(whole, default, choose).visit(upstream_context(), "w.test")
    assert raised.group_contains(LookupError, match="w.test")


def test_hello_retry_request_selects_the_server_once(
    whole: bool, files: Files, default: SSL.Context
) -> None:
    """A HelloRetryRequest is needed because the client's only group has no key share."""
    picky = server_context(certificates=[files.leaf], groups="P-384")
    listener = Listener(whole, picky, lambda name: picky)
    server, _, *failures = listener.visit(upstream_context(), "w.test")
    assert failures == [None, None]
    assert server.group == "secp384r1"
    assert listener.query == ["w.test"]


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [(False, "ECDHE-ECDSA-AES128-GCM-SHA256"), (True, "ECDHE-ECDSA-AES256-GCM-SHA384")],
)
def test_ssl_prefer_server_ciphers(
    prefer: bool, expected: str, files: Files, default: SSL.Context
) -> None:
    ciphers = ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"]
    server_side = server_context(
        certificates=[files.leaf],
        protocols=["TLSv1.2"],
        ciphers=":".join(ciphers),
        prefer_server_ciphers=prefer,
    )
    client_side = upstream_context(ciphers=":".join(reversed(ciphers)))
    listener = Listener(True, server_side, lambda name: server_side)
    assert listener.visit(client_side, None)[0].cipher == expected
