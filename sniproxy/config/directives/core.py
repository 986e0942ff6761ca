"""Directives of nginx's http core module: servers, locations, client connections."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ...template import Template
from ..addresses import Address, AddressError, parse_address
from ..numbers import parse_number
from ..regex import RegexError, compile_regex
from ..tree import Place
from .directive import (
    HTTP,
    LOCATION,
    LOCATION_IF,
    MAIN,
    SERVER,
    Args,
    Directive,
    Merge,
    Repeat,
    Settings,
    at_least,
    between,
    block,
    directive,
    exactly,
    settings,
)
from .resolver import ResolverSettings, resolver
from .slots import (
    buffer_sizes,
    compiled,
    flag,
    flag_present,
    number,
    offset,
    one_of,
    parse_size,
    parse_time,
    size,
    some_of,
    string,
    templates,
    time,
)

MODULE = "ngx_http_core_module"
HS = HTTP | SERVER
HSL = HTTP | SERVER | LOCATION


NOT_ONLY, KEEP, CLEAN = range(3)
"""Values of `client_body_in_file_only`: off, on, clean."""
NEVER, IF_UNREAD, ALWAYS = range(3)
"""Values of `lingering_close`: off, on, always."""


@dataclass(frozen=True, slots=True)
class Listen:
    """A `listen`."""

    address: Address
    default_server: bool = False
    ssl: bool = False
    proxy_protocol: bool = False
    """Whether clients send a header of the PROXY protocol first."""
    backlog: int = 511
    ipv6only: bool = True
    reuseport: bool = False
    http2: bool = False
    quic: bool = False
    """Whether HTTP/3 is to be served there, over UDP, which sniproxy does not."""
    udp: bool = False
    """Whether it listens for datagrams (`stream {}` only)."""
    socket_options: tuple[str, ...] = ()
    """Socket parameters, which may be given once per address."""
    place: Place = field(default=Place("", 0), compare=False)


_SOCKET_SIZES = ("rcvbuf", "sndbuf")
_SOCKET_NUMBERS = ("backlog", "fastopen")
_FLAGS = {
    **{word: word for word in ("ssl", "proxy_protocol", "reuseport", "quic", "http2")},
    "default_server": "default_server",
    "default": "default_server",
}
"""Parameters without a value, and the fields of `Listen` that they set."""


def listen(args: Args) -> Listen:
    made = listen_at(args, 80, _FLAGS)
    if made.quic:
        incompatible = ("fastopen", "backlog", "deferred", "ssl", "http2", "so_keepalive")
        refuse_parameters(args, (*incompatible, "proxy_protocol"), "quic")
    return made


def listen_at(args: Args, default_port: int, flags: Mapping[str, str]) -> Listen:
    """The `listen` of `http {}` or `stream {}`; `flags` are its parameters without a value."""
    url = args.first
    free = args.any_port and url.endswith(":0")
    try:
        address = parse_address(url[:-1] + "1" if free else url, default_port, listen=True)
        address = replace(address, url=url, port=0) if free else address
    except AddressError as error:
        args.fail(f'{error} in "{url}" of the "listen" directive')
    values: dict[str, int] = {}
    options: list[str] = []
    for word in args.words[1:]:
        key, equals, text = word.partition("=")
        if word in flags:
            values[flags[word]] = True
        elif word in ("bind", "deferred"):
            options.append(word)
        elif equals and key in _SOCKET_NUMBERS:
            amount = parse_number(text)
            if amount is None or (key == "backlog" and not amount):
                args.fail(f'invalid {key} "{word}"')
            options.append(word)
            if key == "backlog":
                values[key] = amount
        elif equals and key in _SOCKET_SIZES:
            if parse_size(text) is None:
                args.fail(f'invalid {key} "{word}"')
            options.append(word)
        elif word.startswith("ipv6only=o"):
            if text not in ("on", "off"):
                args.fail(f'invalid ipv6only flags "{word[9:]}"')
            values["ipv6only"] = text == "on"
            options.append(word)
        elif equals and key == "so_keepalive":
            _check_so_keepalive(args, text)
            options.append(word)
        elif word == "multipath":
            args.unsupported(f'the "{word}" parameter of "listen" is not supported by sniproxy yet')
        else:
            args.fail(f'invalid parameter "{word}"')
    return Listen(
        address,
        socket_options=tuple(options),
        place=args.place,
        **values,  # type: ignore[arg-type]
    )


def refuse_parameters(args: Args, names: Iterable[str], protocol: str) -> None:
    """Refuse parameters of a `listen` that do not fit its protocol."""
    given = {word.partition("=")[0] for word in args.words[1:]}
    for name in names:
        if name in given:
            args.fail_directive(f'"{name}" parameter is incompatible with "{protocol}"')


def _check_so_keepalive(args: Args, text: str) -> None:
    if text in ("on", "off"):
        return
    idle, _, rest = text.partition(":")
    interval, _, count = rest.partition(":")
    amounts = (
        parse_time(idle or "0", whole_seconds=True),
        parse_time(interval or "0", whole_seconds=True),
        parse_number(count or "0"),
    )
    if None in amounts or not any(amounts):
        args.fail(f'invalid so_keepalive value: "{text}"')


@dataclass(frozen=True, slots=True)
class ServerName:
    """A name of `server_name`, lower-case; `pattern` is set for a regular expression."""

    name: str
    pattern: re.Pattern[str] | None = None


def server_name(args: Args) -> tuple[ServerName, ...]:
    return tuple(_server_name(args, word) for word in args.words)


def _server_name(args: Args, word: str) -> ServerName:
    if (word[:1] == "*" and (len(word) < 3 or word[1] != ".")) or word == ".":
        args.fail(f'server name "{word}" is invalid')
    if word.lower() == "$hostname":
        return ServerName(socket.gethostname().lower())
    if not word.startswith("~"):
        return ServerName(word.lower())
    pattern = word[1:]
    if not pattern:
        args.fail(f'empty regex in server name "{word}"')
    try:
        caseless = pattern.lower() != pattern
        return ServerName(pattern, compile_regex(pattern, caseless=caseless))
    except RegexError as error:
        args.fail(str(error))


@dataclass(frozen=True, slots=True)
class LocationName:
    """Modifier and name of a location; `pattern` is set for `~` and `~*`."""

    modifier: str
    """`=`, `^~`, `~`, `~*`, `@`, or "" for a prefix location."""
    name: str
    pattern: re.Pattern[str] | None = None


MODIFIERS = ("=", "^~", "~*", "~")


def location(args: Args) -> LocationName:
    if len(args.words) == 2:
        modifier, name = args.words
        if modifier not in MODIFIERS:
            args.fail(f'invalid location modifier "{modifier}"')
    else:
        text = args.first
        modifier = next((m for m in MODIFIERS if text.startswith(m)), "")
        name = text[len(modifier) :]
        if not modifier and name.startswith("@"):
            modifier = "@"
    if not modifier.startswith("~"):
        return LocationName(modifier, name)
    try:
        return LocationName(modifier, name, compile_regex(name, caseless=modifier == "~*"))
    except RegexError as error:
        args.fail(str(error))


def keepalive_timeout(args: Args) -> tuple[float, float | None]:
    """Idle timeout, and the timeout announced in the Keep-Alive header, in seconds."""
    timeout = parse_time(args.first)
    if timeout is None:
        args.fail_directive("invalid value")
    if len(args.words) == 1:
        return timeout, None
    announced = parse_time(args.words[1], whole_seconds=True)
    if announced is None:
        args.fail_directive("invalid value")
    return timeout, announced


def temp_path(args: Args) -> tuple[str, tuple[int, ...]]:
    """Directory, and the lengths of up to three levels of subdirectory names."""
    folder, *words = args.words
    levels = [parse_number(word) or 0 for word in words]
    if not all(levels) or sum(level + 1 for level in levels) > 10 + len(levels):
        args.fail_directive("invalid value")
    return folder, tuple(levels)


@settings(MODULE)
class CoreServer(Settings):
    """Server-level settings of the core module."""

    listen: tuple[Listen, ...] = directive(
        SERVER, listen, "address and port to listen on",
        arity=at_least(1), repeat=Repeat.APPENDED, merge=Merge.NOT_INHERITED,
    )  # fmt: skip
    server_name: tuple[tuple[ServerName, ...], ...] = directive(
        SERVER, server_name, "names of the virtual server",
        arity=at_least(1), repeat=Repeat.APPENDED, merge=Merge.NOT_INHERITED,
    )  # fmt: skip
    client_header_timeout: float = directive(
        HS, time, "timeout for the TLS handshake and for reading a request head", default="60s"
    )
    client_header_buffer_size: int = directive(
        HS, size, "size of the first buffer for a request head", default="1k"
    )
    large_client_header_buffers: tuple[int, int] = directive(
        HS,
        buffer_sizes,
        "number and size of further buffers for a request head",
        arity=exactly(2),
        default="4 8k",
    )
    ignore_invalid_headers: bool = directive(
        HS, flag, "ignore request header fields with invalid names", default="on"
    )
    underscores_in_headers: bool = directive(
        HS, flag, "allow underscores in header field names", default="off"
    )
    merge_slashes: bool = directive(HS, flag, "merge adjacent slashes in the URI", default="on")
    client_body_early_read: tuple[tuple[Template, ...], ...] = directive(
        HS,
        templates,
        "read request bodies before other phases if a value is neither empty nor `0`",
        arity=at_least(1),
        repeat=Repeat.APPENDED,
    )
    max_headers: int = directive(
        HS, number, "maximum number of request header fields", default="1000"
    )


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """`error_page CODE … [=[CODE]] TARGET`."""

    codes: tuple[int, ...]
    status: int | None
    """Status sent instead; 0 takes the status of the target, None keeps the original."""
    target: Template
    """A URI path, `@name`, or a URL to redirect to."""


def error_page(args: Args) -> ErrorPage:
    *codes, target = args.words
    status = None
    if codes[-1].startswith("="):
        given = codes.pop()
        status = parse_number(given[1:]) if given != "=" else 0
        if status is None or not codes:
            args.fail(f'invalid value "{given}"')
    compiled_target = compiled(args, target)
    numbers = []
    for word in codes:
        code = parse_number(word)
        if code is None or code == 499:
            args.fail(f'invalid value "{word}"')
        if not 300 <= code <= 599:
            args.fail(f'value "{word}" must be between 300 and 599')
        numbers.append(code)
    return ErrorPage(tuple(numbers), status, compiled_target)


@settings(MODULE)
class CoreLocation(Settings):
    """Location-level settings of the core module."""

    error_page: tuple[ErrorPage, ...] = directive(
        HSL | LOCATION_IF, error_page, "URI or redirect that replaces the page of an error",
        arity=at_least(2), repeat=Repeat.APPENDED,
    )  # fmt: skip
    recursive_error_pages: bool = directive(
        HSL, flag, "apply error_page to errors of error pages", default="off"
    )
    error_detail: bool = directive(
        HSL, flag, "explain upstream failures on the error page, for local clients",
        default="off", extension=True,
    )  # fmt: skip
    absolute_redirect: bool = directive(
        HSL, flag, "send redirects with scheme and host", default="on"
    )
    server_name_in_redirect: bool = directive(
        HSL, flag, "use the first server_name in redirects", default="off"
    )
    port_in_redirect: bool = directive(HSL, flag, "include the port in redirects", default="on")
    msie_padding: bool = directive(HSL, flag, "pad error pages for MSIE and Chrome", default="on")
    internal: bool = directive(
        LOCATION, flag_present, "allow internal requests only",
        arity=exactly(0), repeat=Repeat.REPLACED, merge=Merge.NOT_INHERITED,
    )  # fmt: skip

    resolver: ResolverSettings | None = directive(
        HSL, resolver, "DNS servers for host names in variables", arity=at_least(1)
    )
    resolver_timeout: float = directive(HSL, time, "DNS lookup timeout", default="30s")

    client_max_body_size: int = directive(
        HSL, offset, "maximum request body size; 0 means unlimited", default="1m"
    )
    client_body_buffer_size: int = directive(
        HSL, size, "size of the request body kept in memory", default="8k"
    )
    client_body_in_file_only: int = directive(
        HSL, one_of({"off": NOT_ONLY, "on": KEEP, "clean": CLEAN}),
        "save request bodies to files; `clean` removes them afterwards", default="off",
    )  # fmt: skip
    client_body_temp_path: tuple[str, tuple[int, ...]] | None = directive(
        HSL, temp_path, "directory for request body files; by default the system's",
        arity=between(1, 4),
    )  # fmt: skip
    client_body_timeout: float = directive(
        HSL, time, "timeout between two reads of a request body", default="60s"
    )
    send_timeout: float = directive(
        HSL, time, "timeout between two writes to the client", default="60s"
    )
    keepalive_timeout: tuple[float, float | None] = directive(
        HSL, keepalive_timeout, "timeout of idle keep-alive connections",
        arity=between(1, 2), default="75s",
    )  # fmt: skip
    lingering_close: int = directive(
        HSL, one_of({"off": NEVER, "on": IF_UNREAD, "always": ALWAYS}),
        "read and discard client data before closing the connection",
        default="on",
    )  # fmt: skip
    lingering_time: float = directive(HSL, time, "maximum time of a lingering close", default="30s")
    lingering_timeout: float = directive(
        HSL, time, "timeout between two reads in a lingering close", default="5s"
    )
    post_action: str | None = directive(
        HSL | LOCATION_IF, string, "URI or named location that is processed after the response"
    )
    log_subrequest: bool = directive(HSL, flag, "log subrequests in the access log", default="off")
    chunked_transfer_encoding: bool = directive(
        HSL, flag, "use chunked transfer encoding for responses of unknown length", default="on"
    )
    reset_timedout_connection: bool = directive(
        HSL, flag, "reset connections that timed out", default="off"
    )
    keepalive_time: float = directive(
        HSL, time, "maximum age of a keep-alive connection", default="1h"
    )
    keepalive_disable: frozenset[str] = directive(
        HSL, some_of("none", "msie6", "safari"), "browsers without keep-alive",
        arity=between(1, 2), default="msie6", repeat=Repeat.MERGED,
    )  # fmt: skip
    keepalive_requests: int = directive(
        HSL, number, "maximum number of requests per keep-alive connection", default="1000"
    )
    early_hints: tuple[tuple[Template, ...], ...] = directive(
        HSL, templates, "forward 103 responses if a value is neither empty nor `0`",
        arity=at_least(1), repeat=Repeat.APPENDED,
    )  # fmt: skip
    server_tokens: str = directive(
        HSL, one_of({"on": "on", "off": "off", "build": "build"}),
        "show the version in the Server field and on error pages", default="on",
    )  # fmt: skip

    def page_for(self, status: int) -> ErrorPage | None:
        """The `error_page` for `status`, or None."""
        return next((page for page in self.error_page if status in page.codes), None)


DIRECTIVES = (
    block("http", MAIN, HTTP, "the HTTP server", module="ngx_http_module", repeat=Repeat.REFUSED),
    block("server", HTTP, SERVER, "a virtual server", module=MODULE),
    Directive(
        "location",
        SERVER | LOCATION,
        between(1, 2),
        location,
        "settings for requests by URI",
        MODULE,
        repeat=Repeat.APPENDED,
        merge=Merge.NOT_INHERITED,
        opens_context=LOCATION,
    ),
)
