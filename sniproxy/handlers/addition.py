"""`add_before_body`, `add_after_body`: send other responses around one (nginx's addition)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from ..config.directives.addition import Addition
from ..config.model import Location
from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import BodyReader, BodyReadError, Response
from .changed_body import MediaTypes, reader, without_length


class AdditionFilter:
    """Sends other responses before and after those of one location."""

    def __init__(self, settings: Addition) -> None:
        self._settings = settings
        self._types = MediaTypes(settings.addition_types)

    def apply(self, response: Response, ctx: RequestContext, log: ConnectionLog) -> Response:
        settings = self._settings
        if (
            response.status != 200
            or ctx.is_subrequest
            or response.content_type not in self._types
            or response.close_without_response
        ):
            return response
        own = reader(response.body)
        readers: list[Callable[[], Awaitable[BodyReader]]] = []
        if settings.add_before_body:
            readers.append(partial(_included, ctx, settings.add_before_body))
        readers.append(partial(_ready, own))
        if settings.add_after_body:
            readers.append(partial(_included, ctx, settings.add_after_body))
        return without_length(response, ctx)._replace(body=JoinedBody(own, readers))


def addition_filter(location: Location) -> AdditionFilter | None:
    """The filter of a location with additions."""
    settings = location.filters.addition
    if settings.add_before_body or settings.add_after_body:
        return AdditionFilter(settings)
    return None


async def _included(ctx: RequestContext, uri: str) -> BodyReader:
    assert ctx.include is not None
    body = await ctx.include(uri)
    if body is None:
        raise BodyReadError
    return body


async def _ready(body: BodyReader) -> BodyReader:
    return body


class JoinedBody:
    """Several bodies, one after the other; each is opened when its turn comes."""

    def __init__(
        self, own: BodyReader, readers: Iterable[Callable[[], Awaitable[BodyReader]]]
    ) -> None:
        """`own` is the body that is discarded with this one."""
        self._own = own
        self._readers = list(readers)
        self._present: BodyReader | None = None

    async def read(self) -> bytes:
        """The next piece; raises `BodyReadError`."""
        while True:
            if self._present is None:
                if not self._readers:
                    return b""
                self._present = await self._readers.pop(0)()
            piece = await self._present.read()
            if piece:
                return piece
            self._present = None

    def discard(self) -> None:
        if self._present is not None and self._present is not self._own:
            self._present.discard()
        self._own.discard()
