"""A request's phases, from its server to an answer, in nginx's order (`ngx_http_core_module`).

    server rewrite ─► location ─► rewrite ─► handler ─► Response
         ▲                                      │
         └──── internal redirect ◄── error_page ┘

What ends a phase early is an `Outcome`. An internal redirect goes round again, at most ten
times; the client's connection is asked for nothing but the request's body.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from .facts import Detour, Facts
from .handlers.filters import filtered
from .handlers.handler import Handler
from .handlers.returns import with_slash
from .handlers.rewriting import Rewritten, rewrite
from .handlers.special import special_response
from .handlers.try_files import try_files
from .http.pages import closes_connection
from .http.uri import split_target
from .logs.error import ConnectionLog
from .message import Elsewhere, Header, Level, Outcome, Response, Special
from .running import RunningLocation, RunningServer
from .upstream.sending import RequestBody, StreamedBody
from .variables import lookup

REDIRECTS = frozenset((301, 302, 303, 307, 308))
_BAD_REQUEST = frozenset((494, 495, 496, 497))


class Client(Protocol):
    """What the phases want from the connection that a request came on."""

    async def body(self, facts: Facts) -> RequestBody | Special | Response | None:
        """The request's body, read whole; None without one, an answer for one that is refused."""
        ...

    async def streamed_body(
        self, facts: Facts
    ) -> StreamedBody | RequestBody | Special | Response | None:
        """The same as it comes, unless it is there already."""
        ...

    async def unless_it_leaves(self, answer: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """What `answer` comes to; it is cancelled where the client leaves before."""
        ...


class _Bodiless:
    """A client whose body a subrequest does not get."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def body(self, facts: Facts) -> None:
        return None

    async def streamed_body(self, facts: Facts) -> None:
        return None

    async def unless_it_leaves(self, answer: Callable[[], Awaitable[Outcome]]) -> Outcome:
        return await self._client.unless_it_leaves(answer)


class Phases:
    """One request's walk to its answer."""

    def __init__(
        self, server: RunningServer, facts: Facts, client: Client, log: ConnectionLog
    ) -> None:
        self.server = server
        self.facts = facts
        self.client = client
        self.log = log
        self.location = server.outside
        """Where the request is, for its logs."""
        self.body_is_refused = False
        """Whether it is too large: said once, and read over whatever answers."""
        self.closes = False
        """Whether the connection ends with the answer, for the sake of an error before it."""

    async def response(self) -> Response:
        """The answer, after as many rounds as it takes."""
        return await self.settled(await self._from_the_server())

    async def settled(self, outcome: Outcome) -> Response:
        """`outcome` as a response: what is no response yet goes another round."""
        while True:
            if isinstance(outcome, Response):
                if self.facts.error_status:
                    outcome = outcome.with_status(self.facts.error_status)
                outcome = filtered(outcome, self.facts)
                if isinstance(outcome, Response):
                    outcome = outcome.carrying(self.facts.carried)
                    return outcome._replace(closes=True) if self.closes else outcome
            elif isinstance(outcome, Special):
                outcome = self._error_page(outcome)
            else:
                outcome = await self._redirected(outcome)

    async def _from_the_server(self) -> Outcome:
        """All phases, for a path that no location has seen yet."""
        outside = self.server.outside
        self._enter(outside)
        rewritten = self._rewrite(outside)
        if rewritten is not None and rewritten.outcome is not None:
            return rewritten.outcome
        return await self._find_location()

    async def _find_location(self) -> Outcome:
        """The answer of the path's location, which a `rewrite` there may change again."""
        while True:
            found = self.server.find(self.facts)
            location = found.location
            limited = location.settings.limit_except
            if limited is not None and self.facts.method not in limited.methods:
                location = self.server.running[limited.location]
            self._enter(location)
            if location.settings.core.internal and not self.facts.internal:
                return Special(404)
            if (too_large := self._too_large()) is not None:
                return too_large
            if found.add_slash:
                return with_slash(self.facts)
            outcome = await self._inside(location)
            if outcome is not None:
                return outcome
            if self._is_cycle("processing", self.facts.uri):
                return self._given_up()

    async def _inside(self, location: RunningLocation) -> Outcome | None:
        """The answer of a location; None where its statements have changed the path."""
        rewritten = self._rewrite(location) if location is not self.server.outside else None
        if rewritten is not None:
            if rewritten.outcome is not None:
                return rewritten.outcome
            if rewritten.path_changed:
                return None
        access = self.location.access
        if access is not None and not self.facts.is_subrequest:
            refused = await access.refusal(self.facts, self.log, self._subrequest)
            if refused is not None:
                return refused
        tried = try_files(self.facts, self.log)
        return tried if tried is not None else await self._handled(self.location.handler)

    async def _subrequest(self, uri: str) -> tuple[Response, Facts]:
        """What `uri` of this server answers to the same head without its body."""
        facts = self.facts.subrequest(uri)
        log = self.log.for_subrequest(uri)
        phases = Phases(self.server, facts, _Bodiless(self.client), log)
        response = (await phases.response()).without_body()
        facts.status = response.status
        if facts.tries:
            self.log.action = "sending to client"
        if phases.location.settings.core.log_subrequest:
            for target in phases.location.access_logs:
                target.write(facts, self.log)
        return response, facts

    def _rewrite(self, location: RunningLocation) -> Rewritten | None:
        statements = location.settings.rewrite.statements
        if not statements:
            return None
        facts, before = self.facts, self.facts.uri
        rewritten = rewrite(statements, facts)
        if rewritten.outcome is not None:
            facts.detours += (Detour("return", location.settings, facts.uri, searches=False),)
        elif facts.uri != before or rewritten.path_changed:
            searches = rewritten.path_changed or location is self.server.outside
            facts.detours += (
                Detour("rewrite", location.settings, facts.uri, facts.args, searches),
            )
        if rewritten.inside is not None:
            self._enter(self.server.running[rewritten.inside])
        return rewritten

    async def _handled(self, handler: Handler) -> Outcome:
        body: StreamedBody | RequestBody | Special | Response | None = None
        if self.body_is_refused:
            pass  # it is read over
        elif handler.streams_body:
            body = await self.client.streamed_body(self.facts)
        elif handler.reads_body:
            body = await self.client.body(self.facts)
        if isinstance(body, Special | Response):
            return body
        if not handler.watches_client:
            return await handler.respond(self.facts, body, self.log)
        return await self.client.unless_it_leaves(
            lambda: handler.respond(self.facts, body, self.log)
        )

    def _enter(self, location: RunningLocation) -> None:
        self.location = location
        self.facts.location = location.settings
        self.log.action = ""
        self.log.error_log = location.error_log

    def _too_large(self) -> Special | None:
        length = self.facts.request.content_length
        limit = self.facts.location.core.client_max_body_size
        if length is None or not limit or length <= limit or self.body_is_refused:
            return None
        self.body_is_refused = True
        self.log.write(Level.ERROR, f"client intended to send too large body: {length} bytes")
        return Special(413)

    # --- another place answers ---

    def _error_page(self, special: Special) -> Response | Elsewhere:
        """The page of a status: nginx's own, or what the location's `error_page` says."""
        facts, core = self.facts, self.facts.location.core
        page = None
        if not facts.error_page_used and special.status >= 300:
            page = core.page_for(special.status)
        if page is None:
            self._is_a_page_of_ours()
            response = special_response(
                special.status, facts, location=special.location, headers=special.headers
            )
            return self._with_detail(response, special.lines) if special.lines else response
        self.closes = self.closes or closes_connection(special.status)
        facts.error_page_used = not core.recursive_error_pages
        facts.error_status = special.status if page.status is None else page.status
        if page.status is None and special.status in _BAD_REQUEST:
            facts.error_status = 400
        target = page.target.render(lookup(facts))
        by = f"error_page {special.status}"
        if target.startswith(("/", "@")):
            facts.carried += special.headers
        if target.startswith("/"):
            if facts.method != "HEAD":
                facts.method = "GET"
            return Elsewhere(*split_target(target), by)
        if target.startswith("@"):
            return Elsewhere(target, by=by)
        status = page.status if page.status in REDIRECTS else 302
        facts.error_status = None
        return special_response(status, facts, location=target, headers=special.headers)

    def _with_detail(self, page: Response, lines: tuple[str, ...]) -> Response:
        # All that is known of causes is read by the first page that tells of one.
        from .handlers.error_detail import with_detail

        return with_detail(page, lines, self.facts, self.log)

    async def _redirected(self, elsewhere: Elsewhere) -> Outcome:
        facts = self.facts
        how = "redirect to named location" if elsewhere.named else "internally redirecting to"
        if self._is_cycle(how, elsewhere.uri):
            return self._given_up()
        facts.internal = True
        facts.detours += (Detour(elsewhere.by, facts.location, elsewhere.uri, elsewhere.args),)
        if not elsewhere.named:
            facts.uri, facts.args = elsewhere.uri, elsewhere.args
            facts.uri_is_clients = facts.adds_to_alias = False
            facts.location_matched = True
            return await self._from_the_server()
        location = self.server.named.get(elsewhere.uri)
        if location is None:
            self.log.write(Level.ERROR, f'could not find named location "{elsewhere.uri}"')
            return self._given_up()
        action = self.log.action
        self._enter(location)
        self.log.action = action
        outcome = await self._inside(location)
        return outcome if outcome is not None else await self._find_location()

    def _is_cycle(self, how: str, uri: str) -> bool:
        self.facts.redirects_left -= 1
        if self.facts.redirects_left > 0:
            return False
        text = f'rewrite or internal redirection cycle while {how} "{uri}"'
        self.log.write(Level.ERROR, text)
        return True

    def _is_a_page_of_ours(self) -> None:
        self.facts.error_status = None
        self.facts.carried = _without_last(self.facts.carried, "accept-ranges")

    def _given_up(self) -> Response:
        self._is_a_page_of_ours()
        return special_response(500, self.facts)


def _without_last(headers: tuple[Header, ...], name: str) -> tuple[Header, ...]:
    """`headers` without the last field called `name` (lower-case), the one that nginx knows."""
    for position in range(len(headers) - 1, -1, -1):
        if headers[position][0].lower() == name:
            return headers[:position] + headers[position + 1 :]
    return headers
