"""One process without a master: one trio loop, in which a reload replaces the server.

nginx's `ngx_single_process_cycle`; unlike there, QUIT is graceful.
"""

from __future__ import annotations

from functools import partial

import trio

from . import process_signals as signals
from .cycle import WATCH_INTERVAL, ConfigurationLoader, Cycle, RunningPage
from .models import Level
from .process_signals import SINGLE, Received, SignalAction
from .server import ConnectionServer


class SingleProcess:
    """Serves `cycle`, and those that follow it, until a signal ends it."""

    def __init__(
        self,
        cycle: Cycle,
        loader: ConfigurationLoader,
        *,
        watch: bool = False,
        page: RunningPage | None = None,
    ) -> None:
        self.cycle = cycle
        """The one that is served."""
        self._loader = loader
        self._watch = watch
        self._page = page
        self._servers: dict[ConnectionServer, Cycle] = {}
        """Those that run: the last one takes connections, the others finish theirs."""
        self._reload_wanted = trio.Event()
        self._stopping = False

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(signals.each, SINGLE, partial(self._on_signal, nursery))
            nursery.start_soon(self._reload_when_wanted, nursery)
            if self._watch:
                nursery.start_soon(self._watch_files)
            if self._page is not None:
                nursery.start_soon(self._page.run)
            self._start(nursery, self.cycle)
        self._log("exit")

    def close(self) -> None:
        """Close the logs and sockets of all that was served."""
        for cycle in {self.cycle: None, **dict.fromkeys(self._servers.values())}:
            cycle.close()

    def _log(self, text: str) -> None:
        self.cycle.site.error_log.write(Level.NOTICE, text)

    def _start(self, nursery: trio.Nursery, cycle: Cycle) -> None:
        server = ConnectionServer(cycle.site, cycle.sockets)
        self._servers[server] = cycle
        nursery.start_soon(self._serve, nursery, server)

    async def _serve(self, nursery: trio.Nursery, server: ConnectionServer) -> None:
        await server.run()
        cycle = self._servers.pop(server)
        if cycle is not self.cycle:
            cycle.close(self.cycle)
        if self._stopping and not self._servers:
            nursery.cancel_scope.cancel()

    def _on_signal(self, nursery: trio.Nursery, received: Received, action: SignalAction) -> None:
        self._log(received.message(action.value))
        if action is SignalAction.TERMINATE:
            nursery.cancel_scope.cancel()
        elif action is SignalAction.QUIT:
            self._stopping = True
            for server in self._servers:
                server.stop_gracefully()
        elif action is SignalAction.RELOAD:
            self._reload_wanted.set()
        elif action is SignalAction.REOPEN:
            self._log("reopening logs")
            for cycle in self._servers.values():
                cycle.site.reopen_logs()

    async def _reload_when_wanted(self, nursery: trio.Nursery) -> None:
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted = trio.Event()
            if self._stopping:
                return
            self._log("reconfiguring")
            # In a thread: connections are served meanwhile, and a fast stop does not wait.
            fresh = await trio.to_thread.run_sync(
                self._loader.reload, self.cycle, abandon_on_cancel=True
            )
            if fresh is None:
                continue
            previous = self.cycle
            self.cycle = fresh
            self._start(nursery, fresh)
            for server, cycle in self._servers.items():
                if cycle is previous or self._stopping:
                    server.stop_gracefully()

    async def _watch_files(self) -> None:
        while True:
            await trio.sleep(WATCH_INTERVAL)
            if self._loader.changed_files():
                self._reload_wanted.set()
