"""Diagnose the TLS upstreams of a configuration file, and compute the edits that fix it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import trio

from ..build.paths import Paths
from ..config import load
from ..config.directives.proxy import ProxySettings
from ..config.directives.upstream import PeerSettings
from ..config.directives.upstream_tls import ConnectionSettings
from ..config.lenient import ParsedConfig, parse_lenient
from ..models import ConfigError
from ..system import O_BINARY
from ..template import ScriptError
from ..upstream.selector import Peer
from ..variables import definition_error, is_variable
from .authorities import system_store
from .conclusion import CANNOT_WORK, WORKS, WORKS_WITH, Conclusion, draw_conclusion
from .lint import Finding, lint, misplaced_client_directives, unshared_names
from .model import Attempt, ProbeSpec, Result, Setting
from .pass_sites import PassSite
from .patch import (
    Edit,
    ManualEditError,
    apply_edits,
    edits_for,
    insert_edit,
    rename_edit,
    replace_edit,
    unified_diff,
    url_edit,
)
from .probe import Probe, Timeouts, investigate
from .proxy_passes import find_passes, find_tls_passes
from .strategy import lost_security, weakens
from .synthetic import make_context
from .url import DiagnoseError, find_peers

PLAIN_UPSTREAM = "plain-http-upstream"
"""The cause if an upstream answers a ClientHello with plain HTTP."""
ProgressCallback = Callable[[ProbeSpec, Setting, int], None]


@dataclass(frozen=True, slots=True)
class FileOptions:
    """The options of `sniproxy diagnose -c FILE`."""

    file: str
    location: str | None = None
    offline: bool = False
    host: str | None = None
    certificate: tuple[str, str] | None = None
    send_request: bool = True
    allow_insecure: bool = False
    """Whether fixes that give up security may be written."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The attempts for one `proxy_pass`, and the conclusion from them."""

    site: PassSite
    spec: ProbeSpec
    attempts: list[Attempt]
    conclusion: Conclusion


@dataclass(slots=True)
class FileReport:
    """The result of diagnosing a file."""

    file: str
    findings: list[Finding] = field(default_factory=list)
    probed: list[ProbeResult] = field(default_factory=list)
    sites: int = 0
    """The number of `proxy_pass` directives examined."""
    before: Mapping[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    """The changed texts by file name."""
    manual_edits: list[str] = field(default_factory=list)
    """Descriptions of the changes that have to be made manually."""
    skipped: list[str] = field(default_factory=list)

    @property
    def diff(self) -> list[str]:
        return list(unified_diff(self.before, self.after))

    @property
    def status(self) -> int:
        """The exit status: `CANNOT_WORK` if a finding has no fix."""
        unfixed = [finding for finding in self.findings if not (finding.advice or finding.has_fix)]
        if unfixed or self.manual_edits:
            return CANNOT_WORK
        return WORKS_WITH if self.after else WORKS


def diagnose_file(
    options: FileOptions, timeouts: Timeouts, progress: ProgressCallback
) -> FileReport:
    """Read the file, connect unless `offline`, compute the edits. Raises `DiagnoseError`."""
    try:
        parsed = parse_lenient(options.file)
        sites = _chosen(parsed, options)
    except ConfigError as error:
        raise DiagnoseError(str(error), 2) from None
    report = FileReport(options.file, before=parsed.texts)
    early = list(misplaced_client_directives(sites))
    if options.location is None:
        early += unshared_names(parsed.root)
    report.findings += early
    texts = {**parsed.texts, **_apply_edits(report, list(_text_edits(early, parsed, report)))}
    parsed = parse_lenient(options.file, texts)
    sites = _chosen(parsed, options)
    report.sites = len(sites)
    report.skipped = list(dict.fromkeys(parsed.skipped))
    proven: dict[PassSite, ConnectionSettings] = {}
    if not options.offline:
        trio.run(
            _probe_all, options, sites, report, proven, timeouts, progress,
            restrict_keyboard_interrupt_to_checkpoints=True,
        )  # fmt: skip
    insecure = {
        probed.site
        for probed in report.probed
        if _has_no_tls(probed)
        or (probed.conclusion.chosen is not None and weakens(probed.conclusion.chosen.setting))
    }
    report.findings += lint([s for s in sites if s not in insecure], system_store(), proven)
    changed = _write(sites, report, parsed)
    report.after = {
        file: text for file, text in {**texts, **changed}.items() if text != report.before.get(file)
    }
    if report.after and (refusal := new_error(options.file, report.after)):
        report.manual_edits.append(f"the changed file would not pass -t: {refusal}")
        report.after = {}
    return report


def new_error(file: str, texts: Mapping[str, str]) -> str:
    """Why the reader of `-t` refuses the changed texts; "" if it does not, or did so before."""
    return (_error(file, {}) is None and _error(file, texts)) or ""


def _error(file: str, texts: Mapping[str, str]) -> str | None:
    try:
        load(
            file,
            directives="unsupported warn;",
            is_variable=is_variable,
            definition_error=definition_error,
            replacements=texts,
        )
    except ConfigError as error:
        return str(error)
    return None


def _chosen(parsed: ParsedConfig, options: FileOptions) -> list[PassSite]:
    sites = find_tls_passes(parsed)
    if options.location is None:
        return sites
    chosen = [site for site in sites if site.is_in(options.location)]
    if not chosen:
        raise DiagnoseError(f"no location {options.location} with a proxy_pass to https", 2)
    return chosen


# --- connecting ------------------------------------------------------------------------------


async def _probe_all(
    options: FileOptions,
    sites: Sequence[PassSite],
    report: FileReport,
    proven: dict[PassSite, ConnectionSettings],
    timeouts: Timeouts,
    progress: ProgressCallback,
) -> None:
    for site in sites:
        base = site.probe_base
        if site.target.address is None or _refuses_to_start(base):
            continue
        try:
            probed = await _probe(options, site, base, timeouts, progress)
        except DiagnoseError as error:
            finding = Finding("connect-failed", site.node.place, f"{site.label}: {error}", site)
            report.findings.append(finding)
            continue
        report.probed.append(probed)
        report.findings += _findings(probed, allow_insecure=options.allow_insecure)
        chosen = probed.conclusion.chosen
        if chosen is not None and not weakens(chosen.setting):
            proven[site] = site.settings_from(chosen.setting.proxy)


def _refuses_to_start(proxy: ProxySettings) -> bool:
    return proxy.ssl_verify and not proxy.ssl_trusted_certificate


async def _probe(
    options: FileOptions,
    site: PassSite,
    base: ProxySettings,
    timeouts: Timeouts,
    progress: ProgressCallback,
) -> ProbeResult:
    deadline = trio.current_time() + timeouts.total
    peers = await _peers(site, timeouts)
    host = options.host or site.server_name or "localhost"
    location = site.location
    path = location.name if location.modifier in ("", "=", "^~") else "/"
    target = site.probe_target
    ctx = make_context(base, location, path, host)
    ctx.proxy_host = target.proxy_host
    spec = ProbeSpec(
        base=base,
        host=site.default_name,
        names=site.names(),
        certificate=options.certificate,
        send_request=options.send_request and site.speaks_http,
        prefix=site.settings.PREFIX,
        addresses=tuple(peer.name for peer in peers),
        explore=False,
        values=site.variables(host, target.proxy_host),
    )
    folder = os.path.dirname(os.path.abspath(options.file))
    probe = Probe(spec, target, peers, ctx, Paths(folder, folder), timeouts)
    try:
        attempts = await investigate(probe, deadline, lambda s, n: progress(spec, s, n))
    except ScriptError as error:
        raise DiagnoseError(str(error), CANNOT_WORK) from None
    if not attempts:
        raise DiagnoseError("no attempt finished before the deadline", CANNOT_WORK)
    return ProbeResult(site, spec, attempts, draw_conclusion(spec, target, attempts))


async def _peers(site: PassSite, timeouts: Timeouts) -> list[Peer]:
    """All peers of the upstream."""
    assert site.target.address is not None
    addresses = [site.target.address] if site.group is None else list(site.group.peers)
    peers: list[Peer] = []
    for address in addresses:
        peers += await find_peers(PeerSettings(address), timeouts)
    if not peers:
        raise DiagnoseError("the group has no servers", CANNOT_WORK)
    return peers


def _findings(probed: ProbeResult, *, allow_insecure: bool) -> Iterator[Finding]:
    """The findings from the attempts."""
    site, conclusion = probed.site, probed.conclusion
    text = f"{site.label}: {' '.join((conclusion.introduction, *conclusion.sentences))}"
    made = Finding(conclusion.cause or "works", site.node.place, text, site)
    if _has_no_tls(probed):
        yield _without_tls(made, site, probed.spec.base, allow_insecure=allow_insecure)
        return
    chosen = conclusion.chosen
    if conclusion.status == CANNOT_WORK or chosen is None:
        yield made
        return
    if conclusion.status == WORKS_WITH and weakens(chosen.setting) and not allow_insecure:
        lost = lost_security(chosen.setting)
        yield replace(made, text=f"{text} {lost} --fix writes it only with --allow-insecure.")
    elif conclusion.status == WORKS_WITH:
        if chosen.setting.plain and not site.is_of_stream:
            yield replace(made, url=conclusion.url)
        else:
            setting = chosen.setting
            yield replace(made, wanted=site.settings_from(setting.proxy, plain=setting.plain))
    for attempt in probed.attempts:
        same = replace(attempt.setting, address=0) == replace(chosen.setting, address=0)
        if same and attempt.result not in (Result.RESPONSE, Result.HANDSHAKE_OK):
            text = f"{site.label}: the peer {attempt.address} fails: {attempt.line}"
            yield Finding("connect-failed", site.node.place, text, site)


def _has_no_tls(probed: ProbeResult) -> bool:
    """Whether a server of `stream {}` passes by TLS to an upstream that has none."""
    return probed.site.is_of_stream and probed.conclusion.cause == PLAIN_UPSTREAM


def _without_tls(
    made: Finding, site: PassSite, base: ProxySettings, *, allow_insecure: bool
) -> Finding:
    text = f"{site.label}: the upstream has no TLS on this port: it takes proxy_ssl off."
    if allow_insecure:
        return replace(made, text=text, wanted=site.settings_from(base, plain=True))
    return replace(made, text=f"{text} --fix writes it only with --allow-insecure.")


# --- writing ---------------------------------------------------------------------------------


def _text_edits(
    findings: Sequence[Finding], parsed: ParsedConfig, report: FileReport
) -> Iterator[Edit]:
    for finding in findings:
        with _collect_manual_edits(report):
            if finding.rename is not None:
                yield rename_edit(*finding.rename, parsed.texts)
            if finding.insert is not None:
                yield insert_edit(*finding.insert, parsed.texts)
            if finding.replace is not None:
                yield replace_edit(*finding.replace, parsed.texts)


def _apply_edits(report: FileReport, edits: Sequence[Edit]) -> dict[str, str]:
    try:
        return apply_edits(report.before, edits)
    except ManualEditError as error:
        report.manual_edits.append(str(error))
        return {}


def _write(sites: Sequence[PassSite], report: FileReport, parsed: ParsedConfig) -> dict[str, str]:
    """The files with the edits of all findings applied."""
    wanted: dict[PassSite, ConnectionSettings] = {}
    edits: list[Edit] = []
    for finding in report.findings:
        if finding.site is not None and finding.wanted is not None:
            wanted[finding.site] = finding.wanted
        if finding.site is not None and finding.url:
            with _collect_manual_edits(report):
                edits.append(url_edit(finding.site, finding.url, parsed.texts))
    for site, settings in wanted.items():
        with _collect_manual_edits(report):
            edits += edits_for(site, settings, parsed.texts)
    try:
        changed = apply_edits(parsed.texts, edits)
        _check(sites, wanted, parsed, changed)
    except ManualEditError as error:
        report.manual_edits.append(str(error))
        return {}
    return changed


@contextlib.contextmanager
def _collect_manual_edits(report: FileReport) -> Iterator[None]:
    try:
        yield
    except ManualEditError as error:
        report.manual_edits.append(str(error))


def _check(
    sites: Sequence[PassSite],
    wanted: Mapping[PassSite, ConnectionSettings],
    parsed: ParsedConfig,
    changed: Mapping[str, str],
) -> None:
    """Raise `ManualEditError` unless the new texts mean exactly what was intended."""
    if not changed:
        return
    before = find_passes(parsed)
    try:
        again = find_passes(parse_lenient(parsed.file, {**parsed.texts, **changed}))
    except ConfigError as error:
        raise ManualEditError(f"the changed file would be invalid: {error}") from None
    if len(again) != len(before):
        raise ManualEditError(f"{parsed.file}: the edit would change other directives")
    for old, new in zip(before, again, strict=True):
        meant = next((p for s, p in wanted.items() if s.node.statement == old.node.statement), None)
        expected = meant if meant is not None else old.settings
        if not _same(expected, new.settings):
            raise ManualEditError(f"{old.node.place}: the edit would change other directives")


def _same(one: ConnectionSettings, other: ConnectionSettings) -> bool:
    """Whether two settings are equal, apart from those that depend on their place."""
    aside = {f"{one.PREFIX}pass", "proxy_redirect"}
    fields = {row.field for row in one.DIRECTIVES} - aside
    return all(getattr(one, field) == getattr(other, field) for field in fields)


def _copy_exclusively(path: str, copy: str) -> None:
    """Copy a file with its mode; nobody else can read the copy before it has that."""
    with open(path, "rb") as source:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | O_BINARY
        with os.fdopen(os.open(copy, flags, 0o600), "wb") as target:
            shutil.copyfileobj(source, target)
    shutil.copystat(path, copy)


def write_with_backup(file: str, text: str) -> str:
    """Replace a file atomically after copying it to a backup; returns the backup's name.

    If it is a symbolic link, its target is replaced. Raises `OSError`.
    """
    path = os.path.realpath(file.encode("latin-1")).decode("latin-1")
    number = 0
    while os.path.lexists(backup := path + (f".bak{number}" if number else ".bak")):
        number += 1
    _copy_exclusively(path, backup)
    handle, fresh = tempfile.mkstemp(prefix=".sniproxy-", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(text.encode("latin-1"))
        shutil.copymode(path, fresh)
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise
    return backup
