"""The one file that calls OpenSSL through pyOpenSSL's cffi binding.

pyOpenSSL's `Context` is kept as the owner of an `SSL_CTX`; its `Connection` is passed by,
because it turns errors into exceptions that have lost the packed codes, resets verification
results and guards sessions against the very use that nginx makes of them. Every function
here is thin: it takes and gives cdata, bytes and ints, and leaves judgement to its caller.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NewType

from OpenSSL import SSL, _util

ffi: Any = _util.ffi
lib: Any = _util.lib

Ssl = NewType("Ssl", object)
"""An owned `SSL *`: freed with its last reference."""
Session = NewType("Session", object)
"""An owned `SSL_SESSION *`."""
X509 = NewType("X509", object)
"""An owned `X509 *`."""
PrivateKey = NewType("PrivateKey", object)
"""An owned `EVP_PKEY *`."""
DHParameters = NewType("DHParameters", object)
"""An owned `DH *`."""

NEEDED = """
BIO_free BIO_get_mem_data BIO_new BIO_new_file BIO_new_mem_buf BIO_s_mem DH_free
ERR_clear_error ERR_get_error ERR_lib_error_string ERR_peek_error ERR_reason_error_string
EVP_PKEY_free OBJ_nid2sn OBJ_txt2nid OPENSSL_malloc PEM_read_bio_DHparams
PEM_read_bio_PrivateKey PEM_read_bio_X509 SSL_CIPHER_find SSL_CIPHER_get_name
SSL_CTX_add_client_CA SSL_CTX_get_cert_store SSL_CTX_get_options SSL_CTX_get_verify_mode
SSL_CTX_set1_curves_list SSL_CTX_set1_sigalgs_list SSL_CTX_set_alpn_select_cb
SSL_CTX_set_cert_cb SSL_CTX_set_msg_callback
SSL_CTX_set_cert_store SSL_CTX_set_cipher_list SSL_CTX_set_ciphersuites
SSL_CTX_set_keylog_callback SSL_CTX_set_max_proto_version SSL_CTX_set_min_proto_version
SSL_CTX_set_options SSL_CTX_set_tlsext_servername_callback SSL_CTX_set_tlsext_status_arg
SSL_CTX_set_tlsext_status_cb SSL_CTX_set_tmp_dh SSL_CTX_set_verify SSL_CTX_set_verify_depth
SSL_CTX_use_PrivateKey SSL_CTX_use_certificate SSL_CTX_use_certificate_chain_file
SSL_ERROR_NONE SSL_ERROR_SSL SSL_ERROR_SYSCALL SSL_ERROR_WANT_READ SSL_ERROR_WANT_WRITE
SSL_ERROR_ZERO_RETURN SSL_OP_NO_RENEGOTIATION SSL_OP_NO_TICKET SSL_RECEIVED_SHUTDOWN
SSL_SENT_SHUTDOWN SSL_SESSION_free SSL_TLSEXT_ERR_ALERT_FATAL SSL_TLSEXT_ERR_OK
SSL_do_handshake SSL_free SSL_get0_alpn_selected SSL_get0_group_name SSL_get0_verified_chain
SSL_get1_session SSL_get_certificate SSL_get_current_cipher SSL_get_error SSL_get_peer_certificate
SSL_get_servername SSL_get_session SSL_get_verify_result SSL_get_version SSL_new SSL_read
SSL_session_reused SSL_set_SSL_CTX SSL_set_accept_state SSL_set_alpn_protos SSL_set_connect_state
SSL_set_fd SSL_set_options SSL_set_session SSL_set_shutdown SSL_set_tlsext_host_name
SSL_set_tlsext_status_ocsp_resp SSL_set_verify SSL_shutdown SSL_write TLSEXT_NAMETYPE_host_name
X509_CRL_free X509_STORE_add_cert X509_STORE_add_crl X509_STORE_set_flags X509_STORE_up_ref
X509_V_FLAG_CRL_CHECK X509_V_FLAG_CRL_CHECK_ALL X509_free X509_verify_cert_error_string
d2i_X509_CRL_bio i2d_SSL_SESSION i2d_X509_bio sk_X509_num
"""
"""All that this file takes from the library."""


def missing_symbols(library: object) -> list[str]:
    return [name for name in NEEDED.split() if not hasattr(library, name)]


def _check_binding() -> None:
    if missing := missing_symbols(lib):
        import cryptography
        import OpenSSL

        raise ImportError(
            f"pyOpenSSL {OpenSSL.__version__} with cryptography {cryptography.__version__} "
            f"lacks what sniproxy calls in OpenSSL: {', '.join(missing)}"
        )


_check_binding()

# Module globals: an attribute of the cffi library object costs a dictionary look-up more.
_clear_error = lib.ERR_clear_error
_get_error = lib.SSL_get_error
_do_handshake = lib.SSL_do_handshake
_read = lib.SSL_read
_write = lib.SSL_write

OK: int = lib.SSL_ERROR_NONE
FAILED: int = lib.SSL_ERROR_SSL
WANT_READ: int = lib.SSL_ERROR_WANT_READ
WANT_WRITE: int = lib.SSL_ERROR_WANT_WRITE
SYSCALL: int = lib.SSL_ERROR_SYSCALL
ZERO_RETURN: int = lib.SSL_ERROR_ZERO_RETURN

MODE_NO_AUTO_CHAIN = 0x8
"""SSL_MODE_NO_AUTO_CHAIN: intermediates come from the certificate file alone."""

AD_INTERNAL_ERROR = 80
AD_UNRECOGNIZED_NAME = 112
LIB_SSL = 20
"""ERR_LIB_SSL, the same in all releases."""


# --- the error queue ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QueuedError:
    """One entry of the error queue, oldest first in a queue."""

    code: int
    """Packed: `library << 23 | reason`; a system error is `0x80000000 | errno`."""
    library: str
    reason: str

    @property
    def library_number(self) -> int:
        return 2 if self.is_system else self.code >> 23 & 0xFF

    @property
    def reason_number(self) -> int:
        return self.code & (0x7FFFFFFF if self.is_system else 0x7FFFFF)

    @property
    def is_system(self) -> bool:
        return bool(self.code & 0x80000000)


def drain_error_queue() -> list[QueuedError]:
    """All errors of this thread, oldest first; the queue is empty afterwards."""
    queue = []
    while code := lib.ERR_get_error():
        queue.append(queued_error(code))
    return queue


def queued_error(code: int) -> QueuedError:
    """The error with this packed code, in the library's words."""
    library = _text(lib.ERR_lib_error_string(code)) or f"lib({code >> 23 & 0xFF})"
    if code & 0x80000000:
        return QueuedError(code, library, os.strerror(code & 0x7FFFFFFF))
    reason = _text(lib.ERR_reason_error_string(code)) or f"reason({code & 0x7FFFFF})"
    return QueuedError(code, library, reason)


def _text(pointer: Any) -> str:
    return ffi.string(pointer).decode("latin-1") if pointer else ""


def verify_error_text(result: int) -> str:
    """The library's words for an X509_V_ERR_* code."""
    return _text(lib.X509_verify_cert_error_string(result))


# --- one connection -----------------------------------------------------------------------


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
    _clear_error()
    result = _do_handshake(ssl)
    if result == 1:
        return result, OK, 0
    errno = ffi.errno
    return result, _get_error(ssl, result), errno


def read(ssl: Ssl, limit: int) -> tuple[bytes, int, int]:
    """At most `limit` bytes of one record; empty unless SSL_ERROR_NONE comes with it."""
    buffer = _scratch.buffer
    _clear_error()
    result = _read(ssl, buffer, min(limit, SCRATCH))
    if result > 0:
        return ffi.unpack(buffer, result), OK, 0
    errno = ffi.errno
    return b"", _get_error(ssl, result), errno


def write(ssl: Ssl, data: Any, start: int, end: int) -> tuple[int, int, int]:
    """Writes from the bytes `start` to `end` of `data` (see `borrow`), one record at most."""
    _clear_error()
    result = _write(ssl, data + start, end - start)
    if result > 0:
        return result, OK, 0
    errno = ffi.errno
    return result, _get_error(ssl, result), errno


def borrow(data: bytes | bytearray | memoryview) -> Any:
    """The memory of `data` as C sees it, for as long as the result lives."""
    return ffi.from_buffer(data)


SCRATCH = 16384
"""A TLS record holds no more."""


class _Scratch(threading.local):
    """SSL_read's target, copied from at once: one for each thread, since C runs without the GIL."""

    def __init__(self) -> None:
        self.buffer = ffi.new("char[]", SCRATCH)


_scratch = _Scratch()


def send_close_notify(ssl: Ssl) -> None:
    """SSL_shutdown, whatever comes of it."""
    _clear_error()
    lib.SSL_shutdown(ssl)
    _clear_error()


def mark_shut_down(ssl: Ssl) -> None:
    """As if both close_notify had passed: else SSL_free makes the session unfit for resumption."""
    lib.SSL_set_shutdown(ssl, lib.SSL_SENT_SHUTDOWN | lib.SSL_RECEIVED_SHUTDOWN)


def set_server_name(ssl: Ssl, name: bytes) -> bool:
    """Sets the SNI to send, byte for byte; False with the error queued where OpenSSL refuses."""
    _clear_error()
    lib.SSL_set_tlsext_host_name(ssl, name)  # the binding has it without a result
    return not lib.ERR_peek_error()


def set_alpn(ssl: Ssl, protocols: bytes) -> bool:
    """Offers `protocols`, each with its length byte before it."""
    _clear_error()
    return bool(lib.SSL_set_alpn_protos(ssl, protocols, len(protocols)) == 0)


def set_session(ssl: Ssl, session: Session) -> bool:
    """Offers `session`, wherever it was made."""
    _clear_error()
    return bool(lib.SSL_set_session(ssl, session) == 1)


def session_of(ssl: Ssl) -> Session | None:
    """The connection's session as it is now, owned by the caller."""
    session = lib.SSL_get1_session(ssl)
    return Session(ffi.gc(session, lib.SSL_SESSION_free)) if session else None


# --- facts of a handshake -----------------------------------------------------------------


def received_server_name(ssl: Ssl) -> bytes | None:
    """The SNI of the hello; to be asked in the servername callback only."""
    name = lib.SSL_get_servername(ssl, lib.TLSEXT_NAMETYPE_host_name)
    return ffi.string(name) if name else None


def protocol(ssl: Ssl) -> str:
    """`TLSv1.3`."""
    return _text(lib.SSL_get_version(ssl))


def cipher(ssl: Ssl) -> str:
    current = lib.SSL_get_current_cipher(ssl)
    return _text(lib.SSL_CIPHER_get_name(current)) if current else ""


def group(ssl: Ssl) -> str:
    """The key exchange group as nginx calls it; "" without one."""
    name = _text(lib.SSL_get0_group_name(ssl))
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
    return _text(lib.SSL_CIPHER_get_name(found)) if found else None


def short_name(kind: str) -> str | None:
    """OpenSSL's short name for an object, `CN` for `2.5.4.3`."""
    nid = lib.OBJ_txt2nid(kind.encode())
    _clear_error()
    return _text(lib.OBJ_nid2sn(nid)) if nid else None


# --- callbacks: cffi's are kept alive by this module ----------------------------------------

ServerNameHook = Callable[[Ssl], "int | None"]
"""Called inside the handshake of a server; None accepts, a number is the alert to refuse with."""

_hooks: dict[Any, ServerNameHook] = {}


def watch_server_name(ssl: Ssl, hook: ServerNameHook) -> None:
    """Has `hook` called when the hello of `ssl` is read (twice after a HelloRetryRequest)."""
    _hooks[ssl] = hook


def forget_server_name(ssl: Ssl) -> None:
    _hooks.pop(ssl, None)


def _on_server_name(ssl: Ssl, alert: Any, _argument: Any) -> int:
    hook = _hooks.get(ssl)
    refusal = hook(ssl) if hook else None
    if refusal is None:
        return int(lib.SSL_TLSEXT_ERR_OK)
    alert[0] = refusal
    return int(lib.SSL_TLSEXT_ERR_ALERT_FATAL)


_ALPN = {name: ffi.new("unsigned char[]", name) for name in (b"http/1.1", b"http/1.0", b"http/0.9")}
"""What the client side can speak, in the order of preference; OpenSSL is given this memory."""


def _on_alpn(_ssl: Ssl, out: Any, out_size: Any, offer: Any, size: int, _argument: Any) -> int:
    name = choose_alpn(ffi.unpack(ffi.cast("char *", offer), size))
    if name is None:
        return int(lib.SSL_TLSEXT_ERR_ALERT_FATAL)
    out[0], out_size[0] = _ALPN[name], len(name)
    return int(lib.SSL_TLSEXT_ERR_OK)


def choose_alpn(offered: bytes) -> bytes | None:
    """The protocol to speak, of a list in wire format (RFC 7301); None if there is none."""
    names = set()
    while offered:
        end = 1 + offered[0]
        names.add(offered[1:end])
        offered = offered[end:]
    return next((name for name in _ALPN if name in names), None)


_alpn_callback = ffi.callback(
    "int (*)(SSL *, const unsigned char **, unsigned char *, const unsigned char *, "
    "unsigned int, void *)",
    _on_alpn,
    error=2,
)
_server_name_callback = ffi.callback("int (*)(SSL *, int *, void *)", _on_server_name, error=2)
_accept_any_chain = ffi.callback("int (*)(int, X509_STORE_CTX *)", lambda ok, store: 1, error=1)


_key_logs: weakref.WeakKeyDictionary[SSL.Context, Any] = weakref.WeakKeyDictionary()


def log_keys(context: SSL.Context, write: Callable[[bytes], None]) -> None:
    """Has `write` called with every line (without its end) of the NSS key log format."""
    callback = ffi.callback("void (*)(const SSL *, const char *)")(
        lambda _ssl, line: write(ffi.string(line))
    )
    _key_logs[context] = callback
    lib.SSL_CTX_set_keylog_callback(context._context, callback)


_first_headers: dict[int, bytes] = {}
"""Of the connections that are waited for with one: what their peer's first record begins with."""

RECORD_HEADER = 0x100
"""SSL3_RT_HEADER, what the message callback calls the header of a record."""


def _on_message(
    sent: int, _version: int, kind: int, data: Any, length: int, ssl: Ssl, _argument: Any
) -> None:
    if not sent and kind == RECORD_HEADER:
        address = _address(ssl)
        if _first_headers.get(address) == b"":
            _first_headers[address] = bytes(ffi.buffer(data, length))


_message_callback = ffi.callback(
    "void (*)(int, int, int, void *, size_t, SSL *, void *)", _on_message
)


def _address(ssl: Ssl) -> int:
    return int(ffi.cast("uintptr_t", ssl))


def tell_headers(context: SSL.Context) -> None:
    """Have the connections made of `context` from now on tell what their records begin with."""
    lib.SSL_CTX_set_msg_callback(context._context, _message_callback)


def await_header(ssl: Ssl) -> None:
    """Remember the first five bytes that the peer of `ssl` sends, until `take_header`."""
    _first_headers[_address(ssl)] = b""


def take_header(ssl: Ssl) -> bytes:
    """The first bytes that came, five at the most; b"" if none did."""
    return _first_headers.pop(_address(ssl), b"")


_requests_noted: weakref.WeakKeyDictionary[SSL.Context, Any] = weakref.WeakKeyDictionary()


def note_certificate_request(context: SSL.Context, note: Callable[[], None]) -> None:
    """Has `note` called whenever a server asks the connections of `context` for a certificate."""

    def on_request(_ssl: Ssl, _argument: Any) -> int:
        note()
        return 1

    callback = ffi.callback("int (*)(SSL *, void *)", error=1)(on_request)
    _requests_noted[context] = callback
    lib.SSL_CTX_set_cert_cb(context._context, callback, ffi.NULL)


def _on_status(ssl: Ssl, handle: Any) -> int:
    response: bytes = ffi.from_handle(handle)
    # OpenSSL frees it.
    memory = lib.OPENSSL_malloc(len(response))
    ffi.memmove(memory, response, len(response))
    lib.SSL_set_tlsext_status_ocsp_resp(ssl, memory, len(response))
    return int(lib.SSL_TLSEXT_ERR_OK)


_status_callback = ffi.callback("int (*)(SSL *, void *)", _on_status, error=3)
_no_certificate = ffi.callback("int (*)(SSL *, void *)", lambda ssl, argument: 0, error=0)


def call_on_server_name(context: SSL.Context) -> None:
    """Lets `server_name_hook` work for the connections of `context`."""
    lib.SSL_CTX_set_tlsext_servername_callback(context._context, _server_name_callback)


def select_http(context: SSL.Context) -> None:
    """Connections of `context` answer ALPN with HTTP/1, or refuse with alert 120."""
    lib.SSL_CTX_set_alpn_select_cb(context._context, _alpn_callback, ffi.NULL)


def switch_context(ssl: Ssl, context: SSL.Context) -> None:
    """Certificates, options and verification of `context`, as nginx does inside the hello.

    Tickets stay those of the context that the connection began with, which could not tell
    whose they are: so none are given.
    """
    ctx = context._context
    lib.SSL_set_SSL_CTX(ssl, ctx)
    lib.SSL_set_verify(ssl, lib.SSL_CTX_get_verify_mode(ctx), _accept_any_chain)
    refused = lib.SSL_OP_NO_RENEGOTIATION | lib.SSL_OP_NO_TICKET
    lib.SSL_set_options(ssl, lib.SSL_CTX_get_options(ctx) | refused)


def verify_and_go_on(context: SSL.Context, mode: int | None, depth: int) -> None:
    """Verifies chains up to `depth`, keeps the last error, and never fails a handshake for it.

    `mode` is SSL_VERIFY_*; None leaves it: a client checks the chain it is given even with
    SSL_VERIFY_NONE.
    """
    ctx = context._context
    if mode is None:
        mode = lib.SSL_CTX_get_verify_mode(ctx)
    lib.SSL_CTX_set_verify(ctx, mode, _accept_any_chain)
    lib.SSL_CTX_set_verify_depth(ctx, depth)


# --- what contexts.py loads ------------------------------------------------------------------


def set_cipher_list(context: SSL.Context, ciphers: bytes) -> bool:
    _clear_error()
    return bool(lib.SSL_CTX_set_cipher_list(context._context, ciphers) == 1)


def set_groups(context: SSL.Context, groups: bytes) -> bool:
    """False for an empty list too, which OpenSSL refuses before its release 4."""
    _clear_error()
    return bool(groups and lib.SSL_CTX_set1_curves_list(context._context, groups) == 1)


def set_ciphersuites(context: SSL.Context, suites: bytes) -> bool:
    """Of TLS 1.3."""
    _clear_error()
    return bool(lib.SSL_CTX_set_ciphersuites(context._context, suites) == 1)


def set_signature_algorithms(context: SSL.Context, algorithms: bytes) -> bool:
    _clear_error()
    return bool(lib.SSL_CTX_set1_sigalgs_list(context._context, algorithms) == 1)


def set_least_protocol(context: SSL.Context, version: int) -> bool:
    """`version` as in the record layer, 0x0303; 0 is no bound."""
    _clear_error()
    return bool(lib.SSL_CTX_set_min_proto_version(context._context, version) == 1)


def set_most_protocol(context: SSL.Context, version: int) -> bool:
    _clear_error()
    return bool(lib.SSL_CTX_set_max_proto_version(context._context, version) == 1)


def options(context: SSL.Context) -> int:
    """SSL_OP_*; there is no way to clear one."""
    return int(lib.SSL_CTX_get_options(context._context))


def set_options(context: SSL.Context, bits: int) -> None:
    lib.SSL_CTX_set_options(context._context, bits)


def share_trust(context: SSL.Context, other: SSL.Context) -> None:
    """Lets `context` verify by the authorities and revocation lists of `other`."""
    store = lib.SSL_CTX_get_cert_store(other._context)
    lib.X509_STORE_up_ref(store)
    lib.SSL_CTX_set_cert_store(context._context, store)


def set_dh_parameters(context: SSL.Context, parameters: DHParameters) -> bool:
    _clear_error()
    return bool(lib.SSL_CTX_set_tmp_dh(context._context, parameters) == 1)


def staple(context: SSL.Context, response: bytes) -> None:
    """Has clients that ask for it shown `response`, an OCSP response for the certificate."""
    handle = ffi.new_handle(response)
    setattr(context, "_staple", handle)  # noqa: B010 - lives as long as the context
    lib.SSL_CTX_set_tlsext_status_arg(context._context, handle)
    lib.SSL_CTX_set_tlsext_status_cb(context._context, _status_callback)


def refuse_certificate(context: SSL.Context) -> None:
    """Lets no handshake of `context` find a certificate: it fails with `cert cb error`."""
    lib.SSL_CTX_set_cert_cb(context._context, _no_certificate, ffi.NULL)


class Pem:
    """PEM text, read block by block; a None leaves the reason in the error queue."""

    __slots__ = ("_bio", "_memory")

    def __init__(self, bio: Any, memory: Any = None) -> None:
        self._bio = ffi.gc(bio, lib.BIO_free)
        self._memory = memory

    @classmethod
    def open(cls, path: bytes) -> Pem | None:
        _clear_error()
        bio = lib.BIO_new_file(path, b"r")
        return cls(bio) if bio else None

    @classmethod
    def of(cls, data: bytes) -> Pem:
        memory = ffi.from_buffer(data)
        return cls(lib.BIO_new_mem_buf(memory, len(data)), memory)

    def certificate(self) -> X509 | None:
        """The next certificate."""
        _clear_error()
        found = lib.PEM_read_bio_X509(self._bio, ffi.NULL, ffi.NULL, ffi.NULL)
        return X509(ffi.gc(found, lib.X509_free)) if found else None

    def dh_parameters(self) -> DHParameters | None:
        _clear_error()
        found = lib.PEM_read_bio_DHparams(self._bio, ffi.NULL, ffi.NULL, ffi.NULL)
        return DHParameters(ffi.gc(found, lib.DH_free)) if found else None

    def private_key(self, passphrase: bytes | None) -> PrivateKey | None:
        """The first private key; nobody is asked at a terminal for its passphrase."""
        _clear_error()
        if passphrase is None:
            callback, secret = _no_passphrase, ffi.NULL
        else:
            callback, secret = ffi.NULL, ffi.new("char[]", passphrase)
        found = lib.PEM_read_bio_PrivateKey(self._bio, ffi.NULL, callback, secret)
        return PrivateKey(ffi.gc(found, lib.EVP_PKEY_free)) if found else None


_no_passphrase = ffi.callback("int (*)(char *, int, int, void *)", lambda *_: -1, error=-1)


def x509_der(certificate: X509) -> bytes:
    return _written(lambda bio: lib.i2d_X509_bio(bio, certificate))


def _written(write_to: Callable[[Any], int]) -> bytes:
    bio = ffi.gc(lib.BIO_new(lib.BIO_s_mem()), lib.BIO_free)
    write_to(bio)
    memory = ffi.new("char **")
    length = lib.BIO_get_mem_data(bio, memory)
    return ffi.unpack(memory[0], length)  # type: ignore[no-any-return]


def use_certificate(context: SSL.Context, certificate: X509) -> bool:
    _clear_error()
    return bool(lib.SSL_CTX_use_certificate(context._context, certificate) == 1)


def use_chain_file(context: SSL.Context, path: bytes) -> bool:
    """Certificate and chain of a PEM; the chain belongs to that certificate alone."""
    _clear_error()
    return bool(lib.SSL_CTX_use_certificate_chain_file(context._context, path) == 1)


def use_private_key(context: SSL.Context, key: PrivateKey) -> bool:
    _clear_error()
    return bool(lib.SSL_CTX_use_PrivateKey(context._context, key) == 1)


def trust(context: SSL.Context, certificate: X509) -> bool:
    store = lib.SSL_CTX_get_cert_store(context._context)
    return bool(lib.X509_STORE_add_cert(store, certificate) == 1)


def ask_for_client_of(context: SSL.Context, certificate: X509) -> bool:
    """Puts the subject of `certificate` on the list of authorities that clients are shown."""
    return bool(lib.SSL_CTX_add_client_CA(context._context, certificate) == 1)


def add_crl(context: SSL.Context, der: bytes) -> bool:
    """Adds a revocation list, and has every certificate of a chain checked against such lists."""
    _clear_error()
    store = lib.SSL_CTX_get_cert_store(context._context)
    memory = ffi.from_buffer(der)
    bio = ffi.gc(lib.BIO_new_mem_buf(memory, len(der)), lib.BIO_free)
    crl = lib.d2i_X509_CRL_bio(bio, ffi.NULL)
    if not crl:
        return False
    added = lib.X509_STORE_add_crl(store, ffi.gc(crl, lib.X509_CRL_free))
    lib.X509_STORE_set_flags(store, lib.X509_V_FLAG_CRL_CHECK | lib.X509_V_FLAG_CRL_CHECK_ALL)
    return bool(added == 1)
