"""Advice for an upstream that no directive makes work, and the name of the cause (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .failed_certificate import position
from .model import Attempt, ProbeSpec, Result
from .strategy import says_wrong_port


def advice_without_fix(
    spec: ProbeSpec, attempts: Sequence[Attempt], furthest: Attempt, tried: Sequence[str]
) -> tuple[str, str]:
    """Advice if no setting helps, and the name of the cause."""
    names = ", ".join(tried)
    match furthest.result:
        case Result.UNREACHABLE:
            return (
                "TLS does not matter yet: check the address, port and firewall.",
                "connect-failed",
            )
        case Result.SETUP_ERROR if "key values mismatch" in furthest.line:
            return (
                "The key does not belong to the certificate: compare `openssl x509 -in CERT -noout "
                "-pubkey` with `openssl pkey -in KEY -pubout`.",
                "upstream-certificate-load",
            )
        case Result.SETUP_ERROR:
            return (
                "Fix the files or settings named first.",
                "upstream-certificate-load",
            )
        case Result.UNTRUSTED:
            return _untrusted(furthest)
        case Result.NAME_MISMATCH:
            return _other_name(furthest), "name-mismatch"
        case Result.PLAIN_HTTP | Result.NOT_TLS:
            return (
                "This port does not speak TLS: use another port, or http://.",
                "plain-http-upstream",
            )
        case Result.HTTP2:
            return (
                "proxy_pass speaks HTTP/1 by default: use proxy_http_version 2 (nginx 1.29.4 and "
                "later), or grpc_pass for a gRPC server.",
                "not-http1-upstream",
            )
        case Result.HTTP1:
            return (
                "The server speaks HTTP/1 only, not HTTP/2 or gRPC: use proxy_pass, with "
                "proxy_http_version 1.1.",
                "not-http1-upstream",
            )
        case Result.BODY_CUT | Result.BODY_STALLED:
            cause = "timeout" if furthest.result is Result.BODY_STALLED else "upstream-closed"
            return (
                f"nginx logs: {furthest.line}. TLS is right; check the application behind it.",
                cause,
            )
        case Result.ALERT if furthest.alert == 120:
            return (
                "It insists on another protocol than HTTP/1, most often HTTP/2 (ALPN h2): use "
                "proxy_http_version 2 (nginx 1.29.4 and later), or grpc_pass for a gRPC server.",
                "upstream-alpn",
            )
        case Result.INVALID_RESPONSE:
            return (
                f"nginx does not pass it on, and has no setting that does{_judgement(furthest)}. "
                "Fix the application behind it.",
                "invalid-response",
            )
        case Result.HEADER_TOO_BIG:
            return (
                "The largest buffer that was tried (64k) does not hold it: the application sends "
                "too many or too long fields, cookies for instance.",
                "header-too-big",
            )
        case Result.NOT_HTTP:
            return (
                f"The upstream is not an HTTP/1 server that nginx can use{_judgement(furthest)}.",
                "not-http1-upstream",
            )
        case Result.NO_SERVER_HELLO if tried:
            return (
                f"Nothing that was tried gets an answer, no name either ({names}): check the "
                "address, the firewall, and the upstream's own log.",
                "timeout",
            )
        case Result.CLOSED_WITHOUT_RESPONSE | Result.NO_RESPONSE:
            cause = "timeout" if furthest.result is Result.NO_RESPONSE else "upstream-closed"
            return "TLS works; check the application behind it.", cause
        case Result.RESPONSE:
            if says_wrong_port(furthest):
                return "The port speaks TLS, but rejects this handshake.", "handshake-refused"
            if seen := _default_names(attempts):
                return (
                    f"The name sent ({names or 'none'}) is not one of its: without a name it shows "
                    f"a certificate for {', '.join(seen[:3])}.",
                    "sni-wrong-name",
                )
            return (
                f"None of the names that were tried changes that ({names or 'none is known'}).",
                "sni-wrong-name",
            )
        case Result.LOCAL_TLS_ERROR:
            return _LOCAL_ERRORS.get(
                furthest.reason,
                (
                    "nginx has no setting that accepts this: the upstream has to be fixed.",
                    "library-fault",
                ),
            )
    if not tried:
        return (
            "Many servers do so without SNI, and an address cannot be sent as SNI: use "
            "--name NAME with the name of the site.",
            "sni-missing",
        )
    refused = next((a for a in attempts if a.alert == 112 and a.sni is not None), None)
    if refused is not None:
        return (
            f"The upstream does not know the name that was sent ({names}): use --name with one of "
            "its names. It refuses to go on without a name too, so it shows none of them.",
            "sni-wrong-name",
        )
    seen = () if furthest.is_for(tried) else furthest.names or _default_names(attempts)
    if seen:
        return (
            f"The name sent ({names}) is not one of its: without a name it shows a certificate for "
            f"{', '.join(seen[:3])}.",
            "sni-wrong-name",
        )
    return (
        f"No name ({names}), protocol or cipher changes that, nor does plain HTTP: check the "
        "upstream's own log.",
        "handshake-refused" if furthest.result is Result.ALERT else "handshake-closed",
    )


_LOCAL_ERRORS = {
    "unsafe legacy renegotiation disabled": (
        "It lacks secure renegotiation (RFC 5746), which OpenSSL 3 insists on, and fails without "
        "that too: its TLS library has to be upgraded.",
        "legacy-renegotiation",
    ),
    "excessive message size": (
        "It sends more certificates than OpenSSL accepts: its file should have its own certificate "
        "and the intermediates only.",
        "library-fault",
    ),
    "dh key too small": (
        "Its Diffie-Hellman parameters are too short, and it offers nothing else.",
        "weak-dh",
    ),
}
"""Advice and the name of the cause, by OpenSSL's reason."""


def _judgement(attempt: Attempt) -> str:
    """What an independent parser says, in parentheses."""
    if attempt.broken_rule is None:
        return ""
    if not attempt.broken_rule:
        return " (h11, another parser of HTTP, would take it)"
    return f" (h11, another parser of HTTP, says: {attempt.broken_rule})"


def _default_names(attempts: Sequence[Attempt]) -> tuple[str, ...]:
    """The names of the certificate that is shown without SNI."""
    return next((a.names for a in attempts if a.sni is None and a.names), ())


def _other_name(attempt: Attempt) -> str:
    """Advice about a certificate for another name."""
    names = [name for name in attempt.names if re.fullmatch(r"[\w.*-]+", name)]
    exact = next((name for name in names if "*" not in name), None)
    if exact is not None:
        return (
            f"If this is the server you mean, use --name {exact} (proxy_ssl_name); otherwise the "
            "address is wrong."
        )
    if names:
        example = names[0].replace("*", "www", 1)
        return (
            f"{names[0]} covers any one name in its place: use --name with the right one, "
            f"such as {example} (proxy_ssl_name); otherwise the address is wrong."
        )
    if attempt.has_addresses:
        return (
            "The certificate has IP entries only, and nginx never looks at those: the upstream "
            "needs a certificate with a DNS name, and proxy_ssl_name has to be that name."
        )
    return "A certificate without names matches nothing: the upstream needs another."


def _untrusted(attempt: Attempt) -> tuple[str, str]:
    """Advice about a verification error, and the name of the cause."""
    text, cause = _advice_for(attempt.verify_result)
    which = position(attempt)
    failed = attempt.failed_certificate
    if failed is None or not which or attempt.verify_result in NO_CHAIN_RESULTS:
        return text, cause
    if attempt.verify_result in (9, 10):
        dates = (
            f"expired on {failed.not_after}"
            if attempt.verify_result == 10
            else f"is not valid before {failed.not_before}"
        )
        if failed.from_authorities:
            text = "Use a file with a newer one (--ca, proxy_ssl_trusted_certificate)."
        return f"{_capitalized(which)} {dates}. {text}", cause
    return f"The error is about {which}. {text}", cause


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _advice_for(result: int) -> tuple[str, str]:
    """Advice by X509_V_* result, and the name of the cause."""
    if result in _UNTRUSTED:
        return _UNTRUSTED[result]
    if result in NO_CHAIN_RESULTS:
        return _NO_AUTHORITY
    return (
        f"No setting of nginx lifts verification error {result}: the upstream needs another "
        "certificate.",
        "verify-purpose",
    )


NO_CHAIN_RESULTS = frozenset({1, 2, 20, 27})
_NO_AUTHORITY = (
    "The CA that signed it is not trusted: use --ca FILE with its certificate "
    "(proxy_ssl_trusted_certificate).",
    "verify-chain",
)
_CRL = (
    "proxy_ssl_crl needs a current list of every CA in the chain.",
    "verify-crl",
)
_UNTRUSTED = {
    **dict.fromkeys((3, 8, 11, 12, 33), _CRL),
    7: (
        "A signature in its chain is wrong: often a CA of the same name and with another key. Use "
        "--ca FILE with the right one, or have the certificate issued anew.",
        "verify-chain",
    ),
    19: (
        "Its chain ends in a root that is not among the trusted ones: use --ca FILE with that root "
        "(proxy_ssl_trusted_certificate), if you trust it.",
        "verify-chain",
    ),
    22: (
        "Its chain is longer than proxy_ssl_verify_depth allows, and no larger depth helps.",
        "verify-depth",
    ),
    24: (
        "A certificate in its chain issued another one and is not a CA (CA:TRUE is missing): have "
        "the chain issued anew.",
        "verify-purpose",
    ),
    25: (
        "This CA may not have so many CAs below it (pathlen): the upstream's certificate has to be "
        "issued by another one.",
        "verify-purpose",
    ),
    26: (
        "It is made for another purpose: the upstream needs one with the extended key usage "
        "serverAuth.",
        "verify-purpose",
    ),
    28: (
        "The trusted file marks it as rejected (a trust setting in a TRUSTED CERTIFICATE).",
        "verify-purpose",
    ),
    62: ("It is for another name: set --name (proxy_ssl_name).", "name-mismatch"),
    66: (
        "Its key is too short for OpenSSL's security level: the upstream needs one of 2048 bits.",
        "weak-certificate",
    ),
    67: (
        "The key of a CA in its chain is too short for OpenSSL's security level.",
        "weak-certificate",
    ),
    68: (
        "A certificate in its chain is signed with an old digest (SHA-1, MD5): it has to be "
        "issued anew.",
        "weak-certificate",
    ),
    9: ("Check the clocks of both machines.", "verify-expired"),
    10: (
        "It has to be renewed on the upstream, and the server there reloaded.",
        "verify-expired",
    ),
    18: (
        "It is self-signed: trust exactly this certificate with --ca FILE "
        "(proxy_ssl_trusted_certificate), or give the upstream one signed by a CA.",
        "verify-chain",
    ),
    21: (
        "Either its CA is not trusted, or the upstream does not send its intermediate "
        "certificate: fix the chain there, or use --ca FILE with the CA.",
        "verify-chain",
    ),
    23: ("It is revoked.", "verify-revoked"),
}
"""Advice and the name of the cause, by X509_V_* result."""
