"""The content of a location whose handler sniproxy lacks (`unsupported warn`): status 501."""

from __future__ import annotations

from ..context import RequestContext
from ..http.uri import escape_html
from ..logs.error import ConnectionLog
from ..models import HandlerResult, Level, SpecialResponse
from .base import Client


class MissingContentHandler:
    """Answers 501, with a page that names the directive."""

    def __init__(self, directive: str) -> None:
        self._text = f'"{directive}" directive is not supported by sniproxy'
        self._remark = f"The {escape_html(self._text)}"

    async def handle(
        self, ctx: RequestContext, client: Client, log: ConnectionLog
    ) -> HandlerResult:
        log.write(Level.ERROR, self._text)
        return SpecialResponse(501, remark=self._remark)
