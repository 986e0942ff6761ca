"""A UDP session: the phases of a session whose client sends datagrams."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from ..config.stream_model import StreamServer
from ..context import Connection
from ..models import ProxyError, Side
from ..runtime import Listener
from ..tls.errors import socket_failure
from ..tls.stream import SocketStream
from .datagrams import DatagramClient
from .session import StreamSession
from .stream_runtime import StreamRuntime

if TYPE_CHECKING:
    from .datagram_relay import DatagramRelay


class DatagramSession(StreamSession):
    """Serves one client of a UDP socket."""

    IS_UDP: ClassVar[bool] = True

    def __init__(
        self,
        running: StreamRuntime,
        listener: Listener[StreamServer],
        client: DatagramClient,
        connection: Connection,
        first: bytes,
    ) -> None:
        """`first` is the datagram that begins the session."""
        # What a session does with its stream, a client of datagrams can do too.
        stream = cast(SocketStream, client)
        super().__init__(running, listener, stream, connection, lambda *_: False)
        self.client = client
        self.preread_data = first
        self.ctx.received = len(first)
        self.relay: DatagramRelay | None = None
        """Passes datagrams to an upstream, once there is one."""

    def stop_if_waiting(self) -> None:
        """End the session: its listening socket is about to be closed."""
        if self.relay is not None:
            self.relay.stop()

    async def _phases(self) -> None:
        self.check_access()

    async def send_text(self, text: bytes, timeout: float) -> None:
        if not text:
            return
        try:
            self.client.send(text)
        except OSError as error:
            failure = socket_failure("sendmsg() failed", Side.CLIENT, error.errno or 0)
            raise ProxyError(failure) from None
        self.ctx.bytes_sent += len(text)
