"""Resolves the names of a group while the proxy runs (`server … resolve`).

One worker does so for all, which find the addresses in the memory of the group's `zone`. A name is
looked up again when its addresses have expired; a failure other than an unknown name leaves the
addresses as they are.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import trio

from ..logs.error import ErrorLog
from ..models import Level
from ..shared_zone import ProcessLock
from .dns_message import HOST_NOT_FOUND
from .peer_memory import ResolvedAddress
from .resolver import Resolver
from .resolver_query import ResolveError
from .shared_group import ResolvedServer, SharedGroup

_TURN = 1.0
"""Seconds between the attempts to become the worker that resolves."""


class GroupNames:
    """The names of one group."""

    def __init__(
        self, name: str, group: SharedGroup, resolver: Resolver, timeout: float, turn: ProcessLock
    ) -> None:
        """`timeout` is `resolver_timeout` in seconds; the holder of `turn` resolves."""
        self._name = name
        self._group = group
        self._resolver = resolver
        self._timeout = timeout
        self._turn = turn
        self._unknown = len(group.resolved)
        """Number of names that were not looked up so far."""
        self._all_known = trio.Event()

    async def wait(self) -> None:
        """Wait until each name was looked up once, by this process."""
        await self._all_known.wait()

    async def run(self, log: ErrorLog) -> None:
        """Resolve until cancelled, once no other worker does; the resolver must be running."""
        while not self._turn.try_lock():
            await trio.sleep(_TURN)
        async with trio.open_nursery() as nursery:
            for server in self._group.resolved:
                nursery.start_soon(self._follow, server, log)

    async def _follow(self, server: ResolvedServer, log: ErrorLog) -> None:
        await trio.sleep(max(self._group.expiry(server) - _now(), 0))
        pause = await self._resolve(server, log)
        self._unknown -= 1
        if not self._unknown:
            self._all_known.set()
        while True:
            await trio.sleep(pause)
            pause = await self._resolve(server, log)

    async def _resolve(self, server: ResolvedServer, log: ErrorLog) -> float:
        """Look up a name once; returns the seconds until the next time."""
        host, service = server.settings.address.host, server.settings.service
        try:
            if service:
                addresses, expiry = await self._service(service, host, log)
            else:
                found = await self._resolver.lookup(host, self._timeout)
                addresses = [ResolvedAddress(address) for address in found.addresses]
                expiry = found.valid_until
        except ResolveError as error:
            what = f"service {service} of {host}" if service else host
            log.write(Level.ERROR, f"{what} could not be resolved ({error})")
            if error.code != HOST_NOT_FOUND:
                return max(self._timeout, 1.0)
            addresses, expiry = [], self._resolver.error_valid_until()
        if not self._group.update(server, addresses, expiry):
            zone = self._group.memory.name
            log.write(Level.CRIT, f'ngx_slab_alloc() failed: no memory in upstream zone "{zone}"')
            text = f'cannot add new server to upstream "{self._name}", memory exhausted'
            log.write(Level.ERROR, text)
        # As in nginx a second later than the addresses expire.
        return max(expiry - _now(), 0) + 1.0

    async def _service(
        self, service: str, host: str, log: ErrorLog
    ) -> tuple[Sequence[ResolvedAddress], int]:
        """The addresses of a service, and when they expire. Raises `ResolveError`."""
        found = await self._resolver.services(service, host, self._timeout)
        for target, error in found.errors:
            log.write(
                Level.ERROR,
                f"{target} could not be resolved ({error}) while resolving service {service} of"
                f" {host}",
            )
        if not found.targets:
            codes = [error.code for _, error in found.errors]
            raise ResolveError(HOST_NOT_FOUND if HOST_NOT_FOUND in codes else codes[0])
        addresses = [
            ResolvedAddress(address, record.port, record.weight, record.priority, record.target)
            for record, hosts in found.targets
            for address in hosts
        ]
        return addresses, found.valid_until


def _now() -> int:
    return int(time.monotonic())
