"""Describe the result of an attempt in a few words (pure)."""

from __future__ import annotations

from collections.abc import Callable

from .model import Attempt, Result

ALERTS = {
    10: "unexpected message",
    40: "handshake failure",
    42: "bad certificate",
    43: "unsupported certificate",
    44: "certificate revoked",
    45: "certificate expired",
    46: "certificate unknown",
    47: "illegal parameter",
    48: "unknown CA",
    49: "access denied",
    50: "decode error",
    51: "decrypt error",
    70: "protocol version",
    71: "insufficient security",
    80: "internal error",
    86: "inappropriate fallback",
    112: "unrecognized name",
    116: "certificate required",
    120: "no application protocol",
}
"""RFC 8446 section 6."""

REFUSALS = {
    42: "It cannot use it: signed by another CA, damaged, or not for clients.",
    43: "It is not made for clients: it needs the extended key usage clientAuth.",
    44: "It has been revoked: have a new one issued.",
    45: "It has expired, or is not valid yet: have a new one issued, and check the clocks.",
    48: "The upstream does not know the CA that issued it, or an intermediate certificate is "
    "missing in the file.",
    49: "It is valid, and has no permission there: ask the operator of the upstream.",
    51: "The key does not fit the certificate, or a device between alters the handshake.",
    116: "The upstream got none that it could use: ours does not fit the CAs that it names.",
}
"""Why a client certificate is refused, by alert (RFC 8446, section 6.2)."""


def describe(attempt: Attempt) -> str:
    """The outcome of an attempt, as a clause."""
    return _DESCRIPTIONS[attempt.result](attempt)


def _alert(attempt: Attempt) -> str:
    words = ALERTS.get(attempt.alert or -1, "")
    number = "" if attempt.alert is None else f" {attempt.alert}"
    return f"the upstream ends the handshake with alert{number}" + (f" ({words})" if words else "")


_DESCRIPTIONS: dict[Result, Callable[[Attempt], str]] = {
    Result.UNREACHABLE: lambda a: f"no connection is made: {a.line.partition(' while ')[0]}",
    Result.ALERT: _alert,
    Result.PLAIN_HTTP: lambda a: "the upstream answers the handshake with plain HTTP",
    Result.NOT_TLS: lambda a: "the upstream answers the handshake with bytes that are not TLS",
    Result.CLOSED: lambda a: "the upstream closes the connection in the handshake",
    Result.NO_SERVER_HELLO: lambda a: (
        f"the upstream did not answer the ClientHello within {a.seconds:.0f} s; nginx would wait 60"
        if a.seconds >= 1
        else "the upstream does not respond to the ClientHello"
    ),
    Result.LOCAL_TLS_ERROR: lambda a: f"the local OpenSSL rejects the upstream: {a.reason}",
    Result.UNTRUSTED: lambda a: f"the certificate is not trusted: {verification_error(a)}",
    Result.NAME_MISMATCH: lambda a: f"the certificate is for another name: {names_of(a)}",
    Result.CERTIFICATE_REQUIRED: lambda a: (
        "the upstream requires a client certificate, and rejects the connection: alert "
        f"{a.alert} ({ALERTS.get(a.alert or -1, '')})"
    ),
    Result.CLOSED_WITHOUT_RESPONSE: lambda a: "the upstream closes without a response",
    Result.NO_RESPONSE: lambda a: (
        f"the upstream did not respond within {a.seconds:.0f} s; nginx would wait 60"
        if a.seconds >= 1
        else "the upstream reads the request and sends no response"
    ),
    Result.HTTP1: lambda a: "the upstream speaks HTTP/1 only",
    Result.HTTP2: lambda a: "the upstream speaks HTTP/2 only",
    Result.BODY_CUT: lambda a: (
        f"the handshake works, and the response ({a.status}) breaks off in its body"
    ),
    Result.BODY_STALLED: lambda a: (
        f"the handshake works, and the response ({a.status}) does not end: its body stalls"
    ),
    Result.HEADER_TOO_BIG: lambda a: "the response header is larger than proxy_buffer_size",
    Result.NOT_HTTP: lambda a: "the response is not HTTP",
    Result.INVALID_RESPONSE: lambda a: (
        f"the response breaks the rules of HTTP: {a.line.partition(' while ')[0]}"
    ),
    Result.RESPONSE: lambda a: f"the upstream responds with {a.status}",
    Result.HANDSHAKE_OK: lambda a: f"the handshake succeeds ({a.protocol})",
    Result.SETUP_ERROR: lambda a: f"the TLS settings cannot be loaded: {a.line}",
}


def verification_error(attempt: Attempt) -> str:
    _, _, words = attempt.line.partition("verify error: (")
    return words.partition(")")[0] or attempt.line


def names_of(attempt: Attempt) -> str:
    listed = ", ".join(attempt.names[:3]) or "no name"
    more = len(attempt.names) - 3
    return f"{listed} and {more} more" if more > 0 else listed
