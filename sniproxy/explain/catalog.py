"""The catalogue of causes and signs, read from `catalog.toml` once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from .log_fields import UPSTREAM
from .openssl_errors import OpenSSLVocabulary

SHORT_REASON = 8
"""Characters; so short a reason (`EC lib`) says too little where nothing stands around it."""


@dataclass(frozen=True, slots=True)
class Fix:
    """What to do: directives to paste, or a sentence where there are none."""

    when: str
    directives: tuple[str, ...] = ()
    instruction: str = ""
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
    """Why nginx could not do it, and what mends it; see the top of `catalog.toml`."""

    name: str
    title: str
    sides: tuple[str, ...]
    explains: str
    likely: tuple[str, ...]
    fixes: tuple[Fix, ...]
    proof: tuple[str, ...]
    misconception: str
    source: str

    def fixes_for(self, side: str) -> tuple[Fix, ...]:
        """The cures for a line about `side`."""
        return tuple(fix for fix in self.fixes if fix.is_for(side))


@dataclass(frozen=True, slots=True)
class Signature:
    """A kind of line, with the causes it is known to have, the likeliest first."""

    name: str
    side: str
    meaning: str
    causes: tuple[Cause, ...]
    distinguish: str = ""
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
    host_is_address: bool = False
    to_public_https: bool = False

    @property
    def cause_names(self) -> tuple[str, ...]:
        return tuple(cause.name for cause in self.causes)


@dataclass(frozen=True, slots=True)
class Catalog:
    causes: Mapping[str, Cause]
    signatures: tuple[Signature, ...]
    """In their order: a line has the first that fits it."""
    vocabulary: OpenSSLVocabulary


@cache
def catalog() -> Catalog:
    """All that is known."""
    table = tomllib.loads(files(__package__).joinpath("catalog.toml").read_text("utf-8"))
    causes = {entry["name"]: _cause(entry) for entry in table["cause"]}
    signatures = tuple(_signature(entry, causes) for entry in table["signature"])
    return Catalog(causes, signatures, _vocabulary(table, signatures))


def _cause(entry: Mapping[str, Any]) -> Cause:
    fixes = tuple(
        Fix(**{**fix, "directives": tuple(fix.get("directives", ()))}) for fix in entry["fixes"]
    )
    lists = {key: tuple(entry[key]) for key in ("sides", "likely", "proof")}
    return Cause(**{**entry, **lists, "fixes": fixes})


def _signature(entry: Mapping[str, Any], causes: Mapping[str, Cause]) -> Signature:
    fields = dict(entry)
    fields["causes"] = tuple(causes[name] for name in entry["causes"])
    fields["with_"] = tuple(fields.pop("with", ()))
    for key in ("text", "during", "ports"):
        fields[key] = tuple(entry.get(key, ()))
    for key in ("reasons", "alerts", "verify", "levels", "errno", "schemes"):
        fields[key] = frozenset(entry.get(key, ()))
    return Signature(**fields)


def _vocabulary(table: Mapping[str, Any], signatures: tuple[Signature, ...]) -> OpenSSLVocabulary:
    reasons = {}
    for key, reason in table["numbers"].items():
        library, number = map(int, key.split(":"))
        reasons[library, number] = reason
    known = frozenset(reason for signature in signatures for reason in signature.reasons)
    bare_reasons = tuple(sorted(reason for reason in known if len(reason) > SHORT_REASON))
    return OpenSSLVocabulary(reasons, table["alerts"], table["verify"], known, bare_reasons)
