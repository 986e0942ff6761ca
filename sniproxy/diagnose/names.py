"""For each upstream with TLS: the SNI, the verified name, and which locations share sessions.

Pure: no DNS lookups, no sockets. Directives that sniproxy lacks are skipped. Variables are replaced
by the values that `set` and `map` give them; names that depend on the request are shown as written,
or evaluated for a given Host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..config.addresses import AddressError, parse_address
from ..config.directives.upstream_target import TLS_SCHEMES
from ..config.lenient import ParsedConfig
from ..server_name import verified, why_not_sent, without_port
from ..template import ScriptError, compile_template
from .known_values import known_values
from .pass_sites import PassSite
from .proxy_passes import find_tls_passes

NOT_SENT = "not sent"
EITHER = " or "
_PATH = re.compile(r"[/?#]|\$\{?(?:request_uri|uri|document_uri|is_args)\b")
"""Where the path of a URL begins: these variables begin with a slash or a question mark."""


@dataclass(frozen=True, slots=True)
class UpstreamNames:
    """One `proxy_pass`, `grpc_pass` or `uwsgi_pass` with TLS, in `http {}` or `stream {}`."""

    server: str
    location: str
    file: str
    line: int
    url: str
    """As written."""
    peers: tuple[str, ...]
    """As written in the configuration."""
    name: str
    """The name that SNI and verification are derived from, without its port."""
    server_name: str
    """The SNI, or `not sent` and the reason."""
    verified: str
    """The name that is verified, with CA file and depth; or `not verified`."""
    shares: tuple[str, ...]
    """Labels of the other locations whose TLS sessions it may resume."""


def upstream_names(parsed: ParsedConfig, host: str | None = None) -> list[UpstreamNames]:
    """Every upstream with TLS of a configuration, in file order.

    With `host`, names that depend on the request are evaluated for `GET /` with that Host.
    """
    found = [(site, _urls(site)) for site in find_tls_passes(parsed)]
    sharing: dict[tuple[int, str], list[str]] = {}
    for site, urls in found:
        if site.settings.ssl_session_reuse:
            for key in {_upstream_key(site, url) for url in urls}:
                sharing.setdefault(key, []).append(site.short_label)
    return [_describe(site, urls, sharing, host) for site, urls in found]


def _urls(site: PassSite) -> tuple[str, ...]:
    """The URLs with TLS that `proxy_pass` can have; unknown variables are left in them."""
    values = known_values(site.target.url, site.blocks)
    if site.is_of_stream:
        return tuple(values)
    return tuple(url for url in values if "$" in url or _scheme(url) in TLS_SCHEMES)


def _scheme(url: str) -> str:
    """The scheme, in lower case; "" without one."""
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator else ""


def _place(site: PassSite, url: str) -> str:
    """The part between the scheme and the path: `$proxy_host`."""
    if site.is_of_stream:
        return url
    return _PATH.split(url.partition("://")[2] if "://" in url else url)[0]


def _upstream_key(site: PassSite, url: str) -> tuple[int, str]:
    """The key of a cache of TLS sessions: sites with equal keys share sessions."""
    block = id(site.blocks[0])
    try:
        address = parse_address(_place(site, url), 443)
    except AddressError:
        return block, url
    return block, f"{address.host.lower()}:{address.port}"


def _describe(
    site: PassSite, urls: Sequence[str], sharing: dict[tuple[int, str], list[str]], host: str | None
) -> UpstreamNames:
    names = _names(site, urls, host)
    label = site.short_label
    reuses = site.settings.ssl_session_reuse
    shared = [other for url in urls for other in sharing.get(_upstream_key(site, url), [])]
    return UpstreamNames(
        server=site.server_name,
        location=label,
        file=site.node.place.file,
        line=site.node.place.line,
        url=site.target.url,
        peers=_peers(site, urls),
        name=EITHER.join(names),
        server_name=_joined(_server_name(site, name) for name in names),
        verified=_joined(_verified(site, name) for name in names),
        shares=tuple(dict.fromkeys(o for o in shared if o != label)) if reuses else (),
    )


def _joined(texts: Iterable[str]) -> str:
    return EITHER.join(dict.fromkeys(texts))


def _names(site: PassSite, urls: Sequence[str], host: str | None) -> list[str]:
    """The names that are possible, evaluated as far as possible, without ports."""
    template = site.settings.ssl_name
    found: list[str] = []
    for url in urls:
        place = _place(site, url)
        # A URL that is not known as a whole has the default name by a variable.
        default = place if site.is_of_stream else "$proxy_host"
        texts = [place if "$" not in place or host is not None else default]
        if template is not None:
            texts = known_values(template.source, site.blocks)
        found += [_evaluated(site, text, place, host) for text in texts]
    return list(dict.fromkeys(found))


def _evaluated(site: PassSite, text: str, place: str, host: str | None) -> str:
    if "$" not in text:
        return without_port(text)
    if host is None:
        return text
    try:
        return without_port(compile_template(text).render(site.variables(host, place)))
    except ScriptError:
        return text


def _server_name(site: PassSite, name: str) -> str:
    # A value that depends on the request is assumed to be a DNS name.
    known = "$" if "$" in name else name
    reason = why_not_sent(known, proxy_ssl_server_name=site.settings.ssl_server_name)
    reason = reason.replace("proxy_", site.settings.PREFIX)
    return f"{NOT_SENT}: {reason}" if reason else name


def _verified(site: PassSite, name: str) -> str:
    settings = site.settings
    return verified(
        name,
        proxy_ssl_verify=settings.ssl_verify,
        trusted=settings.ssl_trusted_certificate,
        depth=settings.ssl_verify_depth,
    )


def _peers(site: PassSite, urls: Sequence[str]) -> tuple[str, ...]:
    if site.group is not None:
        return tuple(peer.url for peer in site.group.peers)
    found = []
    for url in urls:
        try:
            address = parse_address(_place(site, url), 443)
        except AddressError:
            address = None
        if address is None or "$" in address.host:
            found.append("by variables")
        else:
            found.append(address.host if address.is_unix else f"{address.host}:{address.port}")
    return tuple(dict.fromkeys(found))
