"""Draw a conclusion from the attempts: it works, works with directives, or why it cannot (pure).

A conclusion has two sentences: what happens, and what to do. Causes are named as in
`explain/catalog.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..config.directives.proxy import ProxyPass
from .directives import SuggestedDirective, changes
from .model import Attempt, ProbeSpec, Result, Setting, Stage, is_name
from .strategy import (
    AMBIGUOUS_STATUSES,
    CERTIFICATE_ALERTS,
    SUCCESSES,
    best,
    fallback,
    flaky,
    furthest_first,
    says_wrong_port,
    shows_other_site,
    wants_certificate,
)

SLOW = 2.0
"""Seconds after which an attempt is called slow."""
WORKS, WORKS_WITH, CANNOT_WORK = 0, 3, 4
"""Exit statuses."""

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


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The result of a diagnosis."""

    status: int
    sentences: tuple[str, ...]
    cause: str = ""
    directives: tuple[SuggestedDirective, ...] = ()
    """The directives that the location needs besides `proxy_pass`."""
    url: str = ""
    """The URL for `proxy_pass`."""
    advice: tuple[SuggestedDirective, ...] = ()
    """Further directives that were tested and work."""
    chosen: Attempt | None = None
    """The attempt made with these directives."""


def draw_conclusion(spec: ProbeSpec, target: ProxyPass, attempts: Sequence[Attempt]) -> Conclusion:
    """The conclusion from `attempts`, which must not be empty."""
    if (counted := flaky(attempts)) is not None:
        return _flaky(attempts, counted)
    chosen = best(spec, attempts) or fallback(spec, attempts)
    if chosen is None:
        return _plain_http_without_request(spec, target, attempts) or _cannot_work(spec, attempts)
    base, setting = attempts[0], chosen.setting
    url = plain_url(target.url) if setting.plain else target.url
    directives = tuple(_with_reasons(spec, base, chosen))
    advice = tuple(_advice(spec, attempts, setting))
    if not (setting.plain or directives):
        return Conclusion(WORKS, _works(spec, attempts, chosen), "", (), url, advice, chosen)
    return Conclusion(
        WORKS_WITH,
        (f"{_describe_failure(spec, base)}.", _describe_fix(spec, chosen)),
        cause_of(spec, base, chosen),
        directives,
        url,
        advice,
        chosen,
    )


def _flaky(attempts: Sequence[Attempt], counted: tuple[int, int]) -> Conclusion:
    failed, total = counted
    failure = next(attempt for attempt in attempts if attempt.result not in SUCCESSES)
    return Conclusion(
        CANNOT_WORK,
        (
            f"The upstream is flaky: {failed} of {total} attempts with the same settings failed "
            f"({describe(failure)}), and the others worked.",
            "No directive mends that: one of several servers behind the address is broken, or the "
            "upstream is overloaded or limits connections. Check its own log.",
        ),
        "handshake-closed" if failure.result.stage < Stage.RESPONSE else "upstream-closed",
    )


def _plain_http_without_request(
    spec: ProbeSpec, target: ProxyPass, attempts: Sequence[Attempt]
) -> Conclusion | None:
    """Without a request, the first bytes have to show that the port speaks plain HTTP."""
    if spec.send_request or attempts[0].result is not Result.PLAIN_HTTP:
        return None
    return Conclusion(
        WORKS_WITH,
        (
            f"{_describe_failure(spec, attempts[0])}.",
            "The port speaks plain HTTP: use http://.",
        ),
        "plain-http-upstream",
        url=plain_url(target.url),
    )


def plain_url(url: str) -> str:
    """Replace `https://` by `http://`."""
    return "http" + url[5:] if url[:8].lower() == "https://" else url


# --- it works --------------------------------------------------------------------------------


def _works(spec: ProbeSpec, attempts: Sequence[Attempt], found: Attempt) -> tuple[str, ...]:
    how = "nginx's defaults" if _is_default(spec) else "the location as it is"
    first = f"{found.address} works with {how}: {describe(found)}."
    if found.status in AMBIGUOUS_STATUSES and found.result is Result.RESPONSE:
        return (
            first,
            f"No name, host or certificate that was tried gives anything but {found.status}: "
            "that is the application's own response.",
        )
    if found.seconds >= SLOW:
        return (
            first,
            f"It is slow: {found.seconds:.1f} s. nginx waits 60 s for each step by default.",
        )
    other = _other_family(attempts, found)
    if other:
        return (first, other)
    for attempt in attempts:
        if attempt.setting.proxy.proxy_ssl_verify and attempt.result is Result.UNTRUSTED:
            return (first, "Its certificate is not verified by default, and would not pass: "
                    f"{_verify_words(attempt)}.")  # fmt: skip
        if attempt.setting.proxy.proxy_ssl_verify and attempt.result is Result.NAME_MISMATCH:
            return (first, "Its certificate is not verified by default, and is for "
                    f"{_names(attempt)}.")  # fmt: skip
    return (first, "Nothing has to be changed.")


def _is_default(spec: ProbeSpec) -> bool:
    return spec.explore


def _other_family(attempts: Sequence[Attempt], found: Attempt) -> str:
    for attempt in attempts:
        other = attempt.setting.address != found.setting.address
        if other and attempt.result is Result.UNREACHABLE:
            return (
                f"Its other address {attempt.address} cannot be reached from here: nginx "
                "tries all addresses in turn, and logs an error for this one."
            )
    return ""


# --- it works with directives ----------------------------------------------------------------


def _describe_failure(spec: ProbeSpec, base: Attempt) -> str:
    how = "With nginx's defaults" if _is_default(spec) else "As the location is"
    if base.result is Result.RESPONSE and shows_other_site(spec, base):
        return (
            f"{how} {describe(base)}, and shows the certificate of another site "
            f"({_names(base)}): it answers as that one when no name is sent"
        )
    unverified = spec.require_verify and base.result in (Result.RESPONSE, Result.HANDSHAKE_OK)
    return f"{how} {describe(base)}" + (", its certificate unverified" if unverified else "")


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
    Result.UNTRUSTED: lambda a: f"the certificate is not trusted: {_verify_words(a)}",
    Result.NAME_MISMATCH: lambda a: f"the certificate is for another name: {_names(a)}",
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
    Result.HTTP2: lambda a: "the upstream speaks HTTP/2 only",
    Result.BODY_CUT: lambda a: (
        f"the handshake works, and the response ({a.status}) breaks off in its body"
    ),
    Result.BODY_STALLED: lambda a: (
        f"the handshake works, and the response ({a.status}) does not end: its body stalls"
    ),
    Result.HEADER_TOO_BIG: lambda a: "the response header is larger than proxy_buffer_size",
    Result.NOT_HTTP: lambda a: "the response is not HTTP",
    Result.RESPONSE: lambda a: f"the upstream responds with {a.status}",
    Result.HANDSHAKE_OK: lambda a: f"the handshake succeeds ({a.protocol})",
    Result.SETUP_ERROR: lambda a: f"the TLS settings cannot be loaded: {a.line}",
}


def _verify_words(attempt: Attempt) -> str:
    _, _, words = attempt.line.partition("verify error: (")
    return words.partition(")")[0] or attempt.line


def _names(attempt: Attempt) -> str:
    listed = ", ".join(attempt.names[:3]) or "no name"
    more = len(attempt.names) - 3
    return f"{listed} and {more} more" if more > 0 else listed


def _describe_fix(spec: ProbeSpec, chosen: Attempt) -> str:
    setting = chosen.setting
    if setting.plain:
        return f"The port speaks plain HTTP, so use http://: {describe(chosen)}."
    verified = ", its certificate verified" if setting.proxy.proxy_ssl_verify else ""
    what = "directives" if _is_default(spec) else "changes"
    return f"With the {what} below {describe(chosen)}{verified}."


def cause_of(spec: ProbeSpec, base: Attempt, chosen: Attempt) -> str:
    """The name of the cause, from the settings that fixed it."""
    before, after = spec.base, chosen.setting.proxy
    if chosen.setting.plain:
        return "plain-http-upstream"
    if before.proxy_ssl_certificate != after.proxy_ssl_certificate:
        return "client-certificate-needed"
    if before.proxy_ssl_protocols != after.proxy_ssl_protocols:
        return "protocol-version"
    if before.proxy_ssl_ciphers != after.proxy_ssl_ciphers:
        return "weak-dh" if "dh key" in base.reason else "cipher-mismatch"
    if before.proxy_ssl_conf_command != after.proxy_ssl_conf_command:
        return "legacy-renegotiation"
    if base.result is Result.HEADER_TOO_BIG:
        return "header-too-big"
    if base.result is Result.UNTRUSTED:
        return "verify-depth"
    if before.proxy_ssl_server_name != after.proxy_ssl_server_name:
        missing = (
            base.result is not Result.RESPONSE
            or base.status in AMBIGUOUS_STATUSES
            or shows_other_site(spec, base)
        )
        return "sni-missing" if missing else "verify-not-configured"
    if before.proxy_ssl_verify != after.proxy_ssl_verify:
        return "verify-not-configured"
    if base.result is Result.NAME_MISMATCH:
        return "name-mismatch"
    return "sni-wrong-name"


def _with_reasons(spec: ProbeSpec, base: Attempt, chosen: Attempt) -> list[SuggestedDirective]:
    if chosen.setting.plain:
        return []
    return [
        replace(directive, reason=reason_for(directive, spec, base, chosen))
        for directive in changes(spec.base, chosen.setting.proxy)
    ]


def reason_for(
    directive: SuggestedDirective, spec: ProbeSpec, base: Attempt, chosen: Attempt
) -> str:
    """The reason for a directive, as a comment of one line."""
    match directive.name:
        case "proxy_ssl_server_name":
            failed = base.result is not Result.RESPONSE or base.status in AMBIGUOUS_STATUSES
            got = f": {base.label} without" if failed and base.sni is None else ""
            return f"send SNI, which nginx does not by default{got}"
        case "proxy_ssl_name":
            instead = spec.host if is_name(spec.host) else "an address, not a name"
            return f"the name to send and verify; the default is {instead}"
        case "proxy_set_header":
            return "selects the site; SNI alone does not"
        case "proxy_ssl_verify":
            return "check the upstream's certificate"
        case "proxy_ssl_trusted_certificate":
            return "against these authorities"
        case "proxy_ssl_verify_depth":
            return f"the chain has {chosen.intermediates} intermediates, the default allows 1"
        case "proxy_ssl_certificate" | "proxy_ssl_certificate_key":
            return "the upstream requests a client certificate"
        case "proxy_ssl_protocols":
            return f"the upstream speaks {chosen.protocol or 'an older version'}"
        case "proxy_ssl_ciphers":
            if chosen.protocol in ("TLSv1", "TLSv1.1"):
                return f"OpenSSL 3 allows {chosen.protocol} only at security level 0"
            return f"the upstream's keys or ciphers are weak ({base.reason or base.label})"
        case "proxy_ssl_conf_command":
            return "the upstream lacks secure renegotiation (RFC 5746)"
        case "proxy_buffer_size" | "proxy_buffers":
            return "its response headers exceed the default of 4k"
    return ""


def _advice(
    spec: ProbeSpec, attempts: Sequence[Attempt], setting: Setting
) -> list[SuggestedDirective]:
    """Directives for verification, if an attempt with them succeeded."""
    if setting.proxy.proxy_ssl_verify or setting.plain:
        return []
    passed = [
        attempt
        for attempt in attempts
        if attempt.setting.proxy.proxy_ssl_verify
        and attempt.result in (Result.RESPONSE, Result.HANDSHAKE_OK)
        and attempt.setting.proxy.proxy_ssl_verify_depth <= max(attempt.intermediates or 1, 1)
    ]
    if not passed:
        return []
    passing = passed[-1]
    return [
        replace(directive, reason=reason_for(directive, spec, attempts[0], passing))
        for directive in changes(setting.proxy, passing.setting.proxy)
    ]


# --- it cannot work -------------------------------------------------------------------------


def _cannot_work(spec: ProbeSpec, attempts: Sequence[Attempt]) -> Conclusion:
    order = furthest_first(attempts)
    strict = [attempt for attempt in order if attempt.setting.proxy.proxy_ssl_verify]
    furthest = strict[0] if spec.require_verify and strict else order[0]
    # Files that cannot be loaded come before all that was seen without them.
    furthest = next((a for a in attempts if a.result is Result.SETUP_ERROR), furthest)
    if (refused := _refused_certificate(attempts)) is not None:
        return refused
    wanting = next((a for a in reversed(attempts) if wants_certificate(a)), None)
    if wanting is not None and spec.certificate is None:
        return Conclusion(
            CANNOT_WORK,
            (
                "The upstream requires a client certificate and closes the connection without one: "
                f"{wanting.label}.",
                "Use --cert FILE --key FILE with those issued for you by its operator "
                "(proxy_ssl_certificate, proxy_ssl_certificate_key).",
            ),
            "client-certificate-needed",
        )
    tried = sorted({a.sni for a in attempts if a.sni is not None})
    first = f"{describe(furthest)[:1].upper()}{describe(furthest)[1:]}."
    second, cause = _no_fix(spec, attempts, furthest, tried)
    return Conclusion(CANNOT_WORK, (first, second), cause)


def _refused_certificate(attempts: Sequence[Attempt]) -> Conclusion | None:
    """Our certificate was sent, and refused."""
    for attempt in reversed(attempts):
        sent = attempt.setting.proxy.proxy_ssl_certificate is not None
        if sent and attempt.certificate_requested and attempt.alert in CERTIFICATE_ALERTS:
            assert attempt.alert is not None
            words = ALERTS.get(attempt.alert, "")
            why = REFUSALS.get(attempt.alert, "It does not say why: see its own log.")
            return Conclusion(
                CANNOT_WORK,
                (f"The upstream refuses our certificate: alert {attempt.alert} ({words}).", why),
                "client-certificate-refused",
            )
    return None


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


def _no_fix(
    spec: ProbeSpec, attempts: Sequence[Attempt], furthest: Attempt, tried: Sequence[str]
) -> tuple[str, str]:
    """What to do if no setting helps, and the name of the cause."""
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
            return _untrusted(furthest.verify_result)
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
        case Result.HEADER_TOO_BIG | Result.NOT_HTTP:
            return (
                "The upstream is not an HTTP/1 server that nginx can use.",
                "not-http1-upstream",
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
            return (
                "nginx has no setting that accepts this: the upstream has to be fixed.",
                "handshake-refused",
            )
    if not tried:
        return (
            "Many servers do so without SNI, and an address cannot be sent as SNI: use "
            "--name NAME with the name of the site.",
            "sni-missing",
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


def _default_names(attempts: Sequence[Attempt]) -> tuple[str, ...]:
    """The names of the certificate that is shown without SNI."""
    return next((a.names for a in attempts if a.sni is None and a.names), ())


def _other_name(attempt: Attempt) -> str:
    """What to do about a certificate for another name."""
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


def _untrusted(result: int) -> tuple[str, str]:
    """What to do about a verification error, and the name of the cause."""
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
        "A CA in its chain may not have so many CAs below it (pathlen): the upstream's certificate "
        "has to be issued by another CA.",
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
    9: ("It is not valid yet: check the clocks.", "verify-expired"),
    10: ("It has to be renewed on the upstream.", "verify-expired"),
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
"""What to do, and the name of the cause, by X509_V_* result."""
