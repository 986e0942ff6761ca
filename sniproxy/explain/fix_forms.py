"""The fixes of a cause in the form of another program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..forms import FormBlock, parse_directive, read_cure, write_form
from .catalog import Cause, Fix
from .log_fields import UPSTREAM
from .placeholders import fill

DIRECTIVE, ANNOTATION = "directive", "annotation"
NGINX_FORMS = frozenset({"nginx", "toml"})


@dataclass(frozen=True, slots=True)
class FormFix:
    """Fixes that belong together, as texts to paste."""

    fixes: tuple[Fix, ...]
    blocks: tuple[FormBlock, ...]
    """Empty if the form has no counterpart of the directives, or if there are none."""

    @property
    def when(self) -> str:
        return "; ".join(fix.when for fix in self.fixes)

    @property
    def optional(self) -> bool:
        return self.fixes[0].optional


def fixes_in_form(
    cause: Cause, side: str, values: Mapping[str, str], form: str
) -> Iterator[FormFix]:
    """The fixes of `cause` in `form`; `values` are those of its placeholders.

    Fixes that are applied together make one text. Those of the catalog for Kubernetes are left out
    where the table of forms has them. That table is about upstreams: other fixes stay as they are.
    """
    if side != UPSTREAM:
        kinds = (DIRECTIVE, ANNOTATION) if form == "ingress-nginx" else (DIRECTIVE,)
        for fix in cause.fixes_for(side):
            if fix.kind in kinds:
                yield FormFix((fix,), ())
        return
    fixes = [fix for fix in cause.fixes_for(side) if fix.kind == DIRECTIVE]
    together = [fix for fix in fixes if not (fix.optional or fix.weakens or fix.instruction)]
    if together:
        yield _in_form(together, values, form)
    for fix in fixes:
        if fix not in together:
            yield _in_form([fix], values, form, [] if fix.weakens else together)


def _in_form(
    fixes: Sequence[Fix], values: Mapping[str, str], form: str, before: Sequence[Fix] = ()
) -> FormFix:
    """The fixes in this form, with those `before` that they add to.

    In nginx a directive is added to a location; a text of another program is the whole.
    """
    directives = _directives(fixes, values)
    names = {words[0] for words in directives}
    added = _directives(before, values)
    if directives and form not in NGINX_FORMS and names.isdisjoint(words[0] for words in added):
        directives = added + directives
    if not directives or any(fix.context != "location" for fix in fixes):
        return FormFix(tuple(fixes), ())
    url = fill("{scheme}://{address}", values)
    cure = read_cure(url, directives, weakens=" ".join(filter(None, (f.weakens for f in fixes))))
    return FormFix(tuple(fixes), write_form(form, cure))


def _directives(fixes: Sequence[Fix], values: Mapping[str, str]) -> list[tuple[str, ...]]:
    return [
        tuple(fill(word, values) for word in parse_directive(text))
        for fix in fixes
        for text in fix.directives
    ]
