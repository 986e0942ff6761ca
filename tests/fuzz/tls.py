"""Hostile TLS on both sides: `python -m tests.fuzz tls --seconds 60`.

Half of the visitors spoil a ClientHello. The others shake hands properly and ask for what is
behind an upstream that spoils its own side of the handshake.
"""

from __future__ import annotations

import functools
import random
import ssl
import sys

import trio

from tests.fuzz.bench import Run, main
from tests.fuzz.mutation import pieces, spoilt

SITE = """
events {}
error_log stderr emerg;
http {
    access_log off;
    client_header_timeout 300ms;
    ssl_certificate front.pem;
    ssl_certificate_key front.key;
    server {
        listen 127.0.0.1:PORT ssl;
        server_name front.test;
        location / {
            proxy_pass https://127.0.0.1:UPSTREAM;
            proxy_ssl_server_name on;
            proxy_ssl_name front.test;
            proxy_connect_timeout 300ms;
            proxy_read_timeout 300ms;
        }
    }
    server {
        listen 127.0.0.1:PORT ssl;
        server_name refused.test;
        ssl_reject_handshake on;
    }
}
"""

NAMES = ("front.test", "refused.test", "x.front.test", "a" * 63 + ".test", "_._", "x" * 250 + ".t")


@functools.cache
def client_context(old: bool, alpn: bool) -> ssl.SSLContext:
    """A context that trusts anybody; few of them, so that growth is the proxy's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if old:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if alpn:
        context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def hello(chance: random.Random) -> bytes:
    """A genuine ClientHello."""
    context = client_context(chance.random() < 0.3, chance.random() < 0.5)
    name = chance.choice(NAMES)
    outgoing = ssl.MemoryBIO()
    try:
        tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    except (ValueError, UnicodeError):
        return hello(chance)
    return outgoing.read()


async def visit(run: Run, chance: random.Random) -> str:
    if chance.random() < 0.5:
        return await spoil_a_hello(run, chance)
    return await ask_for_the_upstream(run)


async def spoil_a_hello(run: Run, chance: random.Random) -> str:
    stream = await trio.open_tcp_stream("127.0.0.1", run.port)
    async with stream:
        try:
            for piece in pieces(spoilt(hello(chance), chance), chance):
                await stream.send_all(piece)
            if chance.random() < 0.3:
                return "front: left early"
            if chance.random() < 0.3:
                await stream.send_eof()
            answer = await stream.receive_some()
            while answer and await stream.receive_some():
                pass
        except trio.BrokenResourceError:
            return "front: reset"
    kinds = {b"": "closed", b"\x15": "alert", b"\x16": "server hello", b"H": "plain answer"}
    return f"front: {kinds.get(answer[:1], 'other')}"


async def ask_for_the_upstream(run: Run) -> str:
    context = client_context(False, False)
    stream = trio.SSLStream(
        await trio.open_tcp_stream("127.0.0.1", run.port),
        context,
        server_hostname="front.test",
        https_compatible=True,
    )
    async with stream:
        try:
            await stream.send_all(
                b"GET / HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n"
            )
            answer = b""
            while piece := await stream.receive_some():
                answer += piece
        except trio.BrokenResourceError:
            return "upstream: broken"
    return f"upstream: {answer[9:12].decode('latin-1') or 'nothing'}"


async def spoiling_upstream(run: Run) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(run.directory / "front.pem", run.directory / "front.key")
    chance = random.Random(run.port)

    async def serve(stream: trio.SocketStream) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        spoil_from = chance.randint(0, 3)
        turns = 0
        try:
            with trio.move_on_after(2):
                while data := await stream.receive_some():
                    incoming.write(data)
                    _play(tls)
                    flight = outgoing.read()
                    if turns >= spoil_from:
                        flight = spoilt(flight, chance) if flight else chance.randbytes(20)
                    turns += 1
                    for piece in pieces(flight, chance):
                        await stream.send_all(piece)
                    if turns > 4 or chance.random() < 0.1:
                        break
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(stream)

    await trio.serve_tcp(serve, run.upstream_port, host="127.0.0.1")


def _play(tls: ssl.SSLObject) -> None:
    """Go on as far as it goes; answer what can be read."""
    try:
        tls.do_handshake()
        if tls.read(4096):
            tls.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    except ssl.SSLError:
        pass


def run_fuzzer() -> int:
    """Attack the site for the time given by the command line; returns the exit status."""
    return main("tls", SITE, visit, spoiling_upstream)


if __name__ == "__main__":
    sys.exit(run_fuzzer())
