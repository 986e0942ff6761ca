"""Directives of nginx's stream core module and of its modules that have few: servers, sessions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from ...template import Template, literal
from ..addresses import Address, AddressError, parse_address
from .access import Access, Rule
from .core import Listen, ServerName, listen_at, refuse_parameters, server_name
from .directive import (
    STREAM,
    STREAM_SERVER,
    Args,
    Directive,
    Merge,
    Repeat,
    Settings,
    Slot,
    at_least,
    directive,
    exactly,
    exclusive,
    sequence,
    settings,
)
from .limits import ConnectionLimits
from .log import AccessLogDirective, ErrorLogDirective, Log, access_log, syslog
from .real_ip import RealIP, TrustedProxies, trusted_proxies
from .resolver import ResolverSettings, resolver
from .rewrite import Set, set_statement
from .slots import compiled, flag, size, time
from .ssl import Ssl
from .upstream_target import ProxyPass

MODULE = "ngx_stream_core_module"
BOTH = STREAM | STREAM_SERVER
_FLAGS = {word: word for word in ("default_server", "udp", "ssl", "proxy_protocol", "reuseport")}
_OF_TCP = ("fastopen", "backlog", "deferred", "ssl", "so_keepalive", "proxy_protocol")


def _rows(settings_class: type[Settings], field: str) -> tuple[Directive, ...]:
    """The directives of a field of an http module, for its stream module."""
    found = [row for row in settings_class.DIRECTIVES if row.field == field]
    return tuple(row.in_stream(BOTH) for row in found)


def listen(args: Args) -> Listen:
    made = listen_at(args, 0, _FLAGS)
    if made.udp:
        refuse_parameters(args, _OF_TCP, "udp")
    return made


@settings(MODULE)
class StreamCore(Settings):
    """Settings of a server for the client's side of its sessions."""

    listen: tuple[Listen, ...] = directive(
        STREAM_SERVER,
        listen,
        "address and port to listen on; `udp` for datagrams",
        arity=at_least(1),
        repeat=Repeat.APPENDED,
        merge=Merge.NOT_INHERITED,
    )
    server_name: tuple[tuple[ServerName, ...], ...] = directive(
        STREAM_SERVER,
        server_name,
        "names of the virtual server, which the SNI selects",
        arity=at_least(1),
        repeat=Repeat.APPENDED,
        merge=Merge.NOT_INHERITED,
    )
    resolver: ResolverSettings | None = directive(
        BOTH, resolver, "DNS servers for host names in variables", arity=at_least(1)
    )
    resolver_timeout: float = directive(BOTH, time, "DNS lookup timeout", default="30s")
    proxy_protocol_timeout: float = directive(
        BOTH, time, "timeout for reading the header of the PROXY protocol", default="30s"
    )
    preread_buffer_size: int = directive(
        BOTH, size, "maximum size of the data that is read ahead", default="16k"
    )
    preread_timeout: float = directive(BOTH, time, "timeout for reading data ahead", default="30s")
    ssl_preread: bool = directive(
        BOTH,
        flag,
        "read the ClientHello ahead, for variables and virtual servers",
        default="off",
        module="ngx_stream_ssl_preread_module",
    )


@settings("ngx_stream_access_module")
class StreamAccess(Settings):
    """Which clients may use a server."""

    rules: tuple[Rule, ...] = sequence(*_rows(Access, "rules"))


_trusted_proxies = partial(trusted_proxies, of_stream=True)


@settings("ngx_stream_realip_module")
class StreamRealIP(Settings):
    """Which proxies are trusted to say who the client is, by the PROXY protocol."""

    set_real_ip_from: tuple[TrustedProxies, ...] = sequence(
        *(replace(row, slot=_trusted_proxies) for row in _rows(RealIP, "set_real_ip_from"))
    )


@settings("", fixed={"limit_conn_status": 503}, contexts=BOTH)
class StreamConnectionLimits(ConnectionLimits):
    """How many sessions a server takes."""


def stream_access_log(args: Args) -> AccessLogDirective | None:
    if len(args.words) == 1 and args.first != "off":
        if args.first.startswith("syslog:"):
            syslog(args)
        args.fail("log format is not specified")
    return access_log(args)


@settings("ngx_stream_log_module")
class StreamLog(Settings):
    """The logs of a server."""

    error_log: tuple[ErrorLogDirective, ...] = sequence(*_rows(Log, "error_log"))
    access_log: tuple[AccessLogDirective | None, ...] = directive(
        BOTH,
        stream_access_log,
        "file or syslog server, format, buffering and condition",
        arity=at_least(1),
        repeat=Repeat.APPENDED,
    )


def alpn(args: Args) -> tuple[str, ...]:
    for word in args.words:
        if len(word) > 255:
            args.fail(f'"{args.name}" protocol too long')
    return args.words


@settings(
    "",
    contexts=BOTH,
    fixed={"ssl_early_data": False, "ssl_buffer_size": 16384},
)
class StreamSsl(Ssl):
    """The TLS settings of a server towards its clients."""

    ssl_handshake_timeout: float = directive(
        BOTH, time, "timeout of the TLS handshake", default="60s", module="ngx_stream_ssl_module"
    )
    ssl_alpn: tuple[str, ...] = directive(
        BOTH,
        alpn,
        "protocols offered to clients by ALPN",
        arity=at_least(1),
        default="",
        module="ngx_stream_ssl_module",
    )


@dataclass(frozen=True, slots=True)
class ReturnText:
    """`return TEXT`."""

    text: Template


@dataclass(frozen=True, slots=True)
class PassTo:
    """`pass ADDRESS`: hands the connection to another listening socket."""

    address: Address | None
    """None if it depends on variables."""
    template: Template | None


def return_text(args: Args) -> ReturnText:
    return ReturnText(compiled(args, args.first) if args.first else literal(""))


def pass_to(args: Args) -> PassTo:
    target = compiled(args, args.first) if "$" in args.first else None
    if target is not None and not target.is_constant:
        return PassTo(None, target)
    try:
        address = parse_address(args.first, 0)
    except AddressError as error:
        args.fail(f'{error} in "{args.first}" of the "{args.name}" directive')
    if not address.is_literal:
        args.fail_directive("has no addresses")
    if not (address.port or address.is_unix):
        args.fail_directive("has no port")
    return PassTo(address, None)


def proxy_pass(args: Args) -> ProxyPass:
    place = (args.place.file, args.place.line)
    target = compiled(args, args.first) if "$" in args.first else None
    if target is not None and not target.is_constant:
        return ProxyPass(args.first, "stream", None, target, *place)
    try:
        address = parse_address(args.first, 0)
    except AddressError as error:
        args.fail(f'{error} in upstream "{args.first}"')
    return ProxyPass(args.first, "stream", address, None, *place)


Content = ReturnText | PassTo | ProxyPass
"""The content handler of a server's sessions."""


def _content(name: str, module: str, kind: Slot, doc: str) -> Directive:
    return Directive(
        name,
        STREAM_SERVER,
        exactly(1),
        kind,
        doc,
        module,
        repeat=Repeat.REPLACED,
        merge=Merge.NOT_INHERITED,
    )


@settings("")
class StreamContent(Settings):
    """The content handler of a server's sessions, and the variables that are set before it runs."""

    content: Content | None = exclusive(
        None,
        _content(
            "proxy_pass",
            "ngx_stream_proxy_module",
            proxy_pass,
            "address of the upstream server, or name of a group",
        ),
        _content(
            "return", "ngx_stream_return_module", return_text, "text that is sent to the client"
        ),
        _content(
            "pass",
            "ngx_stream_pass_module",
            pass_to,
            "listening address that takes over the connection",
        ),
    )
    """The last one takes effect."""
    sets: tuple[Set, ...] = sequence(
        Directive(
            "set",
            STREAM_SERVER,
            exactly(2),
            set_statement,
            "set a variable",
            "ngx_stream_set_module",
            repeat=Repeat.APPENDED,
            merge=Merge.NOT_INHERITED,
        ),
    )
