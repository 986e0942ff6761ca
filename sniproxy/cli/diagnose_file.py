"""`sniproxy diagnose -c FILE`: check each TLS upstream, and print a diff that fixes it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ..diagnose.config_file import FileOptions, FileReport, diagnose_file, write_with_backup
from ..diagnose.lint import Finding
from ..diagnose.probe import Timeouts
from ..diagnose.report import dump_json, table, to_dict
from ..diagnose.url import DiagnoseError
from ..terminal import escape_control
from .output import fit, terminal_width
from .terminal import clear_progress, live_progress


def run(options: argparse.Namespace, timeouts: Timeouts) -> int:
    """Run the command; returns the exit status. Raises `DiagnoseError`."""
    certificate = None if options.cert is None else (options.cert, options.key)
    wanted = FileOptions(
        options.file,
        options.location,
        options.offline,
        options.host,
        certificate,
        send_request=not options.no_request,
        allow_insecure=options.allow_insecure,
    )
    try:
        report = diagnose_file(wanted, timeouts, live_progress())
    finally:
        clear_progress()
    written = _fix(report) if options.fix and not report.manual_edits else []
    if options.json:
        print(dump_json(_data(report, written)))
    else:
        for line in _lines(report, written):
            print(line)
    return report.status


def _fix(report: FileReport) -> list[tuple[str, str]]:
    """Write the changed files; returns each with its backup. Raises `DiagnoseError`."""
    written = []
    for file, text in report.after.items():
        try:
            written.append((file, write_with_backup(file, text)))
        except OSError as error:
            raise DiagnoseError(f"{file} cannot be written: {error.strerror}", 4) from None
    return written


def _lines(report: FileReport, written: list[tuple[str, str]]) -> Iterator[str]:
    for probed in report.probed:
        place = probed.site.node.place
        yield from _prose(
            f"{probed.site.label}: {probed.site.node.name} {probed.site.target.url} ({place})"
        )
        lines = table(probed.spec, probed.attempts, terminal_width() - 2)
        yield from (f"  {line}" for line in lines)
        yield ""
    for finding in report.findings:
        yield from _prose(f"{finding.place}: [{_kind(finding)}] {finding.text} ({finding.rule})")
    for note in report.skipped:
        yield from _prose(f"skipped: {note}")
    for words in report.manual_edits:
        yield from _prose(f"manual edit needed: {words}")
    if report.diff:
        yield ""
        yield from map(_escape_line, report.diff)
    for file, backup in written:
        yield from _prose(f"written: {file} (backup: {backup})")
    if not (report.findings or report.probed):
        yield from _prose(f"{report.file}: {report.sites} upstreams with TLS, nothing to change")


def _prose(text: str) -> list[str]:
    return fit(escape_control(text))


def _kind(finding: Finding) -> str:
    if finding.advice:
        return "advice"
    return "change" if finding.has_fix else "problem"


def _escape_line(line: str) -> str:
    return escape_control(line, keep="\t")


def _data(report: FileReport, written: list[tuple[str, str]]) -> dict[str, object]:
    return {
        "file": report.file,
        "status": report.status,
        "findings": [
            {
                "rule": finding.rule,
                "kind": _kind(finding),
                "file": finding.place.file,
                "line": finding.place.line,
                "text": finding.text,
            }
            for finding in report.findings
        ],
        "upstreams": [
            {
                "location": probed.site.label,
                **to_dict(probed.spec, probed.attempts, probed.conclusion),
            }
            for probed in report.probed
        ],
        "manual_edits": report.manual_edits,
        "diff": "\n".join(map(_escape_line, report.diff)),
        "written": dict(written),
    }
