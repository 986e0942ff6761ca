"""Variables of nginx's stub_status module: numbers of client connections."""

from __future__ import annotations

from collections.abc import Callable

from ..connection_statistics import Statistic
from ..context import RequestContext
from .variable import Variable


def _number(which: Statistic) -> Callable[[RequestContext], str | None]:
    def value(ctx: RequestContext) -> str | None:
        statistics = ctx.connection.statistics
        return None if statistics is None else str(statistics.read()[which])

    return value


VARIABLES = (
    Variable("connections_active", _number(Statistic.ACTIVE), "number of client connections"),
    Variable(
        "connections_reading",
        _number(Statistic.READING),
        "number of connections on which a request head is read",
    ),
    Variable(
        "connections_writing",
        _number(Statistic.WRITING),
        "number of connections on which a request is served",
    ),
    Variable(
        "connections_waiting",
        _number(Statistic.WAITING),
        "number of connections that wait for a request",
    ),
)
STATUS_VARIABLES = frozenset(variable.name for variable in VARIABLES)
