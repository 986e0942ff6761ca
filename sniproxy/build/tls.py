"""Create the TLS contexts of locations; functions shared with `client_tls`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL

from ..config.directives.tls import PasswordFile
from ..config.directives.upstream_tls import ConnectionSettings
from ..logs.sinks import FileSink, Sinks
from ..tls.certificate_cache import NO_CACHE, CertificateCache
from ..tls.certificates import NO_FILE, CertificateSource, read_password_file
from ..tls.contexts import upstream_context
from ..tls.errors import NATIVE, Dialect
from ..upstream.variable_certificate import VariableCertificate
from .paths import Paths

if TYPE_CHECKING:
    from ..tls.ca import DevCA


class KeyLog:
    """The file of a `proxy_ssl_key_log`, readable by its owner only."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._sink: FileSink | None = None

    def open(self, sinks: Sinks, owners: Collection[int]) -> None:
        """Open the file, which one of `owners` has to own; raises `ConfigError`."""
        self._sink = sinks.secret_file(self._path, owners)

    def __call__(self, line: bytes) -> None:
        if self._sink is not None:
            self._sink.write(line.decode("latin-1") + "\n")


@dataclass(slots=True)
class ContextFactory:
    """Creates contexts; the development CA is opened only if a server uses it."""

    paths: Paths
    state: str | None = None
    """The folder of the development CA; None for the user's."""
    dialect: Dialect = NATIVE
    """`ssl_error_dialect`."""
    key_logs: dict[str, KeyLog] = field(default_factory=dict)
    """By file name; to be opened before the first handshake."""
    _ca: DevCA | None = None
    _upstream: dict[tuple[Any, ...], SSL.Context] = field(default_factory=dict)

    @property
    def ca(self) -> DevCA:
        if self._ca is None:
            # Imported on demand: it imports most of `cryptography`.
            from ..tls.ca import DevCA

            self._ca = DevCA.open(self.state)
        return self._ca

    @property
    def new_ca(self) -> str:
        """The file of the development CA, if it was created for this configuration."""
        return str(self._ca.certificate_path) if self._ca is not None and self._ca.is_new else ""

    def for_upstream(
        self, settings: ConnectionSettings
    ) -> tuple[SSL.Context, VariableCertificate | None]:
        """The context of a location's connections to `https` upstreams.

        The second value is the client certificate if its name has variables; otherwise the
        context includes it.
        """
        certificate, key = settings.ssl_certificate, settings.ssl_certificate_key
        passphrases = self.passphrases(settings.ssl_password_file)
        arguments = self._context_arguments(settings)
        if certificate is None or not certificate.source or key is None:
            return self._upstream_context(arguments), None
        if certificate.is_constant and key.is_constant:
            source = CertificateSource(
                self.certificate(certificate.source), self.certificate(key.source), passphrases
            )
            return self._upstream_context({**arguments, "certificate": source}), None
        base = self._upstream_context(arguments)

        contexts = CertificateCache(
            lambda source: upstream_context(**arguments, certificate=source, trust_of=base),
            settings.ssl_certificate_cache or NO_CACHE,
        )
        named = VariableCertificate(certificate, key, passphrases, self.certificate, contexts)
        return base, named

    def _context_arguments(self, settings: ConnectionSettings) -> dict[str, Any]:
        in_conf = self.paths.in_conf
        trusted, crl = settings.ssl_trusted_certificate, settings.ssl_crl
        return {
            "protocols": settings.ssl_protocols,
            "ciphers": settings.ssl_ciphers,
            "verify": settings.ssl_verify,
            "trusted_certificate": in_conf(trusted) if trusted else "",
            "verify_depth": settings.ssl_verify_depth,
            "crl": in_conf(crl) if crl else "",
            "conf_commands": settings.ssl_conf_command,
            "key_log": self._key_log(settings.ssl_key_log),
            "dialect": self.dialect,
        }

    def _upstream_context(self, settings: dict[str, Any]) -> SSL.Context:
        """The context for these settings, shared by all locations that have them."""
        key = tuple(settings.items())
        if key not in self._upstream:
            self._upstream[key] = upstream_context(**settings)
        return self._upstream[key]

    def certificate(self, value: str) -> str:
        """Make the path in a certificate or key value absolute."""
        return value if value.startswith(NO_FILE) else self.paths.in_conf(value)

    def passphrases(self, file: PasswordFile | None) -> tuple[str, ...]:
        if file is None:
            return ()
        return read_password_file(self.paths.in_conf(file.path), file.file, file.line)

    def _key_log(self, name: str | None) -> KeyLog | None:
        if not name:
            return None
        return self.key_logs.setdefault(name, KeyLog(self.paths.in_prefix(name)))
