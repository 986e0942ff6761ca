"""Callbacks from OpenSSL; this module keeps the cffi callbacks alive."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from OpenSSL import SSL

from .binding import Ssl, ffi, lib
from .pem import x509_der

ServerNameHook = Callable[[Ssl], "int | None"]
"""Called during a server handshake; returns None to accept, or the number of an alert."""

_hooks: dict[Any, ServerNameHook] = {}


def set_servername_hook(ssl: Ssl, hook: ServerNameHook) -> None:
    """Call `hook` when the ClientHello of `ssl` was read (twice after a HelloRetryRequest)."""
    _hooks[ssl] = hook


def clear_servername_hook(ssl: Ssl) -> None:
    _hooks.pop(ssl, None)


def _on_server_name(ssl: Ssl, alert: Any, _argument: Any) -> int:
    hook = _hooks.get(ssl)
    refusal = hook(ssl) if hook else None
    if refusal is None:
        return int(lib.SSL_TLSEXT_ERR_OK)
    alert[0] = refusal
    return int(lib.SSL_TLSEXT_ERR_ALERT_FATAL)


_PROTOCOLS = (b"h2", b"http/1.1", b"http/1.0", b"http/0.9")
_ALPN = {name: ffi.new("unsigned char[]", name) for name in _PROTOCOLS}
"""Supported protocols in order of preference; OpenSSL keeps pointers to this memory."""
_http2_hooks: dict[Ssl, Callable[[], bool]] = {}
"""Whether a connection may use HTTP/2, during its handshake."""


def _on_alpn(ssl: Ssl, out: Any, out_size: Any, offer: Any, size: int, _argument: Any) -> int:
    offers_http2 = _http2_hooks.get(ssl)
    name = choose_alpn(
        ffi.unpack(ffi.cast("char *", offer), size),
        http2=offers_http2 is not None and offers_http2(),
    )
    if name is None:
        return int(lib.SSL_TLSEXT_ERR_ALERT_FATAL)
    out[0], out_size[0] = _ALPN[name], len(name)
    return int(lib.SSL_TLSEXT_ERR_OK)


def choose_alpn(offered: bytes, *, http2: bool = False) -> bytes | None:
    """Choose from a protocol list in wire format (RFC 7301); None if there is no match.

    `http2` is whether `h2` is supported too, and preferred.
    """
    names = set(_protocols(offered))
    if http2 and b"h2" in names:
        return b"h2"
    return next((name for name in _ALPN if name != b"h2" and name in names), None)


def _protocols(offered: bytes) -> Iterator[bytes]:
    while offered:
        end = 1 + offered[0]
        yield offered[1:end]
        offered = offered[end:]


_alpn_callback = ffi.callback(
    "int (*)(SSL *, const unsigned char **, unsigned char *, const unsigned char *, "
    "unsigned int, void *)",
    _on_alpn,
    error=2,
)
_server_name_callback = ffi.callback("int (*)(SSL *, int *, void *)", _on_server_name, error=2)
_accept_any_chain = ffi.callback("int (*)(int, X509_STORE_CTX *)", lambda ok, store: 1, error=1)


_key_logs: weakref.WeakKeyDictionary[SSL.Context, Any] = weakref.WeakKeyDictionary()


def set_keylog_callback(context: SSL.Context, write: Callable[[bytes], None]) -> None:
    """Call `write` with every line of the NSS key log format, without line feed."""
    callback = ffi.callback("void (*)(const SSL *, const char *)")(
        lambda _ssl, line: write(ffi.string(line))
    )
    _key_logs[context] = callback
    lib.SSL_CTX_set_keylog_callback(context._context, callback)


_first_headers: dict[int, bytes] = {}
"""First received record header, by address of the connections that capture it."""

RECORD_HEADER = 0x100
"""SSL3_RT_HEADER: content type of record headers in the message callback."""


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


def enable_record_header_capture(context: SSL.Context) -> None:
    """Enable capturing of record headers for future connections of `context`."""
    lib.SSL_CTX_set_msg_callback(context._context, _message_callback)


def start_record_header_capture(ssl: Ssl) -> None:
    """Capture the first five bytes received by `ssl`, until `pop_record_header`."""
    _first_headers[_address(ssl)] = b""


def pop_record_header(ssl: Ssl) -> bytes:
    """Stop capturing; returns up to five bytes, b"" if none were received."""
    return _first_headers.pop(_address(ssl), b"")


_certificate_request_callbacks: weakref.WeakKeyDictionary[SSL.Context, Any] = (
    weakref.WeakKeyDictionary()
)


def on_certificate_request(context: SSL.Context, note: Callable[[], None]) -> None:
    """Call `note` whenever a server requests a certificate from a connection of `context`."""

    def on_request(_ssl: Ssl, _argument: Any) -> int:
        note()
        return 1

    callback = ffi.callback("int (*)(SSL *, void *)", error=1)(on_request)
    _certificate_request_callbacks[context] = callback
    lib.SSL_CTX_set_cert_cb(context._context, callback, ffi.NULL)


_verification_callbacks: weakref.WeakKeyDictionary[SSL.Context, Any] = weakref.WeakKeyDictionary()


def on_verification_error(context: SSL.Context, note: Callable[[int, int, bytes], None]) -> None:
    """Call `note` with each error of a chain: its number, the depth, the certificate as DER.

    As with `set_verify_record_only`, the handshake goes on. There may be no certificate: b"".
    """

    def on_certificate(ok: int, store: Any) -> int:
        if not ok:
            certificate = lib.X509_STORE_CTX_get_current_cert(store)
            note(
                int(lib.X509_STORE_CTX_get_error(store)),
                int(lib.X509_STORE_CTX_get_error_depth(store)),
                x509_der(certificate) if certificate else b"",
            )
        return 1

    callback = ffi.callback("int (*)(int, X509_STORE_CTX *)", error=1)(on_certificate)
    _verification_callbacks[context] = callback
    ctx = context._context
    lib.SSL_CTX_set_verify(ctx, lib.SSL_CTX_get_verify_mode(ctx), callback)


def _on_status(ssl: Ssl, handle: Any) -> int:
    sources: Mapping[bytes, Callable[[], bytes | None]] = ffi.from_handle(handle)
    certificate = lib.SSL_get_certificate(ssl)
    source = sources.get(x509_der(certificate)) if certificate else None
    response = None if source is None else source()
    if response is None:
        return int(lib.SSL_TLSEXT_ERR_NOACK)
    # freed by OpenSSL
    memory = lib.OPENSSL_malloc(len(response))
    ffi.memmove(memory, response, len(response))
    lib.SSL_set_tlsext_status_ocsp_resp(ssl, memory, len(response))
    return int(lib.SSL_TLSEXT_ERR_OK)


_status_callback = ffi.callback("int (*)(SSL *, void *)", _on_status, error=3)
_no_certificate = ffi.callback("int (*)(SSL *, void *)", lambda ssl, argument: 0, error=0)


def enable_servername_callback(context: SSL.Context) -> None:
    """Enable `set_servername_hook` for the connections of `context`."""
    lib.SSL_CTX_set_tlsext_servername_callback(context._context, _server_name_callback)


def set_http2_hook(ssl: Ssl, offers_http2: Callable[[], bool]) -> None:
    """Offer HTTP/2 in the handshake of a connection if the function returns true then."""
    _http2_hooks[ssl] = offers_http2


def clear_http2_hook(ssl: Ssl) -> None:
    _http2_hooks.pop(ssl, None)


def set_alpn_http(context: SSL.Context) -> None:
    """Answer ALPN with HTTP/2 (`set_http2_hook`) or HTTP/1.x, or reject with alert 120."""
    lib.SSL_CTX_set_alpn_select_cb(context._context, _alpn_callback, ffi.NULL)


def _on_configured_alpn(
    _ssl: Ssl, out: Any, out_size: Any, offer: Any, size: int, handle: Any
) -> int:
    protocols: Mapping[bytes, Any] = ffi.from_handle(handle)
    offered = set(_protocols(ffi.unpack(ffi.cast("char *", offer), size)))
    for name, memory in protocols.items():
        if name in offered:
            out[0], out_size[0] = memory, len(name)
            return int(lib.SSL_TLSEXT_ERR_OK)
    return int(lib.SSL_TLSEXT_ERR_ALERT_FATAL)


_configured_alpn_callback = ffi.callback(
    "int (*)(SSL *, const unsigned char **, unsigned char *, const unsigned char *, "
    "unsigned int, void *)",
    _on_configured_alpn,
    error=2,
)


def set_alpn_protocols(context: SSL.Context, names: Sequence[str]) -> None:
    """Answer ALPN with the first of `names` that a client offers, or reject with alert 120."""
    encoded = [name.encode("latin-1") for name in names]
    handle = ffi.new_handle({name: ffi.new("unsigned char[]", name) for name in encoded})
    setattr(context, "_alpn", handle)  # noqa: B010 - lives as long as the context
    lib.SSL_CTX_set_alpn_select_cb(context._context, _configured_alpn_callback, handle)


def switch_context(ssl: Ssl, context: SSL.Context) -> None:
    """Switch to the certificates, options and verification of `context` during the ClientHello.

    Ticket keys remain those of the initial context, so a ticket could be resumed under another
    virtual server; tickets are therefore disabled.
    """
    ctx = context._context
    lib.SSL_set_SSL_CTX(ssl, ctx)
    lib.SSL_set_verify(ssl, lib.SSL_CTX_get_verify_mode(ctx), _accept_any_chain)
    refused = lib.SSL_OP_NO_RENEGOTIATION | lib.SSL_OP_NO_TICKET
    lib.SSL_set_options(ssl, lib.SSL_CTX_get_options(ctx) | refused)


def set_verify_record_only(context: SSL.Context, mode: int | None, depth: int) -> None:
    """Verify chains up to `depth` and keep the last error, but never fail a handshake.

    `mode` is SSL_VERIFY_*; None keeps the current mode. Clients verify the chain even with
    SSL_VERIFY_NONE.
    """
    ctx = context._context
    if mode is None:
        mode = lib.SSL_CTX_get_verify_mode(ctx)
    lib.SSL_CTX_set_verify(ctx, mode, _accept_any_chain)
    lib.SSL_CTX_set_verify_depth(ctx, depth)


def set_ocsp_responses(
    context: SSL.Context, sources: Mapping[bytes, Callable[[], bytes | None]]
) -> None:
    """Staple OCSP responses for clients that request them.

    `sources` returns the response for each certificate (in DER) of the context, or None.
    """
    handle = ffi.new_handle(sources)
    setattr(context, "_staple", handle)  # noqa: B010 - lives as long as the context
    lib.SSL_CTX_set_tlsext_status_arg(context._context, handle)
    lib.SSL_CTX_set_tlsext_status_cb(context._context, _status_callback)


def set_no_certificate(context: SSL.Context) -> None:
    """Make all handshakes of `context` fail with `cert cb error`."""
    lib.SSL_CTX_set_cert_cb(context._context, _no_certificate, ffi.NULL)
