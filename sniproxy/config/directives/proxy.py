"""Directives of nginx's http proxy module."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from typing import NamedTuple

from ...template import Template, literal
from ..addresses import Address, AddressError, parse_address
from .core import temp_path
from .directive import (
    HTTP,
    LIMIT_EXCEPT,
    LOCATION,
    LOCATION_IF,
    SERVER,
    Args,
    Merge,
    Repeat,
    Settings,
    Status,
    at_least,
    between,
    directive,
    exactly,
    settings,
)
from .proxy_rewrites import (
    DEFAULT,
    CookieFlags,
    Replacement,
    cookie_domain,
    cookie_flags,
    cookie_path,
    redirect,
)
from .slots import (
    buffers,
    compiled,
    flag,
    number,
    one_of,
    size,
    size_template,
    some_of,
    string,
    template,
    time,
)
from .ssl import PROTOCOLS
from .tls import (
    CacheRules,
    PasswordFile,
    certificate_cache,
    conf_command,
    password_file,
)

HSL = HTTP | SERVER | LOCATION


@dataclass(frozen=True, slots=True)
class ProxyPass:
    """The target of `proxy_pass`: a fixed address or (if `template` is set) one per request."""

    url: str
    scheme: str
    """`http` or `https`; "" if it depends on variables."""
    address: Address | None
    template: Template | None
    file: str
    line: int

    @property
    def tls(self) -> bool:
        return self.scheme == "https"

    @property
    def proxy_host(self) -> str:
        """`$proxy_host`: host, and port unless it is the scheme's default."""
        if self.address is None:
            return ""
        if self.address.is_unix:
            return "localhost"
        default = 443 if self.tls else 80
        if self.address.port == default:
            return self.address.host
        return f"{self.address.host}:{self.address.port}"

    @property
    def proxy_port(self) -> str:
        """`$proxy_port`; "" for a UNIX socket."""
        return str(self.address.port or "") if self.address is not None else ""


_PORTS = {"http": 80, "https": 443}


def proxy_pass(args: Args) -> ProxyPass:
    url = args.first
    place = (args.place.file, args.place.line)
    if "$" in url:
        return ProxyPass(url, "", None, compiled(args, url), *place)
    scheme, separator, rest = url.partition("://")
    default_port = _PORTS.get(scheme.lower())
    if not separator or default_port is None:
        args.fail("invalid URL prefix")
    try:
        address = parse_address(rest, default_port, uri_allowed=True)
    except AddressError as error:
        args.fail(f'{error} in upstream "{rest}"')
    return ProxyPass(url, scheme.lower(), address, None, *place)


def http_version(args: Args) -> int:
    if args.first == "2":
        args.unsupported('the value "2" of "proxy_http_version" is not supported by sniproxy yet')
        return 11
    version: int = one_of({"1.0": 10, "1.1": 11})(args)
    return version


@dataclass(frozen=True, slots=True)
class SetHeader:
    """`proxy_set_header NAME VALUE`; an empty value removes the field."""

    name: str
    value: Template


def set_header(args: Args) -> SetHeader:
    return SetHeader(args.words[0], compiled(args, args.words[1]))


class LocalAddress(NamedTuple):
    """Local address for connections to the upstream."""

    text: str
    """As written."""
    host: str
    port: int
    """0 for any."""


@dataclass(frozen=True, slots=True)
class Bind:
    """`proxy_bind`."""

    address: Template


def local_address(text: str) -> LocalAddress | None:
    """Parse an address with optional port (`[2001:db8::1]:80`); None if invalid."""
    host, port = text, ""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        port = rest[1:]
        if not closed or (rest and not (rest.startswith(":") and port)):
            return None
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        return None
    return LocalAddress(text, host, int(port or 0))


def bind(args: Args) -> Bind | None:
    if args.words == ("off",):
        return None
    address = compiled(args, args.first)
    if address.is_constant and local_address(args.first) is None:
        args.fail(f'invalid address "{args.first}"')
    for word in args.words[1:]:
        if word == "transparent":
            args.unsupported('parameter "transparent" is not supported by sniproxy yet')
        else:
            args.fail(f'invalid parameter "{word}"')
    return Bind(address)


IGNORED_HEADERS = (
    "X-Accel-Redirect", "X-Accel-Expires", "X-Accel-Limit-Rate", "X-Accel-Buffering",
    "X-Accel-Charset", "Expires", "Cache-Control", "Set-Cookie", "Vary",
)  # fmt: skip

NEXT_UPSTREAM = (
    "error", "timeout", "invalid_header", "non_idempotent", "http_500", "http_502", "http_503",
    "http_504", "http_403", "http_404", "http_429", "updating", "off", "denied",
)  # fmt: skip


@settings("ngx_http_proxy_module")
class ProxySettings(Settings):
    """The proxy settings of a location."""

    proxy_pass: ProxyPass | None = directive(
        LOCATION | LOCATION_IF | LIMIT_EXCEPT, proxy_pass, "URL of the upstream server or group",
        merge=Merge.NOT_INHERITED,
    )  # fmt: skip
    proxy_set_header: tuple[SetHeader, ...] = directive(
        HSL, set_header, "header field of requests to the upstream",
        arity=exactly(2), repeat=Repeat.APPENDED,
    )  # fmt: skip
    proxy_http_version: int = directive(
        HSL, http_version, "HTTP version of requests to the upstream", default="1.1"
    )
    proxy_method: Template | None = directive(
        HSL, template, "request method; by default the client's"
    )
    proxy_set_body: Template | None = directive(
        HSL, template, "request body; by default the client's"
    )
    proxy_pass_request_headers: bool = directive(
        HSL, flag, "pass the client's header fields to the upstream", default="on"
    )
    proxy_pass_request_body: bool = directive(
        HSL, flag, "pass the client's request body to the upstream", default="on"
    )
    proxy_request_buffering: bool = directive(
        HSL, flag, "read the complete request body before connecting to the upstream", default="on"
    )
    proxy_ignore_client_abort: bool = directive(
        HSL, flag, "finish the upstream request if the client closes the connection", default="off"
    )
    proxy_bind: Bind | None = directive(
        HSL, bind, "local address of connections to the upstream", arity=between(1, 2)
    )
    proxy_socket_keepalive: bool = directive(
        HSL, flag, "enable TCP keepalive (SO_KEEPALIVE) on upstream connections", default="off"
    )
    proxy_socket_rcvbuf: int | None = directive(
        HSL, size, "receive buffer size of upstream sockets"
    )
    proxy_socket_sndbuf: int | None = directive(HSL, size, "send buffer size of upstream sockets")
    proxy_connect_timeout: float = directive(
        HSL, time, "timeout for connecting, and separately for the TLS handshake", default="60s"
    )
    proxy_send_timeout: float = directive(
        HSL, time, "timeout between two writes to the upstream", default="60s"
    )
    proxy_read_timeout: float = directive(
        HSL, time, "timeout between two reads from the upstream", default="60s"
    )
    proxy_buffer_size: int = directive(HSL, size, "maximum size of a response head", default="4k")
    proxy_buffering: bool = directive(
        HSL, flag, "buffer responses; `off` forwards data as it arrives",
        default="on",
    )  # fmt: skip
    proxy_buffers: tuple[int, int] = directive(
        HSL, buffers,
        "number and size of response buffers; data is forwarded when it fills one",
        arity=exactly(2), default="8 4k",
    )  # fmt: skip
    proxy_busy_buffers_size: int | None = directive(
        HSL, size, "size of buffers being sent to the client; always one buffer",
        status=Status.NO_EFFECT,
    )  # fmt: skip
    proxy_temp_file_write_size: int | None = directive(
        HSL, size, "size of writes to temporary files; pieces are written as they arrive",
        status=Status.NO_EFFECT,
    )  # fmt: skip
    proxy_max_temp_file_size: int | None = directive(
        HSL, size,
        "maximum size of the temporary file of a response that a slow client receives",
    )  # fmt: skip
    proxy_temp_path: tuple[str, tuple[int, ...]] | None = directive(
        HSL, temp_path, "directory of temporary files for responses; by default the system's",
        arity=between(1, 4),
    )  # fmt: skip
    proxy_limit_rate: Template | None = directive(
        HSL, size_template, "bytes per second read from the upstream; 0 means unlimited"
    )
    proxy_force_ranges: bool = directive(
        HSL, flag, "serve byte ranges regardless of the upstream's Accept-Ranges", default="off"
    )
    proxy_hide_header: tuple[str, ...] = directive(
        HSL,
        string,
        "response header field that is not passed to the client",
        repeat=Repeat.APPENDED,
    )
    proxy_pass_header: tuple[str, ...] = directive(
        HSL,
        string,
        "response header field that is passed although hidden by default",
        repeat=Repeat.APPENDED,
    )
    proxy_ignore_headers: frozenset[str] = directive(
        HSL, some_of(*IGNORED_HEADERS), "response header fields whose effect is disabled",
        arity=at_least(1), default="", repeat=Repeat.MERGED,
    )  # fmt: skip
    proxy_redirect: tuple[Replacement | None, ...] = directive(
        HSL, redirect,
        "rewrite Location and Refresh; by default the proxy_pass URL becomes the location's name",
        arity=between(1, 2), repeat=Repeat.APPENDED,
    )  # fmt: skip
    proxy_cookie_domain: tuple[Replacement | None, ...] = directive(
        HSL, cookie_domain, "rewrite the domain of Set-Cookie",
        arity=between(1, 2), repeat=Repeat.APPENDED,
    )  # fmt: skip
    proxy_cookie_path: tuple[Replacement | None, ...] = directive(
        HSL, cookie_path, "rewrite the path of Set-Cookie",
        arity=between(1, 2), repeat=Repeat.APPENDED,
    )  # fmt: skip
    proxy_cookie_flags: tuple[CookieFlags | None, ...] = directive(
        HSL, cookie_flags, "set or remove flags of Set-Cookie",
        arity=between(1, 4), repeat=Repeat.APPENDED,
    )  # fmt: skip
    proxy_intercept_errors: bool = directive(
        HSL, flag, "apply error_page to upstream responses", default="off"
    )
    proxy_pass_trailers: bool = directive(
        HSL, flag, "pass trailers of chunked responses to the client", default="off"
    )
    proxy_next_upstream: frozenset[str] = directive(
        HSL, some_of(*NEXT_UPSTREAM), "failures after which the next peer is tried",
        arity=at_least(1), default="error timeout", repeat=Repeat.MERGED,
    )  # fmt: skip
    proxy_next_upstream_tries: int = directive(
        HSL, number, "maximum number of peers tried; 0 means unlimited", default="0"
    )
    proxy_next_upstream_timeout: float = directive(
        HSL, time, "time limit for trying further peers; 0 means unlimited", default="0"
    )
    proxy_ssl_server_name: bool = directive(
        HSL, flag, "send the server name in the TLS handshake (SNI)", default="off"
    )
    proxy_ssl_name: Template | None = directive(
        HSL, template, "name for SNI and for verifying the certificate; by default $proxy_host"
    )
    proxy_ssl_verify: bool = directive(
        HSL, flag, "verify the upstream's certificate", default="off"
    )
    proxy_ssl_verify_depth: int = directive(
        HSL, number, "maximum depth of the upstream's certificate chain", default="1"
    )
    proxy_ssl_trusted_certificate: str | None = directive(
        HSL, string, "PEM file of trusted CAs for verifying the upstream"
    )
    proxy_ssl_certificate: Template | None = directive(
        HSL, template, "PEM file with the client certificate; empty for none"
    )
    proxy_ssl_certificate_key: Template | None = directive(
        HSL, template, "PEM file with the client certificate's key"
    )
    proxy_ssl_certificate_cache: CacheRules | None = directive(
        HSL, certificate_cache, "cache for certificates whose file names contain variables",
        arity=between(1, 3), default="off",
    )  # fmt: skip
    proxy_ssl_password_file: PasswordFile | None = directive(
        HSL, password_file, "file with passphrases for the private key, one per line"
    )
    proxy_ssl_crl: str | None = directive(
        HSL, string, "PEM file of revocation lists; each certificate in the chain needs one"
    )
    proxy_ssl_conf_command: tuple[tuple[str, str], ...] = directive(
        HSL, conf_command,
        "OpenSSL configuration command: Options, MinProtocol, MaxProtocol, CipherString, "
        "Ciphersuites, Groups, Curves or SignatureAlgorithms",
        arity=exactly(2), repeat=Repeat.APPENDED,
    )  # fmt: skip
    proxy_ssl_key_log: str | None = directive(
        HSL, string,
        "file for TLS secrets in SSLKEYLOGFILE format; in nginx a commercial feature",
        extension=True,
    )  # fmt: skip
    proxy_ssl_protocols: frozenset[str] = directive(
        HSL, some_of(*PROTOCOLS), "TLS protocol versions offered to the upstream",
        arity=at_least(1), default="TLSv1.2 TLSv1.3", repeat=Repeat.MERGED,
    )  # fmt: skip
    proxy_ssl_ciphers: str = directive(
        HSL, string, "ciphers offered to the upstream, in OpenSSL's format", default="DEFAULT"
    )
    proxy_ssl_session_reuse: bool = directive(
        HSL, flag, "resume TLS sessions with the same peer", default="on"
    )

    def bind_location(self, location: str) -> ProxySettings:
        """Fill in the default `proxy_redirect`: the upstream URL becomes this location's name."""
        target = self.proxy_pass
        if target is None or target.address is None:
            return self
        if target.address.uri:
            default = Replacement(literal(target.url), literal(location))
        else:
            default = Replacement(literal(target.url + "/"), literal("/"))
        rules = self.proxy_redirect or (DEFAULT,)
        return replace(
            self, proxy_redirect=tuple([default if rule is DEFAULT else rule for rule in rules])
        )
