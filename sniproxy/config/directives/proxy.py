"""nginx's http proxy module: what goes to an upstream, and how."""

from __future__ import annotations

from dataclasses import dataclass

from ...script import Template
from ..addresses import Address, AddressError, parse_address
from .kinds import buffers, compiled, flag, number, one_of, size, some_of, string, template, time
from .row import (
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
    exactly,
    row,
    settings,
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
    """Where `proxy_pass` leads: a fixed address, or (with `template`) one made a request."""

    url: str
    scheme: str
    """`http` or `https`; "" while it depends on variables."""
    address: Address | None
    template: Template | None
    file: str
    line: int

    @property
    def tls(self) -> bool:
        return self.scheme == "https"

    @property
    def proxy_host(self) -> str:
        """`$proxy_host`: name or address, with a port that isn't the scheme's own."""
        if self.address is None:
            return ""
        if self.address.is_unix:
            return "localhost"
        default = 443 if self.tls else 80
        if self.address.port == default:
            return self.address.host
        return f"{self.address.host}:{self.address.port}"


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
        args.fail('the value "2" of "proxy_http_version" is not supported by sniproxy yet')
    version: int = one_of({"1.0": 10, "1.1": 11})(args)
    return version


@dataclass(frozen=True, slots=True)
class SetHeader:
    """`proxy_set_header NAME VALUE`; an empty value keeps the header away."""

    name: str
    value: Template


def set_header(args: Args) -> SetHeader:
    return SetHeader(args.words[0], compiled(args, args.words[1]))


NEXT_UPSTREAM = (
    "error", "timeout", "invalid_header", "non_idempotent", "http_500", "http_502", "http_503",
    "http_504", "http_403", "http_404", "http_429", "updating", "off", "denied",
)  # fmt: skip


@settings("ngx_http_proxy_module")
class Proxy(Settings):
    """The proxy settings of one location."""

    proxy_pass: ProxyPass | None = row(
        LOCATION | LOCATION_IF | LIMIT_EXCEPT, proxy_pass, "hand requests to this server or group",
        merge=Merge.OWN,
    )  # fmt: skip
    proxy_set_header: tuple[SetHeader, ...] = row(
        HSL, set_header, "a header of the request to the upstream",
        arity=exactly(2), repeat=Repeat.APPENDED,
    )  # fmt: skip
    proxy_http_version: int = row(
        HSL, http_version, "the protocol spoken to the upstream", default="1.1"
    )
    proxy_connect_timeout: float = row(
        HSL, time, "seconds for the connection, and again for its handshake", default="60s"
    )
    proxy_send_timeout: float = row(
        HSL, time, "seconds between two writes to the upstream", default="60s"
    )
    proxy_read_timeout: float = row(
        HSL, time, "seconds between two reads from the upstream", default="60s"
    )
    proxy_buffer_size: int = row(HSL, size, "bytes that a response head may take", default="4k")
    proxy_buffers: tuple[int, int] = row(
        HSL, buffers, "buffers for a response body; memory is not counted so here",
        arity=exactly(2), default="8 4k", status=Status.NO_EFFECT,
    )  # fmt: skip
    proxy_busy_buffers_size: int | None = row(
        HSL, size, "bytes of those that may wait for the client", status=Status.NO_EFFECT
    )
    proxy_temp_file_write_size: int | None = row(
        HSL, size, "bytes written to a temporary file at once", status=Status.NO_EFFECT
    )
    proxy_max_temp_file_size: int | None = row(
        HSL, size, "bytes of a response that may go to a temporary file", status=Status.NO_EFFECT
    )
    proxy_next_upstream: frozenset[str] = row(
        HSL, some_of(*NEXT_UPSTREAM), "the failures that lead to the next peer",
        arity=at_least(1), default="error timeout", repeat=Repeat.MERGED,
    )  # fmt: skip
    proxy_next_upstream_tries: int = row(
        HSL, number, "peers tried at most; 0 is no limit", default="0"
    )
    proxy_next_upstream_timeout: float = row(
        HSL, time, "seconds in which a next peer may be tried; 0 is no limit", default="0"
    )
    proxy_ssl_server_name: bool = row(
        HSL, flag, "whether the handshake names the server (SNI)", default="off"
    )
    proxy_ssl_name: Template | None = row(
        HSL, template, "the name for SNI and for the certificate check; default $proxy_host"
    )
    proxy_ssl_verify: bool = row(
        HSL, flag, "whether the upstream's certificate is checked", default="off"
    )
    proxy_ssl_verify_depth: int = row(
        HSL, number, "intermediate certificates that a chain may have", default="1"
    )
    proxy_ssl_trusted_certificate: str | None = row(
        HSL, string, "PEM file of the CAs that the upstream is checked against"
    )
    proxy_ssl_certificate: Template | None = row(
        HSL, template, "PEM file with our certificate for the upstream; empty is none"
    )
    proxy_ssl_certificate_key: Template | None = row(HSL, template, "PEM file with its key")
    proxy_ssl_certificate_cache: CacheRules | None = row(
        HSL, certificate_cache, "how long certificates named by variables stay as they were read",
        arity=between(1, 3), default="off",
    )  # fmt: skip
    proxy_ssl_password_file: PasswordFile | None = row(
        HSL, password_file, "file of passphrases for the key, one a line, tried in turn"
    )
    proxy_ssl_crl: str | None = row(
        HSL, string, "PEM file of revocation lists; every certificate of a chain needs one"
    )
    proxy_ssl_conf_command: tuple[tuple[str, str], ...] = row(
        HSL, conf_command, "OpenSSL's own settings: Options, MinProtocol, MaxProtocol, "
        "CipherString, Ciphersuites, Groups, Curves, SignatureAlgorithms",
        arity=exactly(2), repeat=Repeat.APPENDED,
    )  # fmt: skip
    proxy_ssl_key_log: str | None = row(
        HSL, string, "file for the keys of the connections, in the SSLKEYLOGFILE format; nginx "
        "has it in its commercial edition",
        ours=True,
    )  # fmt: skip
    proxy_ssl_protocols: frozenset[str] = row(
        HSL, some_of(*PROTOCOLS), "the protocols offered to the upstream",
        arity=at_least(1), default="TLSv1.2 TLSv1.3", repeat=Repeat.MERGED,
    )  # fmt: skip
    proxy_ssl_ciphers: str = row(
        HSL, string, "the cipher list for the upstream, in OpenSSL's language", default="DEFAULT"
    )
    proxy_ssl_session_reuse: bool = row(
        HSL, flag, "whether a session is offered to the same peer again", default="on"
    )
