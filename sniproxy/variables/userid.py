"""Identifiers of clients in cookies, and the variables of nginx's userid module."""

from __future__ import annotations

import base64
import itertools
import os
import re
import socket
import struct
import time
from dataclasses import replace

from ..config.directives.userid import UserId
from ..context import ClientIdentity, Connection, RequestContext
from ..models import Level
from ..template import VariableLookup
from .core import find_cookie
from .variable import Variable

SIZE = 16
ENCODED = 22
"""Number of characters of an identifier in Base64, without padding."""
_BASE64 = re.compile("[A-Za-z0-9+/]*")
_WORD = 2**32
_FIRST_V2 = 0x03030302

_sequence_v1 = itertools.count(1, 0x100)
_sequence_v2 = itertools.cycle(range(_FIRST_V2, _WORD, 0x100))
_starts: dict[int, int] = {}
"""The third number of identifiers, by process."""


def decode_identifier(text: str) -> bytes | None:
    """Decode an identifier in Base64; None if it is malformed. What is missing is zeros."""
    digits = text[:ENCODED].partition("=")[0]
    if len(digits) % 4 == 1 or not _BASE64.fullmatch(digits):
        return None
    decoded = base64.b64decode(digits + "=" * (-len(digits) % 4))
    return decoded[:SIZE].ljust(SIZE, b"\0")


def has_identifier(value: bytes) -> bool:
    """Whether there is an identifier: its last number is not 0."""
    return value[12:] not in (b"", b"\0\0\0\0")


def received_identity(ctx: RequestContext, settings: UserId) -> ClientIdentity:
    """The identity that the client's cookie has; evaluated once for a request."""
    if ctx.identity is not None:
        return ctx.identity
    found = find_cookie(ctx.request.headers, settings.userid_name.lower())
    cookie, got = "", b""
    if found is not None:
        cookie, line = found
        if len(cookie) < ENCODED:
            _log(ctx, Level.ERROR, f'client sent too short userid cookie "{line}"')
        else:
            decoded = decode_identifier(cookie)
            if decoded is None:
                _log(ctx, Level.ERROR, f'client sent invalid userid cookie "{line}"')
            got = decoded or b""
    ctx.identity = ClientIdentity(cookie, got)
    return ctx.identity


def identity(ctx: RequestContext, settings: UserId, reset: str) -> ClientIdentity:
    """The identity with what is sent to the client; `reset` is the value of `$uid_reset`."""
    known = received_identity(ctx, settings)
    if known.sent:
        return known
    resets = False
    if has_identifier(known.got):
        resets = reset not in ("", "0")
        if not resets:
            mark, cookie = settings.userid_mark, known.cookie
            if not mark or (len(cookie) > ENCODED + 1 and cookie[ENCODED:][:2] == f"{mark}="):
                return known
            ctx.identity = replace(known, sent=known.got, is_new=False)
            return ctx.identity
        if reset == "log":
            value = f"{settings.userid_name}={in_hexadecimal(known.got)}"
            _log(ctx, Level.NOTICE, f'userid cookie "{value}" was reset')
    ctx.identity = replace(known, sent=new_identifier(settings, ctx.connection))
    return ctx.identity


def new_identifier(settings: UserId, connection: Connection) -> bytes:
    """Create an identifier: server, time, process, and a sequence number."""
    process = os.getpid()
    start = _starts.get(process)
    if start is None:
        start = _starts[process] = ((time.time_ns() // 20_000 % 50_000) << 16 | process) % _WORD
    service = settings.userid_service
    if settings.userid == "v1":
        numbers = ((service or 0) % _WORD, int(time.time()) % _WORD, start)
        return struct.pack("=4L", *numbers, next(_sequence_v1) % _WORD)
    first = _server_number(connection) if service is None else struct.pack("!L", service % _WORD)
    return first + struct.pack("!3L", int(time.time()) % _WORD, start, next(_sequence_v2))


def _server_number(connection: Connection) -> bytes:
    """The last four bytes of the server's address; zeros for a UNIX socket."""
    address = connection.server_address
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, address)[-4:]
        except OSError:
            continue
    return bytes(4)


def uid_set(ctx: RequestContext, values: VariableLookup) -> str | None:
    """The value of `$uid_set`: the identifier of the cookie for the client."""
    settings = ctx.location.filters.userid
    if settings.userid in ("off", "log"):
        return None
    sent = identity(ctx, settings, values("uid_reset") or "").sent
    return f"{settings.userid_name}={in_hexadecimal(sent)}" if sent else None


def _log(ctx: RequestContext, level: Level, text: str) -> None:
    if ctx.connection.write_log is not None:
        ctx.connection.write_log(level, text)


def in_hexadecimal(identifier: bytes) -> str:
    """An identifier as in logs: four numbers of the machine's byte order."""
    return "".join(f"{number:08X}" for number in struct.unpack("=4L", identifier))


def _uid_got(ctx: RequestContext) -> str | None:
    settings = ctx.location.filters.userid
    if settings.userid == "off":
        return None
    got = received_identity(ctx, settings).got
    return f"{settings.userid_name}={in_hexadecimal(got)}" if has_identifier(got) else None


VARIABLES = (
    Variable("uid_got", _uid_got, "the identifier in the client's cookie (`userid`)"),
    Variable(
        "uid_reset",
        lambda ctx: "",
        "if set to other than `0` or empty, clients get another cookie; `log` logs that",
        changeable=True,
    ),
)
