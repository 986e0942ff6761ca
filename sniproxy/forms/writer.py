"""Write a cure in one form: the settings' texts in the form's skeleton."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .cure import Cure
from .nginx_forms import NGINX_FORMS
from .skeletons import SKELETONS, Skeleton
from .table import FORMS, SETTINGS, SYSTEM_CA_BY_DEFAULT, VERIFIED_BY_DEFAULT, Cell

UNVERIFIED = (
    "The check that it is the right server: anybody who can redirect the connection can read and "
    "change the traffic."
)
SECURITY_HEADING = "Only where nothing above is possible. This gives up security:"
SECURITY_WARNING = "This gives up security:"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_SLOT = re.compile(r"%(\w+)%")
_CONDITION = re.compile(r"( *)\?(!?)([\w@|]+) ?(.*)")
_BARE = re.compile(r"<[^<>\"\\]*>|[\w.:/@+=!,*\[\]-]*")
_YAML = frozenset({"ingress-nginx", "traefik", "envoy"})
_SHELL = "shell"
_SHELL_SLOTS = frozenset({"once", "secret"})
"""Slots whose texts are shell commands."""
_LISTS = frozenset({"protocols", "plus_protocols"})
"""Values of several words."""


@dataclass(frozen=True, slots=True)
class FormBlock:
    """A text to paste."""

    where: str
    """Where it goes, as a phrase: `the Caddyfile, in the site's block`."""
    lines: tuple[str, ...]
    weakens: str = ""
    """What security it gives up; "" if none."""


def write_form(form: str, cure: Cure) -> tuple[FormBlock, ...]:
    """The cure in this form: what to paste, and below it what gives up security where it must.

    Empty if the form has no counterpart of any of its directives.
    """
    if form in NGINX_FORMS:
        where, write = NGINX_FORMS[form]
        return (FormBlock(where, tuple(write(cure)), cure.weakens),)
    if cure.directives and len(cure.unread) == len(cure.directives):
        return ()
    settings = set(cure.settings)
    unverified = form in VERIFIED_BY_DEFAULT and cure.tls and "verify" not in settings
    if not unverified:
        return (_block(form, cure, settings, cure.weakens),)
    return (
        _block(form, cure, settings - {"verify-off"} | {"verify"}, cure.weakens),
        _block(form, cure, settings | {"verify-off"}, f"{cure.weakens} {UNVERIFIED}".strip()),
    )


_LEAVE_OUT = ("# (without <authorities.pem> if a public authority signed its certificate)",)


def form_lines(form: str, blocks: Sequence[FormBlock], width: int = 96) -> Iterator[str]:
    """The blocks as lines to paste, with comments that say where each goes and what is lost.

    These comments are wrapped at `width`.
    """
    for number, block in enumerate(blocks):
        if number:
            yield ""
        if block.weakens:
            yield f"# {SECURITY_HEADING if number else SECURITY_WARNING}"
            yield from _comment(f"Lost: {block.weakens}", width)
        yield from _comment(f"{FORMS[form]}: {block.where}", width)
        yield from block.lines


def _comment(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent="# ",
        subsequent_indent="#   ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _block(form: str, cure: Cure, settings: set[str], weakens: str) -> FormBlock:
    skeleton = SKELETONS[form]
    settings = set(settings) if cure.tls else (settings - _TLS_SETTINGS) | {"plain"}
    slots, missing = _fill_slots(form, cure, settings)
    notes = [f"# once: {text}" for text in slots.pop("once", [])]
    notes += [f"# {text}" for text in slots.pop("note", [])]
    if cure.tls and "verify" not in cure.settings and "verify" in settings:
        notes += _LEAVE_OUT if form in SYSTEM_CA_BY_DEFAULT else ()
    lines = [*notes, *_expand(skeleton, slots, cure.values, form)]
    others = [" ".join(words) for words in cure.unread]
    lines += [f"# {FORMS[form]} has no setting for {name}" for name in missing]
    lines += [f"# nothing here stands for nginx's `{words}`" for words in others]
    return FormBlock(skeleton.where, tuple(lines), weakens)


_TLS_SETTINGS = frozenset(
    {
        "tls", "sni", "verify", "verify-off", "depth", "crl", "client-certificate", "protocols",
        "protocols-limited", "ciphers", "legacy",
    }
)  # fmt: skip


def _fill_slots(
    form: str, cure: Cure, settings: Iterable[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """The texts by slot, and the names of settings that the form does not have."""
    slots: dict[str, list[str]] = {}
    missing = []
    values = cure.values
    for setting, row in SETTINGS.items():
        if setting not in settings:
            continue
        cell = _cell(form, cure, setting, row.cells)
        if cell is None:
            missing.append(row.name)
            continue
        for line in cell:
            slot, _, text = line.partition(":")
            filled = _fill(text.removeprefix(" "), values, _SHELL if slot in _SHELL_SLOTS else form)
            slots.setdefault(slot, []).append(filled)
    if secret := slots.get("secret"):
        # It must not be empty: without a file of ours it has the authorities.
        texts = [text for text in dict.fromkeys(secret) if text]
        slots["secret"] = texts or [_fill("--from-file=ca.crt={ca}", values, _SHELL)]
    # What skeletons ask that is no slot.
    slots["@tls"] = ["on"] if cure.tls else []
    slots["@named"] = ["on"] if values["site"] != values["host"] else []
    return slots, missing


def _cell(form: str, cure: Cure, setting: str, cells: Mapping[str, Cell]) -> Cell | None:
    if setting == "verify" and cure.system_ca and form in SYSTEM_CA_BY_DEFAULT:
        return ()
    return cells.get(form)


def _expand(
    skeleton: Skeleton, slots: Mapping[str, Sequence[str]], values: Mapping[str, str], form: str
) -> Iterator[str]:
    """The lines of the skeleton with the texts of the slots."""
    for line in skeleton.lines:
        condition = _CONDITION.fullmatch(line)
        if condition is not None:
            filled = any(slots.get(slot) for slot in condition[3].split("|"))
            if filled == bool(condition[2]):
                continue
            line = condition[1] + condition[4]
        alone = _SLOT.fullmatch(line.strip())
        if alone is not None:
            indent = line[: len(line) - len(line.lstrip())]
            yield from (indent + text for text in slots.get(alone[1], ()))
        else:
            filled_line = _fill(line, values, form)
            yield _SLOT.sub(lambda match: " ".join(slots.get(match[1], ())), filled_line).rstrip()


def _fill(line: str, values: Mapping[str, str], form: str) -> str:
    def value(match: re.Match[str]) -> str:
        text = values.get(match[1])
        if text is None or match[1] in _LISTS:
            return match[0] if text is None else text
        return _quoted(text, form)

    return _PLACEHOLDER.sub(value, line)


def _quoted(text: str, form: str) -> str:
    """A value as it may stand in the text: YAML's values stand in quotes already."""
    if _BARE.fullmatch(text):
        return text
    if form == _SHELL:
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return escaped if form in _YAML else f'"{escaped}"'
