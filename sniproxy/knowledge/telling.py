"""Explanations as text for people, and as values for machines."""

from __future__ import annotations

import contextlib
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from .catalogue import Cause, Cure
from .fields import UPSTREAM
from .groups import CONSEQUENCE, Group

WIDTH = 96
MOST_TOLD = 3
"""So many causes are told in full; the others are only named."""
_PLACEHOLDER = re.compile(r"\{(name|address|ca|certificate|key|crl|group|resolver|front)\}")
_HELD = {
    "name": "<the upstream's name>",
    "address": "<host:port>",
    "ca": "<authorities.pem>",
    "certificate": "<certificate.pem>",
    "key": "<key.pem>",
    "crl": "<lists.crl>",
    "group": "<upstream>",
    "resolver": "<dns server>",
    "front": "<our address:port>",
}
"""What stands in a text for what is not known."""
_SHELL = {
    "name": "NAME",
    "address": "HOST:PORT",
    "ca": "CA.pem",
    "certificate": "CERT.pem",
    "key": "KEY.pem",
    "crl": "LISTS.crl",
    "group": "GROUP",
    "resolver": "DNS",
    "front": "HOST:443",
}
"""The same in commands, where < and > have a meaning of their own."""


def shown(text: str) -> str:
    """Text of a log (latin-1, a byte a character) without anything that moves a terminal."""
    with contextlib.suppress(UnicodeError):
        text = text.encode("latin-1").decode("utf-8")
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(one: str) -> str:
    return f"\\x{ord(one):02X}" if ord(one) < 256 else f"\\u{ord(one):04X}"


def filled(text: str, known: Mapping[str, str], *, command: bool = False) -> str:
    """`text` with its placeholders replaced: by what is known, else by what it stands for."""
    others = _SHELL if command else _HELD
    return _PLACEHOLDER.sub(lambda match: known.get(match[1]) or others[match[1]], text)


def known_of(group: Group) -> dict[str, str]:
    """What a group's lines say of the placeholders; only what is an address or name."""
    known: dict[str, str] = {}
    if group.sign.name == CONSEQUENCE:
        return known  # the address is a group's name
    if re.fullmatch(r"[\w.:\[\]-]+", group.address) and not group.address.startswith("unix"):
        known["address"] = group.address
    return known


def told(group: Group) -> str:
    """A group as people read it; ends with a line feed."""
    return "\n".join(_told(group)) + "\n"


def summary(group: Group) -> str:
    """A group in a line."""
    times = "" if group.first is None else f"  {group.first} to {group.last}"
    if group.first == group.last:
        times = "" if group.first is None else f"  {group.first}"
    return f"{group.count:>8} × {group.causes[0].name}  {about(group)}{times}"


def about(group: Group) -> str:
    """Whose connection it is about, in words."""
    sides = {"upstream": "the upstream", "client": "clients", "start": "the start of nginx"}
    text = sides[group.side]
    if group.upstream:
        text += f" {shown(group.upstream)}"
    if group.merged:
        text += " (several, told as one)"
    if group.name:
        text += f", {shown(group.name)}"
    return text


def _told(group: Group) -> Iterator[str]:
    known = known_of(group)
    lines = "1 line" if group.count == 1 else f"{group.count} lines"
    when = "" if group.first is None else f", {group.first}"
    if group.first != group.last:
        when = f", {group.first} to {group.last}"
    yield f"=== {about(group)}: {group.causes[0].title}"
    yield f"    {lines}{when}"
    yield from _wrapped(shown(group.line), "    | ", "    |   ")
    yield ""
    yield from _wrapped(filled(group.sign.meaning, known), "  ")
    for before in group.after:
        yield from _wrapped(
            f"Before it: {before.count} × {before.causes[0].name} ({about(before)}).", "  -> "
        )
    several = len(group.causes) > 1
    for number, cause in enumerate(group.causes[:MOST_TOLD], 1):
        yield ""
        yield f"  {number}. {cause.title}  [{cause.name}]" if several else f"  [{cause.name}]"
        yield from _cause(cause, group.side, known)
    if others := group.causes[MOST_TOLD:]:
        yield ""
        titles = "; ".join(f"{cause.title} [{cause.name}]" for cause in others)
        yield from _wrapped(f"Less likely: {titles}.", "  ")
    if hint := _hint(group):
        yield ""
        yield from _wrapped(hint, "  ")
    if group.sign.tell_apart:
        yield ""
        yield from _wrapped(
            filled(group.sign.tell_apart, known, command=True), "  Tell them apart: ", "    "
        )
    yield ""
    yield "  Proof:"
    for command in group.causes[0].proof:
        yield f"    {filled(command, known, command=True)}"
    if group.causes[0].misconception:
        yield from _wrapped(group.causes[0].misconception, "  Beware: ", "    ")


def _hint(group: Group) -> str:
    """Which name may be the upstream's; "" without an idea."""
    if group.side != UPSTREAM or not _is_name(group.server):
        return ""
    return (
        f"{_HELD['name']} is the one that works in curl: {group.server}, if the upstream "
        "serves the same site."
    )


def _is_name(server: str) -> bool:
    """Whether nginx's `server:` is a DNS name, which the upstream may have as well."""
    return re.fullmatch(r"(?=.*[A-Za-z])[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", server) is not None


def _cause(cause: Cause, side: str, known: Mapping[str, str]) -> Iterator[str]:
    yield from _wrapped(cause.explains, "     ")
    yield from _wrapped("Likely: " + "; ".join(cause.likely) + ".", "     ")
    for cure in cause.cures_for(side):
        yield from _cure(cure, known)


def _cure(cure: Cure, known: Mapping[str, str]) -> Iterator[str]:
    when = f"or, {cure.when}" if cure.optional else cure.when
    if cure.say:
        yield from _wrapped(f"{when}: {filled(cure.say, known)}", "     # ", "     #   ")
        return
    yield from _wrapped(when, "     # ", "     #   ")
    for directive in cure.directives:
        yield f"       {filled(directive, known)}"


def _wrapped(text: str, first: str, rest: str | None = None) -> Iterator[str]:
    indent = " " * len(first) if rest is None else rest
    yield from textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=True,
    )


def as_value(group: Group) -> dict[str, Any]:
    """A group for machines (JSON)."""
    known = known_of(group)
    return {
        "side": group.side,
        "causes": [cause.name for cause in group.causes],
        "sign": group.sign.name,
        "count": group.count,
        "first": group.first,
        "last": group.last,
        "upstream": shown(group.upstream) or None,
        "name": shown(group.name) or None,
        "server": shown(group.server) or None,
        "merged": group.merged,
        "line": shown(group.line),
        "meaning": filled(group.sign.meaning, known),
        "hint": _hint(group) or None,
        "tell_apart": filled(group.sign.tell_apart, known, command=True) or None,
        "before": [
            {"causes": [cause.name for cause in before.causes], "upstream": shown(before.upstream)}
            for before in group.after
        ],
        "details": [_cause_value(cause, group.side, known) for cause in group.causes],
    }


def _cause_value(cause: Cause, side: str, known: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": cause.name,
        "title": cause.title,
        "explains": cause.explains,
        "likely": list(cause.likely),
        "cures": [
            {
                "when": cure.when,
                "optional": cure.optional,
                "context": cure.context,
                "kind": cure.kind,
                "directives": [filled(directive, known) for directive in cure.directives],
                "say": filled(cure.say, known) or None,
            }
            for cure in cause.cures_for(side)
        ],
        "proof": [filled(command, known, command=True) for command in cause.proof],
        "misconception": cause.misconception or None,
        "source": cause.source,
    }
