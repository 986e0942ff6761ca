"""One connection: its calls, and the facts of its handshake."""

from __future__ import annotations

import threading
from typing import Any

from OpenSSL import SSL

from .binding import OK, Session, Ssl, clear_error, ffi, lib, text
from .pem import x509_der

# Module globals: an attribute of the cffi library object costs a dictionary look-up more.
_get_error = lib.SSL_get_error
_do_handshake = lib.SSL_do_handshake
_read = lib.SSL_read
_write = lib.SSL_write


def new_ssl(context: SSL.Context, fd: int, *, server: bool) -> Ssl:
    """An `SSL` of `context` on the socket `fd`; a server refuses renegotiation, as nginx does."""
    ssl = ffi.gc(lib.SSL_new(context._context), lib.SSL_free)
    lib.SSL_set_fd(ssl, fd)
    if server:
        lib.SSL_set_accept_state(ssl)
        lib.SSL_set_options(ssl, lib.SSL_OP_NO_RENEGOTIATION)
    else:
        lib.SSL_set_connect_state(ssl)
    return Ssl(ssl)


# The next three return (result, SSL_ERROR_*, errno). cffi keeps the errno of its last call
# into C, so it is taken before SSL_get_error.


def do_handshake(ssl: Ssl) -> tuple[int, int, int]:
    clear_error()
    result = _do_handshake(ssl)
    if result == 1:
        return result, OK, 0
    errno = ffi.errno
    return result, _get_error(ssl, result), errno


def read(ssl: Ssl, buffer: Any, limit: int) -> tuple[bytes, int, int]:
    """At most `limit` bytes of one record; empty unless SSL_ERROR_NONE comes with it.

    `buffer` is this thread's `read_buffer`.
    """
    clear_error()
    result = _read(ssl, buffer, limit if limit < RECORD else RECORD)
    if result > 0:
        return ffi.unpack(buffer, result), OK, 0
    errno = ffi.errno
    return b"", _get_error(ssl, result), errno


def write(ssl: Ssl, data: bytes | bytearray | memoryview, start: int) -> tuple[int, int, int]:
    """Write the bytes of `data` from `start` on, one record at most."""
    clear_error()
    if start or type(data) is not bytes:
        result = _write(ssl, ffi.from_buffer(data) + start, len(data) - start)
    else:
        result = _write(ssl, data, len(data))
    if result > 0:
        return result, OK, 0
    errno = ffi.errno
    return result, _get_error(ssl, result), errno


pending = lib.SSL_pending
"""Bytes that are decrypted and not read yet: `pending(ssl)`."""


RECORD = 16384
"""Bytes; a TLS record holds no more."""


class _ReadBuffer(threading.local):
    """The target of SSL_read, copied from at once. One for each thread: the GIL is released."""

    def __init__(self) -> None:
        self.buffer = ffi.new("char[]", RECORD)


_read_buffer = _ReadBuffer()


def read_buffer() -> Any:
    """The buffer of this thread for `read`."""
    return _read_buffer.buffer


def send_close_notify(ssl: Ssl) -> None:
    """Call SSL_shutdown, and ignore the result."""
    clear_error()
    lib.SSL_shutdown(ssl)
    clear_error()


def mark_shut_down(ssl: Ssl) -> None:
    """As if both close_notify had passed: else SSL_free makes the session unfit for resumption."""
    lib.SSL_set_shutdown(ssl, lib.SSL_SENT_SHUTDOWN | lib.SSL_RECEIVED_SHUTDOWN)


def set_server_name(ssl: Ssl, name: bytes) -> bool:
    """Sets the SNI to send, byte for byte; False with the error queued where OpenSSL refuses."""
    clear_error()
    lib.SSL_set_tlsext_host_name(ssl, name)  # the binding has it without a result
    return not lib.ERR_peek_error()


def set_alpn(ssl: Ssl, protocols: bytes) -> bool:
    """Offers `protocols`, each with its length byte before it."""
    clear_error()
    return bool(lib.SSL_set_alpn_protos(ssl, protocols, len(protocols)) == 0)


def set_session(ssl: Ssl, session: Session) -> bool:
    """Offers `session`, wherever it was made."""
    clear_error()
    return bool(lib.SSL_set_session(ssl, session) == 1)


def session_of(ssl: Ssl) -> Session | None:
    """The connection's session as it is now, owned by the caller."""
    session = lib.SSL_get1_session(ssl)
    return Session(ffi.gc(session, lib.SSL_SESSION_free)) if session else None


# --- facts of a handshake


def received_server_name(ssl: Ssl) -> bytes | None:
    """The SNI in the ClientHello; only valid in the servername callback."""
    name = lib.SSL_get_servername(ssl, lib.TLSEXT_NAMETYPE_host_name)
    return ffi.string(name) if name else None


def protocol(ssl: Ssl) -> str:
    """`TLSv1.3`."""
    return text(lib.SSL_get_version(ssl))


def is_tls13(ssl: Ssl) -> bool:
    return bool(lib.SSL_version(ssl) == TLS1_3_VERSION)


TLS1_3_VERSION = 0x0304


def cipher(ssl: Ssl) -> str:
    current = lib.SSL_get_current_cipher(ssl)
    return text(lib.SSL_CIPHER_get_name(current)) if current else ""


def group(ssl: Ssl) -> str:
    """The key exchange group as nginx calls it; "" without one."""
    name = text(lib.SSL_get0_group_name(ssl))
    return _SHORT_NAMES.get(name, name)


_SHORT_NAMES = {"x25519": "X25519", "x448": "X448", "secp256r1": "prime256v1"}
"""nginx prints the object's short name, where TLS has its own."""


def alpn(ssl: Ssl) -> bytes:
    data, length = ffi.new("unsigned char **"), ffi.new("unsigned int *")
    lib.SSL_get0_alpn_selected(ssl, data, length)
    return bytes(ffi.buffer(data[0], length[0])) if length[0] else b""


def resumed(ssl: Ssl) -> bool:
    return bool(lib.SSL_session_reused(ssl))


def verify_result(ssl: Ssl) -> int:
    return int(lib.SSL_get_verify_result(ssl))


def chain_length(ssl: Ssl) -> int:
    """Certificates in the chain that was built for the peer, its own and the root included; 0
    where none was built."""
    return max(int(lib.sk_X509_num(lib.SSL_get0_verified_chain(ssl))), 0)


def peer_certificate(ssl: Ssl) -> bytes | None:
    """The peer's own certificate as DER."""
    certificate = lib.SSL_get_peer_certificate(ssl)
    if not certificate:
        return None
    try:
        return x509_der(certificate)
    finally:
        lib.X509_free(certificate)


def peer_chain(ssl: Ssl) -> list[bytes]:
    """The certificates that the peer has sent, as DER; on the server without its own one."""
    chain = lib.SSL_get_peer_cert_chain(ssl)
    if not chain:
        return []
    return [x509_der(lib.sk_X509_value(chain, at)) for at in range(lib.sk_X509_num(chain))]


def own_certificate(ssl: Ssl) -> bytes | None:
    """The certificate of this side as DER."""
    certificate = lib.SSL_get_certificate(ssl)
    return x509_der(certificate) if certificate else None


def session_der(ssl: Ssl) -> bytes:
    """The connection's session as i2d_SSL_SESSION(3) writes it; b"" without one."""
    session = lib.SSL_get_session(ssl)
    size = lib.i2d_SSL_SESSION(session, ffi.NULL) if session else 0
    if size <= 0:
        return b""
    memory = ffi.new("unsigned char[]", size)
    lib.i2d_SSL_SESSION(session, ffi.new("unsigned char **", memory))
    return bytes(ffi.buffer(memory, size))


def cipher_name(ssl: Ssl, number: int) -> str | None:
    """OpenSSL's name for a cipher suite by IANA's number."""
    found = lib.SSL_CIPHER_find(ssl, number.to_bytes(2))
    return text(lib.SSL_CIPHER_get_name(found)) if found else None


def short_name(kind: str) -> str | None:
    """OpenSSL's short name for an object, `CN` for `2.5.4.3`."""
    nid = lib.OBJ_txt2nid(kind.encode())
    clear_error()
    return text(lib.OBJ_nid2sn(nid)) if nid else None
