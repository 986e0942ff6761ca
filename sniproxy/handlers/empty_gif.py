"""`empty_gif`: a transparent pixel."""

from __future__ import annotations

import base64

from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import HandlerResult, Response, SpecialResponse
from .base import Client

PIXEL = base64.b64decode("R0lGODlhAQABAIABAAAAAP///yH5BAEAAAEALAAAAAABAAEAAAICTAEAOw==")
MODIFIED = 23_349_600
"""Mon, 28 Sep 1970 06:00:00 GMT."""


class EmptyGifHandler:
    """Answers with the pixel."""

    async def handle(
        self, ctx: RequestContext, client: Client, log: ConnectionLog
    ) -> HandlerResult:
        if ctx.method not in ("GET", "HEAD"):
            return SpecialResponse(405)
        return Response(
            200,
            PIXEL,
            content_type="image/gif",
            content_length=len(PIXEL),
            last_modified=MODIFIED,
            allow_conditional=True,
        )
