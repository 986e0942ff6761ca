"""Who looks on while requests are under way, and tells of each when it is over.

A site is watched from the places where it can be: its handlers, its logs, its handshakes. What
they see belongs to the connection whose task they are called in, so that nothing is handed
through the house, and a site that is not watched pays nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from ..facts import Facts
from ..handlers.handler import Handler
from ..logs.error import ConnectionLog, ErrorLog, LogTarget
from ..message import Handshake, Level, Outcome, Side
from ..running import AccessLog, Running, RunningLocation, RunningServer
from ..site import Site
from ..upstream.sending import RequestBody, StreamedBody
from .gathering import Handled, Over, handled, handshake_trace, request_trace
from .record import Trace

Told = Callable[[Trace], None]

_OF_A_CONNECTION = re.compile(r"[^:]*:[^:]*:[^:]*: \*\d+ ")


@dataclass(slots=True)
class _Notes:
    """What was seen of one connection since its last request."""

    handshake: Handshake | None = None
    handled: list[Handled] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


_notes: ContextVar[_Notes] = ContextVar("trace of this connection")


def _of_this_connection() -> _Notes:
    notes = _notes.get(None)
    if notes is None:
        notes = _Notes()
        _notes.set(notes)
    return notes


class Watch:
    """Tells `told` of every request of one site when it is over, and of failed handshakes."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._running: Running | None = None
        self.observer = LogTarget(self, Level.INFO)
        """For the site, when it opens its logs."""

    def attach(self, site: Site, *, alone: bool = False) -> None:
        """Begin, before the site serves. `alone` takes its own logs away: nothing is written."""
        running = self._running = site.running
        self._paths = site.paths
        running.servers = {
            settings: self._watched(server, alone) for settings, server in running.servers.items()
        }
        told_before = running.on_handshake

        def on_handshake(handshake: Handshake) -> None:
            if told_before is not None:
                told_before(handshake)
            if handshake.side is Side.CLIENT:
                _of_this_connection().handshake = handshake

        running.on_handshake = on_handshake

    def _watched(self, server: RunningServer, alone: bool) -> RunningServer:
        made = {
            settings: self._location(location, alone)
            for settings, location in server.running.items()
        }
        return replace(
            server,
            outside=self._location(server.outside, alone),
            named={name: made[location.settings] for name, location in server.named.items()},
            running=made,
        )

    def _location(self, location: RunningLocation, alone: bool) -> RunningLocation:
        end = _End(self, location.access_logs)
        return replace(
            location,
            error_log=ErrorLog([self.observer]) if alone else location.error_log,
            access_logs=(end,) if alone else (*location.access_logs, end),
            handler=_Watched(location.handler),
        )

    def write(self, line: str) -> None:
        """The observer of error logs; lines that belong to no connection are passed over."""
        if not _OF_A_CONNECTION.match(line):
            return
        notes = _of_this_connection()
        notes.lines.append(line.rstrip("\n"))
        if notes.handshake is not None and notes.handshake.failure is not None:
            # Its line follows at once.
            assert self._running is not None
            self._told(handshake_trace(notes.handshake, notes.lines, self._running))
            notes.handshake = None

    def over(self, facts: Facts, log: ConnectionLog, access_logs: tuple[AccessLog, ...]) -> None:
        """A request is over."""
        notes = _of_this_connection()
        assert self._running is not None
        over = Over(facts, log, access_logs, notes.handshake, notes.handled, notes.lines)
        trace = request_trace(over, self._running, self._paths)
        notes.handled, notes.lines = [], []
        self._told(trace)


@dataclass(frozen=True, slots=True)
class _End:
    """The last access log of a location: the request is over."""

    watch: Watch
    access_logs: tuple[AccessLog, ...]

    def write(self, facts: Facts, log: ConnectionLog) -> None:
        if not facts.is_subrequest:
            self.watch.over(facts, log, self.access_logs)


class _Watched:
    """A handler that is looked at."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.reads_body = handler.reads_body
        self.streams_body = handler.streams_body
        self.watches_client = handler.watches_client

    async def respond(
        self, facts: Facts, body: RequestBody | StreamedBody | None, log: ConnectionLog
    ) -> Outcome:
        location, path = facts.location, facts.uri
        detours, tries = len(facts.detours), len(facts.tries)
        notes = _of_this_connection()
        try:
            return await self._handler.respond(facts, body, log)
        finally:
            notes.handled.append(handled(facts, location, path, detours, tries))
