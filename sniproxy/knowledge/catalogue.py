"""The catalogue of causes and signs, read from `causes.toml` once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from .fields import UPSTREAM
from .openssl import Words

SHORT_REASON = 8
"""Characters; so short a reason (`EC lib`) says too little where nothing stands around it."""


@dataclass(frozen=True, slots=True)
class Cure:
    """What to do: directives to paste, or a sentence where there are none."""

    when: str
    directives: tuple[str, ...] = ()
    say: str = ""
    optional: bool = False
    """Only in the case that `when` names; the others belong together."""
    side: str = ""
    """`upstream`: for lines about that side only; `client` and `start`: for both of these, which
    are about our own settings; "" for all."""
    context: str = "location"
    """Where the directives go: location, server, upstream or main."""
    kind: str = "directive"
    """`annotation` is one of kubernetes, not a directive."""

    def is_for(self, side: str) -> bool:
        return not self.side or (self.side == UPSTREAM) == (side == UPSTREAM)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why nginx could not do it, and what mends it; see the top of `causes.toml`."""

    name: str
    title: str
    sides: tuple[str, ...]
    explains: str
    likely: tuple[str, ...]
    cures: tuple[Cure, ...]
    proof: tuple[str, ...]
    misconception: str
    source: str

    def cures_for(self, side: str) -> tuple[Cure, ...]:
        """The cures for a line about `side`."""
        return tuple(cure for cure in self.cures if cure.is_for(side))


@dataclass(frozen=True, slots=True)
class Sign:
    """A kind of line, with the causes it is known to have, the likeliest first."""

    name: str
    side: str
    meaning: str
    causes: tuple[Cause, ...]
    tell_apart: str = ""
    text: tuple[str, ...] = ()
    reasons: frozenset[str] = frozenset()
    alerts: frozenset[int] = frozenset()
    verify: frozenset[int] = frozenset()
    levels: frozenset[str] = frozenset()
    during: tuple[str, ...] = ()
    errno: frozenset[int] = frozenset()
    with_: tuple[str, ...] = ()
    schemes: frozenset[str] = frozenset()
    ports: tuple[str, ...] = ()
    asked_by_address: bool = False
    to_front_door: bool = False

    @property
    def cause_names(self) -> tuple[str, ...]:
        return tuple(cause.name for cause in self.causes)


@dataclass(frozen=True, slots=True)
class Catalogue:
    causes: Mapping[str, Cause]
    signs: tuple[Sign, ...]
    """In their order: a line has the first that fits it."""
    words: Words


@cache
def catalogue() -> Catalogue:
    """All that is known."""
    table = tomllib.loads(files(__package__).joinpath("causes.toml").read_text("utf-8"))
    causes = {entry["name"]: _cause(entry) for entry in table["cause"]}
    signs = tuple(_sign(entry, causes) for entry in table["sign"])
    return Catalogue(causes, signs, _words(table, signs))


def _cause(entry: Mapping[str, Any]) -> Cause:
    cures = tuple(
        Cure(**{**cure, "directives": tuple(cure.get("directives", ()))}) for cure in entry["cures"]
    )
    lists = {key: tuple(entry[key]) for key in ("sides", "likely", "proof")}
    return Cause(**{**entry, **lists, "cures": cures})


def _sign(entry: Mapping[str, Any], causes: Mapping[str, Cause]) -> Sign:
    made = dict(entry)
    made["causes"] = tuple(causes[name] for name in entry["causes"])
    made["with_"] = tuple(made.pop("with", ()))
    for key in ("text", "during", "ports"):
        made[key] = tuple(entry.get(key, ()))
    for key in ("reasons", "alerts", "verify", "levels", "errno", "schemes"):
        made[key] = frozenset(entry.get(key, ()))
    return Sign(**made)


def _words(table: Mapping[str, Any], signs: tuple[Sign, ...]) -> Words:
    reasons = {}
    for key, reason in table["numbers"].items():
        library, number = map(int, key.split(":"))
        reasons[library, number] = reason
    known = frozenset(reason for sign in signs for reason in sign.reasons)
    loose = tuple(sorted(reason for reason in known if len(reason) > SHORT_REASON))
    return Words(reasons, table["alerts"], table["verify"], known, loose)
