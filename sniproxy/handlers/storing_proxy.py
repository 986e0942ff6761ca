"""`proxy_pass` with `proxy_store`: responses are written to the files that serve them later."""

from __future__ import annotations

from functools import partial

from ..cache.store import TempFolder, TemporaryResponse
from ..config.directives.cache import Store
from ..context import RequestContext
from ..http.dates import parse_http_date
from ..logs.error import ConnectionLog
from ..models import BodyReadError, HandlerResult, Response, ResponseHead
from ..upstream.request import UpstreamResponse
from ..variables import lookup
from ..variables.files import file_name
from .proxy import PassingRules, ProxyHandler
from .stored_body import RecordedBody


class StoringProxyHandler(ProxyHandler):
    """The `proxy_pass` of a location with `proxy_store`."""

    def __init__(self, rules: PassingRules, temp_folder: TempFolder) -> None:
        super().__init__(rules)
        assert rules.settings.store is not None
        self._store: Store = rules.settings.store
        self._temp_folder = temp_folder
        self.ignores_client_abort = True

    def _respond(
        self, upstream: UpstreamResponse, ctx: RequestContext, log: ConnectionLog
    ) -> HandlerResult:
        head = upstream.head
        response = super()._respond(upstream, ctx, log)
        if (
            not isinstance(response, Response)
            or head.status != 200
            or ctx.method == "HEAD"
            or response.flushes
        ):
            return response
        path = self._path(ctx)
        if path is None:
            return response
        try:
            file = TemporaryResponse(self._temp_folder, path, log)
            if isinstance(response.body, bytes):
                file.write(response.body)
                self._finish(head, file)
                return response
        except BodyReadError:
            return response
        body = RecordedBody(response.body, file, partial(self._finish, head), lambda: None)
        return response._replace(body=body, read_to_end=True)

    def _path(self, ctx: RequestContext) -> str | None:
        values = lookup(ctx)
        if self._store.path is None:
            return file_name(ctx, values)
        return self._store.path.render(values)

    def _finish(self, head: ResponseHead, file: TemporaryResponse) -> None:
        field = head.header("last-modified")
        access = self.settings.store_access
        file.rename(
            access=access,
            folder_access=access | (access & 0o444) >> 2,
            modified=None if field is None else parse_http_date(field),
        )
