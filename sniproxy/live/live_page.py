"""The live page beside a running proxy: its listener, its ring, and the recorders that fill it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import trio

from .. import config as configuration
from ..build import Application
from ..build.application import load
from ..build.listeners import BoundSocket, close_all
from ..build.paths import Paths
from ..config.directives.log import ErrorLogDirective
from ..cycle import PageHandover
from ..inherited import InheritedSockets
from ..models import ConfigError, Level
from ..server import ConnectionServer
from ..shared_zone import ProcessLock
from ..variables import is_variable
from ..worker_setup import worker_count
from .handler import LiveHandler
from .recorder import LiveRecorder
from .ring import Ring
from .site_view import group_states, zone_states
from .worker_link import INTERVAL, WorkerLink
from .worker_states import WorkerState, WorkerStates

CONFIG = """
events {{ worker_connections 256; }}
http {{
    access_log off;
    server_tokens off;
    client_max_body_size 1k;
    send_timeout 20s;
    server {{ listen {address}; location / {{ }} }}
}}
"""
LOOK_FOR = 10.0
"""Seconds for which requests are observed after the last sign of a browser."""
FINISH_WITHIN = 1.0
"""Seconds to pass entries on to another worker."""
STATES_WITHIN = 4 * INTERVAL
"""Seconds to wait for the states of other workers."""
TURN_INTERVAL = 0.05
"""Seconds between two attempts to take the page over."""
OTHER_PROGRAM_SERVES = "the old binary process serves the live page until its workers end"
_LOG = (ErrorLogDirective("stderr", Level.ALERT),)


class LivePage:
    """The live page of a process, or of all workers of a master.

    `address` is a checked `ADDRESS:PORT`. Create and bind it before a fork; each process then runs
    `run`, and the first worker serves the page.
    """

    def __init__(self, address: str, *, any_port: bool = False, workers: bool = False) -> None:
        """`any_port`: whether port 0 takes a free one; `workers`: whether there will be several
        processes."""
        self.address = address
        self.ring = Ring()
        self.token = secrets.token_urlsafe(18)
        self.is_public = not is_loopback(address.rpartition(":")[0])
        self.site: Application | None = None
        self.dropped = 0
        """Number of entries that did not reach the worker that serves the page."""
        self._link = WorkerLink() if workers else None
        self._states = WorkerStates()
        self._index = 0
        self._is_ending = False
        self._serves = True
        self._recorders: list[LiveRecorder] = []
        self._viewers = 0
        self._look_until = 0.0
        self._looked = trio.Event()
        self._serving = trio.CancelScope()
        self._passed_on = trio.Event()
        """Set when this process has no entries that another one is to have."""
        self._application = self._build(any_port=any_port)
        self.sockets: list[BoundSocket] = []
        """Those that the page listens on."""
        self._turn = ProcessLock()
        """Held by the process that serves the page."""
        self._succeeds = False
        """Whether another program has handed over its page."""

    def _build(self, *, any_port: bool) -> Application:
        parsed = configuration.parse(
            CONFIG.format(address=self.address),
            "nginx",
            conf_prefix="",
            prefix="",
            is_variable=is_variable,
            any_port=any_port,
        )
        loaded = load(parsed, Paths("", ""))
        handlers = dict.fromkeys(loaded.handlers, LiveHandler(self))
        return replace(loaded, handlers=handlers).open(default_error_log=_LOG)

    def bind(
        self,
        report: Callable[[ConfigError], None],
        inherited: InheritedSockets | None = None,
    ) -> None:
        """Bind the page's address, or take it over from another program; raises `ConfigError`."""
        if inherited is None:
            self.sockets = self._application.bind(report)
            return
        previous = inherited.bound_to(self._application.bindings)
        self.sockets = self._application.bind(report, previous)
        page = inherited.page
        if page is not None:
            self.token = page.token
            if previous:
                self._turn.close()
                self._turn = ProcessLock(page.lock)
                self._succeeds = True

    @property
    def handover(self) -> PageHandover:
        """What another program needs to serve the page in place of this one."""
        return PageHandover(self._turn.descriptor, self.token)

    @property
    def url(self) -> str:
        """The URL of the page, with the token."""
        [(binding, sock)] = self.sockets[:1]
        host, port = binding.address(sock)
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
        return f"http://{host}:{port}/?token={self.token}"

    def recorder(self, paths: Paths, *, alone: bool) -> LiveRecorder:
        """An observer for a configuration; `alone`: whether it is the only one."""
        recorder = LiveRecorder(self._add, paths, alone=alone)
        self._recorders = [*self._recorders[-3:], recorder]
        return recorder

    def close(self) -> None:
        close_all(self.sockets)
        self._application.close()
        self._turn.close()
        if self._link is not None:
            self._link.close()

    # --- running ---

    async def run(self, index: int = 0) -> None:
        """Serve the page in the first worker, and send entries to it in the others, until
        cancelled."""
        self._index = index
        self._serves = index == 0
        if self._serves:
            self.ring.rename()
            with self._serving:
                await self._wait_for_turn()
                await self._serve()
            self._turn.release()
            self._serves = False
        if self._link is not None:
            await self._follow(self._link)

    def stop(self) -> None:
        """Serve the page no more; another worker is to do so, which gets the entries."""
        self._is_ending = True
        self._serving.cancel()

    async def finish(self) -> None:
        """Wait, but not long, until another worker has the entries of this one."""
        with trio.move_on_after(FINISH_WITHIN):
            await self._passed_on.wait()

    async def _wait_for_turn(self) -> None:
        """Wait until no other process serves the page: a worker that ends, or another program."""
        if self._turn.try_lock():
            return
        if self._succeeds and self.site is not None:
            self.site.error_log.write(Level.NOTICE, OTHER_PROGRAM_SERVES)
        while not self._turn.try_lock():
            await trio.sleep(TURN_INTERVAL)

    async def _serve(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._switch)
            if self._link is not None:
                nursery.start_soon(self._receive, self._link)
            nursery.start_soon(ConnectionServer(self._application, self.sockets).run)

    async def _receive(self, link: WorkerLink) -> None:
        async for message in link.received():
            if isinstance(message, WorkerState):
                self._states.add(message)
            else:
                self.ring.add(*message)

    async def _switch(self) -> None:
        """Let the recorders observe requests while somebody looks."""
        while True:
            await self._looked.wait()
            while time.monotonic() < self._look_until:
                self._set_looking(True)
                await trio.sleep(LOOK_FOR / 4)
                if self._viewers:
                    self._prolong()
            self._looked = trio.Event()
            self._set_looking(False)

    async def _follow(self, link: WorkerLink) -> None:
        for entry in list(self.ring.after(0)):
            await link.send_surely(json.loads(entry.row), json.loads(entry.detail))
        self._passed_on.set()
        while True:
            self._set_looking(link.looking)
            if link.wants_states and self.site is not None:
                link.send_state(self._state(self.site))
            await trio.sleep(INTERVAL)

    def _state(self, site: Application) -> WorkerState:
        return WorkerState(self._index, os.getpid(), self._is_ending, group_states(site))

    def _set_looking(self, looking: bool) -> None:
        for recorder in self._recorders:
            if looking:
                recorder.look()
            else:
                recorder.stop_looking()

    def _add(self, row: dict[str, Any], detail: dict[str, Any]) -> None:
        if self._serves or self._link is None:
            self.ring.add(row, detail)
        elif not self._link.send(row, detail):
            self.dropped += 1

    # --- the handler's view ---

    def look(self) -> None:
        """Observe all requests for a while."""
        self._prolong()
        self._set_looking(True)
        self._looked.set()

    async def upstreams(self, site: Application) -> dict[str, Any]:
        """The upstreams of all workers, and the zones that they share."""
        own = self._state(site)
        others: list[WorkerState] = []
        if self._link is not None:
            self._link.want_states_until(time.monotonic() + LOOK_FOR)
            indices = range(1, worker_count(site.config.main))
            others = await self._states.of(indices, STATES_WITHIN)
        return {"workers": [one.value() for one in (own, *others)], **zone_states(site)}

    def _prolong(self) -> None:
        self._look_until = time.monotonic() + LOOK_FOR
        if self._link is not None:
            self._link.look_until(self._look_until)

    def viewer_came(self) -> None:
        self._viewers += 1

    def viewer_left(self) -> None:
        self._viewers -= 1


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to an address."""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ip_address(host.strip("[]")).is_loopback
    return False
