"""Render explanations as text, and as JSON values."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from ..terminal import escape_control
from .catalog import Cause, Fix
from .groups import NO_LIVE_UPSTREAMS, ErrorGroup
from .log_fields import UPSTREAM

WIDTH = 96
MAX_DETAILED = 3
"""Maximum number of causes printed in full; the others are only named."""
_PLACEHOLDER = re.compile(r"\{(name|address|ca|certificate|key|crl|group|resolver|front)\}")
_TEXT_DEFAULTS = {
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
"""Placeholders' texts if their value is unknown."""
_SHELL_DEFAULTS = {
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
"""The same in shell commands, where < and > are special."""


def fill(text: str, values: Mapping[str, str], *, command: bool = False) -> str:
    """Replace the placeholders in `text` by their values, or by descriptions of them."""
    others = _SHELL_DEFAULTS if command else _TEXT_DEFAULTS
    return _PLACEHOLDER.sub(lambda match: values.get(match[1]) or others[match[1]], text)


def placeholders(group: ErrorGroup) -> dict[str, str]:
    """The values of placeholders known from a group's lines, if they are valid."""
    values: dict[str, str] = {}
    if group.signature.name == NO_LIVE_UPSTREAMS:
        return values  # the address is the name of an upstream block
    if re.fullmatch(r"[\w.:\[\]-]+", group.address) and not group.address.startswith("unix"):
        values["address"] = group.address
    return values


def render_text(group: ErrorGroup) -> str:
    """The explanation of a group as text; ends with a newline."""
    return "\n".join(_render(group)) + "\n"


def summary(group: ErrorGroup) -> str:
    """A group in one line."""
    times = "" if group.first is None else f"  {group.first} to {group.last}"
    if group.first == group.last:
        times = "" if group.first is None else f"  {group.first}"
    return f"{group.count:>8} × {group.causes[0].name}  {subject(group)}{times}"


def subject(group: ErrorGroup) -> str:
    """The subject of a group: the side, upstream and name."""
    sides = {"upstream": "the upstream", "client": "clients", "startup": "the start of nginx"}
    text = sides[group.side]
    if group.upstream:
        text += f" {escape_control(group.upstream)}"
    if group.merged:
        text += " (several)"
    if group.name:
        text += f", {escape_control(group.name)}"
    return text


def _render(group: ErrorGroup) -> Iterator[str]:
    values = placeholders(group)
    lines = "1 line" if group.count == 1 else f"{group.count} lines"
    when = "" if group.first is None else f", {group.first}"
    if group.first != group.last:
        when = f", {group.first} to {group.last}"
    yield f"=== {subject(group)}: {group.causes[0].title}"
    yield f"    {lines}{when}"
    yield from _wrapped(escape_control(group.line), "    | ", "    |   ")
    yield ""
    yield from _wrapped(fill(group.signature.meaning, values), "  ")
    for before in group.preceded_by:
        yield from _wrapped(
            f"Preceded by: {before.count} × {before.causes[0].name} ({subject(before)}).", "  -> "
        )
    several = len(group.causes) > 1
    for number, cause in enumerate(group.causes[:MAX_DETAILED], 1):
        yield ""
        yield f"  {number}. {cause.title}  [{cause.name}]" if several else f"  [{cause.name}]"
        yield from _cause(cause, group.side, values)
    if others := group.causes[MAX_DETAILED:]:
        yield ""
        titles = "; ".join(f"{cause.title} [{cause.name}]" for cause in others)
        yield from _wrapped(f"Less likely: {titles}.", "  ")
    if hint := _hint(group):
        yield ""
        yield from _wrapped(hint, "  ")
    if group.signature.distinguish:
        yield ""
        yield from _wrapped(
            fill(group.signature.distinguish, values, command=True), "  How to tell which: ", "    "
        )
    yield ""
    yield "  To confirm:"
    for command in group.causes[0].proof:
        yield f"    {fill(command, values, command=True)}"
    if group.causes[0].misconception:
        yield from _wrapped(group.causes[0].misconception, "  Beware: ", "    ")


def _hint(group: ErrorGroup) -> str:
    """A suggestion for the upstream's name; "" if there is none."""
    if group.side != UPSTREAM or not _is_name(group.server):
        return ""
    return (
        f"{_TEXT_DEFAULTS['name']} is the one that works in curl: {group.server}, if the upstream "
        "serves the same site."
    )


def _is_name(server: str) -> bool:
    """Whether the `server:` field is a DNS name, which may be the upstream's too."""
    return re.fullmatch(r"(?=.*[A-Za-z])[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", server) is not None


def _cause(cause: Cause, side: str, values: Mapping[str, str]) -> Iterator[str]:
    yield from _wrapped(cause.explains, "     ")
    yield from _wrapped("Likely: " + "; ".join(cause.likely) + ".", "     ")
    for fix in cause.fixes_for(side):
        yield from _fix(fix, values)


def _fix(fix: Fix, values: Mapping[str, str]) -> Iterator[str]:
    when = f"or, {fix.when}" if fix.optional else fix.when
    if fix.instruction:
        yield from _wrapped(f"{when}: {fill(fix.instruction, values)}", "     # ", "     #   ")
        return
    yield from _wrapped(when, "     # ", "     #   ")
    for directive in fix.directives:
        yield f"       {fill(directive, values)}"


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


def to_dict(group: ErrorGroup) -> dict[str, Any]:
    """A group as a JSON value."""
    values = placeholders(group)
    return {
        "side": group.side,
        "causes": [cause.name for cause in group.causes],
        "signature": group.signature.name,
        "count": group.count,
        "first": group.first,
        "last": group.last,
        "upstream": escape_control(group.upstream) or None,
        "name": escape_control(group.name) or None,
        "server": escape_control(group.server) or None,
        "merged": group.merged,
        "line": escape_control(group.line),
        "meaning": fill(group.signature.meaning, values),
        "hint": _hint(group) or None,
        "distinguish": fill(group.signature.distinguish, values, command=True) or None,
        "preceded_by": [
            {
                "causes": [cause.name for cause in before.causes],
                "upstream": escape_control(before.upstream),
            }
            for before in group.preceded_by
        ],
        "details": [_cause_value(cause, group.side, values) for cause in group.causes],
    }


def _cause_value(cause: Cause, side: str, values: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": cause.name,
        "title": cause.title,
        "explains": cause.explains,
        "likely": list(cause.likely),
        "fixes": [
            {
                "when": fix.when,
                "optional": fix.optional,
                "context": fix.context,
                "kind": fix.kind,
                "directives": [fill(directive, values) for directive in fix.directives],
                "instruction": fill(fix.instruction, values) or None,
            }
            for fix in cause.fixes_for(side)
        ],
        "proof": [fill(command, values, command=True) for command in cause.proof],
        "misconception": cause.misconception or None,
        "source": cause.source,
    }
