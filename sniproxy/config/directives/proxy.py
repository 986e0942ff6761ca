"""Directives of nginx's http proxy module that other upstream modules do not have."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...template import Template, literal
from ..addresses import AddressError, parse_address
from .cache import NEXT_UPSTREAM, cache_path_directive
from .directive import (
    HTTP,
    LIMIT_EXCEPT,
    LOCATION,
    LOCATION_IF,
    SERVER,
    Args,
    Merge,
    Repeat,
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
from .slots import compiled, flag, one_of, some_of, template
from .upstream_settings import UpstreamSettings
from .upstream_target import ProxyPass

HSL = HTTP | SERVER | LOCATION


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
    version: int = one_of({"1.0": 10, "1.1": 11, "2": 20})(args)
    return version


@dataclass(frozen=True, slots=True)
class SetHeader:
    """`proxy_set_header NAME VALUE`; an empty value removes the field."""

    name: str
    value: Template


def set_header(args: Args) -> SetHeader:
    return SetHeader(args.words[0], compiled(args, args.words[1]))


_MODULE = "ngx_http_proxy_module"
_NEXT_UPSTREAM = (*NEXT_UPSTREAM, "http_502", "http_504")


@settings(
    _MODULE,
    prefix="proxy_",
    converters={
        "next_upstream": some_of(*_NEXT_UPSTREAM, "denied"),
        "cache_use_stale": some_of(*_NEXT_UPSTREAM),
    },
)
class ProxySettings(UpstreamSettings):
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
    proxy_pass_trailers: bool = directive(
        HSL, flag, "pass trailers of chunked responses to the client", default="off"
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


DIRECTIVES = (cache_path_directive(ProxySettings, _MODULE),)
