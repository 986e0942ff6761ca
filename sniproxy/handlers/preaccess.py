"""nginx's preaccess phase: `limit_req` and `limit_conn`, in this order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import trio

from ..config.directives.limits import ConnectionLimits, RequestLimit, RequestLimits
from ..context import LimitedConnections, RequestContext
from ..limit_zones import ConnectionCountZone, RateVerdict, RequestRateZone, digest_of
from ..logs.error import ConnectionLog
from ..models import Level, SpecialResponse
from ..template import Template, VariableLookup
from ..variables import lookup

_LONGEST_KEY = {"limit_req": 65535, "limit_conn": 255}


@dataclass(frozen=True, slots=True)
class BoundRequestLimit:
    """A `limit_req` with its zone."""

    settings: RequestLimit
    key: Template
    zone: RequestRateZone


@dataclass(frozen=True, slots=True)
class BoundConnectionLimit:
    """A `limit_conn` with its zone."""

    name: str
    connections: int
    key: Template
    zone: ConnectionCountZone


@dataclass(frozen=True, slots=True)
class LimitPhase:
    """The limits of a location."""

    requests: RequestLimits
    request_limits: Sequence[BoundRequestLimit]
    connections: ConnectionLimits
    connection_limits: Sequence[BoundConnectionLimit]

    async def refusal(self, ctx: RequestContext, log: ConnectionLog) -> SpecialResponse | None:
        """Count the request; the response that refuses it, or None after the delay it needs."""
        if self.request_limits and ctx.limit_req_status is None:
            refusal = await self._limit_requests(ctx, log)
            if refusal is not None:
                return refusal
        if self.connection_limits and ctx.limit_conn_status is None:
            return self._limit_connections(ctx, log)
        return None

    # --- requests ---

    async def _limit_requests(
        self, ctx: RequestContext, log: ConnectionLog
    ) -> SpecialResponse | None:
        settings = self.requests
        values, now = lookup(ctx), _milliseconds()
        pending: list[tuple[BoundRequestLimit, bytes]] = []
        verdict, excess = None, 0
        limit = self.request_limits[0]
        last = len(self.request_limits) - 1
        for position, limit in enumerate(self.request_limits):
            key = limit.key.render(values)
            if not key or _is_too_long("limit_req", limit.key, key, log):
                continue
            digest = digest_of(key)
            verdict, excess = limit.zone.look_up(
                digest, limit.settings.burst, now, counts=position == last
            )
            if verdict is not RateVerdict.PENDING:
                break
            pending.append((limit, digest))
        if verdict is None:
            return None
        if verdict is RateVerdict.REFUSED:
            log.write(
                settings.limit_req_log_level,
                f"limiting requests{_dry(settings.limit_req_dry_run)}, excess: {_decimal(excess)}"
                f' by zone "{limit.settings.zone}"',
            )
            return self._refused_request(ctx)
        if verdict is RateVerdict.PENDING:
            excess = 0
        delay = _delay(limit, excess)
        for checked, digest in reversed(pending):
            counted = checked.zone.count(digest, _milliseconds())
            own_delay = _delay(checked, counted)
            if own_delay > delay:
                delay, excess, limit = own_delay, counted, checked
        if not delay:
            ctx.limit_req_status = "PASSED"
            return None
        level = settings.limit_req_log_level
        log.write(
            level if level is Level.INFO else Level(level + 1),
            f"delaying request{_dry(settings.limit_req_dry_run)}, excess: {_decimal(excess)},"
            f' by zone "{limit.settings.zone}"',
        )
        if settings.limit_req_dry_run:
            ctx.limit_req_status = "DELAYED_DRY_RUN"
            return None
        ctx.limit_req_status = "DELAYED"
        await trio.sleep(delay / 1000)
        return None

    def _refused_request(self, ctx: RequestContext) -> SpecialResponse | None:
        if self.requests.limit_req_dry_run:
            ctx.limit_req_status = "REJECTED_DRY_RUN"
            return None
        ctx.limit_req_status = "REJECTED"
        return SpecialResponse(self.requests.limit_req_status)

    # --- connections ---

    def _limit_connections(self, ctx: RequestContext, log: ConnectionLog) -> SpecialResponse | None:
        if limit_connections(self.connections, self.connection_limits, ctx, lookup(ctx), log):
            return None
        return SpecialResponse(self.connections.limit_conn_status)


class _Limited(Protocol):
    """The state of a request or session."""

    limit_conn_status: str | None
    limited_connections: tuple[tuple[LimitedConnections, bytes], ...]


def limit_connections(
    settings: ConnectionLimits,
    limits: Sequence[BoundConnectionLimit],
    ctx: _Limited,
    values: VariableLookup,
    log: ConnectionLog,
) -> bool:
    """Count a connection in the zones of `limit_conn`; whether it is allowed."""
    taken: list[tuple[ConnectionCountZone, bytes]] = []
    for limit in limits:
        key = limit.key.render(values)
        if not key or _is_too_long("limit_conn", limit.key, key, log):
            continue
        ctx.limit_conn_status = "PASSED"
        digest = digest_of(key)
        if limit.zone.take(digest, limit.connections):
            taken.append((limit.zone, digest))
            continue
        dry_run = ", dry run," if settings.limit_conn_dry_run else ""
        log.write(
            settings.limit_conn_log_level, f'limiting connections{dry_run} by zone "{limit.name}"'
        )
        for zone, taken_digest in taken:
            zone.release(taken_digest)
        if settings.limit_conn_dry_run:
            ctx.limit_conn_status = "REJECTED_DRY_RUN"
            return True
        ctx.limit_conn_status = "REJECTED"
        return False
    ctx.limited_connections += tuple(taken)
    return True


def _milliseconds() -> int:
    return time.monotonic_ns() // 1_000_000


def _delay(limit: BoundRequestLimit, excess: int) -> int:
    """Milliseconds to wait."""
    return max(excess - limit.settings.delay, 0) * 1000 // limit.zone.rate


def _decimal(excess: int) -> str:
    return f"{excess // 1000}.{excess % 1000:03}"


def _dry(dry_run: bool) -> str:
    return ", dry run" if dry_run else ""


def _is_too_long(directive: str, template: Template, key: str, log: ConnectionLog) -> bool:
    longest = _LONGEST_KEY[directive]
    if len(key) <= longest:
        return False
    log.write(
        Level.ERROR,
        f'the value of the "{template.source}" key is more than {longest} bytes: "{key}"',
    )
    return True
