"""Render explanations as text, and as JSON values."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from ..forms import FORMS, SECURITY_HEADING, form_lines
from ..forms.skeletons import SKELETONS
from ..terminal import escape_control
from .catalog import Cause, Fix
from .fix_forms import DIRECTIVE, FormFix, fixes_in_form
from .groups import ErrorGroup
from .log_fields import UPSTREAM
from .placeholders import TEXT_DEFAULTS, fill, is_dns_name, placeholders

WIDTH = 96
MIN_WIDTH = 40
NGINX = "nginx"
MAX_DETAILED = 3
"""Maximum number of causes printed in full; the others are only named."""


def render_text(group: ErrorGroup, width: int = WIDTH, form: str = NGINX) -> str:
    """The explanation of a group as text; ends with a newline.

    Prose is wrapped at `width`. Directives and commands are not: they are copied. `form` is the
    one in which fixes are written.
    """
    return "\n".join(_render(group, max(width, MIN_WIDTH), form)) + "\n"


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


def _render(group: ErrorGroup, width: int, form: str) -> Iterator[str]:
    values = placeholders(group)
    first = group.causes[0]

    def wrapped(text: str, indent: str, rest: str | None = None) -> Iterator[str]:
        return _wrapped(text, indent, rest, width=width)

    yield from wrapped(f"{subject(group)}: {first.title}", "=== ", "    ")
    yield f"    {_count_and_times(group)}"
    yield from wrapped(escape_control(group.line), "    | ", "    |   ")
    yield ""
    yield from wrapped(" ".join(filter(None, (first.plain, first.background))), "  ")
    for before in group.preceded_by:
        yield from wrapped(
            f"Preceded by: {before.count} × {before.causes[0].name} ({subject(before)}).", "  -> "
        )
    several = len(group.causes) > 1
    for number, cause in enumerate(group.causes[:MAX_DETAILED], 1):
        yield ""
        title = f"{cause.title}  [{cause.name}]" if several else f"[{cause.name}]"
        yield from wrapped(title, f"  {number}. " if several else "  ", "     ")
        if form == NGINX:
            yield from _fixes(cause, group.side, values, width)
        else:
            for fix in fixes_in_form(cause, group.side, values, form):
                yield from _form_fix(fix, form, values, width)
        if number == 1:
            yield from wrapped(fill(group.meaning, values), "     Why: ", "     ")
        yield from wrapped(cause.explains, "     ")
        yield from wrapped("Likely: " + "; ".join(cause.likely) + ".", "     ")
    if others := group.causes[MAX_DETAILED:]:
        yield ""
        titles = "; ".join(f"{cause.title} [{cause.name}]" for cause in others)
        yield from wrapped(f"Less likely: {titles}.", "  ")
    if hint := _hint(group):
        yield ""
        yield from wrapped(hint, "  ")
    if group.distinguish:
        yield ""
        yield from wrapped(
            fill(group.distinguish, values, command=True), "  How to tell which: ", "    "
        )
    if proof := proof_commands(first, group, values):
        yield ""
        yield "  To confirm:"
        yield from (f"    {command}" for command in proof)
    if first.misconception:
        yield from wrapped(first.misconception, "  Beware: ", "    ")


def _count_and_times(group: ErrorGroup) -> str:
    lines = "1 line" if group.count == 1 else f"{group.count} lines"
    if group.first is None:
        return lines
    until = "" if group.first == group.last else f" to {group.last}"
    return f"{lines}, {group.first}{until}"


def proof_commands(cause: Cause, group: ErrorGroup, values: Mapping[str, str]) -> list[str]:
    """The commands that confirm a cause of the group."""
    return [fill(command, values, command=True) for command in cause.proof_for(group.scheme)]


def _hint(group: ErrorGroup) -> str:
    """A suggestion for the upstream's name; "" if there is none."""
    if group.side != UPSTREAM or "name" in group.known or not is_dns_name(group.server):
        return ""
    return (
        f"{TEXT_DEFAULTS['name']} is the one that works in curl: {group.server}, if the upstream "
        "serves the same site."
    )


def _fixes(cause: Cause, side: str, values: Mapping[str, str], width: int) -> Iterator[str]:
    """The fixes of a cause; those that give up security come last, with what is lost."""
    weakens = False
    for fix in cause.fixes_for(side):
        if fix.weakens and not weakens:
            weakens = True
            yield from _wrapped(SECURITY_HEADING, "     ! ", width=width)
        yield from _fix(fix, values, width)


def _fix(fix: Fix, values: Mapping[str, str], width: int) -> Iterator[str]:
    when = f"or, {fix.when}" if fix.optional else fix.when
    if fix.instruction:
        when = f"{when}: {fill(fix.instruction, values)}"
    yield from _wrapped(when, "     # ", "     #   ", width=width)
    if fix.weakens:
        yield from _wrapped(f"lost: {fix.weakens}", "     ! ", "     !   ", width=width)
    for directive in fix.directives:
        yield f"       {fill(directive, values)}"


def _form_fix(fix: FormFix, form: str, values: Mapping[str, str], width: int) -> Iterator[str]:
    """A fix in the form of another program; as nginx has it if there is no counterpart."""
    if not fix.blocks:
        other_program = form in SKELETONS and form != "ingress-nginx"
        if other_program and any(one.kind == DIRECTIVE and one.directives for one in fix.fixes):
            yield f"     # in nginx (a counterpart in {FORMS[form]} is not known here):"
        for one in fix.fixes:
            yield from _fix(one, values, width)
        return
    when = f"or, {fix.when}" if fix.optional else fix.when
    yield from _wrapped(when, "     # ", "     #   ", width=width)
    # The text without verification is printed once, with the first fix.
    blocks = fix.blocks[:1] if fix.optional else fix.blocks
    for line in form_lines(form, blocks, width - 7):
        yield f"       {line}".rstrip()


def _wrapped(
    text: str, first: str, rest: str | None = None, *, width: int = WIDTH
) -> Iterator[str]:
    indent = " " * len(first) if rest is None else rest
    yield from textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=True,
    )


def to_dict(group: ErrorGroup, form: str = NGINX) -> dict[str, Any]:
    """A group as a JSON value; with another `form` each cause has its fixes in that too."""
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
        "plain": group.causes[0].plain,
        "background": group.causes[0].background or None,
        "meaning": fill(group.meaning, values),
        "hint": _hint(group) or None,
        "distinguish": fill(group.distinguish, values, command=True) or None,
        "preceded_by": [
            {
                "causes": [cause.name for cause in before.causes],
                "upstream": escape_control(before.upstream),
            }
            for before in group.preceded_by
        ],
        "details": [_cause_value(cause, group, values, form) for cause in group.causes],
    }


def _cause_value(
    cause: Cause, group: ErrorGroup, values: Mapping[str, str], form: str
) -> dict[str, Any]:
    fixes = [] if form == NGINX else list(fixes_in_form(cause, group.side, values, form))
    in_form = {
        "form": form,
        "form_fixes": [
            {
                "when": fix.when,
                "optional": fix.optional,
                "blocks": [dataclasses.asdict(block) for block in fix.blocks],
            }
            for fix in fixes
            if fix.blocks
        ],
    }
    return {
        **({} if form == NGINX else in_form),
        "name": cause.name,
        "title": cause.title,
        "plain": cause.plain,
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
                "weakens": fix.weakens or None,
            }
            for fix in cause.fixes_for(group.side)
        ],
        "proof": proof_commands(cause, group, values),
        "misconception": cause.misconception or None,
        "source": cause.source,
    }
