"""Client certificates for upstreams, with variables in file names (`proxy_ssl_certificate`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from OpenSSL import SSL

from ..models import ConfigError, Failure, FailureType, ProxyError
from ..template import Template, VariableLookup
from ..tls.certificate_cache import CertificateCache
from ..tls.certificates import CertificateSource


@dataclass(frozen=True, slots=True)
class VariableCertificate:
    """The certificate and key of a location, evaluated for each connection."""

    certificate: Template
    key: Template
    passphrases: tuple[str, ...]
    full_name: Callable[[str], str]
    """Converts an evaluated value to an absolute path or `data:…`."""
    contexts: CertificateCache

    def context(self, values: VariableLookup) -> SSL.Context | None:
        """The context with the certificate; None if its name is empty, which means no certificate.

        Raises `ProxyError` of type INTERNAL if it cannot be loaded: then no other peer is tried.
        """
        name = self.certificate.render(values)
        if not name:
            return None
        source = CertificateSource(
            self.full_name(name), self.full_name(self.key.render(values)), self.passphrases
        )
        try:
            return self.contexts.context(source)
        except ConfigError as error:
            raise ProxyError(Failure(str(error), kind=FailureType.INTERNAL)) from None
