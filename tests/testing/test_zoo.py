"""Each animal as a client meets it, and what it remembers of that."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sniproxy.testing.client import Reception, visit
from sniproxy.testing.zoo import (
    Ending,
    Parting,
    Peer,
    Upstream,
    Zoo,
    animals,
    open_zoo,
    wear,
    zoo_in_thread,
)

REQUEST = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wardrobe")
    wear(directory)
    return directory


def run(
    certificates: Path, upstream: Upstream, play: Callable[[Zoo, Peer], Awaitable[None]]
) -> Peer:
    """The upstream after `play` and after all connections to it have ended."""

    async def main() -> Peer:
        with trio.fail_after(5):
            async with open_zoo(certificates) as zoo:
                peer = await zoo.house(upstream)
                await play(zoo, peer)
                await zoo.settled(peer)
                return peer

    return trio.run(main)


def context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def asking(
    reception: Reception, server_name: str | None = "upstream.test", ends: bool = True
) -> Callable[[Zoo, Peer], Awaitable[None]]:
    """A client that sends one request, over TLS if the upstream has TLS."""

    async def play(zoo: Zoo, peer: Peer) -> None:
        tls = context() if peer.upstream.tls else None
        await visit(peer.port, (REQUEST,), reception, tls, server_name, ends=ends)

    return play


@pytest.mark.parametrize("upstream", [animals.GOOD, animals.GOOD_12, animals.GOOD_13])
def test_a_good_one_answers_and_remembers(certificates: Path, upstream: Upstream) -> None:
    reception = Reception()
    (seen,) = run(certificates, upstream, asking(reception)).visits
    assert reception.responses[0].endswith(b"\r\n\r\nSNI upstream.test\nGET /a HTTP/1.1\n")
    assert seen.server_name == "upstream.test"
    assert (seen.handshake, seen.protocol) == ("finished", reception.protocol)
    assert seen.requests == (REQUEST,)
    assert seen.raw.startswith(b"\x16\x03\x01")
    assert seen.parting is Parting.CLOSED
    assert not seen.resumed


def test_without_tls(certificates: Path) -> None:
    reception = Reception()
    (seen,) = run(certificates, animals.PLAIN, asking(reception)).visits
    assert reception.responses[0].endswith(b"\r\n\r\nno SNI\nGET /a HTTP/1.1\n")
    assert (seen.hello, seen.handshake, seen.raw) == (None, "", REQUEST)


@pytest.mark.parametrize(
    ("upstream", "words"),
    [
        (animals.NEEDS_SNI, "tlsv1 unrecognized name"),
        (animals.NEEDS_SNI_40, "sslv3 alert handshake failure"),
        (animals.NEEDS_SNI_80, "tlsv1 alert internal error"),
        (animals.NEEDS_SNI_CLOSES, "unexpected eof while reading"),
        (animals.NEEDS_SNI_RESETS, "unexpected eof while reading"),
        (animals.PLAIN_HTTP, "wrong version number"),
        (animals.GARBAGE, "wrong version number"),
        (animals.HANGS_UP, "unexpected eof while reading"),
    ],
)
def test_refusals(certificates: Path, upstream: Upstream, words: str) -> None:
    reception = Reception()
    (seen,) = run(certificates, upstream, asking(reception, "wrong.test")).visits
    assert reception.handshake.replace("ssl/tls alert", "sslv3 alert") == words
    assert seen.handshake == ""
    assert seen.server_name == (None if upstream is animals.HANGS_UP else "wrong.test")
    assert seen.requests == ()


@pytest.mark.parametrize(
    ("upstream", "response", "parting"),
    [
        (animals.NO_ANSWER, b"", "close_notify, closed"),
        (animals.NO_ANSWER_CUT, b"", "closed"),
        (animals.RESETS_REQUEST, b"", "reset"),
        (animals.NOT_HTTP, b"ERR unknown command\r\n", "close_notify, closed"),
    ],
)
def test_answers(certificates: Path, upstream: Upstream, response: bytes, parting: str) -> None:
    reception = Reception()
    (seen,) = run(certificates, upstream, asking(reception, ends=False)).visits
    assert reception.responses == [response]
    assert reception.parting == parting
    assert seen.requests == (REQUEST,)


@pytest.mark.parametrize("upstream", [animals.WANTS_CLIENT_12, animals.WANTS_CLIENT_13])
def test_client_certificates_are_insisted_on(certificates: Path, upstream: Upstream) -> None:
    (refused,) = run(certificates, upstream, asking(Reception())).visits
    assert refused.handshake == "peer did not return a certificate"

    async def play(zoo: Zoo, peer: Peer) -> None:
        tls = context()
        tls.load_cert_chain(certificates / "client.pem", certificates / "client.key")
        await visit(peer.port, (REQUEST,), Reception(), tls, ends=True)

    (welcome,) = run(certificates, upstream, play).visits
    assert welcome.client_certificate == "client"
    assert welcome.requests == (REQUEST,)


def test_an_absent_one_refuses(certificates: Path) -> None:
    async def play(zoo: Zoo, peer: Peer) -> None:
        with pytest.raises(OSError, match=r"127\.0\.0\.1"):
            await trio.open_tcp_stream("127.0.0.1", peer.port)

    assert run(certificates, animals.ABSENT, play).visits == ()


def test_a_full_one_neither_takes_nor_refuses(certificates: Path) -> None:
    async def play(zoo: Zoo, peer: Peer) -> None:
        with trio.move_on_after(0.1) as patience:
            await trio.open_tcp_stream("127.0.0.1", peer.port)
        assert patience.cancelled_caught

    assert run(certificates, animals.FULL, play).visits == ()


def test_a_silent_one_is_silent(certificates: Path) -> None:
    async def play(zoo: Zoo, peer: Peer) -> None:
        reception = Reception()
        with trio.move_on_after(0.1):
            await asking(reception)(zoo, peer)
        assert reception == Reception()

    (seen,) = run(certificates, animals.SILENT, play).visits
    assert (seen.server_name, seen.parting) == ("upstream.test", Parting.CLOSED)


def test_connections_are_counted_while_they_stay(certificates: Path) -> None:
    async def play(zoo: Zoo, peer: Peer) -> None:
        streams = [await trio.open_tcp_stream("127.0.0.1", peer.port) for _ in range(2)]
        while peer.staying < 2:
            await trio.lowlevel.checkpoint()
        await streams[0].aclose()
        await zoo.settled(peer, staying=1)
        assert [seen.parting for seen in peer.visits].count(Parting.STAYED) == 1
        peer.forget()
        assert peer.visits == ()
        await streams[1].aclose()

    run(certificates, animals.PLAIN, play)


def test_animals_have_names_of_their_own() -> None:
    table = [value for value in vars(animals).values() if isinstance(value, Upstream)]
    assert len({upstream.name for upstream in table}) == len(table)
    assert all(upstream.does for upstream in table)
    assert replace(animals.GOOD, name="other").name != animals.GOOD.name


def test_what_drips_stops_when_nobody_is_there(certificates: Path) -> None:
    async def play(zoo: Zoo, peer: Peer) -> None:
        reception = Reception()
        with trio.move_on_after(0.1):
            await asking(reception, ends=False)(zoo, peer)

    (seen,) = run(certificates, animals.DRIP, play).visits
    assert seen.requests == (REQUEST,)
    assert seen.parting is Parting.CLOSED


def test_what_drips_says_all_of_it(certificates: Path) -> None:
    move = replace(animals.DRIP.answers, pace=0.0001, then=Ending.CLOSE)
    reception = Reception()
    run(certificates, replace(animals.DRIP, answers=move), asking(reception, ends=False))
    assert reception.responses[0].endswith(b"\r\n\r\nSNI upstream.test\nGET /a HTTP/1.1\n")


@pytest.mark.parametrize(("protocol", "chosen"), [("h2", "h2"), ("spdy/1", "")])
def test_alpn_is_insisted_on(certificates: Path, protocol: str, chosen: str) -> None:
    reception = Reception()

    async def play(zoo: Zoo, peer: Peer) -> None:
        tls = context()
        tls.set_alpn_protocols([protocol])
        await visit(peer.port, (REQUEST,), reception, tls, ends=True)

    run(certificates, animals.NEEDS_ALPN, play)
    assert reception.alpn == chosen
    assert (reception.handshake == "finished") is bool(chosen)


@pytest.mark.parametrize("server_name", ["upstream.test", None])
def test_a_certificate_for_those_who_do_not_ask(
    certificates: Path, server_name: str | None
) -> None:
    others = x509.load_pem_x509_certificate((certificates / "wrong-host.pem").read_bytes())
    seen: list[bytes] = []

    async def play(zoo: Zoo, peer: Peer) -> None:
        stream = trio.SSLStream(
            await trio.open_tcp_stream("127.0.0.1", peer.port),
            context(),
            server_hostname=server_name,
            https_compatible=True,
        )
        async with stream:
            await stream.do_handshake()
            seen.append(stream.getpeercert(binary_form=True))

    run(certificates, animals.NEEDS_SNI_CERTIFICATE, play)
    assert (seen == [others.public_bytes(Encoding.DER)]) is (server_name is None)


async def test_the_blocks_own_error_is_its_own(certificates: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_zoo(certificates):
            raise ZeroDivisionError


def test_in_a_thread(certificates: Path) -> None:
    with zoo_in_thread(certificates) as zoo:
        peer = zoo.house("plain")
        assert zoo.house(animals.GOOD).root == certificates / "root.pem"
        with socket.create_connection(("127.0.0.1", peer.port)) as client:
            client.sendall(REQUEST)
            assert client.recv(65536).endswith(b"no SNI\nGET /a HTTP/1.1\n")
            assert peer.staying == 1
        assert peer.wait_for(lambda: not peer.staying)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", peer.port))
