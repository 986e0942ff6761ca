"""Diagnose the upstream of a recorded request, and check the configuration as it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from ..config.lenient import parse_lenient
from ..diagnose.authorities import system_store
from ..diagnose.config_file import FileOptions, FileReport, diagnose_file
from ..diagnose.lint import Finding, lint, misplaced_client_directives
from ..diagnose.probe import Timeouts
from ..diagnose.proxy_passes import find_tls_passes
from ..diagnose.report import table, text
from ..diagnose.url import DiagnoseError, URLOptions, diagnose
from ..models import ConfigError

TIMEOUTS = Timeouts(connect=5.0, handshake=5.0, response=5.0, total=30.0)
WIDTH = 110
NO_TLS = "the request was not passed to a TLS upstream"


def diagnose_upstream(detail: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Connect to the upstream of a request in different ways, and propose a change of `file`.

    Takes seconds, and runs a trio of its own: call it in a thread. Raises `DiagnoseError`.
    """
    step = _upstream_step(detail)
    location = _location(detail)
    if os.path.exists(file) and location:
        try:
            return _of_file(file, location)
        except DiagnoseError:
            pass  # a location whose name is not unique in the text, for example of an `if`
    names = step["names"] or {}
    options = URLOptions(step["url"], name=names.get("name") or None)
    spec, attempts, found = diagnose(options, TIMEOUTS, _no_progress)
    return {"text": "\n".join(text(spec, attempts, found, "nginx", WIDTH)), "diff": ""}


def _no_progress(*_: object) -> None:
    pass


def _upstream_step(detail: Mapping[str, Any]) -> Mapping[str, Any]:
    steps = (detail.get("trace") or {}).get("steps", ())
    for step in reversed(steps):
        if step["kind"] == "proxy_pass" and (step["url"].startswith("https:") or step["names"]):
            return dict(step)
    raise DiagnoseError(NO_TLS, 2)


def _location(detail: Mapping[str, Any]) -> str:
    steps = detail["trace"]["steps"]
    found = [step["location"] for step in steps if step["kind"] == "location"]
    return found[-1] if found and not found[-1].startswith("(") else ""


def _of_file(file: str, location: str) -> dict[str, Any]:
    report = diagnose_file(FileOptions(file, location), TIMEOUTS, _no_progress)
    return {"text": "\n".join(_lines(report)), "diff": "\n".join(report.diff)}


def _lines(report: FileReport) -> Iterator[str]:
    for probed in report.probed:
        yield f"{probed.site.label}: {probed.site.node.name} {probed.site.target.url}"
        yield from table(probed.spec, probed.attempts, WIDTH)
        yield ""
    for finding in report.findings:
        yield f"{finding.place}: {finding.text} ({finding.rule})"
    for note in report.manual_edits:
        yield f"to do by hand: {note}"
    if not report.findings:
        yield "nothing to change"


def lint_findings(file: str) -> list[dict[str, Any]]:
    """The findings about the text of a configuration, by file and line."""
    if not os.path.exists(file):
        return []
    try:
        parsed = parse_lenient(file)
    except ConfigError:
        return []
    sites = find_tls_passes(parsed)
    found = [
        *misplaced_client_directives(sites),
        *lint(sites, system_store()),
    ]
    return [_finding(one) for one in found]


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "file": found.place.file,
        "line": found.place.line,
        "rule": found.rule,
        "text": found.text,
        "advice": found.advice,
    }
