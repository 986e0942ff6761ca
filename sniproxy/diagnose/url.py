"""Diagnose one `https://` URL."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

import trio

from ..build.hosts import resolve_host
from ..build.paths import Paths
from ..config.addresses import Address, AddressError, parse_address
from ..config.directives.core import LocationName
from ..config.directives.proxy import ProxySettings
from ..config.directives.upstream import PeerSettings
from ..config.directives.upstream_target import ProxyPass
from ..config.tree import Place
from ..models import ConfigError
from ..server_name import ascii_name, without_port
from ..system import unix_family
from ..upstream.selector import Peer, peer_name
from .authorities import system_store
from .conclusion import CANNOT_WORK, Conclusion, draw_conclusion
from .model import HTTP_2, Attempt, ProbeSpec, Setting, is_name
from .probe import Probe, Timeouts, investigate
from .synthetic import make_context

ProgressCallback = Callable[[ProbeSpec, Setting, int], None]


class DiagnoseError(Exception):
    """The diagnosis cannot be made; `status` is the exit status of the command."""

    def __init__(self, words: str, status: int) -> None:
        super().__init__(words)
        self.status = status


@dataclass(frozen=True, slots=True)
class URLOptions:
    """The options of `sniproxy diagnose URL`."""

    url: str
    name: str | None = None
    host: str | None = None
    authorities: str = ""
    certificate: tuple[str, str] | None = None
    resolve: str | None = None
    send_request: bool = True
    grpc: bool = False


def diagnose(
    options: URLOptions, timeouts: Timeouts, progress: ProgressCallback
) -> tuple[ProbeSpec, list[Attempt], Conclusion]:
    """Probe the URL and draw a conclusion. Raises `DiagnoseError`."""
    options = _in_ascii(options)
    target, path = _target(options)
    # Otherwise Ctrl-C between a task's creation and its start leaves a warning.
    return trio.run(
        _diagnose, options, target, path, timeouts, progress,
        restrict_keyboard_interrupt_to_checkpoints=True,
    )  # fmt: skip


def _target(options: URLOptions) -> tuple[ProxyPass, str]:
    """The equivalent `proxy_pass`, and the path to request."""
    for text in (options.url, options.name or "", options.host or "", options.resolve or ""):
        if not text.isprintable() or not text.isascii() or " " in text or '"' in text:
            raise DiagnoseError(f"{text!r} contains characters not allowed in names or URLs", 2)
    try:
        parts = urlsplit(options.url)
        if parts.scheme.lower() != "https" or not parts.netloc or "@" in parts.netloc:
            raise ValueError
        parts.port  # noqa: B018 - raises
    except ValueError:
        raise DiagnoseError(f"{options.url!r} is not an https:// URL", 2) from None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    place = parts.netloc
    if options.resolve is not None:
        try:
            bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\]", options.resolve)
            ip_address(bracketed[1] if bracketed else options.resolve)
        except ValueError:
            raise DiagnoseError(
                f"--resolve takes an IP address without a port, not {options.resolve!r}", 2
            ) from None
        host = f"[{options.resolve}]" if ":" in options.resolve.strip("[]") else options.resolve
        host = host.replace("[[", "[").replace("]]", "]")
        place = f"{host}:{parts.port}" if parts.port is not None else host
    try:
        address = parse_address(place, 443)
    except AddressError as error:
        raise DiagnoseError(f"{error} in {place!r}", 2) from None
    return ProxyPass(f"https://{place}", "https", address, None, "", 0), path


def ascii_host(text: str) -> str:
    """A host name with its international labels encoded (`bücher.test`: `xn--bcher-kva.test`).

    Raises `DiagnoseError` for a name that has no such form.
    """
    try:
        return ascii_name(text)
    except ValueError:
        raise DiagnoseError(f"{text!r} is not a host name", 2) from None


def _in_ascii(options: URLOptions) -> URLOptions:
    """The options with the names in ASCII, and the rest of the URL percent-encoded."""
    scheme, mark, rest = options.url.partition("://")
    end = min((at for one in "/?#" if (at := rest.find(one)) >= 0), default=len(rest))
    host, colon, port = rest[:end].partition(":")
    place = rest[:end] if rest[:end].isascii() else f"{ascii_host(host)}{colon}{port}"
    path = rest[end:]
    path = path if path.isascii() else quote(path, safe="/?#[]@!$&'()*+,;=:%-._~")
    return replace(
        options,
        url=f"{scheme}{mark}{place}{path}",
        name=options.name and ascii_host(options.name),
        host=options.host and ascii_host(options.host),
    )


async def _diagnose(
    options: URLOptions,
    target: ProxyPass,
    path: str,
    timeouts: Timeouts,
    progress: ProgressCallback,
) -> tuple[ProbeSpec, list[Attempt], Conclusion]:
    address = target.address
    assert address is not None
    deadline = trio.current_time() + timeouts.total
    peers = await find_peers(PeerSettings(address), timeouts)
    spec = _question(options, target, peers)
    ctx = make_context(ProxySettings.resolve(), LocationName("", "/"), path, _url_host(options))
    ctx.proxy_host = target.proxy_host
    probe = Probe(spec, target, peers, ctx, Paths("", os.getcwd()), timeouts)
    attempts = await investigate(probe, deadline, lambda s, n: progress(spec, s, n))
    if not attempts:
        raise DiagnoseError("no attempt finished before the deadline", CANNOT_WORK)
    return spec, attempts, draw_conclusion(spec, target, attempts)


def _url_host(options: URLOptions) -> str:
    return urlsplit(options.url).netloc


def _question(options: URLOptions, target: ProxyPass, peers: Sequence[Peer]) -> ProbeSpec:
    assert target.address is not None
    host = target.address.host
    url_name = without_port(_url_host(options))
    names = [name for name in (options.name, url_name, options.host) if name and is_name(name)]
    header = options.host or (names[0] if names and names[0] != host else "")
    base = ProxySettings.resolve()
    return ProbeSpec(
        base=replace(base, proxy_http_version=HTTP_2) if options.grpc else base,
        prefix="grpc_" if options.grpc else "proxy_",
        host=host,
        names=tuple(dict.fromkeys(names)),
        host_header=header,
        require_verify=bool(options.authorities),
        authorities=options.authorities or system_store(),
        certificate=options.certificate,
        send_request=options.send_request,
        addresses=tuple(peer.sockaddr[0] for peer in peers),
    )


async def find_peers(settings: PeerSettings, timeouts: Timeouts) -> list[Peer]:
    """Resolve a host to peers in the order that nginx tries them. Raises `DiagnoseError`."""
    address = settings.address
    if address.is_unix:
        path = address.host[len("unix:") :]
        return [Peer(unix_family(), path, address.host, settings)]
    try:
        with trio.fail_after(timeouts.lookup):
            found = await trio.to_thread.run_sync(_look_up, address, abandon_on_cancel=True)
    except trio.TooSlowError:
        raise DiagnoseError(f"DNS lookup of {address.host} timed out", CANNOT_WORK) from None
    except ConfigError as error:
        raise DiagnoseError(
            f"{error.message}: nginx would not start; check the name and the DNS servers",
            CANNOT_WORK,
        ) from None
    return [Peer(family, name, peer_name(name), settings) for family, name in found]


def _look_up(
    address: Address,
) -> list[tuple[int, tuple[str, int] | tuple[str, int, int, int]]]:
    return resolve_host(address, f"{address.host}:{address.port}", Place("", 0))
