"""Peer selection: a model of round robin, a fake clock, and nginx's sequences."""

from __future__ import annotations

import contextlib
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.config.addresses import Address
from sniproxy.config.directives.upstream import PeerSettings
from sniproxy.upstream.selector import Peer, PeerSelector, Upstream
from tests.compare_nginx import NginxPair, get, paired_with_nginx


@dataclass(slots=True)
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def peer(name: str, **settings: int | float | bool) -> Peer:
    address = Address(name, name, 80)
    settings_ = PeerSettings(address, **settings)  # type: ignore[arg-type]
    return Peer(socket.AF_INET, (name, 80), name, settings_)


@dataclass(slots=True)
class Group:
    """An upstream group that processes requests."""

    peers: list[Peer]
    backups: list[Peer] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.upstream = Upstream("group", self.peers, self.backups, clock=self.clock)

    upstream: Upstream = field(init=False)

    def request(self, *failing: str) -> list[str]:
        """The peers that a request tries if the named ones fail."""
        turns = PeerSelector(self.upstream)
        tried = []
        while (chosen := turns.get()) is not None:
            tried.append(chosen.name)
            turns.free(chosen, failed=chosen.name in failing)
            if chosen.name not in failing or not turns.tries_left:
                break
        return tried

    def requests(self, count: int, *failing: str) -> list[str]:
        """The peers of `count` requests, in order."""
        return [name for _ in range(count) for name in self.request(*failing)]


# --- round robin ---


def smooth_sequence(weights: list[int], count: int) -> list[int]:
    """A model: the peer furthest behind its share is next, the first among equals.

    After k selections the share of a peer with weight w of W is k·w/W. In whole numbers it is
    behind by (k + 1)·w - W·turns.
    """
    total = sum(weights)
    sequence, had = [], [0] * len(weights)
    for k in range(count):
        lags = [(k + 1) * w - total * n for w, n in zip(weights, had, strict=True)]
        best = lags.index(max(lags))
        had[best] += 1
        sequence.append(best)
    return sequence


weights = st.lists(st.integers(1, 20), min_size=2, max_size=6)


@given(weights, st.integers(1, 60))
def test_the_sequence_of_a_small_model(weights: list[int], count: int) -> None:
    group = Group([peer(str(n), weight=w) for n, w in enumerate(weights)])
    assert group.requests(count) == [str(n) for n in smooth_sequence(weights, count)]


@given(weights)
def test_a_round_gives_each_peer_its_weight(weights: list[int]) -> None:
    group = Group([peer(str(n), weight=w) for n, w in enumerate(weights)])
    for _ in range(2):
        assert Counter(group.requests(sum(weights))) == {str(n): w for n, w in enumerate(weights)}


def test_the_sequence_that_nginx_is_known_for() -> None:
    group = Group([peer("a", weight=5), peer("b"), peer("c")])
    assert "".join(group.requests(7)) == "aabacaa"


# --- failures ---


def test_a_failed_peer_rests_for_its_time() -> None:
    group = Group([peer("a"), peer("b")])
    assert group.request("a") == ["a", "b"]
    assert group.requests(4, "a") == ["b"] * 4
    group.clock.now += 10
    assert "a" not in group.requests(4)
    group.clock.now += 1
    assert "a" in group.requests(4)


def test_it_rests_after_max_fails() -> None:
    group = Group([peer("a", max_fails=3), peer("b")])
    seen = group.requests(12, "a")
    assert seen.count("a") == 3


def test_a_success_in_a_later_period_forgets_failures() -> None:
    group = Group([peer("a", max_fails=2), peer("b")])
    group.requests(1, "a")
    group.clock.now += 11
    group.requests(4)
    assert group.peers[0].fails == 0


def test_a_success_in_the_same_period_forgets_nothing() -> None:
    group = Group([peer("a", max_fails=2), peer("b")])
    group.requests(1, "a")
    group.requests(4)
    assert group.peers[0].fails == 1


@pytest.mark.parametrize("settings", [{"max_fails": 0}, {"fail_timeout": 0.0}])
def test_peers_that_never_rest_long(settings: dict[str, int]) -> None:
    group = Group([peer("a", **settings), peer("b")])
    group.requests(5, "a")
    group.clock.now += 1
    assert "a" in group.requests(3, "a")


def test_a_lone_peer_is_never_put_aside() -> None:
    group = Group([peer("a")])
    assert group.requests(5, "a") == ["a"] * 5


def test_who_is_reported_that_a_peer_is_put_aside() -> None:
    group = Group([peer("a", max_fails=2), peer("b")])
    verdicts = []
    for _ in range(2):
        turns = PeerSelector(group.upstream)
        while (chosen := turns.get()) is not None and chosen.name != "a":
            turns.free(chosen, failed=False)
        assert chosen is not None
        verdicts.append(turns.free(chosen, failed=True))
    assert verdicts == [False, True]


def test_a_recovering_peer_gets_its_weight_back_step_by_step() -> None:
    group = Group([peer("a", weight=4, max_fails=2), peer("b", weight=4)])
    group.request("a")
    assert group.peers[0].effective_weight == 2
    group.requests(2)
    assert group.peers[0].effective_weight == 4


# --- down, backup, max_conns ---


def test_down_is_never_queried() -> None:
    group = Group([peer("a", down=True), peer("b")])
    assert group.requests(3) == ["b"] * 3
    assert Group([peer("a", down=True)]).request() == []


def test_backups_wait_for_the_others_to_fail() -> None:
    group = Group([peer("a")], [peer("x"), peer("y")])
    assert group.requests(2) == ["a", "a"]
    assert group.request("a") == ["a", "x"]
    assert group.requests(2) == ["y", "x"]
    group.clock.now += 11
    assert group.requests(2) == ["a", "a"]


def test_every_peer_is_tried_once() -> None:
    names = ("a", "b", "x")
    group = Group([peer("a"), peer("b")], [peer("x")])
    assert sorted(group.request(*names)) == list(names)
    assert group.request(*names) == []


def test_max_conns_counts_those_in_use() -> None:
    group = Group([peer("a", max_conns=1), peer("b")])
    first = PeerSelector(group.upstream)
    held = first.get()
    assert held is not None
    assert held.name == "a"
    assert group.requests(3) == ["b"] * 3
    first.free(held, failed=False)
    assert "a" in group.requests(2)


def test_a_full_lone_peer() -> None:
    group = Group([peer("a", max_conns=1)])
    assert PeerSelector(group.upstream).get() is not None
    assert PeerSelector(group.upstream).get() is None


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.integers(0, 3), st.booleans(), st.booleans()),
        min_size=1,
        max_size=5,
    ),
    st.lists(st.tuples(st.sets(st.integers(0, 4)), st.integers(0, 12)), max_size=12),
)
def test_laws(
    settings: list[tuple[int, int, bool, bool]], story: list[tuple[set[int], int]]
) -> None:
    """No peer is tried twice or is down, all are returned, weights stay within bounds."""
    peers = [
        (peer(str(n), weight=weight, max_fails=fails, down=down), backup)
        for n, (weight, fails, down, backup) in enumerate(settings)
    ]
    group = Group(
        [one for one, backup in peers if not backup], [one for one, backup in peers if backup]
    )
    for failing, seconds in story:
        group.clock.now += seconds
        tried = group.request(*map(str, failing))
        assert len(tried) == len(set(tried))
        for one, _ in peers:
            assert not (one.settings.down and one.name in tried)
            assert one.connections == 0
            assert 0 <= one.effective_weight <= one.settings.weight


# --- comparison with nginx ---

LIVE = {n: f"127.0.0.1:@PORT{n}@" for n in (2, 3, 4, 5)}

GROUPS = {
    "equal": ("server LIVE2; server LIVE3; server LIVE4;", 8),
    "known": ("server LIVE2 weight=5; server LIVE3; server LIVE4;", 16),
    "halves": ("server LIVE2 weight=3; server LIVE3 weight=2;", 12),
    "four": (
        "server LIVE2 weight=7; server LIVE3 weight=4; server LIVE4 weight=2; server LIVE5;",
        30,
    ),
    "twice": ("server LIVE2; server LIVE2; server LIVE3;", 7),
    "down": ("server LIVE2 down; server LIVE3 weight=2; server LIVE4;", 8),
    "all-down": ("server LIVE2 down;", 2),
    "backup": ("server LIVE2; server LIVE3 backup;", 4),
    "backup-first": ("server LIVE2 backup; server LIVE3;", 4),
    "backups": ("server LIVE2 down; server LIVE3 backup; server LIVE4 backup weight=2;", 7),
    "dead": ("server DEAD1; server LIVE3; server LIVE4 weight=2;", 10),
    "dead-counts-not": ("server DEAD1 max_fails=0; server LIVE3; server LIVE4 weight=2;", 12),
    "dead-thrice": (
        "server DEAD1 max_fails=3 weight=4; server LIVE3; server LIVE4 weight=2;",
        20,
    ),
    "dead-five": ("server DEAD1 max_fails=5 weight=2; server LIVE3;", 20),
    "dead-again": ("server DEAD1 max_fails=0 weight=3; server LIVE3;", 12),
    "all-dead": ("server DEAD1; server DEAD2;", 5),
    "all-dead-always": ("server DEAD1 max_fails=0; server DEAD2 max_fails=0;", 5),
    "dead-to-backup": ("server DEAD1; server LIVE3 backup; server LIVE4 backup;", 6),
    "dead-backup": ("server DEAD1; server DEAD2 backup;", 5),
    "dead-alone": ("server DEAD1;", 4),
    "dead-and-down": ("server DEAD1 down; server DEAD2;", 4),
    "tries": ("server DEAD1 max_fails=0; server DEAD2 max_fails=0; server LIVE3;", 6),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxPair]:
    with contextlib.ExitStack() as stack:
        http = (
            'log_format f "$uri $upstream_addr $upstream_status $status";access_log access.log f;'
        )
        http += "".join(f"upstream {name} {{ {text} }}\n" for name, (text, _) in GROUPS.items())
        for number in (1, 2):
            dead = stack.enter_context(socket.socket())
            dead.bind(("127.0.0.1", 0))
            http = http.replace(f"DEAD{number}", f"127.0.0.1:{dead.getsockname()[1]}")
        for number, address in LIVE.items():
            http = http.replace(f"LIVE{number}", address)
            http += f"server {{ listen {address}; access_log off; return 204; }}\n"
        http += "server { listen 127.0.0.1:@PORT@;\n"
        for name in GROUPS:
            tries = "proxy_next_upstream_tries 2;" if name == "tries" else ""
            http += f"location /{name} {{ proxy_pass http://{name}; {tries} }}\n"
        yield stack.enter_context(paired_with_nginx(tmp_path_factory.mktemp("peers"), http + "}"))


@pytest.mark.nginx
@pytest.mark.parametrize("group", GROUPS)
def test_sequences_beside_nginx(both: NginxPair, group: str) -> None:
    count = GROUPS[group][1]
    both.ask([get(f"/{group}")] * count)
    ours, nginxs = both.logs(lines=count)
    assert len(nginxs) == count
    assert ours == nginxs
