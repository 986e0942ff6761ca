"""`sniproxy zoo`: upstreams that are broken on purpose, for tests in any language.

What each of them does, and what nginx logs when it meets it, is told by `--list`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import trio

from ..testing.zoo import Peer, Upstream, Visit, Zoo, open_zoo
from ..testing.zoo.animals import ALL
from ..testing.zoo.wardrobe import wardrobe
from .parsers import command_parser

ENDS = (signal.SIGTERM, signal.SIGINT)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="an upstream; see --list")
    parser.add_argument("--all", action="store_true", help="every one, with a table of the ports")
    parser.add_argument("--list", action="store_true", help="what there is, and what nginx logs")
    parser.add_argument(
        "--port", type=int, default=0, help="the port, of several the first (default: free ones)"
    )
    parser.add_argument(
        "--certificates",
        metavar="DIR",
        help="where the certificates are, made if there are none (default: anew for each run)",
    )


def main(words: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = command_parser("zoo")
    options = parser.parse_args(words)
    if options.list:
        return tell_all()
    unknown = [name for name in options.names if name not in ALL]
    if unknown:
        print(f'sniproxy: no upstream is called "{unknown[0]}"; see --list', file=sys.stderr)
        return 1
    names = list(ALL) if options.all else options.names
    if not names:
        parser.print_usage(sys.stderr)
        return 2
    with ExitStack() as at_last:
        try:
            folder = options.certificates or at_last.enter_context(tempfile.TemporaryDirectory())
            certificates = wardrobe(Path(folder))
            trio.run(
                keep, [ALL[name] for name in names], options.port, certificates,
                restrict_keyboard_interrupt_to_checkpoints=True,
            )  # fmt: skip
        except OSError as error:
            print(f"sniproxy: {error}", file=sys.stderr)
            return 1
    return 0


def tell_all() -> int:
    try:
        print("\n".join(line for upstream in ALL.values() for line in listed(upstream)), flush=True)
    except BrokenPipeError:
        # Whoever reads has seen enough; Python would complain about it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def listed(upstream: Upstream) -> Iterator[str]:
    """What is said of one of them."""
    yield f"{upstream.name:24}{upstream.does}"
    if upstream.when:
        yield f"    with {upstream.when}"
    given = upstream.status or "on what it gets"
    yield f"    nginx gives {given}" + (f" and logs: {upstream.logged}" if upstream.logged else "")


async def keep(upstreams: Sequence[Upstream], port: int, certificates: Path) -> None:
    """Keep them until a signal comes, and tell of each visit that is over."""
    with trio.open_signal_receiver(*ENDS) as signals:
        async with open_zoo(certificates) as zoo:
            peers = [
                await zoo.house(upstream, port and port + number)
                for number, upstream in enumerate(upstreams)
            ]
            print("\n".join(table(peers)), flush=True)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(tell, zoo, peers)
                await anext(signals)
                nursery.cancel_scope.cancel()


def table(peers: Sequence[Peer]) -> Iterator[str]:
    width = max(len(peer.upstream.name) for peer in peers)
    for peer in peers:
        yield f"{peer.address:16} {peer.upstream.name:{width}}  {peer.upstream.does}"
    yield f"trust {peers[0].root}"


async def tell(zoo: Zoo, peers: Sequence[Peer]) -> None:
    while True:
        await zoo.change()
        for peer in peers:
            if peer.visits and not peer.staying:
                for visit in peer.visits:
                    print(told(peer.upstream, visit), flush=True)
                peer.forget()


def told(upstream: Upstream, visit: Visit) -> str:
    """A visit in one line."""
    words = []
    if visit.hello is not None:
        words.append("no SNI" if visit.server_name is None else f"SNI {visit.server_name}")
    if visit.handshake:
        words.append(f"handshake {visit.handshake}")
    words += [request.partition(b"\r\n")[0].decode("latin-1") for request in visit.requests]
    shown = ", ".join(words) or f"{len(visit.raw)} bytes"
    return f"{upstream.name}: {shown.encode('unicode_escape').decode('ascii')}"
