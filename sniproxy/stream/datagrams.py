"""UDP: the sessions of a listening socket, which share it (nginx's `ngx_event_udp.c`).

A session belongs to a client's address, and on a wildcard socket to the local address too. It has a
connected socket to its upstream.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

import trio

from ..models import Level

LARGEST = 65535
"""Bytes of a datagram."""
_IP_PKTINFO = getattr(socket, "IP_PKTINFO", 26 if sys.platform == "darwin" else 8)
_IPV6_RECVPKTINFO = getattr(socket, "IPV6_RECVPKTINFO", 49)
_IPV6_PKTINFO = getattr(socket, "IPV6_PKTINFO", 50)
_PKTINFO = struct.Struct("=I4s4s")
_PKTINFO6 = struct.Struct("=16sI")
_CONTROL_SIZE = 128


class DatagramClient:
    """The client of a session: in place of the stream that a TCP session has."""

    def __init__(
        self, sock: socket.socket, address: Any, local: str, forget: Callable[[], None]
    ) -> None:
        """`local` is the local address for replies of a wildcard socket, else ""."""
        self.sock = sock
        self.address = address
        self._forget = forget
        self._control = _reply_control(sock.family, local)
        self.deliver: Callable[[bytes], None] = lambda data: None
        """Called with each further datagram."""

    def send(self, data: bytes) -> None:
        """Send a datagram. Raises `OSError`.

        It is lost, as in nginx, if the listening socket was closed since the process is stopping.
        """
        if self.sock.fileno() < 0:
            return
        if sys.platform == "win32":
            self.sock.sendto(data, self.address)
        else:
            self.sock.sendmsg([data], self._control, 0, self.address)

    def forget(self) -> None:
        """Let the next datagram of the client begin a new session."""
        self._forget()

    def shutdown(self) -> None:
        self._forget()


class DatagramListener:
    """Receives the datagrams of one listening socket, and finds their sessions."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        is_wildcard: bool,
        start: Callable[[DatagramClient, str, bytes], bool],
        log: Callable[[Level, str], None],
    ) -> None:
        """`start` begins a session with its first datagram; the text is the local address."""
        self._sock = sock
        self._start = start
        self._log = log
        self._clients: dict[tuple[Any, str], DatagramClient] = {}
        # Python has no recvmsg() on Windows, and so not the local address.
        receives_control = is_wildcard and sys.platform != "win32"
        self._has_local = receives_control and sock.family in (socket.AF_INET, socket.AF_INET6)
        if self._has_local:
            if sock.family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)

    async def run(self) -> None:
        """Receive until cancelled."""
        while True:
            await trio.lowlevel.wait_readable(self._sock)
            for _ in range(64):
                try:
                    data, control, address = self._receive_one()
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno not in (errno.ECONNREFUSED, errno.EINTR):
                        text = f"recvmsg() failed ({error.errno}: {error.strerror})"
                        self._log(Level.ALERT, text)
                    break
                self._receive(data, address, _local_address(control))

    def _receive_one(self) -> tuple[bytes, list[tuple[int, int, bytes]], Any]:
        """A datagram, what the system says about it, and its sender. Raises `OSError`."""
        if sys.platform == "win32":
            data, address = self._sock.recvfrom(LARGEST)
            return data, [], address
        size = _CONTROL_SIZE if self._has_local else 0
        data, control, _flags, address = self._sock.recvmsg(LARGEST, size)
        return data, control, address

    def _receive(self, data: bytes, address: Any, local: str) -> None:
        key = (address, local)
        client = self._clients.get(key)
        if client is not None:
            client.deliver(data)
            return

        def forget() -> None:
            if self._clients.get(key) is client:
                del self._clients[key]

        client = DatagramClient(self._sock, address, local, forget)
        if address and self._start(client, local, data):
            self._clients[key] = client


def _local_address(control: list[tuple[int, int, bytes]]) -> str:
    for level, kind, data in control:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            return socket.inet_ntop(socket.AF_INET, _PKTINFO.unpack(data[: _PKTINFO.size])[2])
        if (level, kind) == (socket.IPPROTO_IPV6, _IPV6_PKTINFO):
            return socket.inet_ntop(socket.AF_INET6, _PKTINFO6.unpack(data[: _PKTINFO6.size])[0])
    return ""


def _reply_control(family: int, local: str) -> list[tuple[int, int, bytes]]:
    """What makes a reply come from the address that the client has sent to."""
    with contextlib.suppress(OSError):
        if local and family == socket.AF_INET:
            packed = socket.inet_pton(socket.AF_INET, local)
            return [(socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO.pack(0, packed, bytes(4)))]
        if local and family == socket.AF_INET6:
            packed = socket.inet_pton(socket.AF_INET6, local)
            return [(socket.IPPROTO_IPV6, _IPV6_PKTINFO, _PKTINFO6.pack(packed, 0))]
    return []
