"""Load-balancing methods: models, properties, and comparison with nginx."""

from __future__ import annotations

import contextlib
import random
import socket
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.config.directives.upstream import Balancing, Method
from sniproxy.context import RequestContext
from sniproxy.template import compile_template
from sniproxy.upstream.balancing import POINTS, HashRing, by_weight, selector_factory
from sniproxy.upstream.selector import Peer, RequestSelector, Upstream
from tests import configured
from tests.compare_nginx import NginxPair, get, paired_with_nginx, served
from tests.nginx import NGINX
from tests.upstream.test_peers import Clock, peer


@pytest.fixture(scope="module")
def make_context(tmp_path_factory: pytest.TempPathFactory) -> RequestContext:
    (server,) = configured.servers(tmp_path_factory.mktemp("balancing"), "server { }")
    return configured.make_context(configured.request("/?k=a"), server)


def upstream(method: Method, peers: list[Peer], backups: list[Peer], key: str = "") -> Upstream:
    balancing = Balancing(method, compile_template(key))
    return Upstream(
        "group", peers, backups, clock=Clock(), make_selector=selector_factory([balancing])
    )


# --- least_conn ---


def test_least_conn_counts_connections_by_weight(make_context: RequestContext) -> None:
    group = upstream(Method.LEAST_CONN, [peer("a", weight=2), peer("b")], [])
    # a with two connections is as busy as b with one; round robin decides among equals.
    assert [group.selector(make_context).get() for _ in range(3)].count(group.peers[0]) == 2
    assert [one.connections for one in group.peers] == [2, 1]


def test_least_conn_chooses_backups_likewise(make_context: RequestContext) -> None:
    group = upstream(Method.LEAST_CONN, [peer("a", down=True)], [peer("x"), peer("y")])
    taken = [group.selector(make_context).get() for _ in range(4)]
    assert sorted(one.name for one in taken if one) == ["x", "x", "y", "y"]


# --- random ---


def test_random_goes_by_weight(make_context: RequestContext) -> None:
    random.seed(7)
    group = upstream(Method.RANDOM, [peer("a", weight=8), peer("b", weight=2)], [])
    taken = Counter(one.name for _ in range(2000) if (one := group.selector(make_context).get()))
    assert 0.75 < taken["a"] / 2000 < 0.85


def test_random_two_takes_the_less_busy(make_context: RequestContext) -> None:
    random.seed(7)
    group = upstream(Method.RANDOM_TWO, [peer("a"), peer("b")], [])
    group.peers[0].connections = 50
    taken = Counter(one.name for _ in range(40) if (one := group.selector(make_context).get()))
    # Both peers are drawn, except if the same one is drawn 21 times.
    assert taken["b"] == 40


# --- hashes ---


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 10_000))
def test_by_weight_is_as_broad_as_the_weights(weights: list[int], number: int) -> None:
    peers = [peer(str(n), weight=weight) for n, weight in enumerate(weights)]
    spread = [n for n, weight in enumerate(weights) for _ in range(weight)]
    assert by_weight(peers, number).name == str(spread[number % len(spread)])


def test_a_ring_loses_only_what_is_gone() -> None:
    names = ["a:80", "b:80", "c:80", "d:80"]
    whole = HashRing([peer(name) for name in names])
    less = HashRing([peer(name) for name in names[:3]])
    keys = [f"key-{n}".encode() for n in range(500)]
    before = [whole.server(whole.place(key)) for key in keys]
    after = [less.server(less.place(key)) for key in keys]
    assert all(a == b for a, b in zip(after, before, strict=True) if b != "d:80")
    assert 60 < before.count("d:80") < 190


def test_points_of_equal_servers_are_shared() -> None:
    ring = HashRing([peer("a:80"), peer("a:80"), peer("b:80")])
    assert len(ring._points) == 2 * POINTS


@pytest.mark.parametrize("method", Method)
@given(
    settings=st.lists(
        st.tuples(st.integers(1, 5), st.booleans(), st.booleans()), min_size=1, max_size=6
    ),
    failing=st.sets(st.integers(0, 5)),
)
def test_laws(
    make_context: RequestContext,
    method: Method,
    settings: list[tuple[int, bool, bool]],
    failing: set[int],
) -> None:
    """No peer is tried twice or is down, and every available peer is tried in the end."""
    peers: list[Peer] = []
    backups: list[Peer] = []
    for number, (weight, down, backup) in enumerate(settings):
        into = backups if backup and peers else peers
        into.append(peer(str(number), weight=weight, down=down))
    group = upstream(method, peers, backups, "$arg_k")
    for _ in range(3):
        turns: RequestSelector = group.selector(make_context)
        tried = []
        while (chosen := turns.get()) is not None:
            tried.append(chosen)
            turns.free(chosen, failed=int(chosen.name) in failing)
            if int(chosen.name) not in failing or group.single:
                break
        assert len(tried) == len(set(tried))
        assert not any(one.settings.down for one in tried)
        assert all(one.connections == 0 for one in (*peers, *backups))
        well = [one for one in (*peers, *backups) if not one.settings.down]
        if any(int(one.name) not in failing for one in well):
            assert tried
            assert int(tried[-1].name) not in failing


# --- comparison with nginx ---

# A consistent hash depends on the servers as written, so both programs use the same ports.
LIVE = (1, 2, 3, 4)
DEAD = (5, 6)
FOUR = "server S1; server S2; server S3; server S4;"
WEIGHTED = "server S1 weight=3; server S2; server S3 weight=2; server S4 weight=5;"
FAILING = "server S1; server S5 weight=2; server S2 weight=3; server S6 max_fails=0;"

METHODS = {
    "hash": "hash $arg_k;",
    "consistent": "hash $arg_k consistent;",
    "ip": "ip_hash;",
    "least": "least_conn;",
}
SERVERS = {
    "four": FOUR,
    "weighted": WEIGHTED,
    "failing": FAILING,
    "twice": "server S1; server S1 weight=2; server S2;",
    "down": "server S1 down; server S2; server S3 down; server S4;",
    "lone": "server S1;",
    "lone-dead": "server S5;",
    "dead": "server S5; server S6;",
    "most-dead": "server S5 weight=40 max_fails=0; server S6 weight=40 max_fails=0; server S1;",
    "names": "server localhost:P1; server 127.0.0.1:P2;",
}
GROUPS = {
    f"{servers}-{method}": METHODS[method] + SERVERS[servers]
    for servers in SERVERS
    for method in METHODS
} | {
    f"backups-{method}": f"server S1; server S5 backup; server S2 backup; {METHODS[method]}"
    for method in METHODS
} | {
    f"only-backups-live-{method}": f"server S5; server S2 backup; server S1 backup; "
    f"{METHODS[method]}"
    for method in METHODS
}  # fmt: skip
KEYS = [*map(str, range(24)), "a", "a", "", "/a/b?c=d", "%C3%A4", "key" * 40]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxPair]:
    with contextlib.ExitStack() as stack:
        live = "".join(
            f"server {{ listen 127.0.0.1:@PORT{n}@; access_log off; return 204; }}" for n in LIVE
        )
        upstreams = stack.enter_context(served(NGINX, tmp_path_factory.mktemp("live"), live))
        ports = {number: upstreams.ports[str(number)] for number in LIVE}
        for number in DEAD:
            sock = stack.enter_context(socket.socket())
            sock.bind(("127.0.0.1", 0))
            ports[number] = sock.getsockname()[1]
        http = "log_format f '$uri $arg_k $upstream_addr $upstream_status $status';"
        http += "access_log access.log f;"
        for name, text in GROUPS.items():
            http += f"upstream {name} {{ {text} }}\n"
        for number, port in ports.items():
            http = http.replace(f"S{number}", f"127.0.0.1:{port}").replace(f"P{number}", str(port))
        places = "".join(f"location /{name} {{ proxy_pass http://{name}; }}\n" for name in GROUPS)
        http += f"server {{ listen 127.0.0.1:@PORT@; {places} }}"
        yield stack.enter_context(paired_with_nginx(tmp_path_factory.mktemp("balancing"), http))


@pytest.mark.nginx
@pytest.mark.parametrize("group", GROUPS)
def test_choices_beside_nginx(both: NginxPair, group: str) -> None:
    both.ask([get(f"/{group}?k={key}") for key in KEYS])
    ours, nginxs = both.logs(lines=len(KEYS))
    assert len(nginxs) == len(KEYS)
    assert ours == nginxs
