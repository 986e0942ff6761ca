"""What makes a figure invalid, and a tiny run on the real nginx."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.cases import CASES, Case, Mode
from benchmarks.certificates import write_certificates
from benchmarks.discovery import nginx, wheel_nginx
from benchmarks.load import Tally
from benchmarks.measure import Plan, bench, broken_promise, percentile
from benchmarks.origin import Counts
from benchmarks.peers import PEERS
from benchmarks.programs import Family, Place, Program, nginx_like
from benchmarks.wire import HOST


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([1.0, 2.0], 50, 1.0),
        ([float(n) for n in range(1, 201)], 99, 198.0),
        ([7.0], 99, 7.0),
    ],
)
def test_percentile(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


TEN = [0.001] * 10


@pytest.mark.parametrize(
    ("letter", "tally", "seen", "expected"),
    [
        ("a", Tally(10, 0, TEN), Counts(), None),
        ("a", Tally(9, 1, TEN), Counts(), "client: 9 full and 1 resumed handshakes"),
        ("a", Tally(10, 0, TEN), Counts(full=1), "upstream: 1 full and 0 resumed"),
        ("a", Tally(10, 0, TEN), Counts(answers=1), "the origin answered 1 requests, not 0"),
        ("a", Tally(0, 0, []), Counts(), "no exchange in the window"),
        ("a", Tally(3, 0, TEN, "wrong bytes"), Counts(), "wrong bytes"),
        ("b", Tally(0, 10, TEN), Counts(), None),
        ("b", Tally(1, 9, TEN), Counts(), "client: 1 full and 9 resumed"),
        ("c", Tally(10, 0, TEN), Counts(full=10, answers=10), None),
        ("c", Tally(10, 0, TEN), Counts(full=9, resumed=1, answers=10), "upstream: 9 full and 1"),
        ("c", Tally(10, 0, TEN), Counts(full=4, answers=10), "upstream: 4 full and 0 resumed"),
        ("c", Tally(10, 0, TEN), Counts(full=10, answers=9), "the origin answered 9"),
        ("c", Tally(10, 0, TEN), Counts(10, 0, 2, 10), "2 handshakes with the origin had other"),
        ("d", Tally(10, 0, TEN), Counts(resumed=10, answers=10), None),
        ("d", Tally(10, 0, TEN), Counts(full=2, resumed=8, answers=10), None),
        ("d", Tally(10, 0, TEN), Counts(full=3, resumed=7, answers=10), "upstream: 3 full and 7"),
        ("d", Tally(10, 0, TEN), Counts(resumed=9, answers=10), "upstream: 0 full and 9"),
        ("e", Tally(10, 0, TEN), Counts(answers=10), None),
        ("e", Tally(10, 0, TEN), Counts(full=2, answers=10), None),
        ("e", Tally(10, 0, TEN), Counts(full=3, answers=10), "upstream: 3 full and 0 resumed"),
        ("f", Tally(0, 0, TEN), Counts(answers=10), None),
        ("f", Tally(1, 0, TEN), Counts(answers=10), "client: 1 full and 0 resumed"),
    ],
)
def test_promises(letter: str, tally: Tally, seen: Counts, expected: str | None) -> None:
    broken = broken_promise(CASES[letter], tally, seen, processes=2)
    if expected is None:
        assert broken is None
    else:
        assert broken is not None
        assert broken.startswith(expected)


@pytest.fixture
def peer() -> Program:
    path = wheel_nginx()
    assert path is not None
    return nginx(path, "wheel")


def plan(**changes: float) -> Plan:
    brief = Plan(rounds=1, warm=0.05, window=0.2, peer_rounds=1, memory_rounds=1, processes=2)
    return replace(brief, **changes)  # type: ignore[arg-type]


@pytest.mark.nginx
def test_tiny_run_of_a_and_c(peer: Program) -> None:
    with bench(plan()) as stand:
        for letter in "ac":
            (by_name,) = stand.rounds(CASES[letter], [peer])
            turn = by_name[peer.name]
            assert turn.invalid is None
            assert 50 < turn.figures["cpu"] < 50_000
            assert turn.figures["p50"] <= turn.figures["p99"]
            assert turn.figures["memory"] > 1


@pytest.mark.nginx
def test_a_program_that_does_not_start_is_invalid(peer: Program) -> None:
    path = wheel_nginx()
    assert path is not None
    broken = replace(peer, prepare=nginx_like([path], ["no_such_directive on;"]))
    with bench(plan(warm=0.0, window=0.1)) as stand:
        turn = stand.turn(CASES["a"], broken)
    assert turn.invalid is not None
    assert turn.invalid.startswith("ended with status 1:")
    assert 'unknown directive "no_such_directive"' in turn.invalid


def test_rounds_begin_with_another_program_and_peers_have_fewer() -> None:
    def absent(case: Case, place: Place) -> list[str]:
        began.append(place.directory.name)
        return ["false"]

    began: list[str] = []
    programs = [
        Program("sniproxy", "", Family.OURS, absent),
        Program("nginx", "", Family.NGINX, absent),
        Program("peer", "", Family.PEER, absent, cannot={"d": "it keeps no sessions"}),
    ]
    with bench(plan(rounds=2)) as stand:
        rounds = stand.rounds(CASES["a"], programs)
        assert [list(by) for by in rounds] == [["sniproxy", "nginx", "peer"], ["nginx", "sniproxy"]]
        assert len(stand.rounds(CASES["i"], programs)) == 1
        assert stand.turn(CASES["d"], programs[2]).cannot == "it keeps no sessions"
    assert began == [f"turn{number}" for number in range(8)]


@pytest.mark.nginx
@pytest.mark.needs("h2load")
@pytest.mark.parametrize("letter", ["h2", "h21"])
def test_h2load_speaks_the_version_of_the_case(letter: str, peer: Program) -> None:
    with bench(plan()) as stand:
        turn = stand.turn(CASES[letter], peer)
    assert turn.invalid is None
    assert turn.figures["cpu"] > 0
    assert 0 < turn.figures["p50"] <= turn.figures["p99"]


@pytest.mark.nginx
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_nginx_accepts_every_configuration(case: Case, peer: Program, tmp_path: Path) -> None:
    write_certificates(tmp_path)
    argv = peer.prepare(case, Place(tmp_path, 18443, 18444, tmp_path))
    reports = subprocess.run(
        [*argv, "-t", "-e", "stderr"], capture_output=True, text=True, check=False
    )
    assert reports.returncode == 0, reports.stderr
    assert "[warn]" not in reports.stderr


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_peers_get_ports_and_certificates(case: Case, name: str, tmp_path: Path) -> None:
    argv = PEERS[name].prepare(name, case, Place(tmp_path, 18443, 18444, Path("certificates")))
    reports = "\n".join([*argv, *(file.read_text() for file in tmp_path.iterdir())])
    assert name in argv
    assert HOST in reports
    assert "18443" in reports
    assert f"certificates/{case.key}" in reports
    assert ("18444" in reports) or case.upstream is Mode.NONE
