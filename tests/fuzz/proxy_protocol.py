"""Hostile headers of the PROXY protocol: `python -m tests.fuzz proxy_protocol --seconds 60`.

Each visitor sends a header, spoilt or not, to a plain port or before TLS, and a request after it.
"""

from __future__ import annotations

import random
import ssl
import sys

import trio

from tests.fuzz.bench import Run, main
from tests.fuzz.mutation import pieces, spoilt
from tests.fuzz.tls import client_context, hello

SITE = r"""
events {}
error_log stderr emerg;
http {
    access_log off;
    client_header_timeout 300ms;
    keepalive_timeout 300ms;
    ssl_certificate front.pem;
    ssl_certificate_key front.key;
    set_real_ip_from 127.0.0.0/8;
    real_ip_header proxy_protocol;
    real_ip_recursive on;
    geo $where { default away; 192.0.2.0/24 home; 2001:db8::/32 home6; }
    server {
        listen 127.0.0.1:PORT proxy_protocol;
        listen 127.0.0.1:UPSTREAM proxy_protocol ssl;
        deny 198.51.100.66;
        location / {
            return 200 "$remote_addr $remote_port $binary_remote_addr $where
$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr
$proxy_protocol_server_port $proxy_protocol_tlv_alpn $proxy_protocol_tlv_0x05
$proxy_protocol_tlv_ssl_verify $proxy_protocol_tlv_ssl_cn $proxy_protocol_tlv_ssl_0x99
$proxy_protocol_tlv_0xee $proxy_protocol_tlv_nonsense";
        }
    }
}
"""

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n"
WORDS = ("192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "::", "1.2.3", "", "f" * 600, "1:2")
NUMBERS = ("0", "443", "65535", "65536", "-1", "", "9" * 300, "0" * 300 + "1")


def header(chance: random.Random) -> bytes:
    """A header, mostly correct."""
    if chance.random() < 0.1:
        return b"PROXY UNKNOWN ff::1\r\n"
    if chance.random() < 0.4:
        protocol = chance.choice(("TCP4", "TCP6", "TCP4", "UDP4"))
        words = (protocol, *chance.choices(WORDS, k=2), *chance.choices(NUMBERS, k=2))
        return f"PROXY {' '.join(words)}\r\n".encode()
    family = chance.choice((0, 0x11, 0x11, 0x12, 0x21, 0x31, 0xFF))
    payload = chance.randbytes({0x11: 12, 0x21: 36}.get(family, chance.randint(0, 216)))
    payload += tlvs(chance)
    length = len(payload)
    if chance.random() < 0.1:
        length = chance.choice((0, 11, 12, 35, 36, length - 1, length + 1, 4096, 65535)) % 65536
    version = chance.choice((0x21, 0x21, 0x21, 0x20, 0x2F, 0x11))
    return SIGNATURE + bytes([version, family]) + length.to_bytes(2) + payload


def tlvs(chance: random.Random, depth: int = 0) -> bytes:
    data = b""
    for _ in range(chance.randint(0, 6)):
        kind = chance.choice((1, 2, 3, 4, 5, 0x20, 0x21, 0x22, 0x30, 0xEE))
        value = chance.randbytes(chance.choice((0, 1, 4, 5, 40, 900)))
        if kind == 0x20 and depth < 2:
            value = chance.randbytes(5) + tlvs(chance, depth + 1)
        data += bytes([kind]) + len(value).to_bytes(2) + value
    return spoilt(data, chance) if chance.random() < 0.3 else data


async def visit(run: Run, chance: random.Random) -> str:
    before_tls = chance.random() < 0.4
    stream = await trio.open_tcp_stream("127.0.0.1", run.upstream_port if before_tls else run.port)
    async with stream:
        try:
            data = header(chance)
            if chance.random() < 0.5:
                data = spoilt(data, chance)
            if before_tls and chance.random() < 0.5:
                return await ask_over_tls(stream, data)
            data += hello(chance) if before_tls else REQUEST
            for piece in pieces(data, chance):
                await stream.send_all(piece)
            if chance.random() < 0.2:
                return "left early"
            if chance.random() < 0.3:
                await stream.send_eof()
            answer = await stream.receive_some()
            while answer and await stream.receive_some():
                pass
        except trio.BrokenResourceError:
            return "reset"
    if before_tls:
        return "TLS: " + {b"": "closed", b"\x15": "alert", b"\x16": "hello"}.get(
            answer[:1], "plain"
        )
    return f"plain: {answer[9:12].decode('latin-1') or 'closed'}"


async def ask_over_tls(stream: trio.SocketStream, data: bytes) -> str:
    if data:
        await stream.send_all(data)
    tls = trio.SSLStream(
        stream, client_context(False, False), server_hostname="front.test", https_compatible=True
    )
    try:
        await tls.send_all(REQUEST)
        answer = await tls.receive_some()
    except (trio.BrokenResourceError, ssl.SSLError):
        return "TLS: broken"
    return f"TLS: {answer[9:12].decode('latin-1') or 'nothing'}"


async def no_companions(run: Run) -> None:
    """The site itself uses the port of an upstream."""


def run_fuzzer() -> int:
    """Attack the site for the time given by the command line; returns the exit status."""
    return main("proxy_protocol", SITE, visit, no_companions)


if __name__ == "__main__":
    sys.exit(run_fuzzer())
