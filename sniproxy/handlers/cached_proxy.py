"""`proxy_pass` with `proxy_cache`: responses are stored in files.

    look up ─► HIT ─────────────────────────────► response from the file
       │  └──► STALE, UPDATING (if allowed) ────► the same; perhaps an update beside it
       ▼
    MISS, EXPIRED ─► ask the upstream ─► response, written to a file while it is sent
                            └─ failed, and stale responses are allowed ─► response from the file

nginx's part of `ngx_http_upstream.c` within `NGX_HTTP_CACHE`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial

from ..cache.entry import CacheEntry, CacheLookup, EntryRules
from ..cache.file_format import NO_TIME
from ..cache.key import CacheKey
from ..cache.store import ResponseCache, TempFolder, TemporaryResponse
from ..cache.validity import CacheValidity, validity_of
from ..config.directives.upstream_target import ProxyPass
from ..context import RequestContext
from ..http.dates import http_date, parse_http_date
from ..logs.error import ConnectionLog
from ..models import (
    BodyReader,
    BodyReadError,
    ClientAbortedError,
    FailureType,
    HandlerResult,
    Header,
    Level,
    ProxyError,
    RequestBody,
    Response,
    SpecialResponse,
    StreamedBody,
)
from ..observer import Observer
from ..template import Template
from ..upstream.dynamic import DynamicUpstream
from ..upstream.request import BY_STATUS, HTTP_0_9, UpstreamResponse
from ..upstream.response_body import UpstreamBody
from ..upstream.response_headers import is_buffered, limit_rate
from ..upstream.selector import Upstream
from ..upstream.spool import SpooledBody
from ..variables import any_is_set, lookup
from .base import Client
from .charset import ask_for_charset
from .proxy import PassingRules, ProxyHandler
from .stored_body import RecordedBody
from .stored_response import (
    StoredResponse,
    names_of,
    stored_response,
)

_RANGE_START = re.compile(r"bytes= *(?:(-)|([0-9]*))", re.IGNORECASE)
_STORED_ERRORS = (502, 504)
"""Statuses of nginx's own that are stored."""


class BackgroundClient:
    """The client of a request that only updates the cache."""

    has_body = False

    def __init__(self, observer: Observer | None) -> None:
        self.observer = observer

    async def read_body(self, ctx: RequestContext) -> None:
        return None

    async def stream_body(self, ctx: RequestContext) -> None:
        return None

    async def send_early_hints(self, ctx: RequestContext, headers: Sequence[Header]) -> None:
        pass

    def abort(self) -> nullcontext[None]:
        return nullcontext()


class CachingProxyHandler(ProxyHandler):
    """The `proxy_pass` (`fastcgi_pass`, …) of a location with `proxy_cache` or its kin."""

    def __init__(
        self,
        rules: PassingRules,
        caches: Mapping[str, ResponseCache],
        temp_folder: TempFolder,
    ) -> None:
        """`caches` has the caches by name, `temp_folder` is `proxy_temp_path`."""
        super().__init__(rules)
        settings = rules.settings
        assert settings.cache is not None
        self._zone_name: Template = settings.cache
        self._caches = caches
        self.entry_rules = EntryRules(
            settings.cache_min_uses,
            settings.cache_lock,
            settings.cache_lock_timeout,
            settings.cache_lock_age,
            settings.buffer_size,
            temp_folder,
        )
        self.cached_response_headers = self.response_headers.without("accept-ranges")
        stale = settings.cache_use_stale
        self.stale_after = stale | {"no_live"} if "error" in stale else stale
        """Labels of the failures after which an expired response is sent."""

    async def handle(
        self, ctx: RequestContext, client: Client, log: ConnectionLog
    ) -> HandlerResult:
        body: RequestBody | None = None
        streamed: StreamedBody | None = None
        if client.has_body and not ctx.discards_body:
            read_body = await self._read_body(ctx, client)
            if isinstance(read_body, SpecialResponse | Response):
                return read_body
            body, streamed = read_body
        log.upstream = None
        try:
            if isinstance(self.upstream, Upstream):
                target = self.target
                ctx.proxy_host, ctx.proxy_port = self._proxy_host, self._proxy_port
                ctx.begin_upstream()
            else:
                target = self._dynamic_target(self.upstream, ctx)
        except ProxyError as failed:
            return self._no_upstream(failed.failure, ctx, log)
        request = CachedRequest(self, ctx, client, log, target, body, streamed)
        try:
            return await request.run()
        except ClientAbortedError as aborted:
            return aborted.outcome

    def cache(self, ctx: RequestContext) -> ResponseCache | str | None:
        """The cache for a request; None without one, its name if there is none of that name."""
        name = self._zone_name.render(lookup(ctx))
        if name in ("", "off"):
            return None
        return self._caches.get(name, name)

    def key(self, target: ProxyPass, ctx: RequestContext) -> CacheKey:
        key = self.settings.cache_key
        if key is not None:
            return CacheKey.of(key.render(lookup(ctx)))
        return CacheKey.of(self.protocol.cache_key(target, ctx))

    def passes_range(self, ctx: RequestContext) -> bool:
        """Whether a range request is passed without caching (`proxy_cache_max_range_offset`)."""
        limit = self.settings.cache_max_range_offset
        value = ctx.request.header("range")
        if limit is None or value is None:
            return False
        if limit == 0:
            return True
        match = _RANGE_START.match(value) if len(value) >= len("bytes=0") else None
        if match is None:
            return False
        return match[1] is not None or (bool(match[2]) and int(match[2]) >= limit)


class CachedRequest:
    """A request whose response may come from the cache, or be stored in it."""

    def __init__(
        self,
        handler: CachingProxyHandler,
        ctx: RequestContext,
        client: Client,
        log: ConnectionLog,
        target: ProxyPass,
        body: RequestBody | None,
        streamed: StreamedBody | None,
    ) -> None:
        self.handler = handler
        self.ctx = ctx
        self.client = client
        self.log = log
        self.target = target
        self.body = body
        self.streamed = streamed
        self.settings = handler.settings
        self.cacheable = True
        """Whether the response may still be stored."""
        self._failure_lines: tuple[str, ...] = ()

    async def run(self) -> HandlerResult:
        handler, ctx = self.handler, self.ctx
        if ctx.method not in self.settings.cached_methods:
            return await self._pass()
        cache = handler.cache(ctx)
        if cache is None:
            return await self._pass()
        if isinstance(cache, str):
            self.log.write(Level.ERROR, f'cache "{cache}" not found')
            return SpecialResponse(500)
        key = handler.key(self.target, ctx)
        size = handler.entry_rules.buffer_size
        if key.head_start + 256 > size:
            needed = -(-(key.head_start + 256) // 1024) * 1024
            self.log.write(
                Level.ERROR,
                f"{self.settings.PREFIX}buffer_size {size} is not enough for cache key, it should "
                f"be increased to at least {needed}",
            )
            return await self._pass()
        entry = CacheEntry(cache, key, handler.entry_rules, ctx.request.headers, self.log)
        try:
            return await self._use(entry)
        except BaseException:
            entry.end()
            entry.close()
            raise

    async def _pass(self) -> HandlerResult:
        """Pass the request without the cache."""
        handler, ctx, log = self.handler, self.ctx, self.log
        with nullcontext() if handler.ignores_client_abort else self.client.abort():
            response = await self._ask()
        if isinstance(response, SpecialResponse):
            return response
        if isinstance(response, FailureType):
            log.action = "sending to client"
            return SpecialResponse(response.status, lines=self._failure_lines)
        return handler._respond(response, ctx, log)

    async def _use(self, entry: CacheEntry) -> HandlerResult:
        """Answer from the cache, or ask the upstream."""
        handler, ctx = self.handler, self.ctx
        if any_is_set(self.settings.cache_bypass, ctx):
            ctx.cache_status = "BYPASS"
        else:
            ctx.cache_status = "MISS"
            response = await self._from_cache(entry)
            if response is not None:
                return response
        if self.cacheable and handler.passes_range(ctx):
            self.cacheable = False
        return await self._from_upstream(entry)

    async def _ask(self, cache_header: int = 0) -> UpstreamResponse | SpecialResponse | FailureType:
        """Ask the upstream; a `SpecialResponse` if it is not found.

        `cache_header` is the number of bytes before the response head in the cache file, 0 if the
        response is not to be stored.
        """
        handler, ctx, log, upstream = self.handler, self.ctx, self.log, self.handler.upstream
        if isinstance(upstream, DynamicUpstream):
            try:
                upstream = await upstream.upstream(self.target)
            except ProxyError as failed:
                return handler._no_upstream(failed.failure, ctx, log)
        body, streamed = self.body, self.streamed
        if (
            streamed is not None
            and streamed.length is None
            and not handler.protocol.streams_unknown_length
        ):
            body, streamed = await streamed.read_all(), None
        try:
            request = handler._request(
                self.target, upstream, ctx, self.client, body, streamed, log, cache_header
            )
        except ProxyError as failed:
            return handler._no_upstream(failed.failure, ctx, log)
        response = await request.run()
        self._failure_lines = request.failure_lines
        return response

    # --- from the cache ---

    async def _from_cache(self, entry: CacheEntry) -> HandlerResult | None:
        """Look up a response; None to ask the upstream."""
        ctx, settings = self.ctx, self.settings
        found = await entry.look_up()
        stale_allowed = "updating" in settings.cache_use_stale or entry.may_send_while_updating
        if found is CacheLookup.HIT:
            ctx.cache_status = "HIT"
        elif found is CacheLookup.ERROR:
            ctx.cache_status = "HIT"
            return SpecialResponse(entry.error)
        elif found is CacheLookup.FAILED:
            entry.end()
            return SpecialResponse(500)
        elif found is CacheLookup.UPDATING and stale_allowed:
            ctx.cache_status = "UPDATING"
        elif found is CacheLookup.STALE and stale_allowed and settings.cache_background_update:
            ctx.cache_status = "STALE"
        elif found in (CacheLookup.STALE, CacheLookup.UPDATING):
            self._expire(entry)
            return None
        else:
            self.cacheable = found is not CacheLookup.SCARCE
            return None
        if ctx.cache_status == "STALE":
            log = self.log.for_subrequest(ctx.uri)
            ctx.background_tasks += (partial(self._update, entry.for_update(log), log),)
        response = self._send_stored(entry)
        if response is None:
            ctx.cache_status = "MISS"
        return response

    def _expire(self, entry: CacheEntry) -> None:
        ctx = self.ctx
        ctx.cache_status = "EXPIRED"
        assert entry.file is not None
        if self.settings.cache_revalidate:
            header = entry.file.header
            if header.last_modified != NO_TIME:
                ctx.stored_last_modified = http_date(header.last_modified)
            ctx.stored_etag = header.etag.decode("latin-1")

    def _send_stored(self, entry: CacheEntry) -> HandlerResult | None:
        """The response in the file of an entry; None if its head is invalid, which is logged."""
        handler, ctx, log = self.handler, self.ctx, self.log
        file = entry.file
        assert file is not None
        head = handler.protocol.stored_head(file.head, log)
        # A body that would begin after the end: nginx closes the connection without a response.
        if head is None or file.header.body_start > file.size:
            log.write(Level.CRIT, f'cache file "{file.name}" contains invalid header')
            return None
        ctx.cached_head = head
        log.action = "sending to client"
        x_accel = handler.response_headers.x_accel_headers(head)
        if x_accel:
            ctx.limit_rate = limit_rate(x_accel, ctx.limit_rate)
            ask_for_charset(x_accel, head, ctx, log)
            if "redirect" in x_accel:
                return handler._redirect(x_accel["redirect"], StoredResponse(head, entry), ctx, log)
        return stored_response(
            head,
            file,
            handler.cached_response_headers,
            ctx,
            log,
            force_ranges=self.settings.force_ranges,
        )

    async def _update(self, entry: CacheEntry, log: ConnectionLog) -> None:
        """Update an expired response, while it is sent (`proxy_cache_background_update`)."""
        before, handler = self.ctx, self.handler
        ctx = RequestContext(
            before.connection,
            before.request,
            before.server,
            before.location,
            before.uri,
            before.args,
            before.method,
        )
        ctx.is_subrequest, ctx.internal = True, before.internal
        ctx.uri_unchanged, ctx.uri_matches_location = (
            before.uri_unchanged,
            before.uri_matches_location,
        )
        ctx.variables, ctx.captures = dict(before.variables), before.captures
        ctx.proxy_host, ctx.proxy_port = before.proxy_host, before.proxy_port
        client = BackgroundClient(self.client.observer)
        request = CachedRequest(handler, ctx, client, log, self.target, self.body, None)
        try:
            request._expire(entry)
            response = await request._from_upstream(entry)
            if isinstance(response, Response) and not isinstance(response.body, bytes):
                while response.read_to_end and await response.body.read():
                    pass
                response.body.discard()
        except (BodyReadError, ClientAbortedError):
            pass
        finally:
            entry.end()
            entry.close()

    # --- from the upstream ---

    async def _from_upstream(self, entry: CacheEntry) -> HandlerResult:
        handler, ctx, log = self.handler, self.ctx, self.log
        cache_header = entry.key.head_start if self.cacheable else 0
        ignores_abort = self.cacheable or handler.ignores_client_abort
        with nullcontext() if ignores_abort else self.client.abort():
            response = await self._ask(cache_header)
        if isinstance(response, SpecialResponse):
            entry.end()
            entry.close()
            return response
        if isinstance(response, FailureType):
            if self._may_send_stale(response) or (
                ctx.cache_status == "EXPIRED" and entry.may_send_after_error
            ):
                return self._send_stale(entry)
            log.action = "sending to client"
            self._end(entry, response.status if response.status in _STORED_ERRORS else 0, None)
            return SpecialResponse(response.status, lines=self._failure_lines)
        kind = BY_STATUS.get(response.head.status)
        if kind is not None and self._may_send_stale(kind):
            response.discard()
            return self._send_stale(entry)
        if (
            response.head.status == 304
            and ctx.cache_status == "EXPIRED"
            and self.settings.cache_revalidate
        ):
            return self._revalidate(entry, response)
        return self._respond(entry, response)

    def _may_send_stale(self, kind: FailureType) -> bool:
        """Whether `proxy_cache_use_stale` allows the expired response."""
        return self.ctx.cache_status == "EXPIRED" and kind.label in self.handler.stale_after

    def _send_stale(self, entry: CacheEntry) -> HandlerResult:
        """Send an expired response after a failure."""
        self.ctx.cache_status = "STALE"
        entry.end()
        return self._send_stored(entry) or SpecialResponse(500)

    def _revalidate(self, entry: CacheEntry, upstream: UpstreamResponse) -> HandlerResult:
        """The stored response has not changed: send it, and extend its validity."""
        now = int(time.time())
        ignored = self.handler.response_headers.ignored
        validity = validity_of(upstream.head.headers, ignored, now)
        upstream.discard()
        self.ctx.cache_status = "REVALIDATED"
        file, stored = entry.file, None
        if file is not None:
            stored = self.handler.protocol.stored_head(file.head, self.log)
        if not validity.valid_until and stored is not None:
            validity = validity_of(stored.headers, ignored, now)
        valid_until = validity.valid_until
        if not valid_until and stored is not None:
            seconds = self.settings.valid_for(stored.status)
            valid_until = now + int(seconds) if seconds else 0
        if valid_until:
            entry.extend(validity, valid_until)
        entry.end()
        return self._send_stored(entry) or SpecialResponse(500)

    def _end(self, entry: CacheEntry, error: int, validity: CacheValidity | None) -> None:
        """Store no response, but perhaps the status of an error."""
        until = 0
        if error and self.cacheable:
            now = int(time.time())
            seconds = self.settings.valid_for(error)
            until = validity.valid_until if validity is not None else 0
            until = until or (now + int(seconds) if seconds else 0)
        if until:
            entry.end(error=error, error_until=until)
        else:
            entry.end()
        entry.close()

    def _respond(self, entry: CacheEntry, upstream: UpstreamResponse) -> HandlerResult:
        """Convert the upstream's response, and store it if that is allowed."""
        handler, ctx, log = self.handler, self.ctx, self.log
        head, settings = upstream.head, self.settings
        now = int(time.time())
        validity = validity_of(head.headers, handler.response_headers.ignored, now)
        self.cacheable = self.cacheable and validity.allowed
        if (
            settings.intercept_errors
            and head.status >= 300
            and ctx.location.core.page_for(head.status) is not None
        ):
            self._end(entry, head.status, validity)
            return handler._intercept(upstream, ctx, log)
        x_accel = handler.response_headers.x_accel_headers(head)
        buffered = is_buffered(x_accel, settings.buffering)
        if not self.cacheable or "redirect" in x_accel or not buffered or head.status == 101:
            cacheable = self.cacheable
            self._end(entry, 0, None)
            response = handler._respond(upstream, ctx, log)
            if cacheable and isinstance(response, Response):
                response = response._replace(allow_conditional=True)
            return response
        upstream.pass_on()
        ctx.limit_rate = limit_rate(x_accel, ctx.limit_rate)
        ask_for_charset(x_accel, head, ctx, log)
        filtered = handler.cached_response_headers.filter(head, ctx)
        file = self._new_file(entry, upstream, validity, now)
        body: bytes | BodyReader
        policy = handler.response_headers
        log.action = "sending to client"
        complete = upstream.take_complete_body()
        streamed: UpstreamBody | None = None
        spooled: SpooledBody | None = None
        if complete is not None:
            body = complete
            if file is not None:
                try:
                    file.write(complete)
                except BodyReadError:
                    entry.end()
                else:
                    entry.finish(file)
        else:
            streamed = upstream.body(handler._body_options(buffered, ctx, log))
            body = streamed
            if file is not None:
                body = RecordedBody(streamed, file, entry.finish, entry.end)
            if not streamed.is_complete:
                body = spooled = SpooledBody(body, handler.spool_limits, ctx.server.prefix, log)
        return Response(
            head.status,
            body,
            filtered.content_type or ctx.redirect_content_type,
            head.content_length,
            tuple(filtered.headers),
            head.status_line or None,
            filtered.location,
            allow_conditional=True,
            allow_ranges=settings.force_ranges or "accept-ranges" in names_of(head),
            add_server=policy.own_server or policy.adds("server", head),
            add_date=policy.own_date or policy.adds("date", head),
            read_to_end=file is not None and streamed is not None,
            read_ahead=None if spooled is None else spooled.read_ahead,
            trailers=None
            if streamed is None
            else lambda: handler.response_headers.drop_hidden(streamed.trailers),
        )

    def _new_file(
        self, entry: CacheEntry, upstream: UpstreamResponse, validity: CacheValidity, now: int
    ) -> TemporaryResponse | None:
        """Begin to store the response; None if it is not to be stored."""
        ctx, head = self.ctx, upstream.head
        entry.close()
        if any_is_set(self.settings.no_cache, ctx):
            entry.end()
            return None
        if ctx.cache_status == "BYPASS":
            entry.create()
        seconds = self.settings.valid_for(head.status)
        valid_until = validity.valid_until or (now + int(seconds) if seconds else 0)
        if not valid_until or head.status == HTTP_0_9:
            entry.end()
            return None
        modified, etag = None, ""
        if head.status in (200, 206):
            field = head.header("last-modified")
            modified = None if field is None else parse_http_date(field)
            etag = head.header("etag") or ""
        try:
            return entry.new_file(upstream.raw_head, validity, valid_until, modified, etag)
        except BodyReadError:
            entry.end()
            return None
