"""A configuration file: what is wrong with its TLS upstreams, and the text that mends it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import trio

from ..config.directives.proxy import Proxy
from ..config.directives.upstream import PeerSettings
from ..message import ConfigError
from ..script import ScriptError
from ..site.paths import Paths
from ..upstream.selector import Peer
from ..variables import lookup
from .attempts import Attempt, Question, Result, Setting
from .lint import Finding, lint, wrong_sides
from .patch import ByHand, Edit, edited, renamed, said_at, unified, url_replaced
from .pretend import pretended
from .probe import Patience, Probe, investigate
from .reading import Reading, read_leniently
from .spots import Spot, find_spots, tls_spots
from .upstream import CannotAsk, find_peers, system_store
from .verdict import CANNOT, WORKS, WORKS_WITH, Verdict, verdict

Progress = Callable[[Question, Setting, int], None]


@dataclass(frozen=True, slots=True)
class FileWish:
    """The command line."""

    file: str
    location: str | None = None
    offline: bool = False
    host: str | None = None
    certificate: tuple[str, str] | None = None
    may_ask: bool = True


@dataclass(frozen=True, slots=True)
class Tried:
    """What connecting has shown of one `proxy_pass`."""

    spot: Spot
    question: Question
    attempts: list[Attempt]
    verdict: Verdict


@dataclass(slots=True)
class FileReport:
    """The answer about a file."""

    file: str
    findings: list[Finding] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    spots: int = 0
    """How many `proxy_pass`es were looked at."""
    before: Mapping[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    """The texts that change."""
    by_hand: list[str] = field(default_factory=list)
    """What has to be written by people."""
    passed_over: list[str] = field(default_factory=list)

    @property
    def diff(self) -> list[str]:
        return list(unified(self.before, self.after))

    @property
    def status(self) -> int:
        """The exit status: `CANNOT` where something fails that no change here cures."""
        hopeless = [
            finding
            for finding in self.findings
            if not (finding.advice or finding.wanted or finding.rename or finding.url)
        ]
        if hopeless or self.by_hand:
            return CANNOT
        return WORKS_WITH if self.after else WORKS


def diagnose_file(wish: FileWish, patience: Patience, progress: Progress) -> FileReport:
    """Read, connect unless `offline`, and work out the changes; raises `CannotAsk`."""
    try:
        reading = read_leniently(wish.file)
        spots = _chosen(reading, wish)
    except ConfigError as error:
        raise CannotAsk(str(error), 2) from None
    report = FileReport(wish.file, before=reading.texts)
    renames = list(wrong_sides(spots))
    report.findings += renames
    texts = {**reading.texts, **_edited(report, list(_rename_edits(renames, reading, report)))}
    reading = read_leniently(wish.file, texts)
    spots = _chosen(reading, wish)
    report.spots = len(spots)
    report.passed_over = list(dict.fromkeys(reading.passed_over))
    proven: dict[Spot, Proxy] = {}
    if not wish.offline:
        trio.run(
            _try_all, wish, spots, report, proven, patience, progress,
            restrict_keyboard_interrupt_to_checkpoints=True,
        )  # fmt: skip
    plain = {finding.spot for finding in report.findings if finding.url}
    report.findings += lint([s for s in spots if s not in plain], system_store(), proven)
    changed = _write(spots, report, reading)
    report.after = {
        file: text for file, text in {**texts, **changed}.items() if text != report.before.get(file)
    }
    return report


def _chosen(reading: Reading, wish: FileWish) -> list[Spot]:
    spots = tls_spots(find_spots(reading))
    if wish.location is None:
        return spots
    chosen = [
        spot
        for spot in spots
        if wish.location in (spot.location.name, f"{spot.location.modifier} {spot.location.name}")
    ]
    if not chosen:
        raise CannotAsk(f"no location {wish.location} with a proxy_pass to https", 2)
    return chosen


# --- connecting ------------------------------------------------------------------------------


async def _try_all(
    wish: FileWish,
    spots: Sequence[Spot],
    report: FileReport,
    proven: dict[Spot, Proxy],
    patience: Patience,
    progress: Progress,
) -> None:
    for spot in spots:
        if spot.target.address is None or _refuses_to_start(spot.proxy):
            continue
        try:
            tried = await _try(wish, spot, patience, progress)
        except CannotAsk as error:
            finding = Finding("connect-failed", spot.node.place, f"{spot.label}: {error}", spot)
            report.findings.append(finding)
            continue
        report.tried.append(tried)
        report.findings += _found(tried)
        followed = tried.verdict.followed
        if followed is not None and not followed.setting.plain:
            proven[spot] = followed.setting.proxy


def _refuses_to_start(proxy: Proxy) -> bool:
    return proxy.proxy_ssl_verify and not proxy.proxy_ssl_trusted_certificate


async def _try(wish: FileWish, spot: Spot, patience: Patience, progress: Progress) -> Tried:
    deadline = trio.current_time() + patience.whole
    peers = await _peers(spot, patience)
    host = wish.host or spot.server_name or "localhost"
    location = spot.location
    path = location.name if location.modifier in ("", "=", "^~") else "/"
    facts = pretended(spot.proxy, location, path, host)
    facts.proxy_host = spot.target.proxy_host
    values = lookup(facts)
    question = Question(
        base=spot.proxy,
        host=spot.default_name,
        names=spot.names(),
        certificate=wish.certificate,
        may_ask=wish.may_ask,
        addresses=tuple(peer.name for peer in peers),
        thorough=False,
        values=values,
    )
    folder = os.path.dirname(os.path.abspath(wish.file))
    probe = Probe(question, spot.target, peers, facts, Paths(folder, folder), patience)
    try:
        attempts = await investigate(probe, deadline, lambda s, n: progress(question, s, n))
    except ScriptError as error:
        raise CannotAsk(str(error), CANNOT) from None
    if not attempts:
        raise CannotAsk("nothing was heard in time", CANNOT)
    return Tried(spot, question, attempts, verdict(question, spot.target, attempts))


async def _peers(spot: Spot, patience: Patience) -> list[Peer]:
    """All addresses of the upstream."""
    assert spot.target.address is not None
    addresses = [spot.target.address] if spot.group is None else list(spot.group.peers)
    found: list[Peer] = []
    for address in addresses:
        found += await find_peers(PeerSettings(address), patience)
    if not found:
        raise CannotAsk("the group has no servers", CANNOT)
    return found


def _found(tried: Tried) -> Iterator[Finding]:
    """What connecting has shown, as findings."""
    spot, found = tried.spot, tried.verdict
    text = f"{spot.label}: {' '.join(found.sentences)}"
    made = Finding(found.cause or "works", spot.node.place, text, spot)
    followed = found.followed
    if found.status == CANNOT or followed is None:
        yield made
        return
    if found.status == WORKS_WITH:
        if followed.setting.plain:
            yield replace(made, url=found.url)
        else:
            yield replace(made, wanted=followed.setting.proxy)
    for attempt in tried.attempts:
        same = replace(attempt.setting, address=0) == replace(followed.setting, address=0)
        if same and attempt.result not in (Result.ANSWERED, Result.SHAKEN):
            text = f"{spot.label}: the peer {attempt.address} fails: {attempt.line}"
            yield Finding("connect-failed", spot.node.place, text, spot)


# --- writing ---------------------------------------------------------------------------------


def _rename_edits(
    findings: Sequence[Finding], reading: Reading, report: FileReport
) -> Iterator[Edit]:
    for finding in findings:
        if finding.rename is not None:
            try:
                yield renamed(*finding.rename, reading.texts)
            except ByHand as error:
                report.by_hand.append(str(error))


def _edited(report: FileReport, edits: Sequence[Edit]) -> dict[str, str]:
    try:
        return edited(report.before, edits)
    except ByHand as error:
        report.by_hand.append(str(error))
        return {}


def _write(spots: Sequence[Spot], report: FileReport, reading: Reading) -> dict[str, str]:
    """The texts with every wish of the findings in them."""
    wanted: dict[Spot, Proxy] = {}
    edits: list[Edit] = []
    for finding in report.findings:
        if finding.spot is not None and finding.wanted is not None:
            wanted[finding.spot] = finding.wanted
        if finding.spot is not None and finding.url:
            with _noting(report):
                edits.append(url_replaced(finding.spot, finding.url, reading.texts))
    for spot, proxy in wanted.items():
        with _noting(report):
            edits += said_at(spot, proxy, reading.texts)
    try:
        changed = edited(reading.texts, edits)
        _check(spots, wanted, reading, changed)
    except ByHand as error:
        report.by_hand.append(str(error))
        return {}
    return changed


@contextlib.contextmanager
def _noting(report: FileReport) -> Iterator[None]:
    try:
        yield
    except ByHand as error:
        report.by_hand.append(str(error))


def _check(
    spots: Sequence[Spot],
    wanted: Mapping[Spot, Proxy],
    reading: Reading,
    changed: Mapping[str, str],
) -> None:
    """Whether the new texts say what they should: an edit that does anything else is none."""
    if not changed:
        return
    before = find_spots(reading)
    try:
        again = find_spots(read_leniently(reading.file, {**reading.texts, **changed}))
    except ConfigError as error:
        raise ByHand(f"the changed file would not be read: {error}") from None
    if len(again) != len(before):
        raise ByHand(f"{reading.file}: the changed file would say something else")
    for old, new in zip(before, again, strict=True):
        meant = next((p for s, p in wanted.items() if s.node.statement == old.node.statement), None)
        expected = meant if meant is not None else old.proxy
        if not _same(expected, new.proxy):
            raise ByHand(f"{old.node.place}: the changed file would say something else")


def _same(one: Proxy, other: Proxy) -> bool:
    """Whether two settings are the same, wherever they stand."""
    aside = replace(one, proxy_pass=None, proxy_redirect=())
    return aside == replace(other, proxy_pass=None, proxy_redirect=())


def keep_backup_and_write(file: str, text: str) -> str:
    """Write `text` in one step, the old file being kept; returns the backup's name.

    A link stays one: its target is written. Raises `OSError`.
    """
    path = os.path.realpath(file.encode("latin-1")).decode("latin-1")
    number = 0
    while os.path.lexists(backup := path + (f".bak{number}" if number else ".bak")):
        number += 1
    shutil.copy2(path, backup)
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
