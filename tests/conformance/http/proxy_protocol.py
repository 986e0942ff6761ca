"""The PROXY protocol from clients: its header, the variables, the client's address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sniproxy.testing.client import ClientTLSOptions
from sniproxy.testing.upstreams.script import Send
from tests.conformance.scenario import Scenario, Table, get

V1 = "PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\r\n"
SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"
INET = "\xc0\0\2\1\xc6\x33\x64\2\x12\x67\x01\xbb"
INET6 = (
    "\x20\1\x0d\xb8" + "\0" * 11 + "\1" + "\x20\1\x0d\xb8" + "\0" * 11 + "\2" + "\x12\x67\x01\xbb"
)
SHOW = (
    'return 200 "$proxy_protocol_addr|$proxy_protocol_port|$proxy_protocol_server_addr|'
    '$proxy_protocol_server_port|$remote_addr|$realip_remote_addr|$scheme";'
)
READING = "while reading PROXY protocol, client: 127.0.0.1, server: 127.0.0.1:"


def v2(
    payload: str = INET, *, command: int = 0x21, family: int = 0x11, length: int | None = None
) -> str:
    size = len(payload) if length is None else length
    return SIGNATURE + chr(command) + chr(family) + size.to_bytes(2).decode("latin-1") + payload


def tlv(kind: int, value: str) -> str:
    return chr(kind) + len(value).to_bytes(2).decode("latin-1") + value


def own(name: str, rule: str, preamble: str, directives: str = SHOW, **more: object) -> Scenario:
    scenario = Scenario(name, rule, directives, (), proxy_pass="none", preamble=preamble)
    return replace(scenario, **more)  # type: ignore[arg-type]


def both(
    name: str, rule: str, preamble: str, directives: str = SHOW, **more: object
) -> Iterator[Scenario]:
    """On a plain port and on a TLS port."""
    scenario = own(name, rule, preamble, directives, **more)
    yield scenario
    yield replace(scenario, name=f"{name}-tls", tls=ClientTLSOptions())


ACCEPTED = (
    ("v1", V1),
    ("v1-ipv6", "PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n"),
    ("v1-unknown", "PROXY UNKNOWN\r\n"),
    ("v1-unknown-addresses", "PROXY UNKNOWN 192.0.2.1 198.51.100.2 4711 443\r\n"),
    ("v1-unknown-words", "PROXY UNKNOWNEST words\r\r\n"),
    ("v1-family-mixed", "PROXY TCP4 2001:db8::1 198.51.100.2 4711 443\r\n"),
    ("v1-no-addresses", "PROXY TCP4   4711 443\r\n"),
    ("v1-port-0", "PROXY TCP4 192.0.2.1 198.51.100.2 0 0\r\n"),
    ("v1-port-zeros", "PROXY TCP4 192.0.2.1 198.51.100.2 0000004711 00443\r\n"),
    ("v1-port-65535", "PROXY TCP4 192.0.2.1 198.51.100.2 65535 65535\r\n"),
    ("v1-not-an-address", "PROXY TCP4 face:...:b00c 1 4711 443\r\n"),
    ("v1-long", f"PROXY TCP4 {'1' * 900} 2 4711 443\r\n"),
    ("v2", v2()),
    ("v2-ipv6", v2(INET6, family=0x21)),
    ("v2-local", v2("", command=0x20, family=0)),
    ("v2-local-addresses", v2(command=0x20)),
    ("v2-command-2", v2(command=0x22)),
    ("v2-unspec", v2("", family=0)),
    ("v2-unspec-payload", v2("x" * 40, family=0)),
    ("v2-udp", v2(family=0x12)),
    ("v2-unix", v2("/a" * 108, family=0x31)),
    ("v2-family-9", v2(family=0x91)),
    ("v2-tlv", v2(INET + tlv(1, "h2"))),
    ("v2-tlv-large", v2(INET + tlv(0xE0, "x" * 900))),
)
BROKEN = (
    ("none-http", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 'broken header: "GET / HTTP/1.1" '),
    ("v1-lower", "proxy TCP4 192.0.2.1 198.51.100.2 4711 443\r\n", 'broken header: "proxy TCP4'),
    ("v1-short", "PROXY \r\n", 'broken header: "PROXY " '),
    ("v1-family", "PROXY TCP5 192.0.2.1 198.51.100.2 4711 443\r\n", "broken header: "),
    ("v1-udp", "PROXY UDP4 192.0.2.1 198.51.100.2 4711 443\r\n", "broken header: "),
    ("v1-letters", "PROXY TCP4 example.com 198.51.100.2 4711 443\r\n", "broken header: "),
    ("v1-two-spaces", "PROXY TCP4 192.0.2.1 198.51.100.2  4711 443\r\n", "broken header: "),
    ("v1-port-word", "PROXY TCP4 192.0.2.1 198.51.100.2 http 443\r\n", "broken header: "),
    ("v1-port-sign", "PROXY TCP4 192.0.2.1 198.51.100.2 +1 443\r\n", "broken header: "),
    ("v1-port-empty", "PROXY TCP4 192.0.2.1 198.51.100.2  443\r\n", "broken header: "),
    ("v1-port-large", "PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n", "broken header: "),
    ("v1-port-huge", f"PROXY TCP4 1 2 {'9' * 1000} 443\r\n", "broken header: "),
    ("v1-server-port-large", "PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n", "broken header: "),
    ("v1-no-cr", "PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\n", "broken header: "),
    ("v1-no-lf", "PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\r", "broken header: "),
    ("v1-cut", "PROXY TCP4 192.0.2.1 198.51", "broken header: "),
    ("v1-cut-ports", "PROXY TCP4 192.0.2.1 198.51.100.2 4711", "broken header: "),
    ("v1-unknown-cut", "PROXY UNKNOWN", "broken header: "),
    ("v1-too-long", f"PROXY TCP4 {'1' * 5000} 2 4711 443\r\n", "broken header: "),
    ("v1-binary", "PROXY TCP4 \xff\0\x01 2 4711 443\r\n", "broken header: "),
    ("v1-tabs", "PROXY\tTCP4 1 2 3 4\r\n", "broken header: "),
    ("v1-control", "PROXY TCP4 \x1b[31m\x07 2 3 4\r\n", "broken header: "),
    ("v2-signature-cut", SIGNATURE, 'broken header: "" '),
    ("v2-signature-wrong", v2().replace("QUIT", "QUIZ"), 'broken header: "" '),
    ("v2-version-1", v2(command=0x11), "unknown PROXY protocol version: 1 "),
    ("v2-version-3", v2(command=0x31), "unknown PROXY protocol version: 3 "),
    ("v2-length", v2(length=5000), "header is too large "),
    ("v2-length-65535", v2(length=65535), "header is too large "),
    ("v2-cut", v2(length=13), "header is too large "),
    ("v2-too-large", v2(INET + tlv(0xE0, "x" * 1000)), "header is too large "),
    ("v2-short-addresses", v2("x" * 11), ""),
    ("v2-no-addresses", v2(""), ""),
    ("v2-ipv4-for-ipv6", v2(INET, family=0x21), ""),
)


def headers() -> Iterator[Scenario]:
    for name, preamble in ACCEPTED:
        yield from both(name, "The header has the addresses for $proxy_protocol_….", preamble)
    for name, preamble, message in BROKEN:
        for tls in (False, True):
            if tls and name == "v2-too-large":
                continue
            yield own(
                f"{name}-tls" if tls else name,
                "A connection with a broken header is closed.",
                "",
                script=(Send(preamble),),
                plain_to_tls_port=tls,
                status=(0,),
                logs=(message,) if message else (),
                access_log_lines=0,
            )


def sizes() -> Iterator[Scenario]:
    for length in (1024, 1025, 4095, 4096, 4097, 4098):
        header = v2(INET + "x" * (length - 28))
        for tls in (False, True):
            fits = length <= (4097 if tls else 1024)
            yield own(
                f"size-{length}{'-tls' if tls else ''}",
                "A header may have client_header_buffer_size bytes, and 4097 before TLS.",
                header,
                tls=ClientTLSOptions() if tls else None,
                status=200 if fits else () if tls else (0,),
                logs=() if fits else ("header is too large",),
                access_log_lines=None if fits else 0,
            )


def one_piece() -> Iterator[Scenario]:
    """The header and the first request in one piece; the preamble alone may come earlier."""
    request = get(path="PATH")
    for name, header in (("v1", V1), ("v2", v2()), ("unknown", "PROXY UNKNOWN\r\n")):
        yield own(
            f"together-{name}",
            "A request may follow the header in the same packet.",
            "",
            script=(Send(header + request),),
        )
    yield own(
        "twice",
        "A second header is a bad request.",
        "",
        requests=(V1 + V1 + request,),
        status=400,
        logs=("client sent invalid request while reading client request line",),
    )
    keep = "GET PATH HTTP/1.1\r\nHost: front.test\r\n\r\n"
    yield own("keep-alive", "The header is of all requests.", V1, requests=(keep, keep, request))
    yield own(
        "nothing-plain",
        "A client that sends nothing is no error.",
        "",
        script=(Send(""),),
        half_close=True,
        status=(0,),
        logs=("client closed connection " + READING,),
        access_log_lines=0,
    )
    yield own(
        "nothing-tls",
        "A client that sends nothing to a TLS port has a broken header.",
        "",
        script=(Send(""),),
        half_close=True,
        status=(0,),
        plain_to_tls_port=True,
        logs=('broken header: "" ' + READING,),
        access_log_lines=0,
    )
    yield own(
        "plain-http",
        "Plain HTTP on the TLS port is a 400 after a header too.",
        "",
        requests=(V1 + request,),
        plain_to_tls_port=True,
        status=400,
        logs=("client sent plain HTTP request to HTTPS port",),
    )
    yield own(
        "closed-after-header",
        "A client that sends a header alone is no error.",
        V1,
        script=(Send(""),),
        half_close=True,
        status=(0,),
        logs=("client closed connection",),
        access_log_lines=0,
    )
    yield own(
        "timeout",
        "client_header_timeout limits the wait for the header.",
        "",
        script=(Send(""),),
        status=(0,),
        logs=("client timed out (110) " + READING,),
        access_log_lines=0,
    )
    yield own(
        "timeout-tls",
        "client_header_timeout limits the wait for the header with TLS too.",
        "",
        script=(Send(""),),
        status=(0,),
        logs=("client timed out (110) " + READING,),
        access_log_lines=0,
        plain_to_tls_port=True,
    )


def tlvs() -> Iterator[Scenario]:
    ssl = (
        "\5\0\0\1\2"
        + tlv(0x21, "TLSv1.3")
        + tlv(0x22, "ada")
        + tlv(0x23, "AES")
        + tlv(0x24, "SHA")
        + tlv(0x25, "RSA2048")
        + tlv(0x28, "x")
    )
    every = (
        INET
        + tlv(1, "h2")
        + tlv(2, "a.test")
        + tlv(3, "crc4")
        + tlv(4, "")
        + tlv(5, "id")
        + tlv(0x20, ssl)
        + tlv(0x30, "ns")
        + tlv(0xEA, "\1vpce")
        + tlv(1, "second")
    )
    names = (
        *("alpn", "authority", "unique_id", "ssl", "netns", "0x01", "0x1", "0x03", "0xea", "0xEA"),
        *("0x04", "0x30", "0x99", "0x101", "0x00001", "ssl_version", "ssl_cn", "ssl_cipher"),
        *("ssl_sig_alg", "ssl_key_alg", "ssl_verify", "ssl_0x21", "ssl_0x28", "ssl_0x99"),
    )
    bad = (
        ("crc32c", "unknown"),
        ("0x", "invalid"),
        ("0xg", "invalid"),
        ("", "unknown"),
        ("ssl_", "unknown"),
        ("ssl_alpn", "unknown"),
        ("version", "unknown"),
        ("ssl_0x", "invalid"),
        ("0x_1", "invalid"),
        ("ssl_group", "unknown"),
        ("0xffffffffffffffffffff", "invalid"),
        ("sslx", "unknown"),
        ("ssl_ssl_cn", "unknown"),
        ("1", "unknown"),
    )
    for name in names:
        yield own(
            f"tlv-{name}",
            "$proxy_protocol_tlv_NAME is the first TLV of the type.",
            v2(every),
            f'return 200 "<$proxy_protocol_tlv_{name}>";',
        )
    for name, word in bad:
        yield own(
            f"tlv-bad-{name}",
            "An unknown name of a TLV is logged, and has no value.",
            v2(every),
            f'return 200 "<${{proxy_protocol_tlv_{name}}}>";',
            logs=(f'{word} PROXY protocol TLV "{name}"',),
        )
    yield own("tlv-v1", "Version 1 has no TLVs.", V1, 'return 200 "<$proxy_protocol_tlv_alpn>";')
    yield own(
        "tlv-v1-bad",
        "With version 1 an unknown name is logged.",
        V1,
        'return 200 "<$proxy_protocol_tlv_x>";',
        logs=('unknown PROXY protocol TLV "x"',),
    )
    yield own(
        "tlv-unknown",
        "Without a client there are no TLVs.",
        "PROXY UNKNOWN\r\n",
        'return 200 "<$proxy_protocol_tlv_x>";',
    )
    for name, payload, wanted, logged in (
        ("cut-head", "\1\0", "alpn", True),
        ("cut-value", "\1\0\5h2", "alpn", True),
        ("cut-later", tlv(1, "h2") + "\2\0", "alpn", False),
        ("cut-before", tlv(1, "h2") + "\2\0\3x", "netns", True),
        ("ssl-short", tlv(0x20, "\1\0\0\0"), "ssl_cn", False),
        ("ssl-short-verify", tlv(0x20, "\1\0\0\0"), "ssl_verify", False),
        ("ssl-bare", tlv(0x20, "\1\0\0\0\0"), "ssl_cn", False),
        ("ssl-verify-max", tlv(0x20, "\1\xff\xff\xff\xff"), "ssl_verify", False),
        ("ssl-cut", tlv(0x20, "\1\0\0\0\0\x22\0\4x"), "ssl_cn", True),
        ("ssl-none", tlv(1, "h2"), "ssl_verify", False),
        ("ssl-none-bad", tlv(1, "h2"), "ssl_x", False),
    ):
        yield own(
            f"tlv-{name}",
            "A TLV that is cut off has no value, and is logged.",
            v2(INET + payload),
            f'return 200 "<$proxy_protocol_tlv_{wanted}>";',
            logs=("broken PROXY protocol TLV",) if logged else (),
        )


def addresses() -> Iterator[Scenario]:
    real = "set_real_ip_from 127.0.0.0/8; real_ip_header proxy_protocol; "
    file = {"html/NAME": "let in\n"}
    log = (
        "access_log access.log tried; add_header X-Log "
        + '"$remote_addr $own_port $realip_remote_addr $proxy_add_x_forwarded_for"; '
    )
    for name, preamble in (
        ("v1", V1),
        ("v1-ipv6", "PROXY TCP6 2001:db8::1 ::1 4711 443\r\n"),
        ("v2", v2()),
        ("v2-ipv6", v2(INET6, family=0x21)),
        ("unknown", "PROXY UNKNOWN\r\n"),
        ("local", v2("", command=0x20)),
        ("not-an-address", "PROXY TCP4 face:...:b00c 1 4711 443\r\n"),
        ("port-0", "PROXY TCP4 192.0.2.1 1.2.3.4 0 443\r\n"),
        ("empty", "PROXY TCP4   4711 443\r\n"),
        ("mapped", "PROXY TCP6 ::ffff:192.0.2.1 ::1 4711 443\r\n"),
        ("upper", "PROXY TCP6 2001:DB8:0:0::1 ::1 4711 443\r\n"),
        ("trusted", "PROXY TCP4 127.0.0.9 1.2.3.4 5 443\r\n"),
        ("with-port", "PROXY TCP4 192.0.2.1:99 1.2.3.4 5 443\r\n"),
    ):
        for recursive in ("", "real_ip_recursive on; "):
            yield own(
                f"real-{name}{'-recursive' if recursive else ''}",
                "real_ip_header proxy_protocol takes address and port from the header.",
                preamble,
                real + recursive + log,
                files=file,
            )
    yield own(
        "real-untrusted",
        "A proxy that is not trusted does not change the address.",
        V1,
        real.replace("127.0.0.0/8", "10.0.0.0/8") + log,
        files=file,
    )
    yield own(
        "real-other-field",
        "With another real_ip_header the header is not used.",
        V1,
        "set_real_ip_from 127.0.0.0/8; real_ip_header X-Real-IP; " + log,
        files=file,
    )
    yield own(
        "real-field-mapped",
        "An IPv4-mapped IPv6 address stays one.",
        V1,
        "set_real_ip_from 127.0.0.0/8; real_ip_header X-Real-IP; " + log,
        requests=(get("X-Real-IP: ::ffff:192.0.2.1"),),
        files=file,
    )
    yield own(
        "real-deny-mapped",
        "Access rules for IPv4 apply to a mapped address.",
        "PROXY TCP6 ::ffff:192.0.2.1 ::1 4711 443\r\n",
        real + "deny 192.0.2.0/24;",
        files=file,
        status=403,
        logs=("access forbidden by rule, client: ::ffff:192.0.2.1",),
    )
    yield own(
        "real-deny",
        "Access rules apply to the address of the header.",
        V1,
        real + "deny 192.0.2.0/24;",
        files=file,
        status=403,
        logs=("access forbidden by rule, client: 192.0.2.1",),
    )


TABLE = Table(
    "proxy-protocol",
    (*headers(), *sizes(), *one_piece(), *tlvs(), *addresses()),
    before="""
    map $remote_port $own_port { default client; "" none; ~^([0-9]|4711)$ $remote_port; }
    log_format tried "$remote_addr $realip_remote_addr $proxy_protocol_addr $status";
""",
    server="client_header_timeout 300ms;",
    http="""
    server {
        listen FRONT proxy_protocol;
        listen FRONT_TLS ssl proxy_protocol;
        server_name other.test;
        ssl_certificate front.pem;
        ssl_certificate_key front.key;
    }
""",
)
