"""`sniproxy diagnose -c FILE`: every TLS upstream of a file, and the diff that mends it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ..diagnose.config_file import FileOptions, FileReport, diagnose_file, write_with_backup
from ..diagnose.lint import Finding
from ..diagnose.probe import Timeouts
from ..diagnose.report import dump_json, printable, table, to_dict
from ..diagnose.url import DiagnoseError
from .progress import clear_progress, live_progress


def run(options: argparse.Namespace, timeouts: Timeouts) -> int:
    """Returns the exit status; raises `CannotAsk`."""
    certificate = None if options.cert is None else (options.cert, options.key)
    wanted = FileOptions(
        options.file,
        options.location,
        options.offline,
        options.host,
        certificate,
        send_request=not options.no_request,
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
    """The files that were written, with their backups; raises `CannotAsk`."""
    written = []
    for file, text in report.after.items():
        try:
            written.append((file, write_with_backup(file, text)))
        except OSError as error:
            raise DiagnoseError(f"{file} can not be written: {error.strerror}", 4) from None
    return written


def _lines(report: FileReport, written: list[tuple[str, str]]) -> Iterator[str]:
    for probed in report.probed:
        place = probed.site.node.place
        yield printable(f"{probed.site.label}: proxy_pass {probed.site.target.url} ({place})")
        yield from (f"  {line}" for line in table(probed.spec, probed.attempts))
        yield ""
    for finding in report.findings:
        yield printable(f"{finding.place}: [{_kind(finding)}] {finding.text} ({finding.rule})")
    for note in report.skipped:
        yield printable(f"passed over: {note}")
    for words in report.manual_edits:
        yield printable(f"by hand: {words}")
    if report.diff:
        yield ""
        yield from map(shown, report.diff)
    for file, backup in written:
        yield printable(f"written: {file} (before: {backup})")
    if not (report.findings or report.probed):
        yield printable(f"{report.file}: {report.sites} proxy_pass to https, nothing to change")


def _kind(finding: Finding) -> str:
    if finding.advice:
        return "advice"
    cured = finding.wanted is not None or finding.rename is not None or finding.url
    return "change" if cured else "problem"


def shown(line: str) -> str:
    """A line of a file: UTF-8 as it is, nothing that a terminal would obey."""
    text = line.encode("latin-1", "replace").decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c == "\t" else f"\\x{ord(c):02x}" for c in text)


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
        "diff": "\n".join(map(shown, report.diff)),
        "written": dict(written),
    }
