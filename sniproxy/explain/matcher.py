"""Match log records against the catalog: the first matching signature explains a record."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from .catalog import Catalog, Cause, Signature, catalog
from .features import (
    BODILESS_METHODS,
    LineFeatures,
    UpstreamAddress,
    extract_features,
    host_is_address,
    is_public_https,
    method_in,
    parse_upstream,
)
from .log_fields import STARTUP, head_of, plain_field
from .log_reader import LogRecord, completeness, records
from .openssl_errors import BARE_WORDS, parse_openssl_errors

CACHE_SIZE = 4_096
MAX_CACHED_LENGTH = 1_024
"""The cache holds the matches of so many messages, each up to this length."""

RUN_TIME_LEVELS = frozenset({"error", "info"})
"""Levels at which nothing about the startup is logged."""

_NAMES = (
    re.compile(r'does not match (?:host )?"([^"]*)'),
    re.compile(r"(?<!\S)(\S+) could not be resolved"),
    re.compile(r"defined to resolve ([^\s,]+)"),
    re.compile(r'host not found in (?:upstream|resolver) "([^"]*)'),
)
_OTHER_KEYWORDS = {"SSL", "routines:", "error:", "upstream", *BARE_WORDS}
_QUOTED = re.compile(r'"([^"]+)')


@dataclass(frozen=True, slots=True)
class Match:
    """The signature that matches a message, independent of the fields after it."""

    signature: Signature
    side: str
    name: str
    """The host name or file in the message; "" if there is none."""


@dataclass(frozen=True, slots=True)
class LineFields:
    """The fields behind a message that a match depends on."""

    upstream: UpstreamAddress | None
    host_is_address: bool
    method: str

    @property
    def key(self) -> tuple[object, ...]:
        """What two lines with the same match have in common."""
        own = (self.host_is_address, self.method in BODILESS_METHODS)
        if self.upstream is None:
            return own
        upstream = self.upstream
        port = upstream.authority[-6:].rpartition(":")[2]
        ipv6 = "[" in upstream.authority
        return (*own, upstream.scheme, port, ipv6, is_public_https(upstream))


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of a log record."""

    record: LogRecord
    match: Match
    upstream: UpstreamAddress | None
    server: str
    """The field `server:`, a server name or listening address."""

    @property
    def side(self) -> str:
        """The side concerned: `upstream`, `client`, or `startup` (nginx's own files)."""
        return self.match.side

    @property
    def signature(self) -> Signature:
        return self.match.signature

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The causes, most likely first."""
        return self.match.signature.causes

    @property
    def name(self) -> str:
        """The name or file in the message, else the server."""
        return self.match.name or self.server


def explain(line: str, /) -> Explanation | None:
    """Explain a line of an error log; None if it is not recognized.

    `line` may have a prefix before nginx's time, be truncated, or be wrapped into several lines.
    """
    explainer = _explainer()
    found = (explainer.explain(record) for record in records(line, explainer.score))
    return next((explanation for explanation in found if explanation is not None), None)


@cache
def _explainer() -> Explainer:
    return Explainer(catalog())


@dataclass(slots=True)
class Explainer:
    """Explains log records. Matches are cached, since logs are repetitive."""

    catalog: Catalog
    _cache: dict[tuple[object, ...], Match | None] = field(default_factory=dict)
    _keywords: tuple[str, ...] = ()
    """A message without any of these matches no signature; a fast filter for most of a log."""

    def __post_init__(self) -> None:
        words = {
            text for signature in self.catalog.signatures for text in signature.text
        } | _OTHER_KEYWORDS
        self._keywords = tuple(
            word for word in words if not any(other in word for other in words - {word})
        )

    def explain(self, record: LogRecord) -> Explanation | None:
        """Explain a record; None if it is not recognized."""
        text = record.text
        head = head_of(text)
        end = len(head)
        upstream = parse_upstream(text, end)
        fields = LineFields(upstream, host_is_address(text, end), method_in(text, end))
        match = self._cached_match(record, head, fields)
        if match is None:
            return None
        return Explanation(record, match, upstream, plain_field(text, "server", end))

    def score(self, record: LogRecord) -> int:
        """Score how complete and recognizable a record is, to choose how lines are joined."""
        score = completeness(record.text)
        if (explanation := self.explain(record)) is not None:
            score += 2 if explanation.signature.levels else 4
        words = self.catalog.vocabulary
        errors = parse_openssl_errors(head_of(record.text), words)
        return score + len(errors.alerts) + len(errors.reasons & words.known)

    def _cached_match(self, record: LogRecord, head: str, fields: LineFields) -> Match | None:
        is_cut = len(head) == len(record.text)
        key = (head, is_cut, record.level, *fields.key)
        if key in self._cache:
            return self._cache[key]
        match = self._find_match(record, head, fields)
        if len(head) <= MAX_CACHED_LENGTH:
            if len(self._cache) >= CACHE_SIZE:
                self._cache.clear()
            self._cache[key] = match
        return match

    def _find_match(self, record: LogRecord, head: str, fields: LineFields) -> Match | None:
        if record.level != "emerg" and not _any_in(self._keywords, head):
            return None
        features = extract_features(
            record,
            self.catalog.vocabulary,
            fields.upstream,
            fields.host_is_address,
            fields.method,
        )
        for signature in self.catalog.signatures:
            if fits(signature, features):
                return Match(
                    signature, features.side or signature.side, name_in(head, signature.side)
                )
        return None


def fits(signature: Signature, features: LineFeatures) -> bool:
    """Whether a record with these features matches the signature."""
    if features.side is not None and features.side != signature.side:
        return False
    if signature.side == STARTUP and features.level in RUN_TIME_LEVELS:
        return False
    errors = features.openssl
    return (
        (
            _any_in(signature.text, features.head)
            or not signature.reasons.isdisjoint(errors.reasons)
            or not signature.alerts.isdisjoint(errors.alerts)
            or errors.verify in signature.verify
            or features.level in signature.levels
        )
        and (not signature.during or _any_in(signature.during, features.phase))
        and (not signature.errno or features.errno in signature.errno)
        and (not signature.with_ or _any_in(signature.with_, features.head))
        and (not signature.schemes or features.scheme in signature.schemes)
        and (not signature.ports or features.port.endswith(signature.ports))
        and (not signature.host_is_address or features.host_is_address)
        and (not signature.to_public_https or features.to_public_https)
        and (not signature.to_plain_port or features.to_plain_port)
        and (not signature.ipv6 or features.ipv6)
        and (not signature.name_is_address or features.name_is_address)
        and (not signature.may_have_body or features.may_have_body)
    )


def _any_in(words: Sequence[str], text: str) -> bool:
    # A loop, since most of the time is spent here: any() takes 50 % longer.
    for word in words:  # noqa: SIM110
        if word in text:
            return True
    return False


def name_in(head: str, side: str) -> str:
    """The host name in a message, or the file in one of the startup; "" if there is none."""
    for pattern in _NAMES:
        if (match := pattern.search(head)) is not None:
            return match[1]
    match = _QUOTED.search(head) if side == STARTUP else None
    return match[1] if match else ""
