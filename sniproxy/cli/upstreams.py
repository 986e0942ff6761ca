"""`sniproxy upstreams`: run faulty upstreams, for tests in any language.

`--list` describes each upstream, and what nginx logs when it connects to it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import trio

from ..testing.upstreams import (
    ConnectionRecord,
    RunningUpstream,
    UpstreamServer,
    UpstreamSpec,
    open_upstreams,
)
from ..testing.upstreams.catalog import ALL, UnknownUpstreamError, find_upstream
from ..testing.upstreams.certificates import ensure_certificates
from .output import fit
from .parsers import command_parser
from .process import STOP_SIGNALS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="name of an upstream; see --list")
    parser.add_argument("--all", action="store_true", help="run all upstreams")
    parser.add_argument(
        "--list", action="store_true", help="list all upstreams, with what nginx logs about them"
    )
    parser.add_argument(
        "--port",
        type=int,
        default=0,
        help="port of the first upstream; the others follow (default: any free ports)",
    )
    parser.add_argument(
        "--certificates",
        metavar="DIR",
        help="folder of the certificates, created if missing (default: a temporary folder)",
    )
    parser.epilog = (
        "exit status: 0 listed, or stopped by Ctrl-C or TERM, 1 no such upstream, or it cannot be "
        "run, 2 invalid arguments"
    )


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = command_parser("upstreams")
    options = parser.parse_args(arguments)
    if options.list:
        return print_list()
    try:
        specs = list(ALL.values()) if options.all else list(map(find_upstream, options.names))
    except UnknownUpstreamError as error:
        print(f"sniproxy: {error.reason}; see --list", file=sys.stderr)
        return 1
    if not specs:
        parser.print_usage(sys.stderr)
        return 2
    if not 0 <= options.port <= 65536 - len(specs):
        parser.error(f"--port: {len(specs)} ports from {options.port} on do not exist")
    with ExitStack() as stack:
        try:
            folder = options.certificates or stack.enter_context(tempfile.TemporaryDirectory())
            certificates = ensure_certificates(Path(folder))
            trio.run(
                run_until_signal,
                specs,
                options.port,
                certificates,
                restrict_keyboard_interrupt_to_checkpoints=True,
            )
        except OSError as error:
            print(f"sniproxy: {error}", file=sys.stderr)
            return 1
    return 0


def print_list() -> int:
    """Print the catalog; returns the exit status."""
    width = max(map(len, ALL))
    lines = [line for spec in ALL.values() for line in list_entry(spec, width)]
    print("\n".join(part for line in lines for part in fit(line)), flush=True)
    return 0


def list_entry(spec: UpstreamSpec, width: int) -> Iterator[str]:
    """The lines about one upstream in the output of `--list`; names are padded to `width`."""
    yield f"{spec.name:{width}}  {spec.description}"
    passed_by = "" if spec.passed_by == "proxy_pass" else f"{spec.passed_by}; "
    if passed_by or spec.directives:
        yield f"    with {passed_by}{spec.directives}".rstrip()
    response = f"responds {spec.status}" if spec.status else "passes the response on"
    yield f"    nginx {response}" + (f" and logs: {spec.expected_log}" if spec.expected_log else "")


async def run_until_signal(specs: Sequence[UpstreamSpec], port: int, certificates: Path) -> None:
    """Run the upstreams until TERM or INT, and print a line for each finished connection."""
    with trio.open_signal_receiver(*STOP_SIGNALS) as signals:
        async with open_upstreams(certificates) as server:
            upstreams = [
                await server.start(spec, port and port + number)
                for number, spec in enumerate(specs)
            ]
            print("\n".join(part for line in table(upstreams) for part in fit(line)), flush=True)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(print_connections, server, upstreams)
                await anext(signals)
                nursery.cancel_scope.cancel()


def table(upstreams: Sequence[RunningUpstream]) -> Iterator[str]:
    """Address, name and description of each upstream, then the CA certificate to trust."""
    width = max(len(upstream.spec.name) for upstream in upstreams)
    for upstream in upstreams:
        spec = upstream.spec
        yield f"{upstream.address:16} {spec.name:{width}}  {spec.description}"
    yield f"trust {upstreams[0].root}"


async def print_connections(server: UpstreamServer, upstreams: Sequence[RunningUpstream]) -> None:
    """Print the connections to an upstream once all of them are closed."""
    while True:
        await server.wait_change()
        for upstream in upstreams:
            if upstream.connections and not upstream.open_connections:
                for record in upstream.connections:
                    print(connection_line(upstream.spec, record), flush=True)
                upstream.clear()


def connection_line(spec: UpstreamSpec, record: ConnectionRecord) -> str:
    """A connection in one line: SNI, result of the handshake, request lines."""
    parts = []
    if record.hello is not None:
        parts.append("no SNI" if record.server_name is None else f"SNI {record.server_name}")
    if record.handshake:
        parts.append(f"handshake {record.handshake}")
    parts += [request.partition(b"\r\n")[0].decode("latin-1") for request in record.requests]
    text = ", ".join(parts) or f"{len(record.raw)} bytes"
    return f"{spec.name}: {text.encode('unicode_escape').decode('ascii')}"
