"""`random_index`: answer requests for a directory with one of its files."""

from __future__ import annotations

import errno
import os
import random
import stat

from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import HandlerResult, InternalRedirect, Level, SpecialResponse
from .file_body import NOT_FOUND_ERRNOS, encode_path, syscall_error


def random_file(directory: str, ctx: RequestContext, log: ConnectionLog) -> HandlerResult | None:
    """Redirect internally to a file of the directory; None if it has none."""
    path = encode_path(directory.removesuffix("/"))
    try:
        names = sorted(os.listdir(path or b"/"))
    except OSError as error:
        level, status = Level.CRIT, 500
        if error.errno in NOT_FOUND_ERRNOS:
            level, status = Level.ERROR, 404
        elif error.errno == errno.EACCES:
            level, status = Level.ERROR, 403
        log.write(level, syscall_error(f'opendir() "{path.decode("latin-1")}" failed', error))
        return SpecialResponse(status)
    files = []
    for name in names:
        full = path + b"/" + name
        try:
            if not name.startswith(b".") and stat.S_ISREG(_mode(full)):
                files.append(name)
        except OSError as error:
            failed = f'lstat() "{full.decode("latin-1")}" failed'
            log.write(Level.CRIT, syscall_error(failed, error))
            return SpecialResponse(500)
    if not files:
        return None
    chosen = random.choice(files).decode("latin-1")
    return InternalRedirect(ctx.uri + chosen, ctx.args, "random_index", bool(ctx.empty_args))


def _mode(path: bytes) -> int:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return os.lstat(path).st_mode
