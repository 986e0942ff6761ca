"""Directives of nginx's referer, stub_status and empty_gif modules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from ..regex import RegexError, compile_regex
from ..wildcards import wildcard_kind
from .directive import (
    LOCATION,
    SERVER,
    Args,
    Merge,
    Repeat,
    Settings,
    Status,
    at_least,
    between,
    directive,
    exactly,
    settings,
)
from .slots import flag_present, number

MODULE = "ngx_http_referer_module"
_WORDS = ("none", "blocked", "server_names")


@dataclass(frozen=True, slots=True)
class RefererName:
    """A host that links may come from."""

    host: str
    """In lower case; may have a wildcard."""
    path: str = ""
    """The required beginning of the path."""


@dataclass(frozen=True, slots=True)
class RefererRules:
    """A `valid_referers`."""

    words: frozenset[str]
    """Which of `none`, `blocked` and `server_names` it has."""
    names: tuple[RefererName, ...]
    patterns: tuple[re.Pattern[str], ...]


def referers(args: Args) -> RefererRules:
    words, names, patterns = set(), [], []
    taken: set[tuple[str, str]] = set()
    for word in args.words:
        if not word:
            args.fail('invalid referer ""')
        if word in _WORDS:
            words.add(word)
        elif word.startswith("~"):
            if word == "~":
                args.fail('empty regex in "~"')
            try:
                patterns.append(compile_regex(word[1:], caseless=True))
            except RegexError as error:
                args.fail(str(error))
        else:
            host, slash, path = word.partition("/")
            if wildcard_kind(host.lower()) is None:
                args.fail(f'invalid hostname or wildcard "{host}"')
            places = hash_places(host.lower())
            if not taken.isdisjoint(places):
                args.fail(f'conflicting parameter "{host.lower()}"')
            taken.update(places)
            names.append(RefererName(host.lower(), slash + path))
    return RefererRules(frozenset(words), tuple(names), tuple(patterns))


def hash_places(host: str) -> list[tuple[str, str]]:
    """The keys of nginx's hashes that a host takes; each may be taken once."""
    kind = wildcard_kind(host)
    if kind is None:
        return []
    return [("exact", kind[1]), ("head", kind[1])] if kind[0] == "dotted" else [kind]


@settings(MODULE)
class Referers(Settings):
    """From which pages links to a location may come."""

    valid_referers: tuple[RefererRules, ...] = directive(
        SERVER | LOCATION,
        referers,
        "pages whose links are valid (`$invalid_referer`)",
        arity=at_least(1),
        repeat=Repeat.APPENDED,
    )
    referer_hash_max_size: int = directive(
        SERVER | LOCATION, number, "size of a hash", default="2048", status=Status.NO_EFFECT
    )
    referer_hash_bucket_size: int = directive(
        SERVER | LOCATION, number, "size of a hash", default="64", status=Status.NO_EFFECT
    )

    def merge(self, level: Mapping[str, Any]) -> Self:
        below = Settings.merge(self, level)
        if "valid_referers" not in level or any(rule.patterns for rule in below.valid_referers):
            return below
        # As in nginx a level without expressions of its own has those of the enclosing level.
        inherited = tuple(pattern for rule in self.valid_referers for pattern in rule.patterns)
        first, *rest = below.valid_referers
        return replace(below, valid_referers=(replace(first, patterns=inherited), *rest))

    def has(self, word: str) -> bool:
        return any(word in rule.words for rule in self.valid_referers)

    @property
    def names(self) -> tuple[RefererName, ...]:
        return tuple(name for rule in self.valid_referers for name in rule.names)

    @property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        return tuple(pattern for rule in self.valid_referers for pattern in rule.patterns)


@settings("ngx_http_stub_status_module")
class StubStatus(Settings):
    """Whether a location answers with numbers of connections."""

    stub_status: bool = directive(
        SERVER | LOCATION,
        flag_present,
        "respond with the numbers of connections and requests",
        arity=between(0, 1),
        repeat=Repeat.REPLACED,
        merge=Merge.NOT_INHERITED,
    )


@settings("ngx_http_empty_gif_module")
class EmptyGif(Settings):
    """Whether a location answers with a transparent pixel."""

    empty_gif: bool = directive(
        LOCATION,
        flag_present,
        "respond with a transparent pixel",
        arity=exactly(0),
        repeat=Repeat.REPLACED,
        merge=Merge.NOT_INHERITED,
    )
