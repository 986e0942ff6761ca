"""Checks across statements that nginx makes while it parses.

Each check fails at the statement that violates it. What can be judged only when the whole
`http {}` is known is checked in `postconf`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, ClassVar

from ..template import Template, compile_template
from .addresses import Address
from .directives import registry
from .directives.access import AuthRequestSet, Rule
from .directives.cache import CachePath, Store
from .directives.charset import CharsetMapBuilder, CharsetName, Charsets
from .directives.core import Listen, LocationName, ServerName
from .directives.directive import (
    LIMIT_EXCEPT,
    LOCATION,
    LOCATION_IF,
    TABLE,
    Args,
    Directive,
    Repeat,
)
from .directives.files import Root
from .directives.gzip import ANY_TYPE, media_types
from .directives.limits import ConnectionLimit, LimitZone, RequestLimit
from .directives.log import COMBINED, AccessLogDirective, LogFormat
from .directives.maps import MapBuilder, MapVariable, VariableBuilder
from .directives.mirror import OFF
from .directives.proxy_rewrites import DEFAULT, CookieFlags, Replacement
from .directives.real_ip import TrustedProxies
from .directives.resolver import ResolverSettings
from .directives.rewrite import Condition, Set, Substitution
from .directives.ssl import shared_caches
from .directives.sticky import Sticky
from .directives.upstream import Balancing, GroupZone, Method, PeerSettings
from .directives.upstream_modules import UPSTREAM_MODULES
from .directives.upstream_target import ProxyPass
from .hash_sizes import check_hash
from .listened import DEFAULT_PORT, ListenedAddresses
from .omissions import Omissions
from .reader import Block
from .regex import is_pattern
from .resources import Folders, SharedZones
from .tree import Place, Statement

DefinitionError = Callable[[str], str | None]
"""Why the configuration may not define a variable (lower-case name), or None if it may."""


@dataclass(slots=True)
class _Upstream:
    """An upstream group, or the implicit one of a `proxy_pass`."""

    name: str
    place: Place
    explicit: bool
    port: int
    has_port: bool


def _bit(word: str) -> str:
    """What nginx has one bit for: the values of `samesite=…` share theirs."""
    return word.lower().partition("=")[0]


class ParseChecks:
    """The checks of one configuration; implements `reader.Checks`."""

    KIND: ClassVar[str] = ""
    """Prefix of the uses of shared zones: `http {}` and `stream {}` cannot share one."""

    def __init__(
        self,
        http_read: Callable[[Block, ParseChecks], None],
        definition_error: DefinitionError,
        omissions: Omissions,
        prefix: str = "",
    ) -> None:
        """`http_read` is called at the end of `http {}`; file names are relative to `prefix`."""
        self.http_read = http_read
        self._definition_error = definition_error
        self.omissions = omissions
        self.warnings: list[str] = []
        self.notices: list[str] = []
        self.resolvers: list[ResolverSettings] = []
        self.listened = ListenedAddresses()
        self.zones = SharedZones()
        self._folders = Folders(prefix)
        self.log_formats = {
            "combined": LogFormat("combined", "default", compile_template(COMBINED))
        }
        self.variables: dict[str, None] = {}
        """Lower-case names of the variables used, in order of appearance."""
        self.captures: set[str] = set()
        """Names that the configuration defines: by `set`, `map` and named captures."""
        self.set_variables: set[str] = set()
        """Names that `set` defines, in lower case."""
        self.map_variables: dict[str, MapVariable] = {}
        """Variables defined by `map`, `geo` and `split_clients`, by lower-case name."""
        self.charsets = Charsets()
        self._upstreams: dict[str, _Upstream] = {}
        self._sticky_zones: dict[str, str] = {}
        """Names of the groups, by the zone of their `sticky learn`."""

    def on_directive(self, row: Directive, value: Any, args: Args, inside: Block) -> None:
        self._note_variables(value)
        if row.repeat is Repeat.MERGED:
            self._warn_of_duplicate_words(row, args, inside)
        check = self.check_of(row)
        if check is not None:
            check(self, value, args, inside)

    def check_of(self, row: Directive) -> Callable[[Any, Any, Args, Block], None] | None:
        """The check of a directive, called with these checks as its first argument."""
        return _DIRECTIVE_CHECKS.get(row.name)

    def _warn_of_duplicate_words(self, row: Directive, args: Args, inside: Block) -> None:
        seen = {_bit(word) for word in inside.values.get(row.key, ())}
        what, words = "value", args.words
        if row.slot is media_types:
            what, words = "MIME type", tuple(word.lower() for word in words)
            seen.add("text/html")
        for word in words:
            if ANY_TYPE in seen:
                return
            if _bit(word) in seen:
                self.warn(f'duplicate {what} "{word}"', args.place)
            seen.add(_bit(word))

    def on_block_open(self, block: Block, inside: Block) -> None:
        if isinstance(block.value, CharsetMapBuilder):
            block.value.begin(block.place, self.charsets)
            return
        self._note_variables(block.value)
        if block.context is TABLE:
            self._note_variables((block.value.source,))
            self._declare_variable(block.value.name, block.place)
        elif block.row.name == "location":
            _check_nesting(block, inside)
        elif block.row.name == "upstream":
            name = block.value[0]
            self._add_upstream(_Upstream(name, block.place, True, 0, False), block.place)

    def on_block_close(self, block: Block, inside: Block) -> None:
        name = block.row.name
        if name == "server" and "listen" not in block.values:
            self._listen_by_default(block)
        elif name == "upstream" and not block.values.get("server"):
            raise block.end.error("no servers are inside upstream")
        elif isinstance(block.value, CharsetMapBuilder):
            block.value.finish(self.charsets)
        elif block.context is TABLE:
            self._check_map_hash(block.value, inside)
            self.map_variables[block.value.name] = block.value.finish(block.end)
        elif name == "http":
            self.http_read(block, self)

    def on_entry(self, statement: Statement, block: Block, inside: Block) -> None:
        """Process a line of `types {}` (media type and extensions), `map {}` and similar blocks."""
        if block.context is TABLE:
            args = Args(statement.name, statement.args, statement.place)
            if isinstance(block.value, CharsetMapBuilder):
                block.value.entry(args)
                return
            self._note_variables(block.value.entry(args, self.warn))
            return
        tables = inside.values[block.row.key]
        for word in statement.args:
            ending = word.lower()
            table = next((one for one in tables if ending in one), block.values)
            if ending in table:
                self.warn(
                    f'duplicate extension "{ending}", content type: "{statement.name}", '
                    f'previous content type: "{table[ending]}"',
                    statement.place,
                )
            table[ending] = statement.name

    def _check_map_hash(self, builder: VariableBuilder, http: Block) -> None:
        sizes = [http.values.get(f"map_hash_{name}_size") for name in ("max", "bucket")]
        # nginx sets the defaults at the first map: then they can no longer be set.
        http.values.setdefault("map_hash_max_size", 2048)
        http.values.setdefault("map_hash_bucket_size", 64)
        if isinstance(builder, MapBuilder):
            warning = check_hash("map_hash", builder.exact_keys, sizes[0] or 2048, sizes[1])
            if warning is not None:
                self.warn(warning)

    def _resolver(self, settings: ResolverSettings, args: Args, inside: Block) -> None:
        self.resolvers.append(settings)

    def _declare_variable(self, name: str, place: Place) -> None:
        error = self._definition_error(name)
        if error is not None:
            raise place.error(error)
        self.captures.add(name)

    def warn(self, message: str, place: Place | None = None) -> None:
        self.warnings.append(message if place is None else f"{message} in {place}")

    def _note_variables(self, value: Any) -> None:
        for template in templates_in(value):
            for name in template.variables:
                if not name.isdigit():
                    self.variables.setdefault(name.lower())
        if (
            isinstance(value, LocationName | ServerName | Substitution | Condition)
            and value.pattern
        ):
            self.captures.update(name.lower() for name in value.pattern.groupindex)
        if isinstance(value, Replacement | CookieFlags) and not isinstance(value.pattern, Template):
            self.captures.update(name.lower() for name in value.pattern.groupindex)
        if isinstance(value, tuple):
            for part in value:
                if is_pattern(part):
                    self.captures.update(name.lower() for name in part.groupindex)

    # listen, server_name

    def _listen_by_default(self, server: Block) -> None:
        listen = Listen(Address(f"*:{DEFAULT_PORT}", "*", DEFAULT_PORT), place=server.place)
        server.values["listen"] = (listen,)
        self._listen(listen, Args("listen", (), server.end), server)

    def _listen(self, listen: Listen, args: Args, server: Block) -> None:
        self.listened.add(listen, args, server, self.warn)

    def _server_name(self, names: tuple[ServerName, ...], args: Args, server: Block) -> None:
        for word, name in zip(args.words, names, strict=True):
            if "/" in word:
                self.warn(f'server name "{word}" has suspicious symbols', args.place)
            self._note_variables(name)

    # files

    def _root(self, root: Root, args: Args, inside: Block) -> None:
        earlier = inside.values.get("root")
        if earlier is None:
            return
        if earlier.is_alias == root.is_alias:
            args.fail_directive("is duplicate")
        other = "alias" if earlier.is_alias else "root"
        args.fail_directive(f'is duplicate, "{other}" directive was specified earlier')

    def _index(self, names: tuple[Template, ...], args: Args, inside: Block) -> None:
        for word in args.words[:-1]:
            if word.startswith("/"):
                self.warn('only the last index in "index" directive should be absolute', args.place)

    # modules

    def _load_module(self, name: str, args: Args, inside: Block) -> None:
        if any(block.row.name in ("events", "http", "stream") for block in inside.blocks):
            args.fail_directive("is specified too late")
        if name in registry.SUPPORTED_MODULES:
            self.notices.append(f'module "{name}" is built in, no need to load it in {args.place}')
        else:
            args.unsupported(
                f'module "{name}" of "load_module" is not supported by sniproxy: nginx\'s binary '
                "modules cannot be loaded"
            )

    # zones of shared memory, folders

    def _upstream_zone(self, zone: GroupZone, args: Args, group: Block) -> None:
        self.zones.declare(args, zone.name, zone.size, f"{self.KIND}upstream")

    def _session_cache(self, cache: str, args: Args, inside: Block) -> None:
        for name, size in shared_caches(args):
            self.zones.declare(args, name, size, f"{self.KIND}ssl")

    def _cache_path(self, cache: CachePath, args: Args, http: Block) -> None:
        self._folders.add(args, cache.levels, is_cache=True)
        use = args.name.removesuffix("_path")
        self.zones.define(args, cache.zone, cache.size, use)

    def _limit_zone(self, zone: LimitZone, args: Args, http: Block) -> None:
        use = args.name.removesuffix("_zone")
        for other in http.values.get(args.name, ()):
            if other.name == zone.name:
                text = f'"{zone.name}" is already bound to key "{other.key.source}"'
                args.fail(f"{args.name} {text}")
        self.zones.declare(args, zone.name, zone.size, f"{self.KIND}{use}")

    def _limit(self, limit: RequestLimit | ConnectionLimit, args: Args, inside: Block) -> None:
        self.zones.declare(args, limit.zone, 0, f"{self.KIND}{args.name}")
        if any(other.zone == limit.zone for other in inside.values.get(args.name, ())):
            args.fail_directive("is duplicate")

    def _temp_path(self, value: tuple[str, tuple[int, ...]], args: Args, inside: Block) -> None:
        self._folders.add(args, value[1], is_cache=False)

    def _cache(self, zone: Template | None, args: Args, inside: Block) -> None:
        if zone is None:
            return
        store = args.name.replace("_cache", "_store")
        if inside.values.get(store) is not None:
            args.fail_directive(f'is incompatible with "{store}"')
        if zone.is_constant:
            self.zones.declare(args, zone.source, 0, args.name)

    def _store(self, store: Store | None, args: Args, inside: Block) -> None:
        cache = args.name.replace("_store", "_cache")
        if store is not None and inside.values.get(cache) is not None:
            args.fail_directive(f'is incompatible with "{cache}"')

    # upstream, proxy_pass

    def _send_lowat(self, size: int, args: Args, inside: Block) -> None:
        self.warn(f'"{args.name}" is not supported, ignored', args.place)

    def _pass(self, target: ProxyPass, args: Args, inside: Block) -> None:
        address = target.address
        if address is None:
            return
        self._add_target(target, args)
        if args.name == "memcached_pass":
            self.variables.setdefault("memcached_key")
        nameless = inside.context in (LOCATION_IF, LIMIT_EXCEPT)
        if address.uri and (nameless or inside.value.modifier in ("@", "~", "~*")):
            args.fail(
                '"proxy_pass" cannot have URI part in location given by regular expression, or '
                'inside named location, or inside "if" statement, or inside "limit_except" block'
            )

    def _add_target(self, target: ProxyPass, args: Args) -> None:
        """Note the implicit upstream of an address."""
        address = target.address
        assert address is not None
        self._add_upstream(
            _Upstream(
                address.host.removeprefix("unix:"),
                args.place,
                False,
                address.port,
                address.explicit_port,
            ),
            args.place,
        )

    def _add_upstream(self, new: _Upstream, place: Place) -> None:
        """Allow one `upstream {}` per name, and none whose name is used with a port elsewhere."""
        first = self._upstreams.setdefault(new.name.lower(), new)
        if first is new:
            return
        if new.explicit and first.explicit:
            raise place.error(f'duplicate upstream "{new.name}"')
        if first.explicit and new.has_port:
            raise place.error(f'upstream "{new.name}" may not have port {new.port}')
        if new.explicit and first.has_port:
            raise first.place.error(f'upstream "{new.name}" may not have port {first.port}')
        first.explicit = first.explicit or new.explicit

    def _balancing(self, balancing: Balancing, args: Args, group: Block) -> None:
        methods, sticky = group.values.get("balancing", ()), group.values.get("sticky")
        if methods or sticky:
            self.warn("load balancing method redefined", args.place)
        if sticky:
            group.values["sticky"] = replace(sticky, replaced=True)
        if balancing.method is Method.LEAST_TIME and any(
            method.method is Method.LEAST_TIME for method in methods
        ):
            args.fail_directive("is duplicate")

    def _sticky(self, sticky: Sticky, args: Args, group: Block) -> None:
        sessions = sticky.sessions
        if sessions is None:
            return
        self.zones.declare(args, sessions.zone, sessions.size, "sticky")
        name = group.value[0]
        user = self._sticky_zones.setdefault(sessions.zone, name)
        if user != name:
            args.fail(f'sticky zone "{sessions.zone}" is already used in upstream "{user}"')

    def _peer(self, peer: PeerSettings, args: Args, group: Block) -> None:
        methods = group.values.get("balancing")
        if peer.backup and methods and not methods[-1].has_backups:
            args.fail('balancing method does not support parameter "backup"')

    def _replacement(
        self, value: Replacement | CookieFlags | None, args: Args, inside: Block
    ) -> None:
        """`off` must be the only one, and `default` requires an earlier `proxy_pass`."""
        earlier = inside.values.get(args.name, ())
        if earlier and (value is None or None in earlier):
            args.fail_directive("is duplicate")
        if value is not DEFAULT:
            return
        target = inside.values.get("proxy_pass")
        if target is None:
            args.fail('"proxy_redirect default" should be placed after the "proxy_pass" directive')
        if target.template is not None:
            args.fail(
                '"proxy_redirect default" cannot be used with "proxy_pass" directive with variables'
            )

    # access

    def _rule(self, rule: Rule, args: Args, inside: Block) -> None:
        if not rule.exact:
            self.warn(f"low address bits of {args.first} are meaningless", args.place)

    def _trusted_proxies(self, trusted: TrustedProxies, args: Args, inside: Block) -> None:
        if not trusted.exact:
            self.warn(f"low address bits of {args.first} are meaningless", args.place)

    def _variable_defined(self, earlier: AuthRequestSet | Set, args: Args, inside: Block) -> None:
        self._declare_variable(earlier.name, args.place)

    def _variable_set(self, statement: Set, args: Args, inside: Block) -> None:
        self._variable_defined(statement, args, inside)
        self.set_variables.add(statement.name)

    def _charset(self, name: CharsetName | None, args: Args, inside: Block) -> None:
        if isinstance(name, str):
            self.charsets.add(name)

    def _mirror(self, uri: str, args: Args, inside: Block) -> None:
        before = inside.values.get("mirror", ())
        if OFF in before or (before and uri == OFF):
            args.fail_directive("is duplicate")

    # logs

    def _log_format(self, log_format: LogFormat, args: Args, inside: Block) -> None:
        if log_format.name in self.log_formats:
            args.fail(f'duplicate "log_format" name "{log_format.name}"')
        self.log_formats[log_format.name] = log_format

    def _access_log(self, log: AccessLogDirective | None, args: Args, inside: Block) -> None:
        if log is None or log.format in self.log_formats:
            return
        for name, log_format in self.log_formats.items():
            if name.lower() == log.format.lower():
                self.log_formats[log.format] = log_format
                return
        args.fail(f'unknown log format "{log.format}"')


_DIRECTIVE_CHECKS: dict[str, Callable[[ParseChecks, Any, Args, Block], None]] = {
    "root": ParseChecks._root,
    "alias": ParseChecks._root,
    "index": ParseChecks._index,
    "listen": ParseChecks._listen,
    "server_name": ParseChecks._server_name,
    "server": ParseChecks._peer,
    "least_conn": ParseChecks._balancing,
    "ip_hash": ParseChecks._balancing,
    "hash": ParseChecks._balancing,
    "random": ParseChecks._balancing,
    "least_time": ParseChecks._balancing,
    "sticky": ParseChecks._sticky,
    "proxy_redirect": ParseChecks._replacement,
    "proxy_cookie_domain": ParseChecks._replacement,
    "proxy_cookie_path": ParseChecks._replacement,
    "proxy_cookie_flags": ParseChecks._replacement,
    "allow": ParseChecks._rule,
    "deny": ParseChecks._rule,
    "auth_request_set": ParseChecks._variable_defined,
    "set": ParseChecks._variable_set,
    "resolver": ParseChecks._resolver,
    "load_module": ParseChecks._load_module,
    "zone": ParseChecks._upstream_zone,
    "ssl_session_cache": ParseChecks._session_cache,
    "ssl_ocsp_cache": ParseChecks._session_cache,
    "set_real_ip_from": ParseChecks._trusted_proxies,
    "limit_req_zone": ParseChecks._limit_zone,
    "limit_conn_zone": ParseChecks._limit_zone,
    "limit_req": ParseChecks._limit,
    "limit_conn": ParseChecks._limit,
    "client_body_temp_path": ParseChecks._temp_path,
    "log_format": ParseChecks._log_format,
    "access_log": ParseChecks._access_log,
    "charset": ParseChecks._charset,
    "mirror": ParseChecks._mirror,
    "source_charset": ParseChecks._charset,
    "send_lowat": ParseChecks._send_lowat,
    **{
        f"{module.PREFIX}{field}": check
        for module in UPSTREAM_MODULES
        for field, check in (
            ("pass", ParseChecks._pass),
            ("cache_path", ParseChecks._cache_path),
            ("temp_path", ParseChecks._temp_path),
            ("cache", ParseChecks._cache),
            ("store", ParseChecks._store),
            ("send_lowat", ParseChecks._send_lowat),
        )
    },
}


def templates_in(value: Any) -> Iterator[Template]:
    """All templates in the value of a directive."""
    if isinstance(value, Template):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from templates_in(item)
    elif is_dataclass(value):
        for part in fields(value):
            yield from templates_in(getattr(value, part.name))


def _check_nesting(block: Block, inside: Block) -> None:
    """Check a location nested in another location."""
    if inside.context is not LOCATION:
        return
    inner, outer = block.value, inside.value
    place = block.place
    for modifier, word in (("=", "exact"), ("@", "named")):
        if outer.modifier == modifier:
            raise place.error(
                f'location "{inner.name}" cannot be inside the {word} location "{outer.name}"'
            )
    if inner.modifier == "@":
        raise place.error(f'named location "{inner.name}" can be on the server level only')
    if inner.pattern is None and not inner.name.startswith(outer.name):
        raise place.error(f'location "{inner.name}" is outside location "{outer.name}"')
