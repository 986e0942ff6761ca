"""The filters of a location that change the bodies of its responses, in nginx's order.

A filter receives a response whose conditions have been evaluated and whose fields have been added,
and returns it, or another one with a wrapped body: a `BodyReader` that reads from the body of the
filter before it. So pieces are pulled through the chain, and a slow client slows its source down;
a filter holds no more than a piece. Ranges come after the chain, and apply only to what no filter
has changed.

A location has a chain only if its settings need one (`filter_chain`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..config.model import Location
from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import Response
from .addition import AdditionFilter, addition_filter
from .charset import charset_filter
from .gunzip import gunzip_filter
from .gzip import gzip_filter
from .more_headers import ResponseHeaderChanges, response_header_changes
from .ssi import SsiFilter, ssi_filter
from .substitution import substitution_filter
from .user_id import user_id_filter


class ResponseFilter(Protocol):
    """A filter, made for one location; shared by its requests."""

    def apply(self, response: Response, ctx: RequestContext, log: ConnectionLog) -> Response:
        """The response for the client; `log` takes errors in its body."""
        ...


@dataclass(frozen=True, slots=True)
class FilterChain:
    """The filters of one location."""

    header_changes: ResponseHeaderChanges | None
    """Applied before `add_header` adds fields."""
    body_filters: tuple[ResponseFilter, ...]
    """Applied after that."""
    makes_subrequests: bool
    """Whether other responses may become parts of a body (`RequestContext.include`)."""
    joins_slices: bool
    """Whether responses may be requested in slices."""


FACTORIES: tuple[Callable[[Location], ResponseFilter | None], ...] = (
    user_id_filter,
    gunzip_filter,
    substitution_filter,
    charset_filter,
    ssi_filter,
    addition_filter,
    gzip_filter,
)
"""Make the filter of a location, or None if it needs none; in the order in which they apply.

nginx's order is userid, gunzip, addition, sub, charset, ssi, gzip (`auto/modules`, from the end).
The responses of subrequests join the body after ssi: therefore additions, which nginx requests
before sub, come behind it here.
"""


def filter_chain(location: Location) -> FilterChain | None:
    """The filters of a location; None without any."""
    changes = response_header_changes(location)
    filters = tuple([found for make in FACTORIES if (found := make(location)) is not None])
    joins_slices = location.filters.slices.slice > 0
    if changes is None and not filters and not joins_slices:
        return None
    makes_subrequests = joins_slices or any(
        isinstance(each, AdditionFilter | SsiFilter) for each in filters
    )
    return FilterChain(changes, filters, makes_subrequests, joins_slices)


def apply_chain(
    filters: Sequence[ResponseFilter], response: Response, ctx: RequestContext, log: ConnectionLog
) -> Response:
    """Apply filters of bodies to a response, one after the other."""
    for one in filters:
        response = one.apply(response, ctx, log)
    return response
