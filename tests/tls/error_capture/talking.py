"""OpenSSL at our end, set up as nginx does it, a peer at the other, and memory between them."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from OpenSSL import SSL, _util

ffi: Any = _util.ffi
lib: Any = _util.lib

Queue = list[tuple[int, str]]
"""Packed code and reason, oldest first."""
Reply = Callable[[bytes], bytes]
"""What a peer says to the bytes that it is sent; b"" when it has nothing to say."""
Tamper = Callable[[int, bytes], bytes]
"""The number of a flight and its bytes → the bytes that arrive."""


class Provoked(NamedTuple):
    """What OpenSSL queued, and when."""

    side: str
    """`upstream`: it was the client; `client`: it was the server; `start`: it loaded a file."""
    operation: str
    queue: Queue
    header: str = ""
    """The first five bytes that arrived, in hexadecimal."""


def text(pointer: Any) -> str:
    return ffi.string(pointer).decode("latin-1") if pointer else ""


def drain() -> Queue:
    queue = []
    while code := lib.ERR_get_error():
        queue.append((code, text(lib.ERR_reason_error_string(code))))
    return queue


# --- contexts, as nginx sets them ---


def refuse_or_answer_alpn(_ssl: Any, out: Any, size: Any, offer: Any, length: int, _: Any) -> int:
    if b"\x08http/1.1" not in ffi.unpack(ffi.cast("char *", offer), length):
        return 2
    out[0], size[0] = HTTP11, len(HTTP11)
    return 0


HTTP11 = ffi.new("unsigned char[]", b"http/1.1")
go_on = ffi.callback("int (*)(int, X509_STORE_CTX *)", lambda ok, store: 1)
choose_alpn = ffi.callback(
    "int (*)(SSL *, const unsigned char **, unsigned char *, const unsigned char *,"
    " unsigned int, void *)",
    refuse_or_answer_alpn,
)
reject_name = ffi.callback("int (*)(SSL *, int *, void *)", lambda ssl, alert, _: reject(alert))


def reject(alert: Any) -> int:
    alert[0] = 112
    return 2


class Settings(NamedTuple):
    lowest: str = "TLSv1.2"
    highest: str = "TLSv1.3"
    ciphers: bytes = b"HIGH:!aNULL:!MD5"
    certificate: str = "leaf"
    reject: bool = False
    alpn: bytes = b""
    verify: bool = False


VERSIONS = {"TLSv1": 0x301, "TLSv1.1": 0x302, "TLSv1.2": 0x303, "TLSv1.3": 0x304}


def our_end(files: Path, settings: Settings, server: bool) -> SSL.Connection:
    context = SSL.Context(SSL.SSLv23_METHOD)
    ctx = context._context
    for name, number in VERSIONS.items():
        if not VERSIONS[settings.lowest] <= number <= VERSIONS[settings.highest]:
            context.set_options(getattr(SSL, "OP_NO_" + name.replace(".", "_")))
    context.set_options(SSL.OP_NO_COMPRESSION | getattr(lib, "SSL_OP_IGNORE_UNEXPECTED_EOF", 0))
    lib.SSL_CTX_set_cipher_list(ctx, settings.ciphers)
    if settings.certificate:
        context.use_certificate_chain_file(str(files / f"{settings.certificate}.crt"))
        context.use_privatekey_file(str(files / f"{settings.certificate}.key"))
    if server:
        lib.SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, ffi.NULL)
        if settings.reject:
            lib.SSL_CTX_set_tlsext_servername_callback(ctx, reject_name)
        if settings.verify:
            lib.SSL_CTX_set_verify(ctx, SSL.VERIFY_PEER, go_on)
    end = SSL.Connection(context, None)
    if server:
        end.set_accept_state()
        lib.SSL_set_options(end._ssl, 0x40000000)  # SSL_OP_NO_RENEGOTIATION
    else:
        end.set_connect_state()
        lib.SSL_set_tlsext_host_name(end._ssl, b"w.test")
        if settings.alpn:
            lib.SSL_set_alpn_protos(end._ssl, settings.alpn, len(settings.alpn))
    return end


# --- peers ---


def says(*flights: bytes) -> Reply:
    """A peer that sends one thing after the other, whatever it is sent."""
    waiting = list(flights)
    return lambda data: waiting.pop(0) if waiting else b""


class PythonPeer:
    """Python's ssl at the other end; after the handshake it sends `then` once, encrypted."""

    def __init__(self, context: ssl.SSLContext, server: bool, then: bytes = b"") -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = None if server else "w.test"
        self.tls = context.wrap_bio(
            self.incoming, self.outgoing, server_side=server, server_hostname=name
        )
        self.then = then
        self.shaken = False

    def __call__(self, data: bytes) -> bytes:
        self.incoming.write(data)
        try:
            if not self.shaken:
                self.tls.do_handshake()
                self.shaken = True
                if self.then:
                    self.tls.write(self.then)
            self.tls.read(65536)
        except ssl.SSLError:
            pass
        return self.outgoing.read()


def python_server(files: Path, **settings: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(files / "leaf.crt"), str(files / "leaf.key"))
    return python(context, files, **settings)


def python_client(files: Path, **settings: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return python(context, files, **settings)


def python(context: ssl.SSLContext, files: Path, **settings: Any) -> ssl.SSLContext:
    ciphers, alpn = settings.pop("ciphers", None), settings.pop("alpn", None)
    curve, certificate = settings.pop("curve", None), settings.pop("certificate", None)
    trusted = settings.pop("trusted", None)
    if ciphers:
        context.set_ciphers(ciphers)
    if alpn:
        context.set_alpn_protocols(alpn)
    if curve:
        context.set_ecdh_curve(curve)
    if trusted:
        context.load_verify_locations(str(files / trusted))
    if certificate:
        context.load_cert_chain(
            str(files / f"{certificate}.crt"), str(files / f"{certificate}.key")
        )
    for name, value in settings.items():
        setattr(context, name, value)
    return context


# --- one conversation ---


def talk(end: SSL.Connection, reply: Reply, side: str, tamper: Tamper | None) -> Provoked | None:
    """Handshake, then request and answer, until something fails or nobody has more to say."""
    handle = end._ssl
    buffer = ffi.new("char[]", 16384)
    operation, sent, flight, header = "SSL_do_handshake", False, 0, b""
    while True:
        lib.ERR_clear_error()
        if operation == "SSL_do_handshake":
            result = lib.SSL_do_handshake(handle)
        elif side == "upstream" and not sent:
            sent, result = True, lib.SSL_write(handle, b"GET / HTTP/1.0\r\n\r\n", 18)
        else:
            result = lib.SSL_read(handle, buffer, 16384)
        error = lib.SSL_get_error(handle, result)
        if result > 0:
            operation = "SSL_read"
            continue
        if error != lib.SSL_ERROR_WANT_READ:
            queue = drain()
            return Provoked(side, operation, queue, header.hex()) if queue else None
        try:
            output = end.bio_read(1 << 20)
        except SSL.WantReadError:
            output = b""
        heard = reply(output)
        if tamper is not None and heard:
            heard = tamper(flight, heard)
        flight += 1
        if not heard:
            return None
        header = header or heard[:5]
        end.bio_write(heard)
