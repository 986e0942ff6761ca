"""The catalog of causes and signatures, loaded from `catalog.toml` once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from .log_fields import UPSTREAM
from .openssl_errors import OpenSSLVocabulary

PLAIN_SCHEMES = frozenset({"http", "grpc", "fastcgi", "uwsgi", "scgi", "memcached"})
"""Schemes of upstreams without TLS."""
SHORT_REASON = 8
"""Reasons of at most so many characters (`EC lib`) are not matched without their context."""


@dataclass(frozen=True, slots=True)
class Fix:
    """A fix: directives to paste, or an instruction if there are none."""

    when: str
    directives: tuple[str, ...] = ()
    instruction: str = ""
    optional: bool = False
    """Whether it applies only if `when` does; the others are applied together."""
    side: str = ""
    """`upstream` for lines about that side only; `client` or `startup` for lines about either of
    these, since both concern our own settings; "" for all."""
    context: str = "location"
    """The context of the directives: location, server, upstream or main."""
    kind: str = "directive"
    """`directive`, or `annotation` for one of Kubernetes."""
    weakens: str = ""
    """What security it gives up; "" if none."""

    def is_for(self, side: str) -> bool:
        return not self.side or (self.side == UPSTREAM) == (side == UPSTREAM)


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause of failures, and its fixes; the fields are described in `catalog.toml`."""

    name: str
    title: str
    plain: str
    """What happened, in a sentence without terms of art."""
    sides: tuple[str, ...]
    explains: str
    likely: tuple[str, ...]
    fixes: tuple[Fix, ...]
    proof: tuple[str, ...]
    misconception: str
    source: str
    background: str = ""
    proof_plain: tuple[str, ...] = ()

    def fixes_for(self, side: str) -> tuple[Fix, ...]:
        """The fixes for a line about `side`."""
        return tuple(fix for fix in self.fixes if fix.is_for(side))

    def proof_for(self, scheme: str) -> tuple[str, ...]:
        """The commands that confirm it, for an upstream with this scheme."""
        return self.proof_plain if scheme in PLAIN_SCHEMES and self.proof_plain else self.proof


@dataclass(frozen=True, slots=True)
class Signature:
    """A kind of log line, with its known causes, the most likely first."""

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
    to_plain_port: bool = False
    ipv6: bool = False
    name_is_address: bool = False
    may_have_body: bool = False

    @property
    def cause_names(self) -> tuple[str, ...]:
        return tuple(cause.name for cause in self.causes)


@dataclass(frozen=True, slots=True)
class Catalog:
    causes: Mapping[str, Cause]
    signatures: tuple[Signature, ...]
    """In order of precedence: the first match wins."""
    vocabulary: OpenSSLVocabulary


@cache
def catalog() -> Catalog:
    """Load the catalog."""
    table = tomllib.loads(files(__package__).joinpath("catalog.toml").read_text("utf-8"))
    causes = {entry["name"]: _cause(entry) for entry in table["cause"]}
    signatures = tuple(_signature(entry, causes) for entry in table["signature"])
    return Catalog(causes, signatures, _vocabulary(table, signatures))


def _cause(entry: Mapping[str, Any]) -> Cause:
    fixes = tuple(
        Fix(**{**fix, "directives": tuple(fix.get("directives", ()))}) for fix in entry["fixes"]
    )
    keys = ("sides", "likely", "proof", "proof_plain")
    lists = {key: tuple(entry.get(key, ())) for key in keys}
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
