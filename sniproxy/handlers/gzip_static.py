"""`gzip_static`: send `FILE.gz` instead of `FILE` (nginx's gzip_static module)."""

from __future__ import annotations

from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import Level, Response, SpecialResponse
from .file_body import (
    FORBIDDEN_ERRNOS,
    NOT_FOUND_ERRNOS,
    FileBody,
)
from .gzip_allowed import gzip_allowed
from .symlinks import failed_call, open_file

NOTHING = Response(200)


class WholeFileBody:
    """A file of which, as in nginx, no ranges are served."""

    def __init__(self, body: FileBody) -> None:
        self._body = body

    async def read(self) -> bytes:
        """The next bytes, b"" at the end. Raises `BodyReadError`."""
        return await self._body.read()

    def discard(self) -> None:
        self._body.discard()


def precompressed(
    name: str, ctx: RequestContext, log: ConnectionLog, *, always: bool
) -> Response | SpecialResponse | None:
    """The response with the file `name` + `.gz`; None if `name` itself is to be sent.

    With `always` it is sent also to clients that do not accept gzip.
    """
    settings = ctx.location
    if ctx.method not in ("GET", "HEAD"):
        return None
    allowed = always or gzip_allowed(ctx, NOTHING)
    if not allowed and not settings.gzip.gzip_vary:
        return None
    path = f"{name}.gz"
    try:
        file = open_file(path, ctx)
    except OSError as error:
        if error.errno not in NOT_FOUND_ERRNOS:
            level = Level.ERROR if error.errno in FORBIDDEN_ERRNOS else Level.CRIT
            log.write(level, failed_call(error, "open()", path))
        return None
    if not always:
        ctx.gzip_vary = True
    if not allowed or not file.is_regular:
        file.close()
        if not allowed or file.is_directory:
            return None
        log.write(Level.CRIT, f'"{path}" is not a regular file')
        return SpecialResponse(404)
    log.action = "sending response to client"
    etag = (("ETag", f'"{file.modified:x}-{file.size:x}"'),) if settings.files.etag else ()
    return Response(
        200,
        WholeFileBody(FileBody(file, log)),
        content_type=settings.files.media_type(ctx.uri),
        content_length=file.size,
        headers=(*etag, ("Content-Encoding", "gzip")),
        last_modified=file.modified,
        allow_conditional=True,
    )
