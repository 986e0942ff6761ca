"""TLS settings of servers and locations → contexts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL

from ..config.directives.proxy import Proxy
from ..config.directives.ssl import Ssl
from ..config.model import Server
from ..message import ConfigError
from ..tls.certificates import CertificateSource
from ..tls.contexts import server_context, upstream_context
from ..tls.stream import REJECT, Reject
from .paths import Paths

if TYPE_CHECKING:
    from ..tls.devca import DevCA

AUTO = "auto"

Choose = Callable[[str | None, str], SSL.Context | Reject]
"""SNI and local address → what a virtual server has to show."""


@dataclass(slots=True)
class TLSContexts:
    """Makes contexts; the development CA is opened only when a server wants it."""

    paths: Paths
    state: str | None = None
    """The folder of the development CA; None for the user's own."""
    _ca: DevCA | None = None

    @property
    def ca(self) -> DevCA:
        if self._ca is None:
            # Few sites need it, and it brings most of `cryptography` with it.
            from ..tls.devca import DevCA

            self._ca = DevCA.open(self.state)
        return self._ca

    def for_server(self, server: Server) -> Choose | None:
        """SNI and local address → context, for one virtual server; None without TLS settings.

        Raises `ConfigError` in nginx's words where a certificate or key does not load.
        """
        ssl = server.ssl
        if ssl.ssl_reject_handshake:
            return lambda server_name, local: REJECT
        if not ssl.ssl_certificate:
            return None
        settings = _server_settings(ssl)
        if AUTO in ssl.ssl_certificate:
            ca = self.ca
            first = server.name

            def issued(server_name: str | None, local: str) -> SSL.Context:
                default = tuple(name for name in (first, local) if name)
                return ca.context(server_name, default, **settings)

            return issued
        sources = [
            CertificateSource(self._certificate(certificate), self._certificate(key))
            for certificate, key in zip(ssl.ssl_certificate, ssl.ssl_certificate_key, strict=True)
        ]
        context = server_context(certificates=sources, **settings)
        return lambda server_name, local: context

    def refusing(self) -> SSL.Context:
        """A context without a certificate, for handshakes that end in a refusal."""
        return server_context()

    def for_upstream(self, proxy: Proxy) -> SSL.Context:
        """The context of a location's connections to `https` upstreams."""
        source = None
        certificate, key = proxy.proxy_ssl_certificate, proxy.proxy_ssl_certificate_key
        if certificate is not None and certificate.source:
            if not certificate.is_constant or (key is not None and not key.is_constant):
                raise ConfigError(
                    'variables in "proxy_ssl_certificate" are not supported by sniproxy yet'
                )
            key_name = key.source if key is not None else ""
            source = CertificateSource(
                self._certificate(certificate.source), self._certificate(key_name)
            )
        trusted = proxy.proxy_ssl_trusted_certificate
        return upstream_context(
            protocols=proxy.proxy_ssl_protocols,
            ciphers=proxy.proxy_ssl_ciphers,
            certificate=source,
            verify=proxy.proxy_ssl_verify,
            trusted_certificate=self.paths.in_conf(trusted) if trusted else "",
            verify_depth=proxy.proxy_ssl_verify_depth,
        )

    def _certificate(self, value: str) -> str:
        return value if value.startswith("data:") or not value else self.paths.in_conf(value)


def _server_settings(ssl: Ssl) -> dict[str, Any]:
    return {
        "protocols": ssl.ssl_protocols,
        "ciphers": ssl.ssl_ciphers,
        "prefer_server_ciphers": ssl.ssl_prefer_server_ciphers,
        "groups": ssl.ssl_ecdh_curve,
        "session_tickets": ssl.ssl_session_tickets,
        "session_timeout": ssl.ssl_session_timeout,
    }
