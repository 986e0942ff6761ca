"""Build OpenSSL contexts: one per virtual server, one per location for its upstream.

Settings are applied in nginx's order, so that the same one of several errors is reported.
Verification never fails a handshake: contexts that verify have a callback that continues, and
the result is checked afterwards. Source: nginx's ngx_ssl_create and the merge functions of its
http ssl and proxy modules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cryptography import x509
from OpenSSL import SSL

from ..models import ConfigError
from . import openssl
from .certificates import CertificateSource, KeyObject, LoadedCertificate, Loader
from .conf_commands import Command, apply
from .errors import NATIVE, Dialect, error_text

PROTOCOLS = frozenset({"TLSv1.2", "TLSv1.3"})
"""nginx's default."""
SERVER_CIPHERS = "HIGH:!aNULL:!MD5"
UPSTREAM_CIPHERS = "DEFAULT"
GROUPS = "X25519:P-256:X448:P-521:P-384"
"""`ssl_ecdh_curve auto` as in OpenSSL 3.0, used by production nginx. OpenSSL 4 would offer a
post-quantum group first, which enlarges the ClientHello to 1.5 kB.
"""
SESSION_TIMEOUT = 300.0

_REFUSED_PROTOCOL = {
    "SSLv2": SSL.OP_NO_SSLv2,
    "SSLv3": SSL.OP_NO_SSLv3,
    "TLSv1": SSL.OP_NO_TLSv1,
    "TLSv1.1": SSL.OP_NO_TLSv1_1,
    "TLSv1.2": SSL.OP_NO_TLSv1_2,
    "TLSv1.3": SSL.OP_NO_TLSv1_3,
}

VERIFY_CLIENT = SSL.VERIFY_PEER
"""Used for all values of `ssl_verify_client` but `off`: request a certificate only. Whether one
is required is checked when the request arrives.
"""


def server_context(
    *,
    certificates: Sequence[CertificateSource | LoadedCertificate] = (),
    protocols: Iterable[str] = PROTOCOLS,
    ciphers: str = SERVER_CIPHERS,
    prefer_server_ciphers: bool = False,
    groups: str = "auto",
    dhparam: str = "",
    verify_client: str = "off",
    client_certificate: str = "",
    trusted_certificate: str = "",
    verify_depth: int = 1,
    crl: str = "",
    session_cache: str = "none",
    session_tickets: bool = True,
    session_timeout: float = SESSION_TIMEOUT,
    stapling_file: str = "",
    conf_commands: Sequence[Command] = (),
    by_variables: SSL.Context | None = None,
    dialect: Dialect = NATIVE,
    alpn: tuple[str, ...] | None = None,
) -> SSL.Context:
    """Create the context of a virtual server; paths are absolute, "" means not set.

    Without `certificates` the context is for `ssl_reject_handshake`. `verify_client` is the
    argument of `ssl_verify_client`; `session_cache` is `none`, `off` or `builtin`. `by_variables`
    is the server's context without a certificate, if certificate names have variables; its trust
    store is shared. Raises `ConfigError` with nginx's messages.
    """
    for source in certificates:
        if isinstance(source, CertificateSource) and not source.key:
            raise _no_key("ssl_certificate_key", source)
    loader = Loader(dialect) if by_variables is None else Loader(dialect, owner="SSL")
    context = _context(protocols)
    openssl.enable_servername_callback(context)
    if alpn is None:
        openssl.set_alpn_http(context)
    elif alpn:
        openssl.set_alpn_protocols(context, alpn)
    _set_ciphers(context, ciphers, dialect)
    if prefer_server_ciphers:
        context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE)
    certificates_der = [loader.use(context, source) for source in certificates]
    subjects: dict[bytes, None] = {}
    if verify_client != "off":
        if verify_client != "optional_no_ca" and not (client_certificate or trusted_certificate):
            raise ConfigError(
                "no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client"
            )
        openssl.set_verify_record_only(context, VERIFY_CLIENT, verify_depth)
        for authority in loader.authorities(client_certificate) if client_certificate else ():
            openssl.add_trusted(context, authority)
            subject = _subject(openssl.x509_der(authority))
            if subject not in subjects:
                openssl.add_client_ca(context, authority)
                subjects[subject] = None
    openssl.set_verify_record_only(context, None, verify_depth)
    if by_variables is None:
        _trust(context, trusted_certificate, loader)
        _add_revocation_lists(context, crl, loader)
    else:
        openssl.share_cert_store(context, by_variables)
    if dhparam and not openssl.set_dh_parameters(context, loader.dh_parameters(dhparam)):
        text = f'SSL_CTX_set_tmp_dh("{dhparam}") failed'
        raise ConfigError(error_text(text, openssl.drain_error_queue(), dialect))
    _set_groups(context, groups, dialect)
    context.set_timeout(int(session_timeout))
    context.set_session_id(_session_id_context(certificates_der, subjects))
    context.set_session_cache_mode(_SESSION_CACHE[session_cache])
    if not session_tickets:
        context.set_options(SSL.OP_NO_TICKET)
    if stapling_file and certificates_der:
        response = loader.ocsp_response(stapling_file)
        sources = dict.fromkeys(certificates_der, lambda: response)
        openssl.set_ocsp_responses(context, sources)
    apply(context, conf_commands, directive="ssl_conf_command", dialect=dialect)
    return context


def context_for(
    certificate: x509.Certificate,
    key: KeyObject,
    chain: Sequence[x509.Certificate] = (),
    **settings: Any,
) -> SSL.Context:
    """Create a server context for a certificate in memory (`ssl_certificate auto`).

    `settings` are the keyword arguments of `server_context`.
    """
    loaded = LoadedCertificate(certificate, key, tuple(chain))
    return server_context(certificates=[loaded], **settings)


def upstream_context(
    *,
    protocols: Iterable[str] = PROTOCOLS,
    ciphers: str = UPSTREAM_CIPHERS,
    certificate: CertificateSource | None = None,
    verify: bool = False,
    trusted_certificate: str = "",
    verify_depth: int = 1,
    crl: str = "",
    conf_commands: Sequence[Command] = (),
    key_log: Callable[[bytes], None] | None = None,
    trust_of: SSL.Context | None = None,
    dialect: Dialect = NATIVE,
) -> SSL.Context:
    """Create the context for a location's upstream. Raises `ConfigError` with nginx's messages.

    `key_log` is called with each line of the NSS key log format, without line feed. `trust_of`
    is the location's context if certificate names have variables; its trust store is shared.
    """
    loader = Loader(dialect, "SSL_CTX" if trust_of is None else "SSL")
    context = _context(protocols)
    _set_ciphers(context, ciphers, dialect)
    if certificate is not None:
        if not certificate.key:
            raise _no_key("proxy_ssl_certificate_key", certificate)
        loader.use(context, certificate)
    if verify:
        if not trusted_certificate:
            raise ConfigError("no proxy_ssl_trusted_certificate for proxy_ssl_verify")
        openssl.set_verify_record_only(context, None, verify_depth)
        if trust_of is not None:
            openssl.share_cert_store(context, trust_of)
        else:
            _trust(context, trusted_certificate, loader)
            _add_revocation_lists(context, crl, loader)
    _set_groups(context, "auto", dialect)
    context.set_session_cache_mode(SSL.SESS_CACHE_CLIENT | SSL.SESS_CACHE_NO_INTERNAL)
    apply(context, conf_commands, directive="proxy_ssl_conf_command", dialect=dialect)
    if key_log is not None:
        openssl.set_keylog_callback(context, key_log)
    return context


def _context(protocols: Iterable[str]) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    for refused in _REFUSED_PROTOCOL.keys() - set(protocols):
        context.set_options(_REFUSED_PROTOCOL[refused])
    context.set_min_proto_version(0)
    context.set_max_proto_version(SSL.TLS1_3_VERSION)
    # Without the latter, a FIN during a handshake would be reported as a TLS error instead of
    # nginx's "peer closed connection".
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_IGNORE_UNEXPECTED_EOF)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS | openssl.MODE_NO_AUTO_CHAIN)
    return context


def _no_key(directive: str, source: CertificateSource) -> ConfigError:
    return ConfigError(f'no "{directive}" is defined for certificate "{source.certificate}"')


def _set_ciphers(context: SSL.Context, ciphers: str, dialect: Dialect) -> None:
    if not openssl.set_cipher_list(context, ciphers.encode("latin-1")):
        text = f'SSL_CTX_set_cipher_list("{ciphers}") failed'
        raise ConfigError(error_text(text, openssl.drain_error_queue(), dialect))


def _set_groups(context: SSL.Context, groups: str, dialect: Dialect) -> None:
    group_list = GROUPS if groups == "auto" else groups
    if not openssl.set_groups(context, group_list.encode("latin-1")):
        text = f'SSL_CTX_set1_curves_list("{groups}") failed'
        raise ConfigError(error_text(text, openssl.drain_error_queue(), dialect))


def _trust(context: SSL.Context, bundle: str, loader: Loader) -> None:
    for authority in loader.authorities(bundle) if bundle else ():
        openssl.add_trusted(context, authority)


def _add_revocation_lists(context: SSL.Context, crl: str, loader: Loader) -> None:
    for revoked in loader.revocation_lists(crl) if crl else ():
        openssl.add_crl(context, revoked)


_SESSION_CACHE = {
    "off": SSL.SESS_CACHE_OFF,
    # nginx tells clients that sessions can be resumed but stores none.
    "none": (
        SSL.SESS_CACHE_SERVER | SSL.SESS_CACHE_NO_AUTO_CLEAR | SSL.SESS_CACHE_NO_INTERNAL_STORE
    ),
    "builtin": SSL.SESS_CACHE_SERVER,
}


def _subject(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).subject.public_bytes()


def _session_id_context(certificates: Iterable[bytes], subjects: Iterable[bytes]) -> bytes:
    """nginx's session id context: binds sessions to the server's certificates and client CAs."""
    digest = hashlib.sha1(b"HTTP", usedforsecurity=False)
    for der in (*certificates, *subjects):
        digest.update(hashlib.sha1(der, usedforsecurity=False).digest())
    return digest.digest()
