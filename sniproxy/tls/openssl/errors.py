"""OpenSSL's error queue."""

from __future__ import annotations

import os
from dataclasses import dataclass

from .binding import lib, text


@dataclass(frozen=True, slots=True)
class QueuedError:
    """An entry of the error queue."""

    code: int
    """Packed: `library << 23 | reason`; a system error is `0x80000000 | errno`."""
    library: str
    reason: str

    @property
    def library_number(self) -> int:
        return 2 if self.is_system else self.code >> 23 & 0xFF

    @property
    def reason_number(self) -> int:
        return self.code & (0x7FFFFFFF if self.is_system else 0x7FFFFF)

    @property
    def is_system(self) -> bool:
        return bool(self.code & 0x80000000)


def drain_error_queue() -> list[QueuedError]:
    """Remove and return all errors of this thread, oldest first."""
    queue = []
    while code := lib.ERR_get_error():
        queue.append(queued_error(code))
    return queue


def queued_error(code: int) -> QueuedError:
    """The error with this packed code, with its strings."""
    library = text(lib.ERR_lib_error_string(code)) or f"lib({code >> 23 & 0xFF})"
    if code & 0x80000000:
        return QueuedError(code, library, os.strerror(code & 0x7FFFFFFF))
    reason = text(lib.ERR_reason_error_string(code)) or f"reason({code & 0x7FFFFF})"
    return QueuedError(code, library, reason)


def verify_error_text(result: int) -> str:
    """The text for an X509_V_ERR_* code."""
    return text(lib.X509_verify_cert_error_string(result))
