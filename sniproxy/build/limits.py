"""Create the zones of `limit_req_zone` and `limit_conn_zone`, and the limits of locations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..config.directives.limits import ConnectionLimits, LimitZone
from ..config.model import Config, Http, Location
from ..models import ConfigError

if TYPE_CHECKING:  # imported when there is a limit
    from ..handlers.preaccess import BoundConnectionLimit, LimitPhase
    from ..limit_zones import ConnectionCountZone, RequestRateZone


class LimitZoneUsage(NamedTuple):
    """A zone of limits, and how full it is."""

    directive: str
    """`limit_req_zone` or `limit_conn_zone`."""
    settings: LimitZone
    used: int
    """Number of keys in it."""
    capacity: int
    """Number of keys that there is room for."""


class LimitStore:
    """The zones of a configuration; the next one takes over those that it defines alike."""

    def __init__(self, config: Config, previous: LimitStore | None = None) -> None:
        """Create the zones. Raises `ConfigError` if a zone had another key before."""
        http = config.http or Http((), {}, {})
        of_stream = () if config.stream is None else config.stream.limit_conn_zones
        self._settings: dict[str, LimitZone] = {}
        self._rates: dict[str, RequestRateZone] = {}
        self._counts: dict[str, ConnectionCountZone] = {}
        self._passed_on: set[str] = set()
        """Names of the zones that the next configuration uses too."""
        if not (http.limit_req_zones or http.limit_conn_zones or of_stream):
            return
        from ..limit_zones import ConnectionCountZone, RequestRateZone

        for zone in http.limit_req_zones:
            self._settings[zone.name] = zone
            rates = None
            if previous is not None and previous.passes_on(zone, "limit_req"):
                rates = previous._rates.get(zone.name)
            self._rates[zone.name] = rates or RequestRateZone(zone.size, zone.rate)
            self._rates[zone.name].rate = zone.rate
        for zone in (*http.limit_conn_zones, *of_stream):
            self._settings[zone.name] = zone
            counts = None
            if previous is not None and previous.passes_on(zone, "limit_conn_zone"):
                counts = previous._counts.get(zone.name)
            self._counts[zone.name] = counts or ConnectionCountZone(zone.size)

    def passes_on(self, zone: LimitZone, directive: str) -> bool:
        """Whether the next configuration goes on with the memory of a zone of the same size.

        Raises `ConfigError` if the zone had another key.
        """
        old = self._settings.get(zone.name)
        if old is None or old.size != zone.size:
            return False
        if old.key.source != zone.key.source:
            raise ConfigError(
                f'{directive} "{zone.name}" uses the "{zone.key.source}" key while previously it'
                f' used the "{old.key.source}" key'
            )
        self._passed_on.add(zone.name)
        return True

    def phase(self, location: Location) -> LimitPhase | None:
        """The limits of a location; None if it has none."""
        requests, connections = location.request_limits, location.connection_limits
        if not requests.limit_req and not connections.limit_conn:
            return None
        from ..handlers.preaccess import BoundRequestLimit, LimitPhase

        return LimitPhase(
            requests,
            [
                BoundRequestLimit(limit, self._settings[limit.zone].key, self._rates[limit.zone])
                for limit in requests.limit_req
            ],
            connections,
            self.bound(connections),
        )

    def bound(self, settings: ConnectionLimits) -> list[BoundConnectionLimit]:
        """The `limit_conn` of a location or server with their zones."""
        from ..handlers.preaccess import BoundConnectionLimit

        return [
            BoundConnectionLimit(
                limit.zone,
                limit.connections,
                self._settings[limit.zone].key,
                self._counts[limit.zone],
            )
            for limit in settings.limit_conn
        ]

    def usage(self) -> Iterator[LimitZoneUsage]:
        """All zones as they are now."""
        for name, rates in self._rates.items():
            yield LimitZoneUsage("limit_req_zone", self._settings[name], *rates.usage())
        for name, counts in self._counts.items():
            yield LimitZoneUsage("limit_conn_zone", self._settings[name], *counts.usage())

    def close(self) -> None:
        """Give the memory of the zones back, but for those that the next configuration uses."""
        zones: dict[str, RequestRateZone | ConnectionCountZone] = {**self._rates, **self._counts}
        for name, zone in zones.items():
            if name not in self._passed_on:
                zone.close()
