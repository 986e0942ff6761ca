"""What the attempts mean: does it work, with which directives, or why not (pure).

Two sentences: what nginx meets, and what follows from it. The causes are called as in
`knowledge`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..config.directives.proxy import ProxyPass
from .attempts import Attempt, Question, Result, Setting, is_name
from .directives import Directive, changes
from .plan import DOUBTFUL, best, fallback, furthest_first, says_wrong_port, wants_certificate

WORKS, WORKS_WITH, CANNOT = 0, 3, 4
"""Exit statuses."""

ALERTS = {
    10: "unexpected message",
    40: "handshake failure",
    42: "bad certificate",
    43: "unsupported certificate",
    46: "certificate unknown",
    47: "illegal parameter",
    48: "unknown CA",
    50: "decode error",
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
class Verdict:
    """The answer."""

    status: int
    sentences: tuple[str, ...]
    cause: str = ""
    directives: tuple[Directive, ...] = ()
    """What the location has to say, behind `proxy_pass`."""
    url: str = ""
    """What `proxy_pass` has to say."""
    advice: tuple[Directive, ...] = ()
    """What it could say too: it was tried, and passes."""
    followed: Attempt | None = None
    """The attempt that had the directives."""


def verdict(question: Question, target: ProxyPass, attempts: Sequence[Attempt]) -> Verdict:
    """What follows from `attempts`, of which there is at least one."""
    followed = best(question, attempts) or fallback(question, attempts)
    if followed is None:
        return _plain_unasked(question, target, attempts) or _refused(question, attempts)
    base, setting = attempts[0], followed.setting
    url = plain_url(target.url) if setting.plain else target.url
    said = tuple(_explained(question, base, followed))
    advice = tuple(_advice(question, attempts, setting))
    if not (setting.plain or said):
        return Verdict(WORKS, _works(question, attempts, followed), "", (), url, advice, followed)
    return Verdict(
        WORKS_WITH,
        (f"{_met(question, base)}.", _helped(question, followed)),
        cause_of(question, base, followed),
        said,
        url,
        advice,
        followed,
    )


def _plain_unasked(
    question: Question, target: ProxyPass, attempts: Sequence[Attempt]
) -> Verdict | None:
    """Where no request may be sent, the bytes that came first have to do."""
    if question.may_ask or attempts[0].result is not Result.PLAIN_HTTP:
        return None
    return Verdict(
        WORKS_WITH,
        (f"{_met(question, attempts[0])}.", "It speaks plain HTTP on this port: http:// is right."),
        "plain-http-upstream",
        url=plain_url(target.url),
    )


def plain_url(url: str) -> str:
    """`https://…` with `http://` in place."""
    return "http" + url[5:] if url[:8].lower() == "https://" else url


# --- it works --------------------------------------------------------------------------------


def _works(question: Question, attempts: Sequence[Attempt], found: Attempt) -> tuple[str, ...]:
    how = "nginx's defaults" if _is_bare(question) else "the location as it is"
    first = f"{found.address} works with {how}: {describe(found)}."
    if found.status in DOUBTFUL and found.result is Result.ANSWERED:
        return (
            first,
            f"No name, host or certificate that was tried gives anything but {found.status}: "
            "that is the application's own answer.",
        )
    other = _other_family(attempts, found)
    if other:
        return (first, other)
    for attempt in attempts:
        if attempt.setting.proxy.proxy_ssl_verify and attempt.result is Result.UNTRUSTED:
            return (first, "Its certificate is not verified by default, and would not pass: "
                    f"{_verify_words(attempt)}.")  # fmt: skip
        if attempt.setting.proxy.proxy_ssl_verify and attempt.result is Result.MISNAMED:
            return (first, "Its certificate is not verified by default, and is for "
                    f"{_names(attempt)}.")  # fmt: skip
    return (first, "Nothing has to be changed.")


def _is_bare(question: Question) -> bool:
    return question.thorough


def _other_family(attempts: Sequence[Attempt], found: Attempt) -> str:
    for attempt in attempts:
        other = attempt.setting.address != found.setting.address
        if other and attempt.result is Result.UNREACHABLE:
            return (
                f"Its other address {attempt.address} can not be reached from here: nginx "
                "takes all addresses in turn, logs a line for this one and goes on."
            )
    return ""


# --- it works with directives ----------------------------------------------------------------


def _met(question: Question, base: Attempt) -> str:
    how = "With nginx's defaults" if _is_bare(question) else "As the location is"
    unverified = question.insists and base.result in (Result.ANSWERED, Result.SHAKEN)
    return f"{how} {describe(base)}" + (", its certificate unverified" if unverified else "")


def describe(attempt: Attempt) -> str:
    """What came of an attempt, as a clause."""
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
    Result.SILENT: lambda a: "the upstream says nothing to the handshake",
    Result.REFUSED_HERE: lambda a: f"OpenSSL here refuses the upstream: {a.reason}",
    Result.UNTRUSTED: lambda a: f"the certificate is not trusted: {_verify_words(a)}",
    Result.MISNAMED: lambda a: f"the certificate is for another name: {_names(a)}",
    Result.WANTS_CERTIFICATE: lambda a: (
        "the upstream refuses after the handshake, for lack of a certificate of ours: alert "
        f"{a.alert} ({ALERTS.get(a.alert or -1, '')})"
    ),
    Result.NO_ANSWER: lambda a: "the upstream closes instead of answering",
    Result.MUTE: lambda a: "the upstream reads the request and says nothing",
    Result.TOO_BIG: lambda a: "the header of the answer is larger than proxy_buffer_size",
    Result.NOT_HTTP: lambda a: "the upstream's answer is not HTTP",
    Result.ANSWERED: lambda a: f"the upstream answers {a.status}",
    Result.SHAKEN: lambda a: f"the handshake succeeds ({a.protocol})",
    Result.UNPREPARED: lambda a: f"no handshake can be prepared: {a.line}",
}


def _verify_words(attempt: Attempt) -> str:
    _, _, words = attempt.line.partition("verify error: (")
    return words.partition(")")[0] or attempt.line


def _names(attempt: Attempt) -> str:
    shown = ", ".join(attempt.names[:3]) or "nobody"
    more = len(attempt.names) - 3
    return f"{shown} and {more} more" if more > 0 else shown


def _helped(question: Question, followed: Attempt) -> str:
    setting = followed.setting
    if setting.plain:
        return f"It speaks plain HTTP on this port, so http:// is right: {describe(followed)}."
    verified = ", its certificate verified" if setting.proxy.proxy_ssl_verify else ""
    what = "directives" if _is_bare(question) else "changes"
    return f"With the {what} below {describe(followed)}{verified}."


def cause_of(question: Question, base: Attempt, followed: Attempt) -> str:
    """The cause, from what helped."""
    before, after = question.base, followed.setting.proxy
    if followed.setting.plain:
        return "plain-http-upstream"
    if before.proxy_ssl_certificate != after.proxy_ssl_certificate:
        return "client-certificate-needed"
    if before.proxy_ssl_protocols != after.proxy_ssl_protocols:
        return "protocol-version"
    if before.proxy_ssl_ciphers != after.proxy_ssl_ciphers:
        return "weak-dh" if "dh key" in base.reason else "cipher-mismatch"
    if before.proxy_ssl_conf_command != after.proxy_ssl_conf_command:
        return "legacy-renegotiation"
    if base.result is Result.TOO_BIG:
        return "header-too-big"
    if base.result is Result.UNTRUSTED:
        return "verify-depth"
    if before.proxy_ssl_server_name != after.proxy_ssl_server_name:
        missing = base.result is not Result.ANSWERED or base.status in DOUBTFUL
        return "sni-missing" if missing else "verify-not-configured"
    if before.proxy_ssl_verify != after.proxy_ssl_verify:
        return "verify-not-configured"
    if base.result is Result.MISNAMED:
        return "name-mismatch"
    return "sni-wrong-name"


def _explained(question: Question, base: Attempt, followed: Attempt) -> list[Directive]:
    if followed.setting.plain:
        return []
    return [
        replace(directive, reason=reason_for(directive, question, base, followed))
        for directive in changes(question.base, followed.setting.proxy)
    ]


def reason_for(directive: Directive, question: Question, base: Attempt, followed: Attempt) -> str:
    """Why a directive is there, in a line."""
    match directive.name:
        case "proxy_ssl_server_name":
            failed = base.result is not Result.ANSWERED or base.status in DOUBTFUL
            got = f": {base.word} without" if failed and base.sent is None else ""
            return f"send SNI, which nginx does not by default{got}"
        case "proxy_ssl_name":
            instead = question.host if is_name(question.host) else "an address, which is no name"
            return f"the name to send and to verify; by default {instead}"
        case "proxy_set_header":
            return "the site that is asked for; SNI alone does not choose it"
        case "proxy_ssl_verify":
            return "check the upstream's certificate"
        case "proxy_ssl_trusted_certificate":
            return "against these authorities"
        case "proxy_ssl_verify_depth":
            return f"the chain has {followed.intermediates} intermediates, the default allows 1"
        case "proxy_ssl_certificate" | "proxy_ssl_certificate_key":
            return "the upstream asks for a certificate of ours"
        case "proxy_ssl_protocols":
            return f"the upstream speaks {followed.protocol or 'an older version'}"
        case "proxy_ssl_ciphers":
            if followed.protocol in ("TLSv1", "TLSv1.1"):
                return f"OpenSSL 3 has {followed.protocol} on its lowest security level alone"
            return f"the upstream's keys or ciphers are weak ({base.reason or base.word})"
        case "proxy_ssl_conf_command":
            return "the upstream knows no secure renegotiation"
        case "proxy_buffer_size" | "proxy_buffers":
            return "the header of its answers is larger than the default of 4k"
    return ""


def _advice(question: Question, attempts: Sequence[Attempt], setting: Setting) -> list[Directive]:
    """Verification, where an attempt with it passed."""
    if setting.proxy.proxy_ssl_verify or setting.plain:
        return []
    passed = [
        attempt
        for attempt in attempts
        if attempt.setting.proxy.proxy_ssl_verify
        and attempt.result in (Result.ANSWERED, Result.SHAKEN)
        and attempt.setting.proxy.proxy_ssl_verify_depth <= max(attempt.intermediates or 1, 1)
    ]
    if not passed:
        return []
    chosen = passed[-1]
    return [
        replace(directive, reason=reason_for(directive, question, attempts[0], chosen))
        for directive in changes(setting.proxy, chosen.setting.proxy)
    ]


# --- it can not work -------------------------------------------------------------------------


def _refused(question: Question, attempts: Sequence[Attempt]) -> Verdict:
    order = furthest_first(attempts)
    strict = [attempt for attempt in order if attempt.setting.proxy.proxy_ssl_verify]
    furthest = strict[0] if question.insists and strict else order[0]
    wanting = next((a for a in reversed(attempts) if wants_certificate(a)), None)
    if wanting is not None and question.certificate is None:
        return Verdict(
            CANNOT,
            (
                "The upstream asks for a certificate of ours and ends the connection without: "
                f"{wanting.word}.",
                "Say --cert FILE --key FILE with what its owner gave you "
                "(proxy_ssl_certificate, proxy_ssl_certificate_key).",
            ),
            "client-certificate-needed",
        )
    tried = sorted({a.sent for a in attempts if a.sent is not None})
    first = f"{describe(furthest)[:1].upper()}{describe(furthest)[1:]}."
    second, cause = _hopeless(question, furthest, tried)
    return Verdict(CANNOT, (first, second), cause)


def _hopeless(question: Question, furthest: Attempt, tried: Sequence[str]) -> tuple[str, str]:
    """What to do where no setting helps, and the cause."""
    names = ", ".join(tried)
    match furthest.result:
        case Result.UNREACHABLE:
            return (
                "No TLS setting matters before: check address, port and firewall.",
                "connect-failed",
            )
        case Result.UNPREPARED:
            return (
                "The files or settings named have to be mended first.",
                "upstream-certificate-load",
            )
        case Result.UNTRUSTED:
            return _UNTRUSTED.get(furthest.verify_result, _NO_AUTHORITY)
        case Result.MISNAMED:
            return (
                f"If that is the server that you mean, say --name {furthest.names[0]} "
                "(proxy_ssl_name); if not, this is not the server."
                if furthest.names
                else "A certificate without names matches nothing: the upstream needs another.",
                "name-mismatch",
            )
        case Result.PLAIN_HTTP | Result.NOT_TLS:
            return "This port does not speak TLS: another port, or http://.", "plain-http-upstream"
        case Result.TOO_BIG | Result.NOT_HTTP:
            return (
                "What answers there is no HTTP/1 server that nginx could use.",
                "not-http1-upstream",
            )
        case Result.NO_ANSWER | Result.MUTE:
            cause = "timeout" if furthest.result is Result.MUTE else "upstream-closed"
            return "TLS is fine; the application behind it has to be looked at.", cause
        case Result.ANSWERED:
            if says_wrong_port(furthest):
                return "The port speaks TLS, and refuses this handshake.", "handshake-refused"
            return (
                f"No name that was tried changes that ({names or 'none is known'}).",
                "sni-wrong-name",
            )
        case Result.REFUSED_HERE:
            return (
                "No setting of nginx accepts that: the upstream has to be mended.",
                "handshake-refused",
            )
    if not tried:
        return (
            "Many servers do so when a handshake names nobody, and an address is no name: say "
            "--name NAME for the site that is meant.",
            "sni-missing",
        )
    return (
        f"No name ({names}), protocol or cipher changes that, nor does plain HTTP: its own log "
        "has to tell.",
        "handshake-refused" if furthest.result is Result.ALERT else "handshake-closed",
    )


_NO_AUTHORITY = (
    "The authority that signed it is not among those trusted: say --ca FILE with that one "
    "(proxy_ssl_trusted_certificate).",
    "verify-chain",
)
_UNTRUSTED = {
    9: ("It is not valid yet: check the clocks.", "verify-expired"),
    10: ("It has to be renewed at the upstream.", "verify-expired"),
    18: (
        "It certifies itself: trust exactly this certificate with --ca FILE "
        "(proxy_ssl_trusted_certificate), or give the upstream one of an authority.",
        "verify-chain",
    ),
    21: (
        "Either its authority is not among those trusted, or the upstream forgets to send its "
        "intermediate certificate: mend the chain there, or say --ca FILE with the authority.",
        "verify-chain",
    ),
    23: ("It is revoked.", "verify-revoked"),
}
"""By X509_V_*: what to do, and the cause."""
