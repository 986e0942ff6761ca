"""A `proxy_pass`, `grpc_pass` or `uwsgi_pass` directive with its surroundings (pure).

What is different between the modules of `http {}` and `stream {}` is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ..config.addresses import Address
from ..config.directives.core import MODIFIERS, LocationName
from ..config.directives.grpc import GrpcSettings
from ..config.directives.proxy import ProxySettings, SetHeader
from ..config.directives.stream_proxy import StreamProxySettings
from ..config.directives.upstream_settings import UpstreamSettings
from ..config.directives.upstream_target import TLS_SCHEMES, ProxyPass
from ..config.directives.upstream_tls import ConnectionSettings
from ..config.lenient import StatementNode
from ..server_name import without_port
from ..template import VariableLookup, compile_template
from ..variables import lookup
from .known_values import possible_schemes
from .model import HTTP_2, is_name
from .module_names import proxy_url
from .synthetic import make_context

NO_SETTINGS = frozenset({"if", "limit_except"})
"""Blocks in which `proxy_pass` may stand and the directives of TLS may not."""


@dataclass(frozen=True, slots=True, eq=False)
class ProxyPassGroup:
    """An `upstream {}` block."""

    name: str
    node: StatementNode
    peers: tuple[Address, ...]

    @property
    def host(self) -> str | None:
        """The host name of all its servers; None if they differ or are addresses."""
        hosts = {peer.host.lower() for peer in self.peers}
        host = next(iter(hosts)) if len(hosts) == 1 else ""
        return host if is_name(host) else None


@dataclass(frozen=True, slots=True, eq=False)
class PassSite:
    """A `proxy_pass`, `grpc_pass` or `uwsgi_pass` directive and its surroundings."""

    node: StatementNode
    blocks: tuple[StatementNode, ...]
    """The enclosing blocks, the innermost last."""
    target: ProxyPass
    settings: ConnectionSettings
    """The settings of the module in effect."""
    group: ProxyPassGroup | None

    is_of_stream: ClassVar[bool] = False
    speaks_http: ClassVar[bool] = True
    """Whether a diagnosis sends a request after the handshake."""

    @property
    def uses_tls(self) -> bool:
        """Whether it passes by TLS, or may depending on variables."""
        return self.target.tls or _may_be_tls(self)

    def is_in(self, location: str) -> bool:
        """Whether it stands in a location, given as in the configuration."""
        own = self.location
        return location in (own.name, f"{own.modifier} {own.name}")

    def variables(self, host: str, place: str) -> VariableLookup:
        """Evaluates variables for a request to `host`, where `place` makes `$proxy_host`.

        Raises `ScriptError`.
        """
        assert isinstance(self.settings, UpstreamSettings)
        ctx = make_context(self.settings, self.location, "/", host)
        values = lookup(ctx)
        ctx.proxy_host = compile_template(place).render(values)
        return values

    @property
    def block(self) -> StatementNode:
        return self.blocks[-1]

    @property
    def settings_block(self) -> StatementNode:
        """The innermost block where the directives of TLS may stand: not `if`, `limit_except`."""
        return next(block for block in reversed(self.blocks) if block.name not in NO_SETTINGS)

    @property
    def server(self) -> StatementNode | None:
        return next((block for block in self.blocks if block.name == "server"), None)

    @property
    def server_name(self) -> str:
        """The first name of its server that a client could request; "" if there is none."""
        names = [] if self.server is None else [n for s in self.server.named("server_name")
                                                for n in s.args]  # fmt: skip
        plain = [name for name in names if name and not name.startswith("~") and name != "_"]
        return plain[0].removeprefix("*").removeprefix(".").removesuffix(".*") if plain else ""

    @property
    def location(self) -> LocationName:
        for block in reversed(self.blocks):
            if block.name == "location" and block.args:
                modifier = block.args[0] if len(block.args) > 1 else ""
                name = block.args[-1]
                if not modifier:
                    modifier, name = _split(name)
                return LocationName(modifier, name)
        return LocationName("", "/")

    @property
    def label(self) -> str:
        """`www.example.com location /api/`."""
        location = self.location
        words = " ".join(filter(None, (location.modifier.strip("@"), location.name)))
        return f"{self.server_name or 'server'} location {words}"

    @property
    def short_label(self) -> str:
        """`www.example.com /api/`, for tables."""
        location = self.location
        name = " ".join(filter(None, (location.modifier.strip("@"), location.name)))
        return f"{self.server_name or '_'} {name or '(server)'}"

    @property
    def probe_base(self) -> ProxySettings:
        """The settings that a diagnosis starts from, under the names of the proxy module."""
        return replace(ProxySettings.resolve(), **_connection(self.settings))

    @property
    def probe_target(self) -> ProxyPass:
        """The upstream as the target of a `proxy_pass` by TLS."""
        return replace(self.target, url=proxy_url(self.target.url), scheme="https")

    def settings_from(self, probed: ProxySettings, *, plain: bool = False) -> ConnectionSettings:
        """The settings with what an attempt has changed, `plain` without TLS."""
        return replace(self.settings, **_connection(probed))

    @property
    def session_user(self) -> str:
        """As a warning about shared sessions names it: `location "/"`."""
        location = self.location
        return f'location "{" ".join(filter(None, (location.modifier, location.name)))}"'

    @property
    def upstream_name(self) -> str:
        return self.target.proxy_host

    @property
    def upstream_key(self) -> tuple[int, str, int]:
        """What sites have in common that share peers; the target must have an address."""
        address = self.target.address
        assert address is not None
        host = address.host.lower()
        return id(self.blocks[0]), host, 0 if self.group is not None else address.port

    def has_directive(self, name: str) -> bool:
        """Whether the directive is set at its level or an enclosing one."""
        return any(True for block in self.blocks for _ in block.named(name))

    @property
    def default_name(self) -> str:
        """The default of `proxy_ssl_name`; "" if the URL contains variables."""
        return "" if self.target.address is None else self.target.address.host

    def names(self) -> tuple[str, ...]:
        """Candidate names of the upstream, the most likely first."""
        found: list[str] = []
        template = self.settings.ssl_name
        if template is not None:
            found.append(template.source)
        if self.group is None:
            found.append(self.default_name)
        else:
            found += [peer.host for peer in self.group.peers]
        found += self._requested_names()
        usable = (name for name in found if "$" in name or is_name(name))
        return tuple(dict.fromkeys(usable))

    def _requested_names(self) -> tuple[str, ...]:
        """Names that the upstream is asked for by other means."""
        return ()

    def better_name(self) -> str | None:
        """A name for `proxy_ssl_name`, if the default is an address or the name of a group."""
        if self.group is not None:
            if self.group.host is not None:
                return self.group.host
            if any(is_name(peer.host) for peer in self.group.peers):
                return None
        return next(
            (name for name in self._requested_names() if "$" in name or is_name(name)), None
        )


@dataclass(frozen=True, slots=True, eq=False)
class ProxyPassSite(PassSite):
    """A `proxy_pass` directive and its surroundings."""

    @property
    def proxy(self) -> ProxySettings:
        """The proxy settings in effect."""
        assert isinstance(self.settings, ProxySettings)
        return self.settings

    @property
    def probe_base(self) -> ProxySettings:
        return self.proxy

    @property
    def probe_target(self) -> ProxyPass:
        return self.target

    def settings_from(self, probed: ProxySettings, *, plain: bool = False) -> ConnectionSettings:
        return probed

    @property
    def host_header(self) -> str | None:
        """The value of `proxy_set_header Host`, if set."""
        return _host_header(self.proxy.proxy_set_header)

    def _requested_names(self) -> tuple[str, ...]:
        return _names_in(self.host_header)


@dataclass(frozen=True, slots=True, eq=False)
class StreamPassSite(PassSite):
    """A `proxy_pass` directive of a server of `stream {}`."""

    is_of_stream: ClassVar[bool] = True
    speaks_http: ClassVar[bool] = False

    @property
    def uses_tls(self) -> bool:
        assert isinstance(self.settings, StreamProxySettings)
        return self.settings.proxy_ssl

    def is_in(self, location: str) -> bool:
        return False

    @property
    def probe_target(self) -> ProxyPass:
        return replace(self.target, url=f"https://{self.target.url}", scheme="https")

    def settings_from(self, probed: ProxySettings, *, plain: bool = False) -> ConnectionSettings:
        assert isinstance(self.settings, StreamProxySettings)
        wanted = replace(self.settings, **_connection(probed), proxy_ssl=not plain)
        if wanted.ssl_name is None and self.settings.ssl_name is not None:
            # The default is the host of proxy_pass, which no variable has.
            wanted = replace(wanted, ssl_name=compile_template(self.default_name))
        return wanted

    def variables(self, host: str, place: str) -> VariableLookup:
        return {"ssl_preread_server_name": host, "ssl_server_name": host}.get

    @property
    def listen(self) -> str:
        """The first address that its server listens on, as written."""
        listens = () if self.server is None else self.server.named("listen")
        return next((node.args[0] for node in listens if node.args), "")

    @property
    def session_user(self) -> str:
        place = self.node.place if self.server is None else self.server.place
        return f"server in {place}"

    @property
    def upstream_name(self) -> str:
        return self.target.url

    @property
    def label(self) -> str:
        return " ".join(filter(None, (self.server_name, "stream server", self.listen)))

    @property
    def short_label(self) -> str:
        return " ".join(filter(None, ("stream", self.server_name, self.listen)))


@dataclass(frozen=True, slots=True, eq=False)
class GrpcPassSite(PassSite):
    """A `grpc_pass` directive and its surroundings."""

    @property
    def probe_base(self) -> ProxySettings:
        assert isinstance(self.settings, GrpcSettings)
        return replace(
            ProxySettings.resolve(),
            **_connection(self.settings),
            proxy_set_header=self.settings.grpc_set_header,
            proxy_http_version=HTTP_2,
        )

    def _requested_names(self) -> tuple[str, ...]:
        assert isinstance(self.settings, GrpcSettings)
        return _names_in(_host_header(self.settings.grpc_set_header))

    def settings_from(self, probed: ProxySettings, *, plain: bool = False) -> ConnectionSettings:
        assert isinstance(self.settings, GrpcSettings)
        fields = _connection(probed)
        return replace(self.settings, **fields, grpc_set_header=probed.proxy_set_header)


@dataclass(frozen=True, slots=True, eq=False)
class UwsgiPassSite(PassSite):
    """A `uwsgi_pass` directive and its surroundings."""

    speaks_http: ClassVar[bool] = False


def _host_header(headers: Sequence[SetHeader]) -> str | None:
    return next((h.value.source for h in headers if h.name.lower() == "host"), None)


def _names_in(header: str | None) -> tuple[str, ...]:
    """The name that the Host field of requests has, if it is not the default."""
    if header in (None, "$proxy_host"):
        return ()
    return ({"$http_host": "$host"}.get(header or "", without_port(header or "")),)


def _connection(settings: ConnectionSettings) -> dict[str, Any]:
    """The settings that all modules have."""
    return {row.field: getattr(settings, row.field) for row in ConnectionSettings.DIRECTIVES}


def _split(name: str) -> tuple[str, str]:
    """Split off a modifier written without a space: `~^/a`, `=/a`, `@name`."""
    for modifier in (*MODIFIERS, "@"):
        if name.startswith(modifier) and len(name) > len(modifier):
            return modifier, name if modifier == "@" else name[len(modifier) :]
    return "", name


def _may_be_tls(site: PassSite) -> bool:
    """Whether the values that the configuration gives to the variables allow TLS."""
    if not may_be_tls(site.target):
        return False
    schemes = possible_schemes(site.target.url, site.blocks)
    return schemes is None or not TLS_SCHEMES.isdisjoint(schemes)


def may_be_tls(target: ProxyPass) -> bool:
    """Whether the URL contains variables and does not begin with `http://`."""
    if target.template is None:
        return False
    scheme, separator, _ = target.url.lower().partition("://")
    return not separator or "$" in scheme or scheme in TLS_SCHEMES
