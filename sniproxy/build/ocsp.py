"""Create what staples OCSP responses, and what checks client certificates by OCSP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from OpenSSL import SSL

from ..config.addresses import Address
from ..config.directives.resolver import ResolverSettings
from ..config.directives.ssl import Ssl, shared_cache
from ..config.tree import Place
from ..context import Connection
from ..models import ConfigError
from ..template import VariableLookup
from ..tls import openssl
from ..tls.certificates import CertificateSource
from .hosts import resolve_host

if TYPE_CHECKING:  # imported if a server uses OCSP
    from cryptography import x509

    from ..ocsp.client_check import ClientCertificateCheck, StatusCache
    from ..ocsp.responder import OCSPServer
    from ..ocsp.stapling import Stapler
    from ..upstream.resolver import Resolver


class _WithResolver(Protocol):
    """Settings with `resolver`."""

    @property
    def resolver(self) -> ResolverSettings | None: ...
    @property
    def resolver_timeout(self) -> float: ...


@dataclass(frozen=True, slots=True)
class TLSServer:
    """A virtual server, of HTTP or of `stream {}`, as TLS needs it."""

    ssl: Ssl
    name: str
    core: _WithResolver
    values: Callable[[Connection], VariableLookup]
    """Returns the function that evaluates variables during the handshake of a connection."""


class OCSPStore:
    """Staplers and caches of a configuration; the next one continues with what it has, too."""

    def __init__(self, previous: OCSPStore | None = None) -> None:
        self._previous = previous
        self._staplers: dict[bytes, Stapler] = {}
        """By certificate, in DER; servers with the same certificate share one."""
        self._caches: dict[tuple[str, int], StatusCache] = {}

    @property
    def staplers(self) -> Sequence[Stapler]:
        return tuple(self._staplers.values())

    def add_stapler(self, certificate: bytes, stapler: Stapler) -> Stapler:
        known = self._staplers.get(certificate)
        if known is not None:
            return known
        earlier = None if self._previous is None else self._previous._staplers.get(certificate)
        if earlier is not None:
            stapler.continue_from(earlier)
        self._staplers[certificate] = stapler
        return stapler

    def cache(self, name: str, size: int) -> StatusCache:
        from ..ocsp.client_check import StatusCache

        known = self._caches.get((name, size))
        if known is None:
            earlier = None if self._previous is None else self._previous._caches.get((name, size))
            known = StatusCache(size) if earlier is None else earlier.share()
            self._caches[name, size] = known
        return known

    def release_previous(self) -> None:
        self._previous = None

    def close(self) -> None:
        for cache in self._caches.values():
            cache.close()


class OCSPFactory:
    """Creates staplers and checks for virtual servers."""

    def __init__(
        self,
        store: OCSPStore,
        resolver: Callable[[ResolverSettings], Resolver],
        path: Callable[[str], str],
        end: Place,
    ) -> None:
        """`path` makes the names of certificate files absolute; `end` is the place of messages."""
        self._store = store
        self._resolver = resolver
        self._path = path
        self._end = end

    def staple(
        self,
        context: SSL.Context,
        sources: Sequence[CertificateSource],
        server: TLSServer,
    ) -> list[str]:
        """Staple fetched responses to the handshakes of a context; returns nginx's warnings."""
        from ..ocsp.message import CheckedCertificate, responder_url
        from ..ocsp.stapling import Stapler

        settings = server.ssl
        trusted, warnings, staples = self._trusted(settings), [], {}
        for source in sources:
            leaf, *chain = _certificates(source.certificate)
            name = source.certificate
            issuer = _issuer(leaf, (*chain, *trusted))
            if issuer is None:
                what = f'issuer certificate not found for certificate "{name}"'
                warnings.append(f'"ssl_stapling" ignored, {what}')
                continue
            url = settings.ssl_stapling_responder or responder_url(leaf)
            if not url:
                what = f'no OCSP responder URL in the certificate "{name}"'
                warnings.append(f'"ssl_stapling" ignored, {what}')
                continue
            try:
                responder = self._responder(url, server)
            except ConfigError as wrong:
                what = f'{wrong.message} in the certificate "{name}"'
                warnings.append(f'"ssl_stapling" ignored, {what}')
                continue
            checked = CheckedCertificate(leaf, issuer, tuple(chain), trusted)
            made = Stapler(checked, responder, name, verify=settings.ssl_stapling_verify)
            der = _der(leaf)
            staples[der] = self._store.add_stapler(der, made).response
        if staples:
            openssl.set_ocsp_responses(context, staples)
        return warnings

    def client_check(self, server: TLSServer) -> ClientCertificateCheck | None:
        """The check of `ssl_ocsp`; None if it is off. Raises `ConfigError`."""
        settings = server.ssl
        if settings.ssl_ocsp == "off":
            return None
        if settings.ssl_verify_client == "optional_no_ca":
            text = '"ssl_ocsp" is incompatible with "ssl_verify_client optional_no_ca"'
            raise ConfigError(text)
        from ..ocsp.client_check import ClientCertificateCheck

        url = settings.ssl_ocsp_responder
        try:
            responder = self._responder(url or "http://unknown", server, resolve=bool(url))
        except ConfigError as wrong:
            raise ConfigError(f'{wrong.message} in "ssl_ocsp_responder"') from None
        zone = shared_cache(settings.ssl_ocsp_cache)
        return ClientCertificateCheck(
            self._trusted(settings),
            responder,
            None if zone is None else self._store.cache(*zone),
            leaf_only=settings.ssl_ocsp == "leaf",
            has_url=bool(url),
        )

    def _responder(self, url: str, server: TLSServer, *, resolve: bool = True) -> OCSPServer:
        """A responder, with the addresses of its name. Raises `ConfigError`."""
        from ..ocsp.responder import OCSPServer, ResponderURLError, parse_responder

        try:
            address = parse_responder(url)
        except ResponderURLError as wrong:
            raise ConfigError(str(wrong)) from None
        core = server.core
        resolver = None if core.resolver is None else self._resolver(core.resolver)
        known = self._addresses(address, url) if resolve else ()
        return OCSPServer(address, known, resolver, core.resolver_timeout)

    def _addresses(self, address: Address, url: str) -> tuple[str, ...]:
        displayed = url.partition("://")[2]
        try:
            found = resolve_host(address, displayed, self._end)
        except ConfigError:
            text = f'host not found in OCSP responder "{displayed}"'
            raise ConfigError(text) from None
        return tuple(str(sockaddr[0]) for _, sockaddr in found)

    def _trusted(self, settings: Ssl) -> tuple[x509.Certificate, ...]:
        found: list[x509.Certificate] = []
        names = [settings.ssl_trusted_certificate]
        if settings.ssl_verify_client != "off":
            names.append(settings.ssl_client_certificate)
        for name in names:
            if name:
                found += _certificates(self._path(name))
        return tuple(found)


def _certificates(source: str) -> list[x509.Certificate]:
    """The certificates of a file, or of `data:` and PEM."""
    from cryptography import x509

    if source.startswith("data:"):
        text = source.removeprefix("data:").encode("latin-1")
    else:
        text = Path(source).read_bytes()
    return x509.load_pem_x509_certificates(text)


def _issuer(
    certificate: x509.Certificate, candidates: Sequence[x509.Certificate]
) -> x509.Certificate | None:
    for candidate in candidates:
        try:
            certificate.verify_directly_issued_by(candidate)
        except Exception:
            continue
        return candidate
    return None


def _der(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)
