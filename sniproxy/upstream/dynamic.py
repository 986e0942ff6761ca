"""Upstreams of `proxy_pass` with variables, determined for each request.

    variables ─► URL ─► a group or an upstream of the configuration
                     ─► an address
                     ─► a name, for the `resolver`

An address or a name results in an upstream for a single request: it stores no failures, TLS
sessions or idle connections.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Protocol

from ..config.addresses import Address, AddressError, parse_address
from ..config.directives.gateways import split_scheme
from ..config.directives.upstream import PeerSettings
from ..config.directives.upstream_target import ProxyPass
from ..models import Failure, FailureType, ProxyError
from ..system import unix_family
from ..template import Template, VariableLookup
from .selector import Peer, Upstream, socket_address


class NameResolver(Protocol):
    """The `resolver` directive's resolver (`upstream.resolver.Resolver`)."""

    async def addresses(self, name: str, timeout: float) -> Sequence[str]:
        """The addresses of `name`. Raises `ResolveError`."""
        ...


_PORTS = {"http": 80, "https": 443}


class DynamicUpstream:
    """The `proxy_pass` of one location."""

    def __init__(
        self,
        directive: ProxyPass,
        known: Callable[[Address], Upstream | None],
        resolver: NameResolver | None,
        timeout: float,
        next_connection_id: Callable[[], int],
    ) -> None:
        """`known` finds configured upstreams; `timeout` is `resolver_timeout` in seconds."""
        assert directive.template is not None
        self._scheme = directive.scheme
        self._template = directive.template
        self._place = (directive.file, directive.line)
        self._known = known
        self._resolver = resolver
        self._timeout = timeout
        self._next_connection_id = next_connection_id

    def target(self, values: VariableLookup) -> ProxyPass:
        """Evaluate the variables; raises `ProxyError` of type INTERNAL."""
        parse = _PARSERS.get(self._scheme, _gateway)
        try:
            return parse(self._template.render(values), self._scheme, self._template, *self._place)
        except AddressError as error:
            raise ProxyError(Failure(str(error), kind=FailureType.INTERNAL)) from None

    async def upstream(self, target: ProxyPass) -> Upstream:
        """The upstream of a target; raises `ProxyError` if its name cannot be resolved."""
        address = target.address
        assert address is not None
        return self._known(address) or Upstream(
            address.name, await self._peers(address), next_connection_id=self._next_connection_id
        )

    async def _peers(self, address: Address) -> list[Peer]:
        settings = PeerSettings(address)
        if not (address.port or address.is_unix):
            text = f'no port in upstream "{address.host}"'
            raise ProxyError(Failure(text, kind=FailureType.INTERNAL))
        if address.is_unix:
            return [Peer(unix_family(), address.name, address.host, settings)]
        found: Sequence[str] = (address.host.strip("[]"),)
        if not address.is_literal:
            found = await self._resolved(address.host)
        return [peer_at(one, address.port, settings) for one in found]

    async def _resolved(self, name: str) -> Sequence[str]:
        if self._resolver is None:
            raise ProxyError(Failure(f"no resolver defined to resolve {name}"))
        from .resolver_query import ResolveError

        try:
            return await self._resolver.addresses(name, self._timeout)
        except ResolveError as error:
            displayed = name.removesuffix(".")
            raise ProxyError(Failure(f"{displayed} could not be resolved ({error})")) from None


def peer_at(host: str, port: int, settings: PeerSettings) -> Peer:
    """The peer at an IP address."""
    return Peer(*socket_address(host, port), settings)


@functools.lru_cache(1024)
def _target(url: str, scheme: str, template: Template, file: str, line: int) -> ProxyPass:
    """Parse a URL that contained variables; raises `AddressError` with nginx's full message."""
    scheme, separator, rest = url.partition("://")
    port = _PORTS.get(scheme.lower())
    if not separator or port is None or not rest:
        raise AddressError(f'invalid URL prefix in "{url}"')
    try:
        address = parse_address(rest, port, uri_allowed=True)
    except AddressError as error:
        raise AddressError(f'{error} in upstream "{rest}"') from None
    return ProxyPass(url, scheme.lower(), address, template, file, line)


@functools.lru_cache(1024)
def _gateway(url: str, scheme: str, template: Template, file: str, line: int) -> ProxyPass:
    """Parse an address that contained variables, of `fastcgi_pass` and its kin.

    Raises `AddressError` with nginx's full message.
    """
    known, rest = split_scheme(url, scheme)
    try:
        address = parse_address(rest, 0)
    except AddressError as error:
        raise AddressError(f'{error} in upstream "{rest}"') from None
    return ProxyPass(url, known, address, template, file, line)


def parse_stream_target(directive: ProxyPass, text: str) -> ProxyPass:
    """The target of a `proxy_pass` of `stream {}` whose variables make `text`.

    Raises `ProxyError` of type INTERNAL.
    """
    template = directive.template
    assert template is not None
    try:
        return _stream(text, directive.scheme, template, directive.file, directive.line)
    except AddressError as error:
        raise ProxyError(Failure(str(error), kind=FailureType.INTERNAL)) from None


@functools.lru_cache(1024)
def _stream(url: str, scheme: str, template: Template, file: str, line: int) -> ProxyPass:
    """Parse an address that contained variables, of the `proxy_pass` of `stream {}`.

    Raises `AddressError` with nginx's full message.
    """
    try:
        address = parse_address(url, 0)
    except AddressError as error:
        raise AddressError(f'{error} in upstream "{url}"') from None
    return ProxyPass(url, scheme, address, template, file, line)


_PARSERS = {"": _target, "stream": _stream}
"""By the scheme of a directive, if it is known; others are those of gateways."""
