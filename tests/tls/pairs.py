"""Both ends of a TLS connection in one process."""

from __future__ import annotations

import socket
from typing import Any

import trio
from OpenSSL import SSL

from sniproxy.models import Side
from sniproxy.tls.stream import TLSStream


def tls_pair(
    server: SSL.Context, client: SSL.Context, **options: Any
) -> tuple[TLSStream, TLSStream]:
    """Connected client-side and upstream-side streams; `choose` is passed to the client side."""
    near, far = socket.socketpair()
    choose = options.pop("choose", None)
    return (
        TLSStream(near, Side.CLIENT, server, choose=choose),
        TLSStream(far, Side.UPSTREAM, client, **options),
    )


async def shake_hands(*streams: TLSStream, timeout: float = 5) -> None:
    async with trio.open_nursery() as nursery:
        for stream in streams:
            nursery.start_soon(stream.do_handshake, timeout)


async def connected(
    server: SSL.Context, client: SSL.Context, **options: Any
) -> tuple[TLSStream, TLSStream]:
    """A pair after handshake and one byte in each direction, so that tickets have arrived."""
    pair = tls_pair(server, client, **options)
    await shake_hands(*pair)
    for sender, receiver in (pair, pair[::-1]):
        await sender.send_all(b"x", 5)
        assert await receiver.receive_some(5) == b"x"
    return pair


def part(*streams: TLSStream) -> None:
    for stream in streams:
        stream.shutdown()
