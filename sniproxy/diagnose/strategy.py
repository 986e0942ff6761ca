"""Choose the settings of the next attempt (pure).

The first attempt uses the location's own settings. Each `Result` has candidate fixes, the most
likely first, in the order that helped people who reported such failures. A fix changes the
settings of an earlier attempt; attempts that reached a later phase come first. After a success,
the settings are reduced to what is needed, and further advice is tested.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ..template import literal
from .directives import changes
from .model import (
    ALL_PROTOCOLS,
    HTTP_2,
    LARGE_BUFFER,
    LEGACY,
    MAX_VERIFY_DEPTH,
    WEAK_CIPHERS,
    Attempt,
    ProbeSpec,
    Result,
    Setting,
    is_name,
    is_permissive,
    permissive,
    with_host,
    with_sni,
    with_verify,
)

MAX_CONNECTIONS = 12
"""Limit of connections for one diagnosis."""

AMBIGUOUS_STATUSES = frozenset({400, 403, 404, 421, 495, 496, 500, 502, 503, 504, 525, 526, 530})
"""Statuses that front ends also send when they do not know which site is meant."""
TLS_ERROR_STATUSES = frozenset({421, 495, 496})
"""Those of them that concern TLS itself."""

CERTIFICATE_ALERTS = frozenset({40, 41, 42, 43, 44, 45, 46, 48, 49, 51, 116})
"""Alerts by which servers reject our certificate, or its absence, after the handshake."""


def next_setting(spec: ProbeSpec, attempts: Sequence[Attempt]) -> Setting | None:
    """The setting to try next; None if nothing is left to try."""
    if not attempts:
        return Setting(spec.base)
    if (again := _repeated(attempts)) is not None:
        return again
    if flaky(attempts) is not None:
        return None
    tried = [attempt.setting for attempt in attempts]
    found = best(spec, attempts)
    candidates = (
        _candidate_fixes(spec, attempts) if found is None else _refinements(spec, attempts, found)
    )
    return next((setting for setting in candidates if setting not in tried), None)


# --- chance ---

FLAKY_ATTEMPTS = 6
"""How often a setting is tried whose first two attempts differ, to count how many fail."""
TRANSIENT_RESULTS = frozenset({Result.CLOSED, Result.CLOSED_WITHOUT_RESPONSE})
"""Failures that are repeated with any setting, since they are often chance."""
SILENT_RESULTS = frozenset({Result.NO_SERVER_HELLO, Result.NO_RESPONSE, Result.BODY_STALLED})
"""Failures that are not repeated: each takes the whole patience."""
SUCCESSES = frozenset({Result.RESPONSE, Result.HANDSHAKE_OK})


def _repeated(attempts: Sequence[Attempt]) -> Setting | None:
    """The setting to repeat: nothing is built on a failure that was seen once."""
    last = attempts[-1]
    same = [attempt for attempt in attempts if attempt.setting == last.setting]
    if len(same) == 1:
        if last.result in SUCCESSES or last.result in SILENT_RESULTS or "timed out" in last.line:
            return None
        is_first = len(attempts) == 1 and last.result is not Result.SETUP_ERROR
        return last.setting if is_first or last.result in TRANSIENT_RESULTS else None
    is_flaky = flaky(attempts) is not None
    return last.setting if is_flaky and len(same) < FLAKY_ATTEMPTS else None


def flaky(attempts: Sequence[Attempt]) -> tuple[int, int] | None:
    """How many of how many attempts with one setting failed, if others with it succeeded."""
    by_setting: dict[Setting, list[Attempt]] = {}
    for attempt in attempts:
        by_setting.setdefault(attempt.setting, []).append(attempt)
    for same in by_setting.values():
        failed = sum(attempt.result not in SUCCESSES for attempt in same)
        if 0 < failed < len(same):
            return failed, len(same)
    return None


# --- evaluation ---------------------------------------------------------------------------------


def gets_through(spec: ProbeSpec, attempt: Attempt) -> bool:
    """Whether a location with the attempt's settings would work as required."""
    verified = attempt.setting.proxy.ssl_verify or not spec.require_verify
    if attempt.result is Result.HANDSHAKE_OK:
        return verified
    if attempt.result is not Result.RESPONSE or attempt.status in TLS_ERROR_STATUSES:
        return False
    return (verified or attempt.setting.plain) and not says_wrong_port(attempt)


def says_wrong_port(attempt: Attempt) -> bool:
    """Whether a TLS port rejected plain HTTP with a 400 response, as many servers do."""
    return attempt.setting.plain and attempt.status == 400 and "https" in attempt.body.lower()


def wants_certificate(attempt: Attempt) -> bool:
    """Whether it probably failed because no client certificate was sent."""
    if not attempt.certificate_requested or attempt.setting.proxy.ssl_certificate is not None:
        return False
    failed = attempt.result in (Result.ALERT, Result.CLOSED, Result.CLOSED_WITHOUT_RESPONSE)
    refused = attempt.status in (400, 403, 495, 496)
    return failed or refused or attempt.result is Result.CERTIFICATE_REQUIRED


def is_clear(spec: ProbeSpec, attempt: Attempt) -> bool:
    """Whether it works, with a status that is not ambiguous, and as the site that is meant."""
    return (
        gets_through(spec, attempt)
        and attempt.status not in AMBIGUOUS_STATUSES
        and not shows_other_site(spec, attempt)
    )


def shows_other_site(spec: ProbeSpec, attempt: Attempt) -> bool:
    """Whether it shows another host's certificate to a hello without SNI."""
    if attempt.sni is not None or attempt.setting.plain or not attempt.names:
        return False
    return bool(spec.known_names) and not attempt.is_for(spec.known_names)


def best(spec: ProbeSpec, attempts: Sequence[Attempt]) -> Attempt | None:
    """The unambiguously successful attempt with the lowest cost."""
    clear = [attempt for attempt in attempts if is_clear(spec, attempt)]
    return min(clear, key=lambda attempt: cost(spec, attempt.setting), default=None)


def fallback(spec: ProbeSpec, attempts: Sequence[Attempt]) -> Attempt | None:
    """The successful attempt with the lowest cost, ambiguous statuses included."""
    through = [attempt for attempt in attempts if gets_through(spec, attempt)]
    return min(through, key=lambda attempt: cost(spec, attempt.setting), default=None)


def weakens(setting: Setting) -> bool:
    """Whether the setting gives up security that nginx's defaults have."""
    proxy = setting.proxy
    return (
        setting.plain
        or re.search(r"SECLEVEL=[01]|\bALL\b", proxy.ssl_ciphers) is not None
        or LEGACY in proxy.ssl_conf_command
        or bool(proxy.ssl_protocols & {"TLSv1", "TLSv1.1", "SSLv3", "SSLv2"})
    )


def lost_security(setting: Setting) -> str:
    """What a setting that weakens security gives up, in one sentence."""
    if setting.plain:
        return (
            "This gives up encryption: everybody on the network between nginx and that server can "
            "read and change the traffic."
        )
    if setting.proxy.ssl_protocols & {"TLSv1", "TLSv1.1"}:
        return "This gives up the protection of current TLS versions towards this upstream."
    if LEGACY in setting.proxy.ssl_conf_command:
        return "This gives up the protection against injected data (CVE-2009-3555)."
    return "This gives up the lower limit for the strength of keys, signatures and ciphers."


def cost(spec: ProbeSpec, setting: Setting) -> tuple[int, ...]:
    """The cost of a setting, as a sort key: intrusive changes first, then how many they are."""
    changed = sum(1 for _ in changes(spec.base, setting.proxy))
    depth = setting.proxy.ssl_verify_depth
    return (setting.plain, weakens(setting), changed, depth, setting.address)


# --- candidate fixes ---------------------------------------------------------------------------

SettingGenerator = Callable[[ProbeSpec, Sequence[Attempt], Attempt], Iterator[Setting]]


def _candidate_fixes(spec: ProbeSpec, attempts: Sequence[Attempt]) -> Iterator[Setting]:
    for attempt in furthest_first(attempts):
        for generate in FIXES[attempt.result]:
            yield from generate(spec, attempts, attempt)


def furthest_first(attempts: Sequence[Attempt]) -> list[Attempt]:
    """TLS attempts first, furthest phase first, ties newest first; then plain HTTP attempts."""

    def key(numbered: tuple[int, Attempt]) -> tuple[bool, int, int]:
        number, attempt = numbered
        return (not attempt.setting.plain, attempt.result.stage, number)

    return [attempt for _, attempt in sorted(enumerate(attempts), key=key, reverse=True)]


def _try_addresses(
    spec: ProbeSpec, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    for address in _addresses(spec):
        yield replace(attempt.setting, address=address)


def _addresses(spec: ProbeSpec) -> list[int]:
    """Indices of the addresses to try: one of each family, or all if from a configuration."""
    if not spec.explore:
        return list(range(len(spec.addresses)))
    first: dict[bool, int] = {}
    for index, address in enumerate(spec.addresses):
        first.setdefault(":" in address, index)
    return list(first.values())


def _try_names(spec: ProbeSpec, attempts: Sequence[Attempt], attempt: Attempt) -> Iterator[Setting]:
    if attempt.setting.plain:
        return
    proxy = attempt.setting.proxy
    sent = spec.name(proxy) if proxy.ssl_server_name else ""
    for name in spec.names:
        if is_name(value := spec.value(name)) and value != sent:
            yield with_sni(spec, attempt.setting, name)


def _try_host(spec: ProbeSpec, attempts: Sequence[Attempt], attempt: Attempt) -> Iterator[Setting]:
    if spec.host_header and not attempt.setting.plain:
        yield with_host(spec, attempt.setting)


def _try_certificate(
    spec: ProbeSpec, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    if spec.certificate is not None and not attempt.setting.plain:
        yield with_client_cert(spec, attempt.setting)


def _try_certificate_if_requested(
    spec: ProbeSpec, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    if attempt.certificate_requested:
        yield from _try_certificate(spec, attempts, attempt)


def _try_plain_http(
    spec: ProbeSpec, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    if spec.send_request and not any(other.setting.plain for other in attempts):
        yield Setting(spec.base, plain=True, address=attempt.setting.address)


def _try_permissive(
    spec: ProbeSpec, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    tried = any(is_permissive(other.setting) for other in attempts)
    if not (tried or attempt.certificate_requested or _is_about_names(attempt)):
        yield permissive(attempt.setting)


def _is_about_names(attempt: Attempt) -> bool:
    """Whether the alert is unrecognized_name, which no protocol or cipher can change."""
    return attempt.alert == 112


def _try_http2(spec: ProbeSpec, attempts: Sequence[Attempt], attempt: Attempt) -> Iterator[Setting]:
    if attempt.setting.proxy.proxy_http_version != HTTP_2:
        yield attempt.setting.with_directives(proxy_http_version=HTTP_2)


def _try_http2_if_alpn(
    spec: ProbeSpec, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    if attempt.alert == NO_APPLICATION_PROTOCOL:
        yield from _try_http2(spec, attempts, attempt)


NO_APPLICATION_PROTOCOL = 120
"""The alert of an upstream that insists on another protocol (ALPN)."""
TLS12 = frozenset({"TLSv1.2"})


def _try_tls12(spec: ProbeSpec, attempts: Sequence[Attempt], attempt: Attempt) -> Iterator[Setting]:
    tried = any(other.setting.proxy.ssl_protocols == TLS12 for other in attempts)
    if not (tried or attempt.certificate_requested or _is_about_names(attempt)):
        yield attempt.setting.with_directives(ssl_protocols=TLS12)


def _try_deeper_chain(
    spec: ProbeSpec, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    depth = attempt.setting.proxy.ssl_verify_depth
    if attempt.verify_result in CHAIN_TOO_LONG_RESULTS and depth < MAX_VERIFY_DEPTH:
        yield attempt.setting.with_directives(ssl_verify_depth=MAX_VERIFY_DEPTH)


def _try_larger_buffer(
    spec: ProbeSpec, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    for size in (16384, LARGE_BUFFER):
        if attempt.setting.proxy.buffer_size < size:
            yield attempt.setting.with_directives(
                buffer_size=size,
                buffers=(8, size),
            )


def _try_verification(
    spec: ProbeSpec, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    """Verify the certificate if required, once it works without."""
    setting = attempt.setting
    if not spec.require_verify or setting.plain or setting.proxy.ssl_verify:
        return
    named = list(_try_names(spec, attempts, attempt))
    for chosen in [setting] if setting.proxy.ssl_server_name else named or [setting]:
        yield with_verify(spec, chosen)


def _try_other_site(
    spec: ProbeSpec, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    """Other names and hosts, if the response may be that of another site."""
    yield from _try_verification(spec, attempts, attempt)
    if attempt.status in AMBIGUOUS_STATUSES or shows_other_site(spec, attempt):
        yield from _try_certificate_if_requested(spec, attempts, attempt)
        yield from _try_names(spec, attempts, attempt)
        yield from _try_host(spec, attempts, attempt)


FIXES: dict[Result, tuple[SettingGenerator, ...]] = {
    Result.UNREACHABLE: (_try_addresses,),
    Result.ALERT: (
        _try_http2_if_alpn,
        _try_certificate_if_requested,
        _try_names,
        _try_permissive,
        _try_tls12,
        _try_certificate,
    ),
    Result.PLAIN_HTTP: (_try_plain_http,),
    Result.NOT_TLS: (_try_plain_http, _try_names),
    Result.CLOSED: (
        _try_certificate_if_requested,
        _try_names,
        _try_plain_http,
        _try_permissive,
        _try_tls12,
    ),
    Result.NO_SERVER_HELLO: (_try_names, _try_plain_http, _try_tls12),
    Result.LOCAL_TLS_ERROR: (_try_permissive, _try_names),
    Result.UNTRUSTED: (_try_names, _try_deeper_chain),
    Result.NAME_MISMATCH: (_try_names,),
    Result.CERTIFICATE_REQUIRED: (_try_certificate, _try_names),
    Result.CLOSED_WITHOUT_RESPONSE: (_try_certificate_if_requested, _try_names, _try_host),
    Result.NO_RESPONSE: (_try_names,),
    Result.HEADER_TOO_BIG: (_try_larger_buffer,),
    Result.NOT_HTTP: (_try_names,),
    Result.INVALID_RESPONSE: (),
    Result.HTTP2: (_try_http2,),
    Result.HTTP1: (),
    Result.BODY_CUT: (_try_names,),
    Result.BODY_STALLED: (),
    Result.RESPONSE: (_try_other_site,),
    Result.HANDSHAKE_OK: (_try_verification,),
    Result.SETUP_ERROR: (),
}


def with_client_cert(spec: ProbeSpec, setting: Setting) -> Setting:
    """Send the client certificate."""
    assert spec.certificate is not None
    certificate, key = spec.certificate
    return setting.with_directives(
        ssl_certificate=literal(certificate), ssl_certificate_key=literal(key)
    )


# --- refinements -------------------------------------------------------------------


def _refinements(spec: ProbeSpec, attempts: Sequence[Attempt], found: Attempt) -> Iterator[Setting]:
    setting = found.setting
    if is_permissive(setting):
        yield from _narrow(spec, found)
    if setting.proxy.ssl_verify_depth == MAX_VERIFY_DEPTH and found.intermediates is not None:
        yield setting.with_directives(ssl_verify_depth=max(found.intermediates, 1))
    verifiable = spec.authorities and not (setting.plain or setting.proxy.ssl_verify)
    if spec.explore and verifiable:
        yield from _try_optional_verification(spec, attempts, setting)
    for address in _addresses(spec):
        yield replace(setting, address=address)


def _narrow(spec: ProbeSpec, found: Attempt) -> Iterator[Setting]:
    """Reduce a permissive setting: only the negotiated protocol, weak ciphers or legacy option."""
    base = spec.base
    protocols = base.ssl_protocols | ({found.protocol} & ALL_PROTOCOLS)
    if found.setting.proxy.ssl_protocols == TLS12:
        protocols = TLS12
    plain = found.setting.with_directives(
        ssl_protocols=protocols,
        ssl_ciphers=base.ssl_ciphers,
        ssl_conf_command=base.ssl_conf_command,
    )
    legacy = (*base.ssl_conf_command, LEGACY)
    yield plain
    yield plain.with_directives(ssl_conf_command=legacy)
    yield plain.with_directives(ssl_ciphers=WEAK_CIPHERS)
    yield plain.with_directives(ssl_ciphers=WEAK_CIPHERS, ssl_conf_command=legacy)


def _try_optional_verification(
    spec: ProbeSpec, attempts: Sequence[Attempt], setting: Setting
) -> Iterator[Setting]:
    """Test whether the certificate could be verified too."""
    if setting.proxy.ssl_server_name:
        named = setting
    else:
        names = [name for name in spec.names if is_name(spec.value(name))]
        if not names:
            return
        named = with_sni(spec, setting, names[0])
    wanted = with_verify(spec, named)
    yield wanted
    for attempt in attempts:
        if attempt.setting == wanted and attempt.verify_result in CHAIN_TOO_LONG_RESULTS:
            yield with_verify(spec, named, MAX_VERIFY_DEPTH)
    for attempt in attempts:
        if attempt.setting == with_verify(spec, named, MAX_VERIFY_DEPTH) and attempt.intermediates:
            yield with_verify(spec, named, attempt.intermediates)


CHAIN_TOO_LONG_RESULTS = frozenset({2, 20, 22})
"""X509_V_* results that a chain longer than `proxy_ssl_verify_depth` may cause too."""
