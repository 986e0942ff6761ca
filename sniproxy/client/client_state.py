"""The state of a client connection that HTTP/1 and HTTP/2 share."""

from __future__ import annotations

from typing import Protocol

from ..config.model import Server
from ..connection_statistics import CountedConnection
from ..context import Connection
from ..logs.error import ConnectionLog
from ..runtime import HostSelector, Listener, Runtime, VirtualServer
from ..tls.stream import SocketStream


class ConnectionState(Protocol):
    """The attributes of `ClientConnection` that HTTP/2 uses."""

    running: Runtime
    listener: Listener[Server]
    connection: Connection
    selector: HostSelector
    default: VirtualServer
    """Virtual server in effect until the host selects one."""
    log: ConnectionLog
    stream: SocketStream
    head_deadline: float | None
    """Deadline for the first request."""
    counted: CountedConnection | None
    """Counts the connection and its requests, if anything needs that."""
    waiting: bool
    """Whether the connection is idle."""
