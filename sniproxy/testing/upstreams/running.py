"""An upstream that runs on a port, as tests use it: its address, its responses and its record."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from sniproxy.portal import ChangeNotifier
from sniproxy.testing.upstreams.records import CloseKind, ConnectionRecord
from sniproxy.testing.upstreams.responder import Body, HeaderFields, RecordedRequest, Responder
from sniproxy.testing.upstreams.spec import ReceivedRequest, UpstreamSpec

from ...system import prepare_listening

T = TypeVar("T")

HOST = "127.0.0.1"


def reserve_port(port: int = 0) -> socket.socket:
    """Bind a port (0: any free one) without listening on it, and return the socket.

    Connections to the port are refused, and the kernel does not assign it to outgoing
    connections. A server that sets SO_REUSEADDR can still listen on it. Raises OSError if the
    port is taken.
    """
    sock = socket.socket()
    prepare_listening(sock)
    try:
        sock.bind((HOST, port))
    except OSError:
        sock.close()
        raise
    return sock


@dataclass(eq=False, slots=True)
class RunningUpstream:
    """An upstream that runs on a port of 127.0.0.1, and the record of its connections."""

    spec: UpstreamSpec
    port: int
    changes: ChangeNotifier
    """Notified whenever the record of a connection to any upstream of the server changes."""
    certificates: Path
    """The folder with the generated certificates."""
    responder: Responder = field(default_factory=Responder)
    _connections: list[ConnectionRecord] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """URL for `proxy_pass`, without a path."""
        return f"{'https' if self.spec.tls else 'http'}://{self.address}"

    @property
    def root(self) -> Path:
        """The CA to trust: it has issued the certificates of all upstreams that should verify."""
        return self.certificates / "root.pem"

    @property
    def connections(self) -> tuple[ConnectionRecord, ...]:
        """All connections since the start or the last `clear()`, oldest first."""
        return tuple(self._connections)

    @property
    def open_connections(self) -> int:
        """The number of connections that are still open."""
        return sum(record.closed_by is CloseKind.OPEN for record in self._connections)

    def clear(self) -> None:
        """Drop all records. Connections that are open stay open, but are no longer recorded."""
        self._connections.clear()

    @property
    def requests(self) -> list[RecordedRequest]:
        """All requests, in the order of their connections.

        They compare with strings: `assert upstream.requests == ["GET /a", "POST /b"]`.
        """
        return [
            RecordedRequest(ReceivedRequest(connection.server_name, request))
            for connection in self._connections
            for request in connection.requests
        ]

    def respond(
        self,
        body: Body = b"",
        status: int = 200,
        headers: HeaderFields = {},  # noqa: B006 - it is only read
        *,
        path: str | None = None,
    ) -> None:
        """Answer requests so from now on, instead of as the catalog says.

        `body` is text, bytes, a value for JSON, or a function of the request that returns one of
        these. With `path` only requests for this path are answered so (a query does not matter).
        Raises ValueError if that is no valid response.
        """
        self.responder.add(path, body, status, headers)

    def wait_for(self, predicate: Callable[[], T], timeout: float = 5.0) -> T:
        """Block until `predicate` returns something true, and return that.

        Raises TimeoutError after `timeout` seconds. Only for threads other than the one that runs
        the upstreams.
        """
        return self.changes.block_until(predicate, timeout, self._describe)

    async def wait_for_async(self, predicate: Callable[[], T], timeout: float = 5.0) -> T:
        """As `wait_for`, for asyncio: other tasks run meanwhile."""
        return await self.changes.until_in_asyncio(predicate, timeout, self._describe)

    def _describe(self) -> str:
        return f"the upstream {self.spec.name} has recorded {self._connections}"

    def open(self) -> ConnectionRecord:
        """Add a record for a new connection."""
        record = ConnectionRecord()
        self._connections.append(record)
        self.changes.notify()
        return record

    def update(self, before: ConnectionRecord, **changes: object) -> ConnectionRecord:
        """Replace the record `before` by a copy with `changes` applied, and return the copy."""
        after = replace(before, **changes)  # type: ignore[arg-type]
        self._connections = [after if record is before else record for record in self._connections]
        self.changes.notify()
        return after
