"""What is said about an upstream that works without a change (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from . import plain_sentences
from .description import describe, names_of, verification_error
from .model import Attempt, ProbeSpec, Result
from .strategy import AMBIGUOUS_STATUSES, gets_through, shows_other_site

SLOW = 2.0
"""Seconds after which an attempt is called slow."""


def works_sentences(
    spec: ProbeSpec, attempts: Sequence[Attempt], found: Attempt
) -> tuple[str, ...]:
    """What happens, and what is worth knowing about it."""
    first = f"{found.address} works with {_how(spec)}: {describe(found)}."
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
        if attempt.setting.proxy.ssl_verify and attempt.result is Result.UNTRUSTED:
            return (first, "Its certificate is not verified by default, and would not pass: "
                    f"{verification_error(attempt)}.")  # fmt: skip
        if attempt.setting.proxy.ssl_verify and attempt.result is Result.NAME_MISMATCH:
            return (first, "Its certificate is not verified by default, and is for "
                    f"{names_of(attempt)}.")  # fmt: skip
    return (first, "Nothing has to be changed.")


def ignores_name(spec: ProbeSpec, base: Attempt, chosen: Attempt) -> bool:
    """Whether the name changes nothing: the same response, and the certificate of other names."""
    return (
        gets_through(spec, base)
        and shows_other_site(spec, base)
        and chosen.sni is not None
        and (chosen.names, chosen.status) == (base.names, base.status)
        and not chosen.is_for(spec.known_names)
    )


def other_site_sentences(spec: ProbeSpec, base: Attempt, chosen: Attempt) -> tuple[str, str]:
    """What is said where the name changes nothing."""
    return (
        f"{base.address} works with {_how(spec)}: {describe(base)}.",
        f"With the name {chosen.sni} as without one it shows a certificate for "
        f"{names_of(base)}: either that name is not one of its, or its certificate is for "
        "another one. nginx does not check that by default.",
    )


def plainly_works(found: Attempt) -> str:
    if found.status in AMBIGUOUS_STATUSES and found.result is Result.RESPONSE:
        return plain_sentences.WORKS_WITH_ANSWER
    return plain_sentences.WORKS_SLOWLY if found.seconds >= SLOW else plain_sentences.WORKS


def is_default(spec: ProbeSpec) -> bool:
    """Whether nginx's defaults are diagnosed, not a location."""
    return spec.explore


def _how(spec: ProbeSpec) -> str:
    return "nginx's defaults" if is_default(spec) else "the location as it is"


def _other_family(attempts: Sequence[Attempt], found: Attempt) -> str:
    for attempt in attempts:
        other = attempt.setting.address != found.setting.address
        if other and attempt.result is Result.UNREACHABLE:
            return (
                f"Its other address {attempt.address} cannot be reached from here: nginx "
                "tries all addresses in turn, and logs an error for this one."
            )
    return ""
