"""Settings of an SSL_CTX; functions return whether OpenSSL accepted the value."""

from __future__ import annotations

from OpenSSL import SSL

from .binding import X509, DHParameters, PrivateKey, clear_error, ffi, lib


def set_cipher_list(context: SSL.Context, ciphers: bytes) -> bool:
    clear_error()
    return bool(lib.SSL_CTX_set_cipher_list(context._context, ciphers) == 1)


def set_groups(context: SSL.Context, groups: bytes) -> bool:
    """Set the groups; False for an empty list, as in OpenSSL before 4."""
    clear_error()
    return bool(groups and lib.SSL_CTX_set1_curves_list(context._context, groups) == 1)


def set_ciphersuites(context: SSL.Context, suites: bytes) -> bool:
    """Set the TLS 1.3 cipher suites."""
    clear_error()
    return bool(lib.SSL_CTX_set_ciphersuites(context._context, suites) == 1)


def set_signature_algorithms(context: SSL.Context, algorithms: bytes) -> bool:
    clear_error()
    return bool(lib.SSL_CTX_set1_sigalgs_list(context._context, algorithms) == 1)


def set_min_proto_version(context: SSL.Context, version: int) -> bool:
    """`version` is the wire value (0x0303); 0 means no bound."""
    clear_error()
    return bool(lib.SSL_CTX_set_min_proto_version(context._context, version) == 1)


def set_max_proto_version(context: SSL.Context, version: int) -> bool:
    clear_error()
    return bool(lib.SSL_CTX_set_max_proto_version(context._context, version) == 1)


def options(context: SSL.Context) -> int:
    """SSL_OP_* bits; they cannot be cleared."""
    return int(lib.SSL_CTX_get_options(context._context))


def set_options(context: SSL.Context, bits: int) -> None:
    lib.SSL_CTX_set_options(context._context, bits)


def share_cert_store(context: SSL.Context, other: SSL.Context) -> None:
    """Use the trust store of `other`: its CAs and revocation lists."""
    store = lib.SSL_CTX_get_cert_store(other._context)
    lib.X509_STORE_up_ref(store)
    lib.SSL_CTX_set_cert_store(context._context, store)


def set_dh_parameters(context: SSL.Context, parameters: DHParameters) -> bool:
    clear_error()
    return bool(lib.SSL_CTX_set_tmp_dh(context._context, parameters) == 1)


def use_certificate(context: SSL.Context, certificate: X509) -> bool:
    clear_error()
    return bool(lib.SSL_CTX_use_certificate(context._context, certificate) == 1)


def use_chain_file(context: SSL.Context, path: bytes) -> bool:
    """Use certificate and chain of a PEM file; the chain applies to that certificate only."""
    clear_error()
    return bool(lib.SSL_CTX_use_certificate_chain_file(context._context, path) == 1)


def use_private_key(context: SSL.Context, key: PrivateKey) -> bool:
    clear_error()
    return bool(lib.SSL_CTX_use_PrivateKey(context._context, key) == 1)


def add_trusted(context: SSL.Context, certificate: X509) -> bool:
    store = lib.SSL_CTX_get_cert_store(context._context)
    return bool(lib.X509_STORE_add_cert(store, certificate) == 1)


def add_client_ca(context: SSL.Context, certificate: X509) -> bool:
    """Add the certificate's subject to the list of CAs sent to clients."""
    return bool(lib.SSL_CTX_add_client_CA(context._context, certificate) == 1)


def add_crl(context: SSL.Context, der: bytes) -> bool:
    """Add a revocation list, and check every certificate of a chain against such lists."""
    clear_error()
    store = lib.SSL_CTX_get_cert_store(context._context)
    memory = ffi.from_buffer(der)
    bio = ffi.gc(lib.BIO_new_mem_buf(memory, len(der)), lib.BIO_free)
    crl = lib.d2i_X509_CRL_bio(bio, ffi.NULL)
    if not crl:
        return False
    added = lib.X509_STORE_add_crl(store, ffi.gc(crl, lib.X509_CRL_free))
    lib.X509_STORE_set_flags(store, lib.X509_V_FLAG_CRL_CHECK | lib.X509_V_FLAG_CRL_CHECK_ALL)
    return bool(added == 1)
