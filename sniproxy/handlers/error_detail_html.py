"""The page of `error_detail` as HTML (pure).

One file without anything to load: style and script are inside. It can be read without the script,
which only adds buttons that copy. All text is escaped here; that it has no control characters is
due to `explain.render` and `terminal`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from ..explain import ErrorGroup, to_dict
from ..explain.fix_forms import FormFix, fixes_in_form
from ..explain.placeholders import TEXT_DEFAULTS, placeholders
from ..explain.render import MAX_DETAILED, subject
from ..forms import FORMS, SECURITY_HEADING, FormBlock
from ..terminal import escape_control

NO_EXPLANATION = "No known cause matches this log line."
UNKNOWN = "nginx got no usable response from the server behind it."
"""The headline without an explanation."""
_CODE = re.compile("`([^`]+)`")
_TITLE = re.compile(rb"<title>(.*)</title>")
NGINX = "nginx"


def html_page(page: bytes, lines: Sequence[str], groups: Sequence[ErrorGroup]) -> bytes:
    """The explanation of a failure, then the text of nginx's own `page`; ASCII.

    `lines` are those of the error log, `groups` their explanations.
    """
    title = _TITLE.search(page)
    body = page.partition(b"<body>")[2].partition(b"</body>")[0].strip()
    status = title[1].decode("ascii") if title is not None else ""
    html = "\n".join(_document(status, body.decode("ascii"), lines, groups)) + "\n"
    return html.encode("ascii", "xmlcharrefreplace")


@cache
def _resource(name: str) -> str:
    return files(__package__).joinpath("page", name).read_text("ascii")


def _document(
    status: str, own: str, lines: Sequence[str], groups: Sequence[ErrorGroup]
) -> Iterator[str]:
    yield "<!doctype html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="robots" content="noindex">'
    yield f"<title>{status}</title>"
    yield f"<style>\n{_resource('style.css')}</style>"
    yield "</head>"
    yield "<body>"
    yield '<main class="detail">'
    log = _pre("log", [escape_control(line) for line in lines])
    if not groups:
        yield _status(status, "")
        yield f"<h1>{UNKNOWN}</h1>"
        yield from _log_section(log)
        yield _p(NO_EXPLANATION)
    for number, group in enumerate(groups):
        yield "<article>"
        yield from _article(group, status if number == 0 else "", log if number == 0 else "")
        yield "</article>"
    yield '<section class="nginx">'
    yield "<p>nginx's own page, which other clients get:</p>"
    yield f"<blockquote>{own}</blockquote>"
    yield "</section>"
    yield "</main>"
    yield f"<script>\n{_resource('copy.js')}</script>"
    yield "</body>"
    yield "</html>"


def _status(status: str, about: str) -> str:
    badge = f"<b>{status}</b>" if status else ""
    return f'<p class="status">{badge}<span>{escape(about)}</span></p>'


def _article(group: ErrorGroup, status: str, log: str) -> Iterator[str]:
    """One group, the first with the `status` and the `log`."""
    value = to_dict(group)
    first, *others = value["details"]
    heading = "h1" if status else "h2"
    yield _status(status, subject(group))
    yield f"<{heading}>{escape(value['plain'])}</{heading}>"
    if value["background"]:
        yield f'<p class="lead">{escape(value["background"])}</p>'
    yield '<section class="card fix">'
    yield f"<h2>{escape(first['title'])}</h2>"
    yield from _fix_forms(group, first)
    if value["hint"] and any(TEXT_DEFAULTS["name"] in line for line in _lines(first)):
        yield _p(value["hint"])
    if first["misconception"]:
        yield f'<p class="beware"><b>Beware:</b> {_marked(first["misconception"])}</p>'
    yield "</section>"
    if log:
        yield from _log_section(log)
    yield from _reasons(value)
    detailed, rest = others[: MAX_DETAILED - 1], others[MAX_DETAILED - 1 :]
    if detailed:
        yield "<h3>Other causes</h3>"
        for cause in detailed:
            yield "<details>"
            yield f"<summary>{escape(cause['title'])}</summary>"
            yield from _fixes(cause)
            yield _p(cause["explains"])
            yield from _list(cause["likely"])
            yield "</details>"
    if rest:
        yield _p(f"Less likely: {'; '.join(cause['title'] for cause in rest)}.")
    if value["distinguish"]:
        yield "<h3>To tell them apart</h3>"
        yield _p(value["distinguish"])
    if first["proof"]:
        yield "<h3>To confirm it</h3>"
        yield from (_pre("command", [command]) for command in first["proof"])


def _log_section(log: str) -> Iterator[str]:
    yield "<h3>In the error log</h3>"
    yield log


def _reasons(value: Mapping[str, Any]) -> Iterator[str]:
    first = value["details"][0]
    yield "<h3>Why</h3>"
    yield _p(value["meaning"])
    yield _p(first["explains"])
    yield from _list(first["likely"])


# --- fixes ---


def _fix_forms(group: ErrorGroup, cause: Mapping[str, Any]) -> Iterator[str]:
    """The fixes of the first cause: as nginx has them, and in the forms of other programs.

    Radio buttons choose one, which needs no script.
    """
    written = {form: found for form in FORMS if form != NGINX and (found := _in_form(group, form))}
    if not written:
        yield from _fixes(cause)
        return
    name = f"form-{group.signature.name}"
    yield '<div class="forms">'
    for form in (NGINX, *written):
        checked = ' checked=""' if form == NGINX else ""
        yield f'<input type="radio" name="{name}" id="{name}-{form}"{checked}>'
        yield f'<label for="{name}-{form}">{escape(FORMS[form])}</label>'
        yield '<div class="form">'
        yield from _fixes(cause) if form == NGINX else written[form]
        yield "</div>"
    yield "</div>"


def _in_form(group: ErrorGroup, form: str) -> list[str]:
    """The fixes of the first cause in the form of another program; empty if it has none.

    Texts that give up security come last.
    """
    fixes = list(fixes_in_form(group.causes[0], group.side, placeholders(group), form))
    blocks = [(fix, block) for fix in fixes for block in fix.blocks]
    # A program's text without verification is shown once, with the first fix.
    weak = [(fix, block) for fix, block in blocks if block.weakens]
    weak = [(fix, block) for fix, block in weak if len(fix.blocks) == 1 or not fix.optional]
    found = []
    for fix, block in blocks:
        if not block.weakens:
            found += [f"<p>{escape(_when(fix))}</p>", *_block(block)]
    for number, (fix, block) in enumerate(weak):
        if number == 0:
            found.append(f'<p class="beware"><b>{escape(SECURITY_HEADING)}</b></p>')
        found += [f"<p>{escape(_when(fix))}</p>", _p(f"Lost: {block.weakens}"), *_block(block)]
    return found


def _when(fix: FormFix) -> str:
    return f"Or, {fix.when}" if fix.optional else _capitalized(fix.when)


def _block(block: FormBlock) -> Iterator[str]:
    yield f'<p class="soft">{escape(_capitalized(block.where))}</p>'
    yield _pre("cure", [escape_control(line) for line in block.lines])


def _lines(cause: Mapping[str, Any]) -> Iterator[str]:
    """The directives and instructions of a cause."""
    for fix in cause["fixes"]:
        yield from (*fix["directives"], fix["instruction"] or "")


def _fixes(cause: Mapping[str, Any]) -> Iterator[str]:
    """The fixes of a cause as directives of nginx."""
    weakens = False
    for fix in cause["fixes"]:
        if fix["weakens"] and not weakens:
            weakens = True
            yield f'<p class="beware"><b>{escape(SECURITY_HEADING)}</b></p>'
        when = f"Or, {fix['when']}" if fix["optional"] else _capitalized(fix["when"])
        if fix["instruction"]:
            yield _p(f"{when}: {fix['instruction']}")
            continue
        kind = fix["context"] if fix["kind"] == "directive" else fix["kind"]
        yield f"<p>{escape(when)} <small>({escape(kind)})</small></p>"
        if fix["weakens"]:
            yield _p(f"Lost: {fix['weakens']}")
        yield _pre("cure", fix["directives"])


# --- elements ---


def _list(items: Sequence[str]) -> Iterator[str]:
    yield "<ul>"
    yield from (f"<li>{_marked(item)}</li>" for item in items)
    yield "</ul>"


def _p(text: str) -> str:
    return f"<p>{_marked(text)}</p>"


def _marked(text: str) -> str:
    """Escaped text, with what is in backquotes as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _pre(kind: str, lines: Sequence[str]) -> str:
    return f'<pre class="{kind}">{escape(chr(10).join(lines))}</pre>'


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
