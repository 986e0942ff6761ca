"""A record → what it means: the first sign that fits, with its causes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from .catalogue import Catalogue, Cause, Sign, catalogue
from .facts import Facts, Upstream, asked_by_address, facts_of, upstream_of
from .fields import START, head_of, plain_field
from .records import Record, records

MOST_KNOWN = 4_096
LONGEST_KNOWN = 1_024
"""So many different messages, up to this length, are remembered with their signs."""

_NAMES = (
    re.compile(r'does not match "([^"]*)'),
    re.compile(r"(\S+) could not be resolved"),
    re.compile(r"defined to resolve ([^\s,]+)"),
    re.compile(r'host not found in (?:upstream|resolver) "([^"]*)'),
)
_QUOTED = re.compile(r'"([^"]+)')


@dataclass(frozen=True, slots=True)
class Reading:
    """What a message means, whatever the fields behind it say."""

    sign: Sign
    side: str
    name: str
    """The name or file that the message is about; "" if it has none."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one line means."""

    record: Record
    reading: Reading
    upstream: Upstream | None
    server: str
    """nginx's field: the server's name, or the address it listens on."""

    @property
    def side(self) -> str:
        """`upstream`, `client` or `start` (nginx's own files)."""
        return self.reading.side

    @property
    def sign(self) -> Sign:
        return self.reading.sign

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The likeliest first."""
        return self.reading.sign.causes

    @property
    def name(self) -> str:
        """What the line is about, beside the upstream: a name or file, else the server."""
        return self.reading.name or self.server


def explain(line: str, /) -> Explanation | None:
    """What a line of an error log means; None if it is none that is known.

    `line` may have something before nginx's time, be cut, or be wrapped into several.
    """
    explainer = Explainer(catalogue())
    found = (explainer.explain(record) for record in records(line))
    return next((explanation for explanation in found if explanation is not None), None)


@dataclass(slots=True)
class Explainer:
    """Explains records, and remembers what it made of each message: logs repeat themselves."""

    catalogue: Catalogue
    _known: dict[tuple[object, ...], Reading | None] = field(default_factory=dict)
    _texts: tuple[tuple[str, Sign], ...] = ()
    _hooks: re.Pattern[str] = re.compile("")

    def __post_init__(self) -> None:
        self._texts = tuple((text, sign) for sign in self.catalogue.signs for text in sign.text)
        literals = sorted({text for text, _ in self._texts} | {"SSL", "routines:", "error:"})
        self._hooks = re.compile("|".join(map(re.escape, literals)))

    def explain(self, record: Record) -> Explanation | None:
        """What a record means, None if it is not known."""
        text = record.text
        head = head_of(text)
        end = len(head)
        upstream = upstream_of(text, end)
        reading = self._reading(record, head, upstream, asked_by_address(text, end))
        if reading is None:
            return None
        return Explanation(record, reading, upstream, plain_field(text, "server", end))

    def _reading(
        self, record: Record, head: str, upstream: Upstream | None, by_address: bool
    ) -> Reading | None:
        scheme = port = ""
        if upstream is not None:
            scheme, port = upstream.scheme, upstream.authority[-4:]
        is_cut = len(head) == len(record.text)
        key = (head, is_cut, record.level, scheme, port, by_address)
        if key in self._known:
            return self._known[key]
        reading = self._read(record, head, upstream, by_address)
        if len(head) <= LONGEST_KNOWN:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[key] = reading
        return reading

    def _read(
        self, record: Record, head: str, upstream: Upstream | None, by_address: bool
    ) -> Reading | None:
        if not self._hooks.search(head):
            return None
        facts = facts_of(record, self.catalogue.words, upstream, by_address)
        for sign in self.catalogue.signs:
            if fits(sign, facts):
                return Reading(sign, facts.side or sign.side, name_in(head, sign.side))
        return None


def fits(sign: Sign, facts: Facts) -> bool:
    """Whether a line with these facts has the sign."""
    if facts.side is not None and facts.side != sign.side:
        return False
    said = facts.openssl
    return (
        (
            _any_in(sign.text, facts.head)
            or not sign.reasons.isdisjoint(said.reasons)
            or not sign.alerts.isdisjoint(said.alerts)
            or said.verify in sign.verify
        )
        and (not sign.during or _any_in(sign.during, facts.phase))
        and (not sign.errno or facts.errno in sign.errno)
        and (not sign.with_ or _any_in(sign.with_, facts.head))
        and (not sign.schemes or facts.scheme in sign.schemes)
        and (not sign.ports or facts.port.endswith(sign.ports))
        and (not sign.asked or facts.by_address)
    )


def _any_in(words: Sequence[str], text: str) -> bool:
    return any(word in text for word in words)


def name_in(head: str, side: str) -> str:
    """The name that a message is about, or at the start the file."""
    for pattern in _NAMES:
        if (match := pattern.search(head)) is not None:
            return match[1]
    match = _QUOTED.search(head) if side == START else None
    return match[1] if match else ""
