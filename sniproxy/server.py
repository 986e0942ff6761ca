"""Accept connections on the listening sockets, and serve each in a task of its own.

    accept ─► Connection (addresses, number) ─► ClientConnection.serve

One trio event loop. This module does not deal with requests.
"""

from __future__ import annotations

import errno
import socket
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import trio

from .build import Application
from .build.listeners import UNIX, BoundSocket, ListenSocket, close_sockets
from .client.connection import ClientConnection
from .config.model import Server
from .connection_statistics import Statistic
from .context import Connection
from .models import Failure, Level, Side
from .runtime import Listener
from .tls.stream import SocketStream

# accept() can fail for lack of descriptors or memory: nginx too waits before it goes on.
_PAUSE_AFTER_FAILURE = 0.5

_PASSING = frozenset((errno.ECONNABORTED, errno.EINTR, errno.EPROTO, errno.EPERM))


class ServedConnection(Protocol):
    """A client that is served: an HTTP connection, or a session of `stream {}`."""

    @property
    def waiting(self) -> bool:
        """Whether it is idle between two requests."""
        ...

    async def serve(self) -> None: ...
    def stop_if_waiting(self) -> None: ...


ClientMaker = Callable[[Listener[Any], SocketStream, Connection], ServedConnection]


class ConnectionServer:
    """Serves a configuration on its sockets, which are closed when it accepts no more."""

    def __init__(self, site: Application, sockets: Sequence[BoundSocket]) -> None:
        self.application = site
        self.sockets = tuple(sockets)
        self._limit = site.config.events.worker_connections - len(self.sockets)
        self._connections: dict[ServedConnection, None] = {}
        """Oldest first."""
        self._accepting = trio.CancelScope()
        self._serving = trio.CancelScope()

    async def run(self) -> None:
        """Serve until `stop_gracefully` was called and the last connection is closed."""
        async with trio.open_nursery() as watching:
            watching.start_soon(self.application.runtime.client_aborts.run)
            watching.start_soon(self.application.idle_monitor.run)
            if self.application.stream is not None:
                self.application.stream.is_cut_off = self._is_cut_off
                watching.start_soon(self.application.stream.relays.run)
            for resolver in self.application.resolvers:
                watching.start_soon(resolver.run, self.application.error_log)
            for names in self.application.group_names:
                watching.start_soon(names.run, self.application.error_log)
            for stapler in self.application.statuses.staplers:
                watching.start_soon(stapler.run, self.application.error_log)
            if self.application.caches.caches:
                from .cache.manager import CacheManager

                for cache in self.application.caches.caches.values():
                    watching.start_soon(CacheManager(cache, self.application.error_log).run)
            with self._serving:
                async with trio.open_nursery() as connections:
                    try:
                        with self._accepting:
                            await self._accept_all(connections)
                    finally:
                        close_sockets(self.sockets)
            watching.cancel_scope.cancel()

    def stop_gracefully(self) -> None:
        """Accept no more, close idle connections, let requests under way finish (`QUIT`).

        What is not over within `worker_shutdown_timeout` is cut off.
        """
        timeout = self.application.config.main.worker_shutdown_timeout
        if timeout and not self.application.runtime.stopping:
            self._serving.deadline = trio.current_time() + timeout
        self.application.runtime.stopping = True
        self._accepting.cancel()
        self.application.idle_monitor.stop()
        for connection in self._connections:
            connection.stop_if_waiting()

    def _is_cut_off(self) -> bool:
        """Whether `worker_shutdown_timeout` has passed."""
        return self._serving.deadline <= trio.current_time()

    async def _accept_all(self, connections: trio.Nursery) -> None:
        async with trio.open_nursery() as accepting:
            accepting.start_soon(trio.sleep_forever)  # a configuration may listen nowhere
            for binding, sock in self.sockets:
                accept = self._receive_datagrams if binding.udp else self._accept
                accepting.start_soon(accept, binding, sock, connections)

    async def _accept(
        self, binding: ListenSocket, sock: socket.socket, connections: trio.Nursery
    ) -> None:
        statistics = self.application.statistics
        make_client = self._client_maker(binding, connections)
        bound = binding.local_address(sock)
        while True:
            await trio.lowlevel.wait_readable(sock)
            is_first = True
            while True:
                try:
                    accepted, address = sock.accept()
                except BlockingIOError:
                    break
                except (OSError, MemoryError) as error:
                    number = error.errno if isinstance(error, OSError) else errno.ENOMEM
                    # Without descriptors accept4() fails also if no connection is left.
                    if is_first and number not in _PASSING:
                        failure = Failure("accept4() failed", errno=number)
                        self.application.error_log.write(Level.CRIT, failure.message)
                        await trio.sleep(_PAUSE_AFTER_FAILURE)
                    break
                is_first = False
                if statistics is not None:
                    statistics.change((Statistic.ACCEPTED, 1))
                if len(self._connections) >= self._limit and not self._make_room():
                    accepted.close()
                    continue
                try:
                    listener, connection = self._new_connection(binding, accepted, address, bound)
                except (OSError, MemoryError):
                    accepted.close()  # the client has closed already
                else:
                    # Added at once: how many there are is asked before the tasks have begun.
                    client = make_client(listener, SocketStream(accepted, Side.CLIENT), connection)
                    self._connections[client] = None
                    connections.start_soon(self._serve, client)

    async def _receive_datagrams(
        self, binding: ListenSocket, sock: socket.socket, connections: trio.Nursery
    ) -> None:
        from .stream.datagram_session import DatagramSession
        from .stream.datagrams import DatagramClient, DatagramListener

        running = self.application.stream
        assert running is not None
        bound_host, bound_port = binding.address(sock)

        def start(client: DatagramClient, local: str, data: bytes) -> bool:
            if len(self._connections) >= self._limit and not self._make_room():
                return False
            host = local or bound_host.strip("[]")
            listener = binding.listener_for(host)
            number = running.next_connection_id()
            address, port = ("unix:", 0) if bound_host.startswith(UNIX) else client.address[:2]
            connection = Connection(
                number, address, port, host, bound_port, listener.text, sock=sock
            )
            session = DatagramSession(running, listener, client, connection, data)
            self._connections[session] = None
            connections.start_soon(self._serve, session)
            return True

        listener = DatagramListener(
            sock,
            is_wildcard=binding.wildcard is not None and binding.key[0] in ("*", "[::]"),
            start=start,
            log=self.application.error_log.write,
        )
        await listener.run()

    def _make_room(self) -> bool:
        """Close connections that wait for another request; whether there were any.

        nginx's `worker_connections`; upstream connections are not counted here.
        """
        number = self.application.config.events.worker_connections
        idle = [connection for connection in self._connections if connection.waiting]
        if not idle:
            text = f"{number} worker_connections are not enough"
            self.application.error_log.write(Level.ALERT, text)
            return False
        text = f"{number} worker_connections are not enough, reusing connections"
        self.application.error_log.write(Level.WARN, text)
        for connection in idle[: max(min(32, len(idle) // 8), 1)]:
            connection.stop_if_waiting()
        return True

    async def serve_connection(
        self, listener: Listener[Server], connection: Connection, sock: socket.socket
    ) -> None:
        """Serve one client until its connection is closed, while `run` runs."""
        client = ClientConnection(
            self.application.runtime, listener, SocketStream(sock, Side.CLIENT), connection
        )
        self._connections[client] = None
        await self._serve(client)

    def _client_maker(self, binding: ListenSocket, connections: trio.Nursery) -> ClientMaker:
        """Returns what makes the clients of a listening socket."""
        if not binding.is_stream:
            return partial(ClientConnection, self.application.runtime)
        from .stream.session import StreamSession

        hand_over = partial(self._hand_over, connections)
        assert self.application.stream is not None
        return partial(StreamSession, self.application.stream, hand_over=hand_over)

    def _hand_over(
        self,
        connections: trio.Nursery,
        host: str,
        port: int,
        stream: SocketStream,
        connection: Connection,
    ) -> bool:
        """Serve a connection by the listener of another address; whether there is one (`pass`)."""
        is_ipv6 = host.startswith("[")
        for binding, _ in self.sockets:
            own_host, own_port = binding.key
            any_address = own_host == ("[::]" if is_ipv6 else "*") and not host.startswith(UNIX)
            if binding.udp or own_port != port or not (any_address or own_host == host):
                continue
            listener = binding.listener_for(host.strip("[]"))
            connection.listening = listener.text
            if not host.startswith(UNIX):
                connection.server_address, connection.server_port = host.strip("[]"), port
            client = self._client_maker(binding, connections)(listener, stream, connection)
            self._connections[client] = None
            connections.start_soon(self._serve, client)
            return True
        return False

    async def _serve(self, client: ServedConnection) -> None:
        try:
            await client.serve()
        except MemoryError:
            failure = Failure("malloc() failed", errno=errno.ENOMEM)
            self.application.error_log.write(Level.EMERG, failure.message)
        except Exception as bug:
            # An error in one connection must not end the others.
            self.application.error_log.write(
                Level.ALERT, f"internal error: {format_exception(bug)}"
            )
        finally:
            self._connections.pop(client, None)

    def _new_connection(
        self,
        binding: ListenSocket,
        sock: socket.socket,
        address: object,
        bound: tuple[str, int] | None,
    ) -> tuple[Listener[Server], Connection]:
        number = self.application.runtime.next_connection_id()
        if not isinstance(address, tuple):
            local = binding.key[0]
            listener = binding.listener_for("")
            return listener, Connection(number, "unix:", 0, local, 0, listener.text)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host, port = bound or sock.getsockname()[:2]
        listener = binding.listener_for(host)
        return listener, Connection(
            number, address[0], address[1], host, port, listener.text, sock=sock
        )


def format_exception(bug: BaseException) -> str:
    """An unexpected exception in one line: what, and where."""
    frames = traceback.extract_tb(bug.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{bug!r}{where}"
