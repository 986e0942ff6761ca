"""Rewrite redirects and cookies of upstream responses (pure).

Directives: `proxy_redirect`, `proxy_cookie_domain`, `proxy_cookie_path`, `proxy_cookie_flags`.
The first matching rule of a directive is applied. Functions return None if the value is
unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..config.directives.proxy_rewrites import CookieFlags, Pattern, Replacement
from ..template import Template, VariableLookup

OnMatch = Callable[[re.Match[str]], None]
"""Called with the match of a regular expression, before the replacement with `$1` is rendered."""


def rewritten_redirect(
    rules: Sequence[Replacement], value: str, lookup: VariableLookup, on_match: OnMatch
) -> str | None:
    """Rewrite a Location field: replace its prefix, or the match of a regular expression."""
    for rule in rules:
        pattern = rule.pattern
        if not isinstance(pattern, Template):
            if _matches(pattern, value, on_match):
                return rule.replacement.render(lookup)
        elif value.startswith(beginning := pattern.render(lookup)):
            return rule.replacement.render(lookup) + value[len(beginning) :]
    return None


def rewritten_refresh(
    rules: Sequence[Replacement], value: str, lookup: VariableLookup, on_match: OnMatch
) -> str | None:
    """Rewrite the URL in a Refresh field (`5; url=…`)."""
    start = value.lower().find("url=") + len("url=")
    if start < len("url="):
        return None
    rewritten = rewritten_redirect(rules, value[start:], lookup, on_match)
    return None if rewritten is None else value[:start] + rewritten


@dataclass(frozen=True, slots=True)
class CookieRules:
    """The cookie rules of a location."""

    domains: tuple[Replacement, ...] = ()
    paths: tuple[Replacement, ...] = ()
    flags: tuple[CookieFlags, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.domains or self.paths or self.flags)


@dataclass(slots=True)
class Attribute:
    """`name=value` or `name` in a Set-Cookie."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}={self.value}"


def rewritten_cookie(
    rules: CookieRules, value: str, lookup: VariableLookup, on_match: OnMatch
) -> str | None:
    """Rewrite domain, path and flags of a Set-Cookie field; spaces are normalized."""
    cookie, *attributes = map(_attribute, value.split(";"))
    if cookie.value is None:
        return None
    changed = False
    for attribute in attributes:
        if attribute.value is None:
            continue
        rewritten = None
        name = attribute.name.lower()
        if name == "domain":
            rewritten = _rewritten_domain(rules.domains, attribute.value, lookup, on_match)
        elif name == "path":
            rewritten = rewritten_redirect(rules.paths, attribute.value, lookup, on_match)
        if rewritten is not None:
            attribute.value = rewritten
            changed = True
    flags = _flags_for(rules.flags, cookie.name, lookup, on_match)
    if flags:
        attributes = flagged(attributes, flags)
        changed = True
    return "; ".join(map(str, (cookie, *attributes))) if changed else None


def _attribute(text: str) -> Attribute:
    name, equals, value = text.partition("=")
    return Attribute(name.strip(" "), value.strip(" ") if equals else None)


def _rewritten_domain(
    rules: Sequence[Replacement], value: str, lookup: VariableLookup, on_match: OnMatch
) -> str | None:
    """Replace the whole domain, ignoring case; a leading dot is kept."""
    dot, domain = ("." if value.startswith(".") else ""), value.removeprefix(".")
    for rule in rules:
        pattern = rule.pattern
        if not isinstance(pattern, Template):
            if _matches(pattern, value, on_match):
                return rule.replacement.render(lookup)
        elif domain.lower() == pattern.render(lookup).lower():
            return dot + rule.replacement.render(lookup)
    return None


# Flags

_SAMESITE = {f"samesite={word.lower()}": word for word in ("Strict", "Lax", "None")}
_SWITCHES = {"secure": "Secure", "httponly": "HttpOnly"}


@dataclass(slots=True)
class Flags:
    """The flags of a rule."""

    added: dict[str, str] = field(default_factory=dict)
    """Attributes to add, as written, by their name in lower case."""
    removed: set[str] = field(default_factory=set)
    samesite: str | None = None

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.samesite)


def _flags_for(
    rules: Sequence[CookieFlags], cookie: str, lookup: VariableLookup, on_match: OnMatch
) -> Flags | None:
    for rule in rules:
        if _names(rule.pattern, cookie, lookup, on_match):
            return read_flags([flag.render(lookup) for flag in rule.flags])
    return None


def _names(pattern: Pattern, cookie: str, lookup: VariableLookup, on_match: OnMatch) -> bool:
    if not isinstance(pattern, Template):
        return _matches(pattern, cookie, on_match)
    return cookie.lower() == pattern.render(lookup).lower()


def read_flags(words: Sequence[str]) -> Flags:
    """Parse flags (`secure`, `nohttponly`, `samesite=lax`, …); unknown ones are ignored."""
    directive = {word.lower() for word in words}
    flags = Flags(
        {name: word for name, word in _SWITCHES.items() if name in directive},
        {name for name in (*_SWITCHES, "samesite") if f"no{name}" in directive},
    )
    # Of contradicting flags the first in nginx's order takes effect.
    flags.removed -= set(flags.added)
    flags.samesite = next((word for name, word in _SAMESITE.items() if name in directive), None)
    if flags.samesite is not None:
        flags.removed.discard("samesite")
    return flags


def flagged(attributes: Sequence[Attribute], flags: Flags) -> list[Attribute]:
    """Apply flags to attributes; existing attributes keep their position."""
    left: list[Attribute] = []
    missing = dict(flags.added)
    samesite = flags.samesite
    for attribute in attributes:
        name = attribute.name.lower()
        if name in flags.removed:
            continue
        missing.pop(name, None)
        if name == "samesite" and samesite is not None:
            if (attribute.value or "").lower() != samesite.lower():
                attribute = Attribute("SameSite", samesite)
            samesite = None
        left.append(attribute)
    left += [Attribute(word) for word in missing.values()]
    if samesite is not None:
        left.append(Attribute("SameSite", samesite))
    return left


def _matches(pattern: re.Pattern[str], value: str, on_match: OnMatch) -> bool:
    match = pattern.search(value)
    if match is not None:
        on_match(match)
    return match is not None
