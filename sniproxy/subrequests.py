"""Subrequests: requests that the phases of another request make (nginx's `ngx_http_subrequest()`).

A subrequest has the head of its parent, another URI, no body, and phases of its own. There are
three kinds: one whose status counts (`auth_request`), copies of the request whose responses are
ignored (`mirror`), and one whose response becomes a part of the parent's body (`ssi`,
`add_before_body`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from types import TracebackType
from typing import NoReturn, Protocol, Self

import trio

from .context import RequestContext
from .handlers.base import Client
from .handlers.changed_body import report_head_error
from .included import SliceResponse, SliceState, SubrequestResponse
from .logs.error import ConnectionLog
from .models import (
    BodyReadError,
    HandlerResult,
    Header,
    Level,
    ProxyError,
    RequestBody,
    Response,
    SpecialResponse,
)
from .runtime import LocationRuntime

DEEPEST = 50
"""How deeply subrequests may be nested in each other (`NGX_HTTP_MAX_SUBREQUESTS`)."""


class Phases(Protocol):
    """The phases of a request, as used here (`phases.RequestPhases`)."""

    ctx: RequestContext
    client: Client
    log: ConnectionLog
    location: LocationRuntime

    async def run(self) -> Response: ...
    async def handle_again(self, ctx: RequestContext, log: ConnectionLog) -> HandlerResult: ...
    def for_subrequest(self, ctx: RequestContext, client: Client, log: ConnectionLog) -> Phases: ...


class SubrequestClient:
    """The client of a subrequest: it has no request body."""

    has_body = False

    def __init__(self, client: Client) -> None:
        self._client = client
        self.observer = client.observer

    async def read_body(
        self, ctx: RequestContext
    ) -> RequestBody | SpecialResponse | Response | None:
        return None

    async def stream_body(
        self, ctx: RequestContext
    ) -> RequestBody | SpecialResponse | Response | None:
        return None

    async def send_early_hints(self, ctx: RequestContext, headers: Sequence[Header]) -> None:
        await self._client.send_early_hints(ctx, headers)

    def abort(self) -> AbstractContextManager[None]:
        return self._client.abort()


class MirrorClient(SubrequestClient):
    """The client of a copy of a request: it has the body that was read before, if any."""

    def __init__(self, client: Client, body: RequestBody | None) -> None:
        super().__init__(client)
        self._body = body
        self.has_body = body is not None

    async def read_body(self, ctx: RequestContext) -> RequestBody | None:
        return self._body

    async def stream_body(self, ctx: RequestContext) -> RequestBody | None:
        return self._body

    async def send_early_hints(self, ctx: RequestContext, headers: Sequence[Header]) -> None:
        pass

    def abort(self) -> AbstractContextManager[None]:
        return nullcontext()


class PostActionClient(SubrequestClient):
    """The client of a `post_action`, which goes on if the client has left."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.has_body = client.has_body

    async def read_body(
        self, ctx: RequestContext
    ) -> RequestBody | SpecialResponse | Response | None:
        return await self._client.read_body(ctx)

    async def stream_body(
        self, ctx: RequestContext
    ) -> RequestBody | SpecialResponse | Response | None:
        return await self._client.read_body(ctx)

    async def send_early_hints(self, ctx: RequestContext, headers: Sequence[Header]) -> None:
        pass

    def abort(self) -> AbstractContextManager[None]:
        return nullcontext()


class LazyNursery:
    """A nursery that is opened when it is first needed.

    Leaving a nursery takes a step of the scheduler, and requests of HTTP/2 that wait for nothing
    must end before the next frame is read, as in nginx. `open` must not be called inside
    another scope or nursery that was opened within the block.
    """

    def __init__(self) -> None:
        self._manager: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._nursery: trio.Nursery | None = None

    async def __aenter__(self) -> Self:
        return self

    async def open(self) -> trio.Nursery:
        """The nursery, open until the end of the block."""
        if self._nursery is None:
            self._manager = trio.open_nursery()
            self._nursery = await self._manager.__aenter__()
        return self._nursery

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return None if self._manager is None else await self._manager.__aexit__(kind, error, trace)


# --- without a body ---


async def run_without_body(parent: Phases, uri: str) -> tuple[Response, RequestContext]:
    """Run a subrequest for `uri`; returns its response without the body."""
    ctx = parent.ctx.subrequest(uri)
    log = parent.log.for_subrequest(uri)
    phases = parent.for_subrequest(ctx, SubrequestClient(parent.client), log)
    try:
        response = (await phases.run()).without_body()
    except BaseException:
        parent.log.take_context(log)
        raise
    ctx.status = response.status
    parent.ctx.background_tasks += ctx.background_tasks
    parent.ctx.limited_connections += ctx.limited_connections
    if ctx.upstream_states:
        parent.log.action = "sending to client"
    _finish(phases, parent.log)
    return response, ctx


def _finish(phases: Phases, log: ConnectionLog) -> None:
    """Write the access logs of a subrequest (`log_subrequest`)."""
    if phases.location.settings.core.log_subrequest:
        for access_log in phases.location.access_logs:
            access_log.write(phases.ctx, log)
    if phases.client.observer is not None:
        phases.client.observer.request_finished(phases.ctx)


# --- for a body ---


async def run_for_body(
    parent: Phases, uri: str, args: str = "", *, stub: bytes | None = None
) -> SubrequestResponse | None:
    """Run a subrequest whose response becomes a part of another (`included.SubrequestRunner`).

    Raises `BodyReadError` if the response cannot be a part of another.
    """
    if parent.ctx.subrequest_depth > DEEPEST:
        parent.log.write(Level.ERROR, f'subrequests cycle while processing "{uri}"')
        return None
    ctx = parent.ctx.subrequest(uri)
    ctx.args, ctx.header_only, ctx.error_body = args, False, stub
    log = parent.log.for_subrequest(uri)
    phases = parent.for_subrequest(ctx, SubrequestClient(parent.client), log)
    try:
        response = await phases.run()
    except BaseException:
        parent.log.take_context(log)
        raise
    finally:
        ctx.main.limited_connections += ctx.limited_connections
    ctx.status = response.status
    if response.upgraded is not None:
        response.upgraded.close()
    if response.close_without_response or response.upgraded is not None:
        response.without_body()
        ctx.main.status = response.status
        raise BodyReadError(invalid=True)
    body = SubrequestBody(phases, response, parent.log)
    return body if stub is None or ctx.error_body_used else StubbedBody(body, stub)


async def run_slice(parent: Phases, state: SliceState) -> SliceResponse:
    """Request a slice by the content handler of the parent (`included.SliceRunner`)."""
    ctx = parent.ctx.subrequest(parent.ctx.uri)
    ctx.method, ctx.args = parent.ctx.method, parent.ctx.args
    ctx.header_only, ctx.slice = False, state
    ctx.uri_unchanged = parent.ctx.uri_unchanged
    ctx.uri_matches_location = parent.ctx.uri_matches_location
    log = parent.log.for_subrequest(ctx.uri)
    log.error_log = parent.log.error_log
    result = await parent.handle_again(ctx, log)
    for task in ctx.background_tasks:
        await task()
    if not isinstance(result, Response):
        result = Response(result.status if isinstance(result, SpecialResponse) else 302)
    response = result
    return SliceResponse(response, lambda text: report_head_error(text, response, log))


class SubrequestBody:
    """The body of a subrequest, which is over when the body is."""

    def __init__(self, phases: Phases, response: Response, parent_log: ConnectionLog) -> None:
        self.status = response.status
        self.location = phases.location.settings
        self._phases = phases
        self._parent_log = parent_log
        self._whole = response.body if isinstance(response.body, bytes) else b""
        self._body = None if isinstance(response.body, bytes) else response.body
        self._abort: AbstractContextManager[None] = (
            phases.client.abort() if response.cancel_on_client_abort else nullcontext()
        )
        self._is_over = False

    async def read(self) -> bytes:
        """The next piece; raises `BodyReadError`."""
        piece, self._whole = self._whole, b""
        if not piece and self._body is not None:
            with self._abort:
                piece = await self._body.read()
        if not piece and not self._is_over:
            await self._finish()
        return piece

    def fail(self, message: str) -> NoReturn:
        """Log an error of the subrequest, and raise `BodyReadError`."""
        self.discard()
        self._phases.log.action = ""
        self._phases.log.write(Level.ERROR, message)
        raise BodyReadError(invalid=True)

    async def _finish(self) -> None:
        self.discard()
        self._is_over = True
        # nginx has one action for all requests of a connection.
        self._parent_log.action = self._phases.log.action
        for task in self._phases.ctx.background_tasks:
            await task()
        _finish(self._phases, self._phases.log)

    def discard(self) -> None:
        if self._body is not None:
            self._body.discard()


class StubbedBody:
    """The body of a subrequest, or another text if it is empty."""

    def __init__(self, body: SubrequestResponse, stub: bytes) -> None:
        self.status, self.location = body.status, body.location
        self._body = body
        self._stub = stub
        self._is_empty = True

    async def read(self) -> bytes:
        """The next piece; raises `BodyReadError`."""
        piece = await self._body.read()
        if piece or not self._is_empty:
            self._is_empty = False
            return piece
        self._is_empty = False
        return self._stub

    def fail(self, message: str) -> NoReturn:
        self._body.fail(message)

    def discard(self) -> None:
        self._body.discard()


# --- copies of a request ---


def send_copies(
    parent: Phases, uris: Sequence[str], body: RequestBody | None, nursery: trio.Nursery
) -> None:
    """Start to send copies of a request with its body to `uris`, and ignore the responses."""
    ctx = parent.ctx
    for uri in uris:
        copied = ctx.subrequest(uri)
        copied.method, copied.args = ctx.method, ctx.args
        over = trio.Event()
        # The connection stays busy until its copies are over, as in nginx.
        ctx.background_tasks += (over.wait,)
        log = parent.log.for_subrequest(uri)
        phases = parent.for_subrequest(copied, MirrorClient(parent.client, body), log)
        nursery.start_soon(_send_copy, phases, ctx, over)


async def _send_copy(phases: Phases, original: RequestContext, over: trio.Event) -> None:
    ctx, log = phases.ctx, phases.log
    try:
        response = (await phases.run()).without_body()
        ctx.status = response.status
        # nginx counts for a copy what was sent to the client by then.
        ctx.bytes_sent = ctx.body_bytes_sent = original.bytes_sent
        for task in ctx.background_tasks:
            await task()
        _finish(phases, log)
    except ProxyError as failed:
        log.write_failure(failed.failure)
    finally:
        for zone, key in ctx.limited_connections:
            zone.release(key)
        over.set()
