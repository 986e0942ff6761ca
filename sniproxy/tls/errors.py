"""OpenSSL's error queue, and errno, as nginx's log tells them, with nginx's level.

`OPERATION failed (SSL: E1 E2 …)`, where every queued error, oldest first, is
`error:CODE:LIBRARY:FUNCTION:REASON[:DATA]`. The words are the library's, so a log that is to
read like another OpenSSL's passes another `Dialect` (see `dialects.py`). DATA has no way
through the binding: for an alert it follows from the reason, for a file the caller knows it.
Source: nginx's ngx_ssl_error, ngx_ssl_connection_error and ngx_connection_error.
"""

from __future__ import annotations

import errno as errnos
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from ..message import Failure, FailureClass, Level, Side
from . import openssl
from .openssl import QueuedError

ALERT = 1000
"""SSL_AD_REASON_OFFSET: a reason of 1000 + n is the alert n, received."""


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """What was going on when errors were queued."""

    operation: str
    """`SSL_do_handshake`: the function of the library that failed; "" where it is unknown."""
    side: Side | None = None
    """None at the start, when files are loaded."""
    header: bytes = b""
    """The five bytes that the peer's first record began with, where the dialect needs them."""
    data: Mapping[int, str] = field(default_factory=dict)
    """DATA by packed code."""


@dataclass(frozen=True, slots=True)
class FormattedError:
    """One error as a release tells it."""

    reason: int
    """ERR_GET_REASON, which decides the level."""
    text: str
    """`error:0A00010B:SSL routines::wrong version number`, with its DATA."""


class Dialect(Protocol):
    """The words of one OpenSSL release."""

    needs_record_header: bool
    """Whether `tell` looks at `Where.header`."""

    def format_errors(
        self, queue: Sequence[QueuedError], where: ErrorContext
    ) -> Sequence[FormattedError]:
        """The errors that the release would have queued, oldest first."""

    def verify(self, result: int) -> str:
        """The text of an X509_V_ERR_* code."""


SYSTEM_ERROR = 0x80000000
"""With errno in the low bits."""
NO_START_LINE = 0x0480006C

NO_DATA: Mapping[int, str] = MappingProxyType({})
USUAL_DATA: Mapping[int, str] = MappingProxyType(
    {
        0x1E08010C: "No supported data to decode. Input type: PEM",
        0x11800074: "maybe wrong password",
        0x1400006B: "while reading strings",
    }
)
"""DATA that OpenSSL 3 and 4 always give to these errors where nginx meets them."""


def with_data(text: str, code: int, *data: Mapping[int, str]) -> str:
    """`text` with the DATA of `code` after it: of an alert, or of the first `data` that has it."""
    alert = (code & 0x7FFFFF) - ALERT
    if code >> 23 == openssl.LIB_SSL and 0 <= alert <= 255:
        return f"{text}:SSL alert number {alert}"
    known = next((known[code] for known in data if code in known), "")
    return f"{text}:{known}" if known else text


class _Native:
    """The OpenSSL that is linked here."""

    needs_record_header = False

    def format_errors(
        self, queue: Sequence[QueuedError], where: ErrorContext
    ) -> Sequence[FormattedError]:
        return [
            FormattedError(
                error.reason_number,
                with_data(
                    f"error:{error.code:08X}:{error.library}::{error.reason}",
                    error.code,
                    where.data,
                    USUAL_DATA,
                ),
            )
            for error in queue
        ]

    def verify(self, result: int) -> str:
        return openssl.verify_error_text(result)


NATIVE: Dialect = _Native()


def error_text(
    operation: str,
    queue: Sequence[QueuedError],
    dialect: Dialect = NATIVE,
    data: Mapping[int, str] = NO_DATA,
) -> str:
    """`operation` and what is queued: `BIO_new_file() failed (SSL: error:…:DATA)`.

    `operation` is the whole text before the bracket; `data` knows DATA for packed codes.
    """
    return _text(
        operation, dialect.format_errors(queue, ErrorContext(_function(operation), data=data))
    )


_FUNCTION = re.compile(r'(\w+)\((?:".*")?\) failed$', re.DOTALL)


def _function(operation: str) -> str:
    found = _FUNCTION.search(operation)
    return found[1] if found else ""


def _text(operation: str, told: Sequence[FormattedError]) -> str:
    return f"{operation} (SSL: {' '.join(error.text for error in told)})" if told else operation


def openssl_failure(
    operation: str,
    side: Side,
    queue: Sequence[QueuedError],
    *,
    ssl_error: int = openssl.FAILED,
    errno: int = 0,
    dialect: Dialect = NATIVE,
    header: bytes = b"",
) -> Failure:
    """The failure of a call on a connection: `operation` is `SSL_read() failed` or the like.

    `ssl_error` is SSL_get_error's answer; `errno` counts only with SSL_ERROR_SYSCALL. `header`
    is for a dialect that needs it.
    """
    if ssl_error == openssl.SYSCALL:
        # OpenSSL 4 queues the errno too: told once, as every nginx in use tells it.
        queue = [error for error in queue if error.code != SYSTEM_ERROR | errno]
    else:
        errno = 0
    told = dialect.format_errors(queue, ErrorContext(_function(operation), side, header))
    return Failure(
        _text(operation, told),
        _openssl_level(side, told, ssl_error, errno),
        errno=errno or None,
    )


def socket_failure(text: str, side: Side, errno: int = 0) -> Failure:
    """The failure of the socket itself, or a peer that just went: `recv() failed`."""
    ordinary = errno == 0 or errno in ORDINARY_ERRNOS
    return Failure(text, ORDINARY_LEVEL[side] if ordinary else Level.ALERT, errno=errno or None)


def timeout_failure(side: Side) -> Failure:
    """`upstream timed out`, `client timed out`: errno ETIMEDOUT."""
    return Failure(
        f"{side.value} timed out",
        ORDINARY_LEVEL[side],
        FailureClass.TIMEOUT,
        errnos.ETIMEDOUT,
    )


def _openssl_level(side: Side, told: Sequence[FormattedError], ssl_error: int, errno: int) -> Level:
    if ssl_error == openssl.SYSCALL:
        ordinary = errno in ORDINARY_ERRNOS
    elif ssl_error == openssl.FAILED:
        reason = told[-1].reason if told else 0
        ordinary = reason in ORDINARY_REASONS or ALERT <= reason <= ALERT + 255
    else:
        ordinary = False
    return ORDINARY_LEVEL[side] if ordinary else Level.CRIT


ORDINARY_LEVEL = {Side.CLIENT: Level.INFO, Side.UPSTREAM: Level.ERROR}
"""The level of what peers do every day; anything else is `crit` (TLS) or `alert` (socket)."""

ORDINARY_ERRNOS = frozenset(
    {
        errnos.ECONNRESET,
        errnos.EPIPE,
        errnos.ENOTCONN,
        errnos.ETIMEDOUT,
        errnos.ECONNREFUSED,
        errnos.ENETDOWN,
        errnos.ENETUNREACH,
        errnos.EHOSTDOWN,
        errnos.EHOSTUNREACH,
    }
)

ORDINARY_REASONS = frozenset(
    {
        101,  # no suitable key share
        103,  # bad change cipher spec
        108,  # bad key share
        110,  # bad extension
        111,  # bad digest length
        112,  # missing sigalgs extension
        115,  # bad packet length
        118,  # no suitable signature algorithm
        122,  # bad key update
        129,  # block cipher pad is wrong
        133,  # ccs received early
        145,  # data between ccs and finished
        146,  # data length too long
        149,  # digest check failed
        150,  # encrypted length too long
        151,  # error in received cipher list
        152,  # excessive message size
        154,  # got a fin before a ccs
        155,  # https proxy request
        156,  # http request
        159,  # length mismatch
        160,  # length too short
        183,  # no ciphers specified
        186,  # bad cipher
        187,  # no compression specified
        193,  # no shared cipher
        198,  # packet length too long
        205,  # invalid alert
        213,  # record length mismatch
        226,  # clienthello tlsext
        227,  # parse tlsext
        234,  # callback failed
        235,  # no application protocol
        244,  # unexpected message
        245,  # unexpected record
        246,  # unknown alert type
        252,  # unknown protocol
        258,  # unsupported protocol
        267,  # wrong version number
        271,  # bad length
        281,  # decryption failed or bad record mac
        291,  # application data after close notify
        292,  # bad legacy version
        293,  # mixed handshake and non handshake data
        298,  # record too small
        300,  # session id too long
        306,  # bad ecpoint
        313,  # record layer failure
        335,  # renegotiate ext too long
        336,  # renegotiation encoding err
        337,  # renegotiation mismatch
        338,  # unsafe legacy renegotiation disabled
        339,  # no renegotiation
        345,  # scsv received when renegotiating
        373,  # inappropriate fallback
        376,  # no shared signature algorithms
        377,  # cert cb error
        396,  # version too low
        409,  # too many warn alerts
        443,  # bad record type
    }
)
"""The reasons (of the last queued error) that nginx takes for a peer's fault, not its own."""
