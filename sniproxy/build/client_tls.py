"""Create the TLS contexts of virtual servers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from OpenSSL import SSL

from ..config.directives.ssl import Ssl
from ..config.tree import Place
from ..context import Connection
from ..models import ConfigError
from ..runtime import ServerTLS
from ..template import Template
from ..tls import openssl
from ..tls.certificate_cache import NO_CACHE, CertificateCache
from ..tls.certificates import CertificateSource
from ..tls.contexts import server_context
from .file_signature import file_signature
from .ocsp import OCSPFactory, TLSServer
from .tls import ContextFactory

AUTO = "auto"

_TICKET_KEY_SIZES = (48, 80)


class ContextStore:
    """Contexts that the next configuration takes over where settings and files are the same.

    So their ticket keys and sessions survive a reload.
    """

    def __init__(self, previous: ContextStore | None = None) -> None:
        self._previous = {} if previous is None else previous._contexts
        self._contexts: dict[tuple[Any, ...], SSL.Context] = {}

    def context(
        self, sources: Sequence[CertificateSource], settings: dict[str, Any]
    ) -> SSL.Context:
        """As `server_context`."""
        files = tuple(file_signature(path) for path in _files(sources, settings))
        key = (*sources, *settings.items(), files)
        # Servers that are alike have a context each: sessions of one are not for another.
        number = sum(1 for known in self._contexts if known[:-1] == key)
        context = self._previous.get((*key, number))
        if context is None:
            context = server_context(certificates=sources, **settings)
        self._contexts[*key, number] = context
        return context

    def release_previous(self) -> None:
        """Forget the contexts that were not taken over."""
        self._previous = {}


def _files(sources: Sequence[CertificateSource], settings: dict[str, Any]) -> Iterator[str]:
    for source in sources:
        yield from (source.certificate, source.key)
    for name in ("dhparam", "client_certificate", "trusted_certificate", "crl", "stapling_file"):
        yield settings[name]


@dataclass(slots=True)
class ServerContextFactory:
    """Creates the contexts of virtual servers; raises `ConfigError` with nginx's messages."""

    shared: ContextFactory
    ocsp: OCSPFactory
    end: Place
    """The end of `http {}`, as the place for some messages."""
    store: ContextStore
    alpn: Callable[[Any], tuple[str, ...] | None] = lambda ssl: None
    """Returns the protocols of ALPN for the settings of a server; None for those of HTTP."""
    warnings: list[str] = field(default_factory=list)

    def for_server(self, server: TLSServer, default: Ssl) -> ServerTLS | None:
        """The contexts of `server`; None without TLS settings. `default` has the settings of
        the default server of its address."""
        ssl = server.ssl
        if not ssl.has_context:
            return None
        settings = self._settings(ssl, default)
        if AUTO in ssl.ssl_certificate:
            made = self._issued(server, settings)
        else:
            made = self._loaded(server, settings)
        self._check_ticket_keys(ssl)
        if ssl.ssl_stapling and ssl.ssl_certificate_compression:
            raise ConfigError('"ssl_stapling" is incompatible with "ssl_certificate_compression"')
        return made

    def _issued(self, server: TLSServer, settings: dict[str, Any]) -> ServerTLS:
        ca = self.shared.ca

        def issued(connection: Connection) -> SSL.Context:
            server_name = connection.tls.server_name if connection.tls is not None else None
            default = tuple(name for name in (server.name, connection.server_address) if name)
            return ca.context(server_name, default, **settings)

        return ServerTLS(
            ca.context("", (server.name,), **settings),
            issued,
            str(ca.certificate_path),
            self.ocsp.client_check(server),
        )

    def _loaded(self, server: TLSServer, settings: dict[str, Any]) -> ServerTLS:
        ssl = server.ssl
        pairs = ssl.pairs()
        passphrases = self.shared.passphrases(ssl.ssl_password_file)
        if all(template.is_constant for pair in pairs for template in pair):
            sources = [
                CertificateSource(
                    self.shared.certificate(certificate.source),
                    self.shared.certificate(key.source),
                    passphrases,
                )
                for certificate, key in pairs
            ]
            context = self.store.context(sources, settings)
            if ssl.ssl_stapling and not ssl.ssl_stapling_file:
                self.warnings += self.ocsp.staple(context, sources, server)
            check = self.ocsp.client_check(server)
            return ServerTLS(context, lambda connection: context, client_check=check)
        base = server_context(**settings)
        openssl.set_no_certificate(base)
        contexts = CertificateCache(
            lambda *sources: server_context(certificates=sources, by_variables=base, **settings),
            ssl.ssl_certificate_cache or NO_CACHE,
        )
        # nginx then tries an empty passphrase; at start it would ask for one.
        named = self._named(server, pairs, passphrases or ("",), contexts)
        return ServerTLS(base, named, client_check=self.ocsp.client_check(server))

    def _named(
        self,
        server: TLSServer,
        pairs: list[tuple[Template, Template]],
        passphrases: tuple[str, ...],
        contexts: CertificateCache,
    ) -> Callable[[Connection], SSL.Context]:
        def named(connection: Connection) -> SSL.Context:
            values = server.values(connection)
            sources = [
                CertificateSource(
                    self.shared.certificate(certificate.render(values)),
                    self.shared.certificate(key.render(values)),
                    passphrases,
                )
                for certificate, key in pairs
            ]
            return contexts.context(*sources)

        return named

    def _settings(self, ssl: Ssl, default: Ssl) -> dict[str, Any]:
        # A connection starts with the context of its address's default server: what OpenSSL
        # takes from there and never again, nginx has from there for all servers.
        return {
            "protocols": ssl.ssl_protocols,
            "ciphers": ssl.ssl_ciphers,
            "prefer_server_ciphers": ssl.ssl_prefer_server_ciphers,
            "groups": default.ssl_ecdh_curve,
            "dhparam": self._path(ssl.ssl_dhparam),
            "verify_client": ssl.ssl_verify_client,
            "client_certificate": self._path(ssl.ssl_client_certificate),
            "trusted_certificate": self._path(ssl.ssl_trusted_certificate),
            "verify_depth": ssl.ssl_verify_depth,
            "crl": self._path(ssl.ssl_crl),
            "session_cache": default.ssl_session_cache,
            "session_tickets": ssl.ssl_session_tickets,
            "session_timeout": default.ssl_session_timeout,
            "stapling_file": self._path(ssl.ssl_stapling_file) if ssl.ssl_stapling else "",
            "conf_commands": ssl.ssl_conf_command,
            "dialect": self.shared.dialect,
            "alpn": self.alpn(ssl),
        }

    def _path(self, value: str | None) -> str:
        return self.shared.certificate(value) if value else ""

    def _check_ticket_keys(self, ssl: Ssl) -> None:
        for name in ssl.ssl_session_ticket_key:
            path = self.shared.paths.in_conf(name)
            try:
                size = os.stat(path).st_size
            except OSError as error:
                raise self.end.error(f'open() "{path}" failed', error.errno) from None
            if size not in _TICKET_KEY_SIZES:
                raise self.end.error(f'"{path}" must be 48 or 80 bytes')
