"""A record → what it means: the first sign that fits, with its causes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from .catalogue import Catalogue, Cause, Sign, catalogue
from .facts import Facts, Upstream, asked_by_address, facts_of, is_front_door, upstream_of
from .fields import START, head_of, plain_field
from .openssl import told
from .records import Record, completeness, records

MOST_KNOWN = 4_096
LONGEST_KNOWN = 1_024
"""So many different messages, up to this length, are remembered with their signs."""

_NAMES = (
    re.compile(r'does not match (?:host )?"([^"]*)'),
    re.compile(r"(?<!\S)(\S+) could not be resolved"),
    re.compile(r"defined to resolve ([^\s,]+)"),
    re.compile(r'host not found in (?:upstream|resolver) "([^"]*)'),
)
_OTHER_HOOKS = {"SSL", "routines:", "error:", "upstream"}
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
    explainer = _explainer()
    found = (explainer.explain(record) for record in records(line, explainer.judge))
    return next((explanation for explanation in found if explanation is not None), None)


@cache
def _explainer() -> Explainer:
    return Explainer(catalogue())


@dataclass(slots=True)
class Explainer:
    """Explains records, and remembers what it made of each message: logs repeat themselves."""

    catalogue: Catalogue
    _known: dict[tuple[object, ...], Reading | None] = field(default_factory=dict)
    _hooks: tuple[str, ...] = ()
    """A message without any of these has no sign: most of a log is told apart by them."""

    def __post_init__(self) -> None:
        words = {text for sign in self.catalogue.signs for text in sign.text} | _OTHER_HOOKS
        self._hooks = tuple(
            word for word in words if not any(other in word for other in words - {word})
        )

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

    def judge(self, record: Record) -> int:
        """How much sense a record makes: that of its text, and more if it is known."""
        sense = completeness(record.text)
        if (explanation := self.explain(record)) is not None:
            sense += 2 if explanation.sign.levels else 4
        words = self.catalogue.words
        said = told(head_of(record.text), words)
        return sense + len(said.alerts) + len(said.reasons & words.known)

    def _reading(
        self, record: Record, head: str, upstream: Upstream | None, by_address: bool
    ) -> Reading | None:
        place: tuple[object, ...] = ()
        if upstream is not None:
            place = (upstream.scheme, upstream.authority[-4:], is_front_door(upstream))
        is_cut = len(head) == len(record.text)
        key = (head, is_cut, record.level, by_address, *place)
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
        if record.level != "emerg" and not _any_in(self._hooks, head):
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
            or facts.level in sign.levels
        )
        and (not sign.during or _any_in(sign.during, facts.phase))
        and (not sign.errno or facts.errno in sign.errno)
        and (not sign.with_ or _any_in(sign.with_, facts.head))
        and (not sign.schemes or facts.scheme in sign.schemes)
        and (not sign.ports or facts.port.endswith(sign.ports))
        and (not sign.asked_by_address or facts.asked_by_address)
        and (not sign.to_front_door or facts.to_front_door)
    )


def _any_in(words: Sequence[str], text: str) -> bool:
    # A loop, since this is where most of the time goes: any() takes half as much again.
    for word in words:  # noqa: SIM110
        if word in text:
            return True
    return False


def name_in(head: str, side: str) -> str:
    """The name that a message is about, or at the start the file."""
    for pattern in _NAMES:
        if (match := pattern.search(head)) is not None:
            return match[1]
    match = _QUOTED.search(head) if side == START else None
    return match[1] if match else ""
