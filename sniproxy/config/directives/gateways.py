"""Directives of nginx's modules for application servers: FastCGI, uwsgi and SCGI.

All of them send parameters (`fastcgi_param`) beside the fields of the request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ...template import ScriptError, Template, compile_template, literal
from ..addresses import AddressError, parse_address
from ..regex import RegexError, compile_regex
from .cache import cache_path_directive
from .directive import (
    HTTP,
    LOCATION,
    LOCATION_IF,
    SERVER,
    Args,
    Merge,
    Repeat,
    Status,
    between,
    directive,
    settings,
)
from .slots import compiled, flag, size, string, within
from .upstream_settings import WITHOUT_SSL, UpstreamSettings
from .upstream_target import ProxyPass

HSL = HTTP | SERVER | LOCATION
_PASS = LOCATION | LOCATION_IF

UWSGI_SCHEME = re.compile("s?uwsgi://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Param:
    """`fastcgi_param NAME VALUE [if_not_empty]`."""

    name: str
    value: Template
    skips_empty: bool = False
    """Whether it is not sent if the value is empty."""
    error: str = ""
    """An error in the value, which nginx reports at the end of `http {}`."""


def param(args: Args) -> Param:
    name, value, *options = args.words
    if options and options != ["if_not_empty"]:
        args.fail(f'invalid parameter "{options[0]}"')
    try:
        return Param(name, compile_template(value), bool(options))
    except ScriptError as error:
        return Param(name, literal(""), bool(options), str(error))


def gateway(scheme: str) -> Callable[[Args], ProxyPass]:
    """The slot of a directive that passes requests to `HOST:PORT`; no port is the default."""

    def target(args: Args) -> ProxyPass:
        place = (args.place.file, args.place.line)
        url = args.first
        if "$" in url and scheme != "memcached":
            return ProxyPass(url, scheme, None, compiled(args, url), *place)
        known, rest = split_scheme(url, scheme)
        try:
            address = parse_address(rest, 0)
        except AddressError as error:
            args.fail(f'{error} in upstream "{rest}"')
        return ProxyPass(url, known, address, None, *place)

    return target


def split_scheme(url: str, scheme: str) -> tuple[str, str]:
    """The scheme of a URL and its rest; only `uwsgi` may be followed by `://`."""
    match = UWSGI_SCHEME.match(url) if scheme == "uwsgi" else None
    if match is None:
        return scheme, url
    return match[0].removesuffix("://"), url[match.end() :]


def split_path_info(args: Args) -> re.Pattern[str]:
    try:
        pattern = compile_regex(args.first, caseless=False)
    except RegexError as error:
        args.fail(str(error))
    if pattern.groups != 2:
        args.fail(f'pattern "{args.first}" must have 2 captures')
    return pattern


class GatewaySettings(UpstreamSettings):
    """The settings that these modules have in common."""

    __slots__ = ()
    NEEDS_CACHE_KEY = True

    @property
    def params(self) -> tuple[Param, ...]:
        found: tuple[Param, ...] = getattr(self, f"{self.PREFIX}param")
        return found


_FASTCGI = "ngx_http_fastcgi_module"


@settings(_FASTCGI, prefix="fastcgi_", fixed={**WITHOUT_SSL, "cache_convert_head": False})
class FastCGISettings(GatewaySettings):
    """The FastCGI settings of a location."""

    fastcgi_pass: ProxyPass | None = directive(
        _PASS, gateway("fastcgi"), "address of the FastCGI server or group",
        merge=Merge.NOT_INHERITED,
    )  # fmt: skip
    fastcgi_param: tuple[Param, ...] = directive(
        HSL, param, "parameter of requests", arity=between(2, 3), repeat=Repeat.APPENDED
    )
    fastcgi_index: str | None = directive(
        HSL, string, "file name that $fastcgi_script_name has after a slash"
    )
    fastcgi_split_path_info: re.Pattern[str] | None = directive(
        HSL,
        split_path_info,
        "regular expression whose captures are $fastcgi_script_name and $fastcgi_path_info",
        repeat=Repeat.REPLACED,
    )
    fastcgi_catch_stderr: tuple[str, ...] = directive(
        HSL, string, "text in the server's error stream that makes a response invalid",
        repeat=Repeat.APPENDED,
    )  # fmt: skip
    fastcgi_keep_conn: bool = directive(
        HSL, flag, "ask the server to keep connections open", default="off"
    )
    fastcgi_send_lowat: int | None = directive(
        HSL, size, "low-water mark of sending, on FreeBSD only", status=Status.NO_EFFECT
    )


_UWSGI = "ngx_http_uwsgi_module"


@settings(_UWSGI, prefix="uwsgi_", fixed={"cache_convert_head": False})
class UwsgiSettings(GatewaySettings):
    """The uwsgi settings of a location."""

    uwsgi_pass: ProxyPass | None = directive(
        _PASS, gateway("uwsgi"), "address of the uwsgi server or group", merge=Merge.NOT_INHERITED
    )
    uwsgi_param: tuple[Param, ...] = directive(
        HSL, param, "parameter of requests", arity=between(2, 3), repeat=Repeat.APPENDED
    )
    uwsgi_modifier1: int = directive(
        HSL, within(0, 255), "field `modifier1` of the packet header", default="0"
    )
    uwsgi_modifier2: int = directive(
        HSL, within(0, 255), "field `modifier2` of the packet header", default="0"
    )
    uwsgi_string: str | None = directive(HSL, string, "text after the parameters")


_SCGI = "ngx_http_scgi_module"


@settings(_SCGI, prefix="scgi_", fixed={**WITHOUT_SSL, "cache_convert_head": False})
class SCGISettings(GatewaySettings):
    """The SCGI settings of a location."""

    scgi_pass: ProxyPass | None = directive(
        _PASS, gateway("scgi"), "address of the SCGI server or group", merge=Merge.NOT_INHERITED
    )
    scgi_param: tuple[Param, ...] = directive(
        HSL, param, "parameter of requests", arity=between(2, 3), repeat=Repeat.APPENDED
    )


DIRECTIVES = (
    cache_path_directive(FastCGISettings, _FASTCGI),
    cache_path_directive(UwsgiSettings, _UWSGI),
    cache_path_directive(SCGISettings, _SCGI),
)
