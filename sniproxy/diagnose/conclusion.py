"""Draw a conclusion from the attempts: it works, works with directives, or why it cannot (pure).

A conclusion has two sentences: what happens, and what to do. Causes are named as in
`explain/catalog.toml`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..config.directives.upstream_target import ProxyPass
from . import plain_sentences
from .description import ALERTS, REFUSALS, describe, names_of
from .directives import SuggestedDirective, changes
from .model import Attempt, ProbeSpec, Result, Setting, Stage, is_name
from .module_names import module_directives, module_text, module_url
from .no_fix import advice_without_fix
from .strategy import (
    AMBIGUOUS_STATUSES,
    CERTIFICATE_ALERTS,
    NO_APPLICATION_PROTOCOL,
    SUCCESSES,
    best,
    fallback,
    flaky,
    furthest_first,
    shows_other_site,
    wants_certificate,
)
from .works_as_is import (
    ignores_name,
    is_default,
    other_site_sentences,
    plainly_works,
    works_sentences,
)

WORKS, WORKS_WITH, CANNOT_WORK = 0, 3, 4
"""Exit statuses."""


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
    plain: str = ""
    """What happens, in one sentence without a term of art."""
    background: str = ""
    """One more such sentence, where something has to be known to understand it."""

    @property
    def introduction(self) -> str:
        return f"{self.plain} {self.background}".strip()


def draw_conclusion(spec: ProbeSpec, target: ProxyPass, attempts: Sequence[Attempt]) -> Conclusion:
    """The conclusion from `attempts`, which must not be empty."""
    found = _conclude(spec, target, attempts)
    if spec.prefix != "proxy_":
        found = in_names_of(spec.prefix, found)
    if found.plain:
        return found
    works = found.status == WORKS_WITH
    plain, background = plain_sentences.sentence_for(
        found.cause, _decisive(attempts, works=works), works=works
    )
    return replace(found, plain=plain, background=background)


def in_names_of(prefix: str, found: Conclusion) -> Conclusion:
    """The conclusion in the names of the module that has a prefix."""
    return replace(
        found,
        sentences=tuple(module_text(text, prefix) for text in found.sentences),
        directives=module_directives(found.directives, prefix),
        advice=module_directives(found.advice, prefix),
        url=module_url(found.url, prefix),
    )


def _decisive(attempts: Sequence[Attempt], *, works: bool) -> Attempt:
    """The attempt that shows best what happens.

    That is the first one if there is a fix, else of those that fail the one that got furthest.
    """
    failed = [attempt for attempt in attempts if attempt.result not in SUCCESSES]
    return attempts[0] if works else furthest_first(failed or attempts)[0]


def _conclude(spec: ProbeSpec, target: ProxyPass, attempts: Sequence[Attempt]) -> Conclusion:
    if (counted := flaky(attempts)) is not None:
        return _flaky(attempts, counted)
    chosen = best(spec, attempts) or fallback(spec, attempts)
    anonymous = next((attempt for attempt in attempts if attempt.is_anonymous), None)
    if anonymous is not None and (chosen is None or chosen.is_anonymous):
        return _anonymous(spec, attempts[0], anonymous)
    if chosen is None:
        return _plain_http_without_request(spec, target, attempts) or _cannot_work(spec, attempts)
    if ignores_name(spec, attempts[0], chosen):
        return Conclusion(
            WORKS,
            other_site_sentences(spec, attempts[0], chosen),
            url=target.url,
            chosen=attempts[0],
            plain=plain_sentences.WORKS_AS_OTHER,
        )
    base, setting = attempts[0], chosen.setting
    url = plain_url(target.url) if setting.plain else target.url
    directives = tuple(_with_reasons(spec, base, chosen))
    advice = tuple(_advice(spec, attempts, setting))
    if not (setting.plain or directives):
        return Conclusion(
            WORKS,
            works_sentences(spec, attempts, chosen),
            url=url,
            advice=advice,
            chosen=chosen,
            plain=plainly_works(chosen),
        )
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
        plain=plain_sentences.SOMETIMES,
    )


def _anonymous(spec: ProbeSpec, base: Attempt, chosen: Attempt) -> Conclusion:
    """The handshake succeeds only without a certificate of the upstream."""
    return Conclusion(
        CANNOT_WORK,
        (
            f"{_describe_failure(spec, base)}. The upstream accepts only ciphers without a "
            f"certificate ({chosen.cipher}).",
            "No directive is proposed: anybody on the network could answer in its place. It "
            "needs a certificate, and ciphers that use it.",
        ),
        "cipher-mismatch",
        plain=plain_sentences.ANONYMOUS,
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


# --- it works with directives ----------------------------------------------------------------


def _describe_failure(spec: ProbeSpec, base: Attempt) -> str:
    how = "With nginx's defaults" if is_default(spec) else "As the location is"
    if base.result is Result.RESPONSE and shows_other_site(spec, base):
        return (
            f"{how} {describe(base)}, and shows the certificate of another site "
            f"({names_of(base)}): it answers as that one when no name is sent"
        )
    unverified = spec.require_verify and base.result in (Result.RESPONSE, Result.HANDSHAKE_OK)
    return f"{how} {describe(base)}" + (", its certificate unverified" if unverified else "")


def _describe_fix(spec: ProbeSpec, chosen: Attempt) -> str:
    setting = chosen.setting
    if setting.plain:
        return f"The port speaks plain HTTP, so use http://: {describe(chosen)}."
    verified = ", its certificate verified" if setting.proxy.ssl_verify else ""
    what = "settings" if is_default(spec) else "changes"
    return f"With the {what} below {describe(chosen)}{verified}."


def cause_of(spec: ProbeSpec, base: Attempt, chosen: Attempt) -> str:
    """The name of the cause, from the settings that fixed it."""
    before, after = spec.base, chosen.setting.proxy
    if chosen.setting.plain:
        return "plain-http-upstream"
    if before.proxy_http_version != after.proxy_http_version:
        if base.result is Result.HTTP2:
            return "not-http1-upstream"
        if base.alert == NO_APPLICATION_PROTOCOL:
            return "upstream-alpn"
    if before.ssl_certificate != after.ssl_certificate:
        return "client-certificate-needed"
    if before.ssl_protocols != after.ssl_protocols:
        return "protocol-version"
    if before.ssl_ciphers != after.ssl_ciphers:
        return "weak-dh" if "dh key" in base.reason else "cipher-mismatch"
    if before.ssl_conf_command != after.ssl_conf_command:
        return "legacy-renegotiation"
    if base.result is Result.HEADER_TOO_BIG:
        return "header-too-big"
    if base.result is Result.UNTRUSTED:
        return "verify-depth"
    if before.ssl_server_name != after.ssl_server_name:
        missing = (
            base.result is not Result.RESPONSE
            or base.status in AMBIGUOUS_STATUSES
            or shows_other_site(spec, base)
        )
        return "sni-missing" if missing else "verify-not-configured"
    if before.ssl_verify != after.ssl_verify:
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
        case "proxy_http_version":
            return "nginx 1.29.4 and later; a gRPC server needs grpc_pass instead"
        case "proxy_buffer_size" | "proxy_buffers":
            return "its response headers exceed the default of 4k"
    return ""


def _advice(
    spec: ProbeSpec, attempts: Sequence[Attempt], setting: Setting
) -> list[SuggestedDirective]:
    """Directives for verification, if an attempt with them succeeded."""
    if setting.proxy.ssl_verify or setting.plain:
        return []
    passed = [
        attempt
        for attempt in attempts
        if attempt.setting.proxy.ssl_verify
        and attempt.result in (Result.RESPONSE, Result.HANDSHAKE_OK)
        and attempt.setting.proxy.ssl_verify_depth <= max(attempt.intermediates or 1, 1)
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
    strict = [attempt for attempt in order if attempt.setting.proxy.ssl_verify]
    furthest = strict[0] if spec.require_verify and strict else order[0]
    # What the local OpenSSL says is more than what happens where it is told to ignore that.
    if attempts[0].result is Result.LOCAL_TLS_ERROR and furthest.result.stage is Stage.HELLO:
        furthest = attempts[0]
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
    second, cause = advice_without_fix(spec, attempts, furthest, tried)
    return Conclusion(CANNOT_WORK, (first, second), cause)


def _refused_certificate(attempts: Sequence[Attempt]) -> Conclusion | None:
    """Our certificate was sent, and refused."""
    for attempt in reversed(attempts):
        sent = attempt.setting.proxy.ssl_certificate is not None
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
