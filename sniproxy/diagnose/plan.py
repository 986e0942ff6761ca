"""Which attempt comes next (pure).

The first attempt is the location as it is. What came of it says what may help: each `Result`
has its repairs, the likeliest first, as people who asked about it were helped. A repair changes
the settings of one attempt; those of the attempt that came furthest go first. Once one has got
through, what is left is to make it smaller, and to see what else is worth saying.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ..script import literal
from .attempts import (
    BIG_HEAD,
    DEEPEST,
    EVERY_PROTOCOL,
    LEGACY,
    WEAK_CIPHERS,
    Attempt,
    Question,
    Result,
    Setting,
    hosting,
    is_name,
    is_permissive,
    naming,
    permitting,
    verifying,
)
from .directives import changes

MOST = 12
"""Connections, whatever happens."""

DOUBTFUL = frozenset({400, 403, 404, 421, 495, 496, 500, 502, 503, 504, 525, 526, 530})
"""Answers that a front also gives when it does not know which site is meant."""
NEVER_RIGHT = frozenset({421, 495, 496})
"""Those of them that are about TLS itself."""

CERTIFICATE_ALERTS = frozenset({40, 41, 42, 43, 46, 48, 116})
"""What servers say after a handshake about our certificate, or its lack."""


def next_setting(question: Question, attempts: Sequence[Attempt]) -> Setting | None:
    """What to try now; None where all is known that can be."""
    if not attempts:
        return Setting(question.base)
    tried = [attempt.setting for attempt in attempts]
    found = best(question, attempts)
    wishes = _repairs(question, attempts) if found is None else _extras(question, attempts, found)
    return next((setting for setting in wishes if setting not in tried), None)


# --- judging ---------------------------------------------------------------------------------


def gets_through(question: Question, attempt: Attempt) -> bool:
    """Whether a location with its settings would do what is wanted."""
    verified = attempt.setting.proxy.proxy_ssl_verify or not question.insists
    if attempt.result is Result.SHAKEN:
        return verified
    if attempt.result is not Result.ANSWERED or attempt.status in NEVER_RIGHT:
        return False
    return (verified or attempt.setting.plain) and not says_wrong_port(attempt)


def says_wrong_port(attempt: Attempt) -> bool:
    """Whether a TLS port has answered plain HTTP in HTTP, as many servers do."""
    return attempt.setting.plain and attempt.status == 400 and "https" in attempt.answer.lower()


def wants_certificate(attempt: Attempt) -> bool:
    """Whether it failed for lack of our certificate, as far as one attempt can tell."""
    if not attempt.asked or attempt.setting.proxy.proxy_ssl_certificate is not None:
        return False
    failed = attempt.result in (Result.ALERT, Result.CLOSED, Result.NO_ANSWER)
    refused = attempt.status in (400, 403, 495, 496)
    return failed or refused or attempt.result is Result.WANTS_CERTIFICATE


def is_clear(question: Question, attempt: Attempt) -> bool:
    """Whether it gets through with an answer that leaves no doubt."""
    return gets_through(question, attempt) and attempt.status not in DOUBTFUL


def best(question: Question, attempts: Sequence[Attempt]) -> Attempt | None:
    """The attempt to follow: clear, and with the least to write."""
    clear = [attempt for attempt in attempts if is_clear(question, attempt)]
    return min(clear, key=lambda attempt: cost(question, attempt.setting), default=None)


def fallback(question: Question, attempts: Sequence[Attempt]) -> Attempt | None:
    """Where none is clear: one that gets through all the same, with the least to write."""
    through = [attempt for attempt in attempts if gets_through(question, attempt)]
    return min(through, key=lambda attempt: cost(question, attempt.setting), default=None)


def cost(question: Question, setting: Setting) -> tuple[int, ...]:
    """What a setting asks of whoever writes it."""
    said = sum(1 for _ in changes(question.base, setting.proxy))
    depth = setting.proxy.proxy_ssl_verify_depth
    return (setting.plain, is_permissive(setting), said, depth, setting.address)


# --- what may help ---------------------------------------------------------------------------

Repair = Callable[[Question, Sequence[Attempt], Attempt], Iterator[Setting]]


def _repairs(question: Question, attempts: Sequence[Attempt]) -> Iterator[Setting]:
    for attempt in furthest_first(attempts):
        for repair in REPAIRS[attempt.result]:
            yield from repair(question, attempts, attempt)


def furthest_first(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Those over TLS by how far they came, of equals the later one; then those without."""

    def key(numbered: tuple[int, Attempt]) -> tuple[bool, int, int]:
        number, attempt = numbered
        return (not attempt.setting.plain, attempt.result.stage, number)

    return [attempt for _, attempt in sorted(enumerate(attempts), key=key, reverse=True)]


def _other_address(
    question: Question, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    for address in _addresses(question):
        yield replace(attempt.setting, address=address)


def _addresses(question: Question) -> list[int]:
    """The addresses to try: the first of each family, or all of a configuration's."""
    if not question.thorough:
        return list(range(len(question.addresses)))
    first: dict[bool, int] = {}
    for index, address in enumerate(question.addresses):
        first.setdefault(":" in address, index)
    return list(first.values())


def _with_names(
    question: Question, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    if attempt.setting.plain:
        return
    for name in question.names:
        if is_name(question.value(name)):
            yield naming(question, attempt.setting, name)


def _with_host(
    question: Question, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    if question.host_header and not attempt.setting.plain:
        yield hosting(question, attempt.setting)


def _with_certificate(
    question: Question, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    if question.certificate is not None and not attempt.setting.plain:
        yield presenting(question, attempt.setting)


def _if_asked(
    question: Question, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    if attempt.asked:
        yield from _with_certificate(question, attempts, attempt)


def _as_plain(
    question: Question, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    if question.may_ask and not any(other.setting.plain for other in attempts):
        yield Setting(question.base, plain=True, address=attempt.setting.address)


def _permissive(
    question: Question, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    tried = any(is_permissive(other.setting) for other in attempts)
    if not (tried or attempt.asked or _is_about_names(attempt)):
        yield permitting(attempt.setting)


def _is_about_names(attempt: Attempt) -> bool:
    """Whether no protocol or cipher can help: unrecognized_name is said of names alone."""
    return attempt.alert == 112


TLS12 = frozenset({"TLSv1.2"})


def _without_tls13(
    question: Question, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    tried = any(other.setting.proxy.proxy_ssl_protocols == TLS12 for other in attempts)
    if not (tried or attempt.asked or _is_about_names(attempt)):
        yield attempt.setting.saying(proxy_ssl_protocols=TLS12)


def _deeper(question: Question, attempts: Sequence[Attempt], attempt: Attempt) -> Iterator[Setting]:
    depth = attempt.setting.proxy.proxy_ssl_verify_depth
    if attempt.verify_result in TOO_DEEP and depth < DEEPEST:
        yield attempt.setting.saying(proxy_ssl_verify_depth=DEEPEST)


def _bigger_head(
    question: Question, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    for size in (16384, BIG_HEAD):
        if attempt.setting.proxy.proxy_buffer_size < size:
            yield attempt.setting.saying(
                proxy_buffer_size=size,
                proxy_buffers=(8, size),
            )


def _verified(
    question: Question, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    """For whoever insists, once it goes without."""
    setting = attempt.setting
    if not question.insists or setting.plain or setting.proxy.proxy_ssl_verify:
        return
    named = list(_with_names(question, attempts, attempt))
    for chosen in [setting] if setting.proxy.proxy_ssl_server_name else named or [setting]:
        yield verifying(question, chosen)


def _doubtful(
    question: Question, attempts: Sequence[Attempt], attempt: Attempt
) -> Iterator[Setting]:
    """An answer that may be that of another site."""
    yield from _verified(question, attempts, attempt)
    if attempt.status in DOUBTFUL:
        yield from _if_asked(question, attempts, attempt)
        yield from _with_names(question, attempts, attempt)
        yield from _with_host(question, attempts, attempt)


REPAIRS: dict[Result, tuple[Repair, ...]] = {
    Result.UNREACHABLE: (_other_address,),
    Result.ALERT: (_if_asked, _with_names, _permissive, _without_tls13, _with_certificate),
    Result.PLAIN_HTTP: (_as_plain,),
    Result.NOT_TLS: (_as_plain, _with_names),
    Result.CLOSED: (_if_asked, _with_names, _as_plain, _permissive, _without_tls13),
    Result.SILENT: (_with_names, _as_plain, _without_tls13),
    Result.REFUSED_HERE: (_permissive, _with_names),
    Result.UNTRUSTED: (_with_names, _deeper),
    Result.MISNAMED: (_with_names,),
    Result.WANTS_CERTIFICATE: (_with_certificate, _with_names),
    Result.NO_ANSWER: (_if_asked, _with_names, _with_host),
    Result.MUTE: (_with_names,),
    Result.TOO_BIG: (_bigger_head,),
    Result.NOT_HTTP: (_with_names,),
    Result.ANSWERED: (_doubtful,),
    Result.SHAKEN: (_verified,),
    Result.UNPREPARED: (),
}


def presenting(question: Question, setting: Setting) -> Setting:
    """Show our certificate."""
    assert question.certificate is not None
    certificate, key = question.certificate
    return setting.saying(
        proxy_ssl_certificate=literal(certificate), proxy_ssl_certificate_key=literal(key)
    )


# --- once one gets through -------------------------------------------------------------------


def _extras(question: Question, attempts: Sequence[Attempt], found: Attempt) -> Iterator[Setting]:
    setting = found.setting
    if is_permissive(setting):
        yield from _narrower(question, found)
    if setting.proxy.proxy_ssl_verify_depth == DEEPEST and found.intermediates is not None:
        yield setting.saying(proxy_ssl_verify_depth=max(found.intermediates, 1))
    verifiable = question.authorities and not (setting.plain or setting.proxy.proxy_ssl_verify)
    if question.thorough and verifiable:
        yield from _verifiable(question, attempts, setting)
    for address in _addresses(question):
        yield replace(setting, address=address)


def _narrower(question: Question, found: Attempt) -> Iterator[Setting]:
    """Less than everything: the protocol that was chosen, the weak ciphers, both, one option."""
    base = question.base
    protocols = base.proxy_ssl_protocols | ({found.protocol} & EVERY_PROTOCOL)
    if found.setting.proxy.proxy_ssl_protocols == TLS12:
        protocols = TLS12
    plain = found.setting.saying(
        proxy_ssl_protocols=protocols,
        proxy_ssl_ciphers=base.proxy_ssl_ciphers,
        proxy_ssl_conf_command=base.proxy_ssl_conf_command,
    )
    legacy = (*base.proxy_ssl_conf_command, LEGACY)
    yield plain
    yield plain.saying(proxy_ssl_conf_command=legacy)
    yield plain.saying(proxy_ssl_ciphers=WEAK_CIPHERS)
    yield plain.saying(proxy_ssl_ciphers=WEAK_CIPHERS, proxy_ssl_conf_command=legacy)


def _verifiable(
    question: Question, attempts: Sequence[Attempt], setting: Setting
) -> Iterator[Setting]:
    """Whether the certificate could be verified too."""
    if setting.proxy.proxy_ssl_server_name:
        named = setting
    else:
        names = [name for name in question.names if is_name(question.value(name))]
        if not names:
            return
        named = naming(question, setting, names[0])
    wanted = verifying(question, named)
    yield wanted
    for attempt in attempts:
        if attempt.setting == wanted and attempt.verify_result in TOO_DEEP:
            yield verifying(question, named, DEEPEST)
    for attempt in attempts:
        if attempt.setting == verifying(question, named, DEEPEST) and attempt.intermediates:
            yield verifying(question, named, attempt.intermediates)


TOO_DEEP = frozenset({2, 20, 22})
"""What a chain that is longer than `proxy_ssl_verify_depth` looks like too."""
