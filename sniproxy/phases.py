"""The phases of a request, from its virtual server to a response, in nginx's order.

    server rewrite ─► find location ─► rewrite ─► access ─► try_files ─► content ─► filters
          ▲                 ▲             │                                │
          │                 └─ new URI ───┘                                │
          └──────────── internal redirect ◄── error_page, X-Accel-Redirect ┘

nginx's `ngx_http_core_run_phases`. `RequestPhases.run` is one loop over what the request needs
next: a location to run through, a built-in page, an internal redirect, a response. A location has
a phase only if its settings make it necessary (`LocationRuntime`): rewrite, access and `try_files`
are None in the others. At most ten internal redirects follow each other.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from .config.directives.mirror import Mirror
from .config.directives.rewrite import RewriteStatement
from .context import Connection, RequestContext, RoutingStep
from .handlers.base import Client
from .handlers.filters import apply_filters
from .handlers.return_response import REDIRECTS, redirect_with_slash
from .handlers.rewrite import rewrite
from .handlers.special_response import special_response
from .handlers.try_files import try_files
from .http.pages import closes_connection
from .http.request_head import ParsedHead
from .http.uri import split_target
from .logs.error import ConnectionLog
from .models import (
    HandlerResult,
    Header,
    InternalRedirect,
    Level,
    RequestBody,
    Response,
    SpecialResponse,
)
from .observer import Observer
from .runtime import LocationRuntime, Runtime, VirtualServer
from .subrequests import (
    LazyNursery,
    PostActionClient,
    SubrequestClient,
    run_for_body,
    run_slice,
    run_without_body,
    send_copies,
)
from .template import Template
from .variables import any_is_set, lookup

_BAD_REQUEST = frozenset((494, 495, 496, 497))


class RequestPhases:
    """Runs one request through its phases."""

    __slots__ = ("client", "close_connection", "copies", "ctx", "location", "log", "server")

    def __init__(
        self, server: VirtualServer, ctx: RequestContext, client: Client, log: ConnectionLog
    ) -> None:
        self.server = server
        self.ctx = ctx
        self.client = client
        self.log = log
        self.location = server.default_location
        """The current location."""
        self.close_connection = False
        """Whether to close the connection after the response, because of an earlier error."""
        self.copies: LazyNursery | None = None
        """Runs copies of the request (`mirror`); None in subrequests, which are not copied."""

    @classmethod
    def begin(
        cls,
        server: VirtualServer,
        connection: Connection,
        head: ParsedHead,
        client: Client,
        log: ConnectionLog,
    ) -> RequestPhases:
        """The phases of a request that was read: its log lines have its context from now on."""
        request = head.request
        log.server_name = server.name
        log.request_line = request.line
        log.error_log = server.default_location.error_log
        for note in head.notes:
            log.headers = note.log_headers
            log.write(note.level, note.text)
        log.headers = request.headers
        ctx = RequestContext(
            connection,
            request,
            server.settings,
            server.default_location.settings,
            request.path,
            request.args,
            request.method,
        )
        ctx.request_length = head.length
        return cls(server, ctx, client, log)

    def finish(self, running: Runtime, *, client_left: bool) -> None:
        """Log the request, and release what it holds; `client_left`: whether it was cancelled."""
        ctx, observer = self.ctx, running.observer
        if self.location.access_logs or observer is not None:
            self.location.log_request(ctx, self.log, observer, client_left=client_left)
        recent = running.recent
        if recent is not None:
            ctx.finished = time.monotonic()
            (recent.served if 0 < ctx.status < 400 else recent.failed).append(ctx)
        for zone, key in ctx.limited_connections:
            zone.release(key)

    async def run(self, outcome: HandlerResult | None = None) -> Response:
        """Run the phases and return the response; `outcome` is set if the head was rejected."""
        ctx, log = self.ctx, self.log
        if outcome is None and self.server.early_body is not None:
            outcome = await self._read_early_body(self.server.early_body)
        step: HandlerResult | LocationRuntime = (
            self._run_server_phases() if outcome is None else outcome
        )
        while True:
            if isinstance(step, LocationRuntime):
                location = step
                result = None if location.rewrite is None else self._rewrite_location(location)
                location = self.location  # an `if` block may have replaced it
                if result is None and location.request_changes is not None:
                    result = location.request_changes.apply(ctx, log)
                if result is None and location.real_ip is not None:
                    location.real_ip.apply(ctx, log)
                if result is None and location.limits is not None:
                    result = await location.limits.refusal(ctx, log)
                if result is None and location.access is not None and not ctx.is_subrequest:
                    result = await location.access.refusal(
                        ctx, log, partial(run_without_body, self)
                    )
                if result is None and location.try_files is not None:
                    result = try_files(ctx, log)
                if result is None and location.mirror is not None and self.copies is not None:
                    result = await self._mirror(location.mirror, self.copies)
                if result is not None:
                    step = result
                elif self.client.observer is None:
                    step = await location.handler.handle(ctx, self.client, log)
                else:
                    step = await self._observed(location, self.client.observer)
            elif isinstance(step, Response):
                if ctx.error_status:
                    step = step.with_status(ctx.error_status)
                chain = self.location.filters
                if chain is not None and chain.makes_subrequests:
                    # Opens the client's cancel scope, while no other is open.
                    self.client.abort()
                    ctx.include = partial(run_for_body, self)
                    ctx.run_slice = partial(run_slice, self)
                if (
                    step.allow_conditional
                    or ctx.location.headers is not None
                    or chain is not None
                    or step.force_ranges
                ):
                    filtered_response = apply_filters(step, ctx, chain, log)
                    if isinstance(filtered_response, SpecialResponse):
                        step = filtered_response
                        continue
                    step = filtered_response
                if ctx.redirect_headers:
                    step = step.with_headers(ctx.redirect_headers)
                return step._replace(close_connection=True) if self.close_connection else step
            elif isinstance(step, SpecialResponse):
                step = self._error_page(step)
            else:
                step = self._redirect(step)

    async def _read_early_body(
        self, conditions: Sequence[Sequence[Template]]
    ) -> HandlerResult | None:
        """Read the request body before all phases (`client_body_early_read`).

        Returns a response if the body is rejected.
        """
        ctx, client = self.ctx, self.client
        if ctx.is_subrequest or not client.has_body or not any_is_set(conditions, ctx):
            return None
        self._enter(self.server.default_location)
        refused = self._refuse_large_body()
        if refused is not None:
            return refused
        body = await client.read_body(ctx)
        return body if isinstance(body, SpecialResponse | Response) else None

    def _refuse_large_body(self) -> SpecialResponse | None:
        """A response if the request says that its body is larger than `client_max_body_size`."""
        ctx = self.ctx
        length, limit = ctx.request.content_length, ctx.location.core.client_max_body_size
        if not length or length <= limit or not limit or ctx.discards_body:
            return None
        ctx.discards_body = True
        self.log.write(Level.ERROR, f"client intended to send too large body: {length} bytes")
        return SpecialResponse(413)

    async def _observed(self, location: LocationRuntime, observer: Observer) -> HandlerResult:
        observer.handler_started(self.ctx)
        try:
            return await location.handler.handle(self.ctx, self.client, self.log)
        finally:
            observer.handler_finished(self.ctx)

    def _run_server_phases(self) -> HandlerResult | LocationRuntime:
        """Run the rewrite directives of the server, then find the location."""
        outside = self.server.default_location
        self._enter(outside)
        if outside.real_ip is not None:
            outside.real_ip.apply(self.ctx, self.log)
        if self.server.rewrite is not None:
            outcome, _ = self._rewrite(outside, self.server.rewrite)
            if outcome is not None:
                return outcome
        return self._find_location()

    def _find_location(self) -> HandlerResult | LocationRuntime:
        """Find the location for the URI; returns it, or a response."""
        ctx, server = self.ctx, self.server
        found = server.locations.find(ctx.uri)
        location = server.default_location
        if found.location is not None:
            location = server.location_runtimes[found.location]
            if found.captures is not None:
                ctx.set_captures(found.captures)
        limited = location.settings.limit_except
        if limited is not None and ctx.method not in limited.methods:
            location = server.location_runtimes[limited.location]
        self._enter(location)
        core = location.settings.core
        if core.internal and not ctx.internal:
            return SpecialResponse(404)
        if ctx.request.content_length:
            refused = self._refuse_large_body()
            if refused is not None:
                return refused
        if found.add_slash:
            return redirect_with_slash(ctx)
        return location

    def _rewrite_location(
        self, location: LocationRuntime
    ) -> HandlerResult | LocationRuntime | None:
        """Run the rewrite directives of a location: None if the phases after it follow."""
        assert location.rewrite is not None
        outcome, uri_changed = self._rewrite(location, location.rewrite)
        if outcome is not None or not uri_changed:
            return outcome
        if self._is_cycle("processing", self.ctx.uri):
            return self._internal_error()
        return self._find_location()

    def _rewrite(
        self, location: LocationRuntime, statements: Sequence[RewriteStatement]
    ) -> tuple[HandlerResult | None, bool]:
        """Run rewrite directives; returns a response, and whether to search the location again."""
        ctx, before = self.ctx, self.ctx.uri
        rewritten = rewrite(statements, ctx, self.log)
        if rewritten.outcome is not None:
            ctx.routing_steps += (
                RoutingStep("return", location.settings, ctx.uri, relocates=False),
            )
        elif ctx.uri != before or rewritten.path_changed:
            searches = (
                rewritten.path_changed or location.settings is self.server.default_location.settings
            )
            ctx.routing_steps += (
                RoutingStep("rewrite", location.settings, ctx.uri, ctx.args, searches),
            )
        if rewritten.inside is not None:
            self._enter(self.server.location_runtimes[rewritten.inside])
        return rewritten.outcome, rewritten.path_changed

    def for_subrequest(
        self, ctx: RequestContext, client: Client, log: ConnectionLog
    ) -> RequestPhases:
        """The phases of a subrequest, whose state is `ctx`."""
        return RequestPhases(self.server, ctx, client, log)

    async def run_post_action(self) -> None:
        """Redirect the request to its `post_action` when its response was sent."""
        ctx = self.ctx
        self.client = PostActionClient(self.client)
        ctx.header_only = True
        sent_headers = ctx.sent_headers
        while target := self.location.settings.core.post_action:
            response = await self.run(InternalRedirect(target, source="post_action"))
            response.without_body()
            # The access log shows the error, or else the status that would be sent now.
            ctx.status = ctx.last_error or response.status
            ctx.sent_headers = sent_headers
            if not ctx.uri_changes_left:
                break

    async def handle_again(self, ctx: RequestContext, log: ConnectionLog) -> HandlerResult:
        """Run the content handler of the present location once more, for a subrequest."""
        return await self.location.handler.handle(ctx, SubrequestClient(self.client), log)

    async def _mirror(self, settings: Mirror, copies: LazyNursery) -> HandlerResult | None:
        """Start to send copies of the request; returns a response if its body is rejected."""
        body: RequestBody | None = None
        client, ctx = self.client, self.ctx
        if settings.mirror_request_body and client.has_body and not ctx.discards_body:
            read = await client.read_body(ctx)
            if isinstance(read, SpecialResponse | Response):
                return read
            body = read
        send_copies(self, settings.uris, body, await copies.open())
        return None

    def _enter(self, location: LocationRuntime) -> None:
        self.location = location
        self.ctx.location = location.settings
        self.log.action = ""
        self.log.error_log = location.error_log

    # --- error pages and internal redirects ---

    def _error_page(self, special: SpecialResponse) -> Response | InternalRedirect:
        """Apply `error_page` to a response of nginx's own; the built-in page without one."""
        ctx, core = self.ctx, self.ctx.location.core
        if ctx.error_body is not None and ctx.parent is not None:
            ctx.error_body_used = True
            return Response(200, ctx.error_body, ctx.parent.content_type)
        page = None
        if not ctx.error_page_active and special.status >= 300:
            page = core.page_for(special.status)
        ctx.last_error = special.status
        if page is None:
            self._reset_error_state()
            response = special_response(
                special.status,
                ctx,
                location=special.location,
                headers=special.headers,
                remark=special.remark,
            )
            return self._with_detail(response, special.lines) if special.lines else response
        self.close_connection = self.close_connection or closes_connection(special.status)
        ctx.error_page_active = not core.recursive_error_pages
        ctx.error_status = special.status if page.status is None else page.status
        if page.status is None and special.status in _BAD_REQUEST:
            ctx.error_status = 400
        ctx.last_error = ctx.error_status
        target = page.target.render(lookup(ctx))
        by = f"error_page {special.status}"
        if target.startswith(("/", "@")):
            ctx.redirect_headers += special.headers
        if target.startswith("/"):
            if ctx.method != "HEAD":
                ctx.method = "GET"
            return InternalRedirect(*split_target(target), by, "?" in target)
        if target.startswith("@"):
            return InternalRedirect(target, source=by)
        status = page.status if page.status in REDIRECTS else 302
        ctx.error_status = None
        return special_response(status, ctx, location=target, headers=special.headers)

    def _with_detail(self, page: Response, lines: tuple[str, ...]) -> Response:
        # Imported here: the catalog of causes is loaded for the first such page.
        from .handlers.error_detail import with_detail

        return with_detail(page, lines, self.ctx, self.log)

    def _redirect(self, elsewhere: InternalRedirect) -> HandlerResult | LocationRuntime:
        """Redirect internally to a URI or a named location."""
        ctx = self.ctx
        how = "redirect to named location" if elsewhere.named else "internally redirecting to"
        if self._is_cycle(how, elsewhere.uri):
            return self._internal_error()
        ctx.internal = True
        ctx.routing_steps += (
            RoutingStep(elsewhere.source, ctx.location, elsewhere.uri, elsewhere.args),
        )
        if not elsewhere.named:
            ctx.uri, ctx.args = elsewhere.uri, elsewhere.args
            ctx.empty_args = elsewhere.empty_args
            ctx.uri_unchanged = ctx.add_uri_to_alias = False
            ctx.uri_matches_location = True
            return self._run_server_phases()
        location = self.server.named.get(elsewhere.uri)
        if location is None:
            self.log.write(Level.ERROR, f'could not find named location "{elsewhere.uri}"')
            return self._internal_error()
        action = self.log.action
        self._enter(location)
        self.log.action = action
        return location

    def _is_cycle(self, how: str, uri: str) -> bool:
        self.ctx.uri_changes_left -= 1
        if self.ctx.uri_changes_left > 0:
            return False
        text = f'rewrite or internal redirection cycle while {how} "{uri}"'
        self.log.write(Level.ERROR, text)
        return True

    def _reset_error_state(self) -> None:
        self.ctx.error_status = None
        self.ctx.redirect_headers = _without_last(self.ctx.redirect_headers, "accept-ranges")

    def _internal_error(self) -> Response:
        self._reset_error_state()
        return special_response(500, self.ctx)


def _without_last(headers: tuple[Header, ...], name: str) -> tuple[Header, ...]:
    """`headers` without the last field called `name` (lower-case), the one that nginx knows."""
    for position in range(len(headers) - 1, -1, -1):
        if headers[position][0].lower() == name:
            return headers[:position] + headers[position + 1 :]
    return headers
