"""Open files for responses, without following symbolic links if `disable_symlinks` is set."""

from __future__ import annotations

import errno
import os

from ..config.directives.files import SymlinkRule
from ..context import RequestContext
from ..system import O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, READ
from ..variables import lookup
from .file_body import OpenFile, encode_path, stat_file, syscall_error

_SEARCH = getattr(os, "O_PATH", 0) | os.O_RDONLY | O_DIRECTORY | O_CLOEXEC


class SymlinkError(OSError):
    """A part of a path could not be opened: it is a symbolic link, or something else failed."""


def open_file(name: str, ctx: RequestContext) -> OpenFile:
    """Open a file for the request's location. Raises `OSError`."""
    rule = ctx.location.files.disable_symlinks
    if rule is None:
        return OpenFile(name)
    return OpenFile(name, _descriptor(name, rule, ctx))


def stat_path(name: str, ctx: RequestContext) -> os.stat_result:
    """`stat` for the request's location. Raises `OSError`."""
    rule = ctx.location.files.disable_symlinks
    if rule is None:
        return stat_file(name)
    descriptor = _descriptor(name, rule, ctx)
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def failed_call(error: OSError, call: str, name: str) -> str:
    """The message about a failed system call; with checked links it is `openat()`, not `call`."""
    failed = "openat()" if isinstance(error, SymlinkError) else call
    return syscall_error(f'{failed} "{name}" failed', error)


def _descriptor(name: str, rule: SymlinkRule, ctx: RequestContext) -> int:
    path = encode_path(name)
    trusted = 0
    if rule.start is not None:
        start = encode_path(rule.start.render(lookup(ctx)))
        if start and path.startswith(start):
            if start == path:
                return os.open(path, READ)
            if path[len(start) :].startswith(b"/"):
                trusted = len(start)
            elif start.endswith(b"/"):
                trusted = len(start) - 1
    return open_without_symlinks(path, trusted, same_owner=rule.same_owner)


def open_without_symlinks(path: bytes, trusted: int = 0, *, same_owner: bool = False) -> int:
    """Open a file none of whose parts is a symbolic link; returns the descriptor.

    The first `trusted` bytes may contain links. With `same_owner` a link is followed if it belongs
    to the owner of what it leads to. Raises `OSError`.
    """
    parent = os.open(path[:trusted] or (b"/" if path.startswith(b"/") else b"."), _SEARCH)
    *folders, last = [part for part in path[trusted:].split(b"/") if part] or [b"."]
    if path.endswith(b"/") and last != b".":
        folders, last = [*folders, last], b"."
    try:
        for folder in folders:
            inside = _open_at(parent, folder, _SEARCH, same_owner=same_owner)
            os.close(parent)
            parent = inside
        return _open_at(parent, last, READ, same_owner=same_owner)
    finally:
        os.close(parent)


def _open_at(parent: int, name: bytes, flags: int, *, same_owner: bool) -> int:
    try:
        if not same_owner:
            return os.open(name, flags | O_NOFOLLOW, dir_fd=parent)
        descriptor = os.open(name, flags, dir_fd=parent)
        try:
            link = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if os.fstat(descriptor).st_uid != link.st_uid:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        except OSError:
            os.close(descriptor)
            raise
        return descriptor
    except OSError as error:
        raise SymlinkError(error.errno, error.strerror) from None
