"""One URL: from what the command line says to the question, and to the answer."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import trio

from ..config.addresses import Address, AddressError, parse_address
from ..config.directives.core import LocationName
from ..config.directives.proxy import Proxy, ProxyPass
from ..config.directives.upstream import PeerSettings
from ..config.tree import Place
from ..message import ConfigError
from ..names import without_port
from ..site.paths import Paths
from ..site.upstreams import look_up
from ..upstream.selector import Peer, peer_name
from .attempts import Attempt, Question, Setting, is_name
from .pretend import pretended
from .probe import Patience, Probe, investigate
from .verdict import CANNOT, Verdict, verdict

SYSTEM_STORES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep the authorities that they trust: Debian, Fedora, openSUSE, Alpine and BSD."""

Progress = Callable[[Question, Setting, int], None]


class CannotAsk(Exception):
    """There is nobody to ask; `status` is the exit status."""

    def __init__(self, words: str, status: int) -> None:
        super().__init__(words)
        self.status = status


@dataclass(frozen=True, slots=True)
class Wish:
    """The command line."""

    url: str
    name: str | None = None
    host: str | None = None
    authorities: str = ""
    certificate: tuple[str, str] | None = None
    resolve: str | None = None
    may_ask: bool = True


def system_store() -> str:
    """The file of the system's authorities, "" where none is found."""
    return next((path for path in SYSTEM_STORES if os.path.exists(path)), "")


def diagnose(
    wish: Wish, patience: Patience, progress: Progress
) -> tuple[Question, list[Attempt], Verdict]:
    """Raises `CannotAsk`."""
    target, path = _target(wish)
    # Ctrl-C is for the waits: elsewhere it could strike between a task and its start.
    return trio.run(
        _diagnose, wish, target, path, patience, progress,
        restrict_keyboard_interrupt_to_checkpoints=True,
    )  # fmt: skip


def _target(wish: Wish) -> tuple[ProxyPass, str]:
    """What `proxy_pass` would say, and the path to ask for."""
    for text in (wish.url, wish.name or "", wish.host or "", wish.resolve or ""):
        if not text.isprintable() or not text.isascii() or " " in text or '"' in text:
            raise CannotAsk(f"{text!r} holds what no name or URL may hold", 2)
    try:
        parts = urlsplit(wish.url)
        if parts.scheme.lower() != "https" or not parts.netloc or "@" in parts.netloc:
            raise ValueError
        parts.port  # noqa: B018 - raises
    except ValueError:
        raise CannotAsk(f"{wish.url!r} is no https:// URL", 2) from None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    place = parts.netloc
    if wish.resolve is not None:
        host = f"[{wish.resolve}]" if ":" in wish.resolve.strip("[]") else wish.resolve
        host = host.replace("[[", "[").replace("]]", "]")
        place = f"{host}:{parts.port}" if parts.port is not None else host
    try:
        address = parse_address(place, 443)
    except AddressError as error:
        raise CannotAsk(f"{error} in {place!r}", 2) from None
    return ProxyPass(f"https://{place}", "https", address, None, "", 0), path


async def _diagnose(
    wish: Wish, target: ProxyPass, path: str, patience: Patience, progress: Progress
) -> tuple[Question, list[Attempt], Verdict]:
    address = target.address
    assert address is not None
    deadline = trio.current_time() + patience.whole
    peers = await find_peers(PeerSettings(address), patience)
    question = _question(wish, target, peers)
    facts = pretended(Proxy.resolve(), LocationName("", "/"), path, _own_host(wish))
    facts.proxy_host = target.proxy_host
    probe = Probe(question, target, peers, facts, Paths("", os.getcwd()), patience)
    attempts = await investigate(probe, deadline, lambda s, n: progress(question, s, n))
    if not attempts:
        raise CannotAsk("nothing was heard in time", CANNOT)
    return question, attempts, verdict(question, target, attempts)


def _own_host(wish: Wish) -> str:
    return urlsplit(wish.url).netloc


def _question(wish: Wish, target: ProxyPass, peers: Sequence[Peer]) -> Question:
    assert target.address is not None
    host = target.address.host
    asked = without_port(_own_host(wish))
    names = [name for name in (wish.name, asked, wish.host) if name and is_name(name)]
    header = wish.host or (names[0] if names and names[0] != host else "")
    return Question(
        base=Proxy.resolve(),
        host=host,
        names=tuple(dict.fromkeys(names)),
        host_header=header,
        insists=bool(wish.authorities),
        authorities=wish.authorities or system_store(),
        certificate=wish.certificate,
        may_ask=wish.may_ask,
        addresses=tuple(peer.sockaddr[0] for peer in peers),
    )


async def find_peers(settings: PeerSettings, patience: Patience) -> list[Peer]:
    """The addresses of a host, as nginx would try them; raises `CannotAsk`."""
    address = settings.address
    if address.is_unix:
        path = address.host[len("unix:") :]
        return [Peer(socket.AF_UNIX, path, address.host, settings)]
    try:
        with trio.fail_after(patience.look_up):
            found = await trio.to_thread.run_sync(_look_up, address, abandon_on_cancel=True)
    except trio.TooSlowError:
        raise CannotAsk(f"nobody could say in time where {address.host} is", CANNOT) from None
    except ConfigError as error:
        raise CannotAsk(
            f"{error.message}: nginx would not start; check the name, and who answers DNS here",
            CANNOT,
        ) from None
    return [Peer(family, name, peer_name(name), settings) for family, name in found]


def _look_up(
    address: Address,
) -> list[tuple[int, tuple[str, int] | tuple[str, int, int, int]]]:
    return look_up(address, f"{address.host}:{address.port}", Place("", 0))
