"""The cffi binding: symbols used, constants, and types of owned objects."""

from __future__ import annotations

from typing import Any, NewType

from OpenSSL import _util

ffi: Any = _util.ffi
lib: Any = _util.lib

Ssl = NewType("Ssl", object)
"""An owned `SSL *`, freed with its last reference."""
Session = NewType("Session", object)
"""An owned `SSL_SESSION *`."""
X509 = NewType("X509", object)
"""An owned `X509 *`."""
PrivateKey = NewType("PrivateKey", object)
"""An owned `EVP_PKEY *`."""
DHParameters = NewType("DHParameters", object)
"""An owned `DH *`."""

NEEDED = """
BIO_free BIO_get_mem_data BIO_new BIO_new_file BIO_new_mem_buf BIO_s_mem DH_free ERR_clear_error
ERR_get_error ERR_lib_error_string ERR_peek_error ERR_reason_error_string EVP_PKEY_free
OBJ_nid2sn OBJ_txt2nid OPENSSL_malloc PEM_read_bio_DHparams PEM_read_bio_PrivateKey
PEM_read_bio_X509 SSL_CIPHER_find SSL_CIPHER_get_name SSL_CTX_add_client_CA SSL_CTX_free
SSL_CTX_get_cert_store SSL_CTX_get_options SSL_CTX_get_verify_mode SSL_CTX_new
SSL_CTX_set1_curves_list SSL_CTX_set1_sigalgs_list SSL_CTX_set_alpn_select_cb
SSL_CTX_set_cert_cb SSL_CTX_set_cert_store SSL_CTX_set_cipher_list SSL_CTX_set_ciphersuites
SSL_CTX_set_keylog_callback SSL_CTX_set_max_proto_version SSL_CTX_set_min_proto_version
SSL_CTX_set_msg_callback SSL_CTX_set_options SSL_CTX_set_tlsext_servername_callback
SSL_CTX_set_tlsext_status_arg SSL_CTX_set_tlsext_status_cb SSL_CTX_set_tmp_dh SSL_CTX_set_verify
SSL_CTX_set_verify_depth SSL_CTX_use_PrivateKey SSL_CTX_use_certificate
SSL_CTX_use_certificate_chain_file SSL_ERROR_NONE SSL_ERROR_SSL SSL_ERROR_SYSCALL
SSL_ERROR_WANT_READ SSL_ERROR_WANT_WRITE SSL_ERROR_ZERO_RETURN SSL_OP_NO_RENEGOTIATION
SSL_OP_NO_TICKET SSL_RECEIVED_SHUTDOWN SSL_SENT_SHUTDOWN SSL_SESSION_free
SSL_TLSEXT_ERR_ALERT_FATAL SSL_TLSEXT_ERR_NOACK SSL_TLSEXT_ERR_OK SSL_do_handshake SSL_free
SSL_get0_alpn_selected SSL_get0_group_name SSL_get0_verified_chain SSL_get1_session
SSL_get_certificate SSL_get_current_cipher SSL_get_error SSL_get_peer_cert_chain
SSL_get_peer_certificate SSL_get_servername SSL_get_session SSL_get_verify_result
SSL_get_version SSL_new SSL_pending SSL_read SSL_session_reused SSL_set_SSL_CTX
SSL_set_accept_state SSL_set_alpn_protos SSL_set_connect_state SSL_set_fd SSL_set_options
SSL_set_session SSL_set_shutdown SSL_set_tlsext_host_name SSL_set_tlsext_status_ocsp_resp
SSL_set_verify SSL_shutdown SSL_version SSL_write TLSEXT_NAMETYPE_host_name TLS_method
X509_CRL_free X509_STORE_CTX_get_current_cert X509_STORE_CTX_get_error
X509_STORE_CTX_get_error_depth X509_STORE_add_cert X509_STORE_add_crl X509_STORE_set_flags
X509_STORE_up_ref X509_V_FLAG_CRL_CHECK X509_V_FLAG_CRL_CHECK_ALL X509_free X509_up_ref
X509_verify_cert_error_string d2i_X509_CRL_bio i2d_SSL_SESSION i2d_X509_bio sk_X509_num
sk_X509_value
"""
"""All symbols that this package uses."""


def missing_symbols(library: object) -> list[str]:
    return [name for name in NEEDED.split() if not hasattr(library, name)]


def check_binding() -> None:
    if missing := missing_symbols(lib):
        import cryptography
        import OpenSSL

        raise ImportError(
            f"pyOpenSSL {OpenSSL.__version__} with cryptography {cryptography.__version__} "
            f"lacks what sniproxy calls in OpenSSL: {', '.join(missing)}"
        )


check_binding()


OK: int = lib.SSL_ERROR_NONE
FAILED: int = lib.SSL_ERROR_SSL
WANT_READ: int = lib.SSL_ERROR_WANT_READ
WANT_WRITE: int = lib.SSL_ERROR_WANT_WRITE
SYSCALL: int = lib.SSL_ERROR_SYSCALL
ZERO_RETURN: int = lib.SSL_ERROR_ZERO_RETURN

MODE_NO_AUTO_CHAIN = 0x8
"""SSL_MODE_NO_AUTO_CHAIN: send intermediates from the certificate file only."""

AD_INTERNAL_ERROR = 80
AD_UNRECOGNIZED_NAME = 112
LIB_SSL = 20
"""ERR_LIB_SSL, the same in all releases."""


def text(pointer: Any) -> str:
    """Decode a C string; "" for NULL."""
    return ffi.string(pointer).decode("latin-1") if pointer else ""


clear_error = lib.ERR_clear_error
