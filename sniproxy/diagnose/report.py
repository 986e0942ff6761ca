"""Render attempts and conclusions as text and as JSON values.

Text from the upstream is escaped: a certificate may contain terminal control sequences.
"""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from ..forms import FormBlock, form_lines, read_cure, write_form
from ..server_name import without_port
from ..terminal import columns, escape_control, record
from .authorities import system_store
from .conclusion import Conclusion
from .directives import SuggestedDirective, Syntax, changes
from .model import Attempt, ProbeSpec, Result, Setting, is_name
from .strategy import SILENT_RESULTS, lost_security, weakens

MAX_CELL = 120
"""Maximum number of characters of a table cell."""
MAX_NAMES = 3


def cut(text: str, most: int = MAX_CELL) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def describe_setting(spec: ProbeSpec, setting: Setting) -> str:
    """A short description of a setting: `SNI upstream.test, verified, depth 2`."""
    proxy, base = setting.proxy, spec.base
    if setting.plain:
        return "plain HTTP"
    name = spec.name(proxy)
    parts = [f"SNI {name}" if proxy.ssl_server_name else "no SNI"]
    if proxy.ssl_verify:
        parts.append(f"verified, depth {proxy.ssl_verify_depth}")
    changed = {directive.name: directive for directive in changes(base, proxy)}
    for directive, words in _SETTING_LABELS.items():
        if directive in changed:
            parts.append(words or " ".join(changed[directive].args))
    return ", ".join(parts)


_SETTING_LABELS = {
    "proxy_ssl_protocols": "",
    "proxy_ssl_ciphers": "",
    "proxy_ssl_conf_command": "legacy servers allowed",
    "proxy_ssl_certificate": "our certificate",
    "proxy_buffer_size": "larger buffer",
    "proxy_http_version": "HTTP/2",
}
"""Labels of other directives that settings change; "" prints their arguments."""


def format_names(names: Sequence[str]) -> str:
    listed = " ".join(cut(escape_control(name), 40) for name in names[:MAX_NAMES])
    return listed + (f" +{len(names) - MAX_NAMES}" if len(names) > MAX_NAMES else "")


HEADINGS = ("#", "SETTING", "ADDRESS", "RESULT", "CERTIFICATE", "PROTOCOL", "TIME")


def table(spec: ProbeSpec, attempts: Sequence[Attempt], width: int = 200) -> Iterator[str]:
    """A table of the attempts, with the line that nginx would log below each failed one.

    Cells that do not fit into `width` stand in a line below, or all of them in lines of their own,
    so that no cell is broken.
    """
    rows: list[tuple[str, ...]] = [
        (
            str(number),
            cut(escape_control(describe_setting(spec, attempt.setting)), 72),
            escape_control(attempt.address),
            attempt.label,
            format_names(attempt.names) or "-",
            attempt.protocol or "-",
            f"{attempt.seconds:.2f}s",
        )
        for number, attempt in enumerate(attempts, 1)
    ]
    full = rows
    headings: tuple[str, ...] = HEADINGS
    details: dict[int, str] = {}
    if max(map(len, columns([HEADINGS, *rows]))) > width:
        details = {number: f"   {row[2]}  {row[4]}" for number, row in enumerate(rows, 1)}
        headings, rows = _narrow(HEADINGS), [_narrow(row) for row in rows]
    lines = list(columns([headings, *rows]))
    if max(map(len, lines)) > width:
        for attempt, row in zip(attempts, full, strict=True):
            yield from record(HEADINGS, row, width)
            yield from _log_line(attempt)
            yield ""
        return
    for index, line in enumerate(lines):
        yield line
        if index in details:
            yield details[index]
        if index:
            yield from _log_line(attempts[index - 1])


def _log_line(attempt: Attempt) -> Iterator[str]:
    """The line of a failed attempt, to be searched for in a log: it is not wrapped."""
    if attempt.line:
        waits = attempt.result in SILENT_RESULTS
        when = "nginx logs, after 60 s:" if waits else "nginx logs:"
        yield f"   {when} {cut(escape_control(attempt.line), 200)}"


def _narrow(row: tuple[str, ...]) -> tuple[str, ...]:
    """A row without address and certificate."""
    return (row[0], cut(row[1], 40), row[3], *row[5:])


def form_blocks(found: Conclusion, form: str) -> tuple[FormBlock, ...]:
    """What to paste in the form of another program; empty if nothing works.

    Verification that was tried and passes is part of it.
    """
    if found.chosen is None:
        return ()
    directives = [directive.words for directive in (*found.directives, *found.advice)]
    setting = found.chosen.setting
    place = found.url.partition("://")[2].partition("/")[0]
    authorities = next((args for name, *args in directives if name == _AUTHORITIES), [])
    cure = read_cure(
        found.url,
        [("proxy_pass", found.url), *directives],
        host_header=place if is_name(without_port(place)) else "",
        system_ca=authorities == [system_store()],
        weakens=lost_security(setting) if weakens(setting) else "",
    )
    return write_form(form, cure)


_AUTHORITIES = "proxy_ssl_trusted_certificate"


def block(found: Conclusion, syntax: Syntax) -> Iterator[str]:
    """The directives to paste, with their reasons as comments."""
    passes = "grpc_pass" if found.url.startswith("grpc") else "proxy_pass"
    directives = [SuggestedDirective(passes, (found.url,)), *found.directives]
    if found.chosen is not None and weakens(found.chosen.setting):
        yield f"# {lost_security(found.chosen.setting)}"
    yield from with_comments(directives, syntax)
    if found.advice:
        yield ""
        yield "# To check the certificate too (tried, it passes):"
        yield from (f"# {line}" for line in with_comments(list(found.advice), syntax))


def with_comments(directives: Sequence[SuggestedDirective], syntax: Syntax) -> Iterator[str]:
    lines = [directive.text(syntax) for directive in directives]
    width = max(map(len, lines), default=0)
    for directive, line in zip(directives, lines, strict=True):
        yield f"{line.ljust(width)}  # {directive.reason}" if directive.reason else line


def text(
    spec: ProbeSpec,
    attempts: Sequence[Attempt],
    found: Conclusion,
    form: str,
    width: int = 200,
) -> Iterator[str]:
    """The complete report, line by line; tables and prose fit into `width`."""
    yield from _prose(found.introduction, width)
    yield ""
    yield from _prose(" ".join(found.sentences), width)
    if form in SYNTAXES:
        if found.directives or found.advice or found.status == 3:
            yield ""
            yield from block(found, SYNTAXES[form])
    elif blocks := form_blocks(found, form):
        yield ""
        yield from form_lines(form, blocks, width)
    yield ""
    yield TRIED
    yield from table(spec, attempts, width)


TRIED = "What was tried:"


def _prose(sentences: str, width: int) -> list[str]:
    return textwrap.wrap(
        escape_control(sentences),
        min(width, PROSE_WIDTH),
        break_on_hyphens=False,
        break_long_words=False,
    )


PROSE_WIDTH = 100
"""Characters; a wider text is hard to read."""
SYNTAXES: dict[str, Syntax] = {"nginx": "nginx", "toml": "toml"}
"""The forms that are written with a reason for each directive."""


def to_dict(
    spec: ProbeSpec, attempts: Sequence[Attempt], found: Conclusion, form: str = "nginx"
) -> dict[str, Any]:
    """The complete report as a JSON value."""
    return {
        "status": found.status,
        "cause": found.cause or None,
        "plain": found.plain,
        "background": found.background or None,
        "verdict": " ".join(found.sentences),
        "proxy_pass": found.url or None,
        "directives": [_directive(directive) for directive in found.directives],
        "advice": [_directive(directive) for directive in found.advice],
        "form": {
            "name": form,
            "blocks": [dataclasses.asdict(block) for block in form_blocks(found, form)],
        },
        "attempts": [_attempt(spec, attempt) for attempt in attempts],
    }


def _directive(directive: SuggestedDirective) -> dict[str, Any]:
    return {
        "name": directive.name,
        "args": list(directive.args),
        "nginx": directive.text("nginx"),
        "toml": directive.text("toml"),
        "reason": directive.reason,
    }


def _attempt(spec: ProbeSpec, attempt: Attempt) -> dict[str, Any]:
    answered = attempt.result is Result.RESPONSE
    return {
        "setting": describe_setting(spec, attempt.setting),
        "address": attempt.address,
        "server_name": attempt.sni,
        "result": attempt.label,
        "line": attempt.line or None,
        "alert": attempt.alert,
        "certificate_requested": attempt.certificate_requested,
        "certificate_names": list(attempt.names),
        "protocol": attempt.protocol or None,
        "verify_result": attempt.verify_result,
        "status": attempt.status if answered else None,
        "seconds": round(attempt.seconds, 3),
    }


def dump_json(data: object) -> str:
    """JSON in ASCII, without control characters."""
    return json.dumps(data, indent=2)
