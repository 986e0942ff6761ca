"""Format OpenSSL's error queue and errno as in nginx's log, with nginx's log levels.

The format is `OPERATION failed (SSL: E1 E2 …)`; every queued error, oldest first, is
`error:CODE:LIBRARY:FUNCTION:REASON[:DATA]`. The strings are those of the linked OpenSSL unless
another `Dialect` is given (see `dialects.py`). The binding gives no access to DATA: for alerts
it follows from the reason, for files the caller provides it.
Source: nginx's ngx_ssl_error, ngx_ssl_connection_error and ngx_connection_error.
"""

from __future__ import annotations

import errno as errnos
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from ..models import Failure, FailureType, Level, Side
from . import openssl
from .openssl import QueuedError

ALERT = 1000
"""SSL_AD_REASON_OFFSET: reason 1000 + n means that alert n was received."""


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """The circumstances under which errors were queued."""

    operation: str
    """The OpenSSL function that failed, such as `SSL_do_handshake`; "" if unknown."""
    side: Side | None = None
    """None while files are loaded at start."""
    header: bytes = b""
    """The first five bytes received from the peer, if the dialect needs them."""
    data: Mapping[int, str] = field(default_factory=dict)
    """Additional data by packed code."""


@dataclass(frozen=True, slots=True)
class FormattedError:
    """An error as a release prints it."""

    reason: int
    """ERR_GET_REASON, which determines the level."""
    text: str
    """`error:0A00010B:SSL routines::wrong version number`, with additional data."""


class Dialect(Protocol):
    """The error messages of an OpenSSL release."""

    needs_record_header: bool
    """Whether `format_errors` uses `ErrorContext.header`."""

    def format_errors(
        self, queue: Sequence[QueuedError], where: ErrorContext
    ) -> Sequence[FormattedError]:
        """The errors that the release would have queued, oldest first."""

    def verify(self, result: int) -> str:
        """The text for an X509_V_ERR_* code."""


SYSTEM_ERROR = 0x80000000
"""Flag of system errors; errno is in the low bits."""
NO_START_LINE = 0x0480006C
BAD_EXTENSION = 0x0A00006E
CALLBACK_FAILED = 0x0A0000EA

NO_DATA: Mapping[int, str] = MappingProxyType({})
USUAL_DATA: Mapping[int, str] = MappingProxyType(
    {
        0x1E08010C: "No supported data to decode. Input type: PEM",
        0x11800074: "maybe wrong password",
        0x1400006B: "while reading strings",
    }
)
"""Additional data that OpenSSL 3 and 4 always print with these errors."""


def with_data(text: str, code: int, *data: Mapping[int, str]) -> str:
    """Append the additional data of `code`: of an alert, else the first found in `data`."""
    alert = (code & 0x7FFFFF) - ALERT
    if code >> 23 == openssl.LIB_SSL and 0 <= alert <= 255:
        return f"{text}:SSL alert number {alert}"
    known = next((known[code] for known in data if code in known), "")
    return f"{text}:{known}" if known else text


class _Native:
    """The dialect of the linked OpenSSL."""

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
    """`operation` and the queued errors: `BIO_new_file() failed (SSL: error:…:DATA)`.

    `operation` is the text before the parenthesis; `data` is additional data by packed code.
    """
    return _text(
        operation, dialect.format_errors(queue, ErrorContext(_function(operation), data=data))
    )


_FUNCTION = re.compile(r'(\w+)\((?:".*")?\) failed$', re.DOTALL)


def _function(operation: str) -> str:
    found = _FUNCTION.search(operation)
    return found[1] if found else ""


def _text(operation: str, errors: Sequence[FormattedError]) -> str:
    return f"{operation} (SSL: {' '.join(error.text for error in errors)})" if errors else operation


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
    """The failure of an OpenSSL call; `operation` is `SSL_read() failed` or the like.

    `ssl_error` is the result of SSL_get_error; `errno` counts only with SSL_ERROR_SYSCALL.
    `header` is for dialects that need it.
    """
    if ssl_error == openssl.SYSCALL:
        # OpenSSL 4 queues errno too; print it once, like earlier releases.
        queue = [error for error in queue if error.code != SYSTEM_ERROR | errno]
    else:
        errno = 0
    errors = dialect.format_errors(queue, ErrorContext(_function(operation), side, header))
    return Failure(
        _text(operation, errors),
        _openssl_level(side, errors, ssl_error, errno),
        errno=errno or None,
    )


def socket_failure(text: str, side: Side, errno: int = 0) -> Failure:
    """A socket error, or an unexpected EOF: `recv() failed`."""
    ordinary = errno == 0 or errno in ORDINARY_ERRNOS
    return Failure(text, ORDINARY_LEVEL[side] if ordinary else Level.ALERT, errno=errno or None)


def timeout_failure(side: Side) -> Failure:
    """`upstream timed out` or `client timed out`, with errno ETIMEDOUT."""
    return Failure(
        f"{side.value} timed out",
        ORDINARY_LEVEL[side],
        FailureType.TIMEOUT,
        errnos.ETIMEDOUT,
    )


def _openssl_level(
    side: Side, errors: Sequence[FormattedError], ssl_error: int, errno: int
) -> Level:
    if ssl_error == openssl.SYSCALL:
        ordinary = errno in ORDINARY_ERRNOS
    elif ssl_error == openssl.FAILED:
        reason = errors[-1].reason if errors else 0
        ordinary = reason in ORDINARY_REASONS or ALERT <= reason <= ALERT + 255
    else:
        ordinary = False
    return ORDINARY_LEVEL[side] if ordinary else Level.CRIT


ORDINARY_LEVEL = {Side.CLIENT: Level.INFO, Side.UPSTREAM: Level.ERROR}
"""Level of errors that peers cause regularly; others are `crit` (TLS) or `alert` (socket)."""

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
"""Reasons of the last queued error that nginx attributes to the peer."""
