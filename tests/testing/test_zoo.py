"""Each animal as a client meets it, and what it remembers of that."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from sniproxy.testing.client import Reception, visit
from sniproxy.testing.zoo import Parting, Peer, Upstream, Zoo, animals, open_zoo, wear

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
