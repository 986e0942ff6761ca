"""Parse OpenSSL errors in log lines, as written by all releases since 1.0 and its forks.

    1.0, 1.1   error:1408F10B:SSL routines:ssl3_get_record:wrong version number
    3, 4       error:0A00010B:SSL routines::wrong version number
    BoringSSL  error:10000410:SSL routines:OPENSSL_internal:SSLV3_ALERT_HANDSHAKE_FAILURE

Numbers are preferred to text: they do not change, and often survive truncation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .log_fields import CLIENT, UPSTREAM

BARE_WORDS = (
    " alert ",
    "wrong version number",
    "certificate verify failed",
    "unsafe legacy renegotiation",
    "unrecognized name",
    "no shared cipher",
    "key too small",
    "md too weak",
)
"""Words of OpenSSL's that are distinctive enough to be recognized alone."""
ALERT_BASE = 1000
"""The reason code of a received alert is 1000 + its number."""

_CODE = re.compile(r"error:([0-9A-Fa-f]{8})(?![0-9A-Fa-f])")
_REASON = re.compile(r"routines:([^:]*):([^:()]+?)(?: error$|(?= error:)|[:)])")
"""A complete reason; a truncated one is identified by its number."""
_FUNCTION = re.compile(r"routines:([^:)]+)")
_UNKNOWN_REASON = re.compile(r"^reason\((\d+)\)")
_NUMBERED_REASON = re.compile(r":reason\((\d+)\)")
_ALERT_NUMBER = re.compile(r"SSL alert number (\d+)(?!\d)")
_ALERT_WORDS = re.compile(r"(?:sslv3|ssl/tls|tlsv13|tlsv1|tls) (?:alert )?([a-z ]+)")
_VERIFY = re.compile(r"verify error: ?\((\d+):")

_LIBRARIES = (20, 9, 11)
_SSL, _BORING_SSL = 20, 16

_SERVER_FUNCTIONS = re.compile(
    r"get_client|client_hello|ctos|bytes_to_cipher_list|choose_sigalg|choose_server_version|"
    r"construct_server|construct_stoc|process_client|process_cke|accept|collect_extensions|"
    r"check_for_downgrade",
    re.IGNORECASE,
)
_CLIENT_FUNCTIONS = re.compile(
    r"get_serv|server_hello|server_certificate|server_done|process_server|parse_stoc|"
    r"construct_client|construct_ctos|choose_client_version|get_key_exchange|process_ske|"
    r"process_key_exchange|get_certificate_request|process_certificate_request|connect|"
    r"get_cert_status|process_new_session",
    re.IGNORECASE,
)
_FUNCTION_NUMBERS = {
    **dict.fromkeys((118, 138, 139, 161, 378, 381, 521), CLIENT),
    **dict.fromkeys((119, 141, 144, 145, 146, 366, 367, 369, 607), UPSTREAM),
}
"""Function codes, for lines of 1.0 and 1.1 that are truncated after the code."""
_CONSTRUCT_FUNCTIONS = re.compile(r"construct_(client|ctos|server|stoc)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OpenSSLVocabulary:
    """OpenSSL's error codes and texts (the tables at the end of `catalog.toml`)."""

    reasons: Mapping[tuple[int, int], str]
    """Reason texts by library and reason number."""
    alerts: Mapping[str, int]
    verify: Mapping[str, int]
    known: frozenset[str]
    """The reasons used in signatures."""
    bare_reasons: tuple[str, ...]
    """Reasons that are matched without OpenSSL's surrounding text."""


@dataclass(frozen=True, slots=True)
class OpenSSLErrors:
    """The OpenSSL errors in a log line."""

    reasons: frozenset[str] = frozenset()
    alerts: frozenset[int] = frozenset()
    verify: int | None = None
    side: str | None = None
    """The side, if OpenSSL's function names reveal whether it acted as server or client."""


NO_ERRORS = OpenSSLErrors()


def parse_openssl_errors(head: str, vocabulary: OpenSSLVocabulary) -> OpenSSLErrors:
    """Parse the OpenSSL errors in `head`."""
    if (
        "SSL" not in head
        and "routines" not in head
        and "error:" not in head
        and not any(words in head for words in BARE_WORDS)
    ):
        return NO_ERRORS
    reasons: set[str] = set()
    alerts: set[int] = set()
    codes, reason_texts = _CODE.findall(head), _REASON.findall(head)
    for _, reason in reason_texts:
        _add_reason_text(reason, vocabulary, reasons, alerts)
    for code in codes:
        _add_error_code(
            int(code, 16), vocabulary, reasons, alerts, is_cut=len(reason_texts) < len(codes)
        )
    functions = " ".join(_FUNCTION.findall(head))
    alerts.update(int(n) - ALERT_BASE for n in _NUMBERED_REASON.findall(head) if int(n) > 999)
    if not alerts:
        alerts.update(int(number) for number in _ALERT_NUMBER.findall(head))
    if not reasons and not alerts:
        _match_bare_text(head, vocabulary, reasons, alerts)
    return OpenSSLErrors(
        frozenset(reasons), frozenset(alerts), _verify(head, vocabulary), _side(codes, functions)
    )


def _add_error_code(
    code: int, vocabulary: OpenSSLVocabulary, reasons: set[str], alerts: set[int], *, is_cut: bool
) -> None:
    library, number = code >> 23, code & 0x7FFFFF
    if library not in _LIBRARIES:
        library, number = code >> 24, code & 0xFFF
    if library in (_SSL, _BORING_SSL) and ALERT_BASE <= number < ALERT_BASE + 256:
        alerts.add(number - ALERT_BASE)
    elif is_cut and (reason := vocabulary.reasons.get((library, number))) is not None:
        reasons.add(reason)


def _add_reason_text(
    reason: str, vocabulary: OpenSSLVocabulary, reasons: set[str], alerts: set[int]
) -> None:
    reason = reason.strip().lower().replace("_", " ")
    if reason.endswith(" error"):
        reasons.add(reason.removesuffix(" error"))
    number = _alert(reason, vocabulary)
    if number is not None:
        alerts.add(number)
    elif not _UNKNOWN_REASON.match(reason):
        reasons.add(reason)


def _alert(reason: str, vocabulary: OpenSSLVocabulary) -> int | None:
    match = _ALERT_WORDS.match(reason)
    return None if match is None else vocabulary.alerts.get(match[1].strip())


def _match_bare_text(
    head: str, vocabulary: OpenSSLVocabulary, reasons: set[str], alerts: set[int]
) -> None:
    """Match texts without their context, if the line is truncated before or inside them."""
    lower = head.lower()
    reasons.update(reason for reason in vocabulary.bare_reasons if reason in lower)
    for match in _ALERT_WORDS.finditer(lower):
        fragment = match[1].strip()
        complete = [
            number for text, number in vocabulary.alerts.items() if fragment.startswith(text)
        ]
        partial = [
            number for text, number in vocabulary.alerts.items() if text.startswith(fragment)
        ]
        alerts.update(complete or (partial if len(partial) == 1 else ()))


def _verify(head: str, vocabulary: OpenSSLVocabulary) -> int | None:
    if "verify error" not in head:
        return None
    if (match := _VERIFY.search(head)) is not None:
        return int(match[1])
    lower = head.lower().replace("self signed", "self-signed")
    found = [text for text in vocabulary.verify if text in lower]
    return vocabulary.verify[max(found, key=len)] if found else None


def _side(codes: Sequence[str], functions: str) -> str | None:
    if (made := _CONSTRUCT_FUNCTIONS.search(functions)) is not None:
        return UPSTREAM if made[1].lower() in ("client", "ctos") else CLIENT
    if _SERVER_FUNCTIONS.search(functions):
        return CLIENT
    if _CLIENT_FUNCTIONS.search(functions):
        return UPSTREAM
    numbers = (int(code, 16) for code in codes)
    sides = {_FUNCTION_NUMBERS.get(n >> 12 & 0xFFF) for n in numbers if n >> 24 == _SSL}
    return sides.pop() if len(sides) == 1 else None
