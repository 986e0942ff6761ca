"""Names looked up: the grammar of replies, one lookup, the memory; real servers, a fake clock."""

from __future__ import annotations

import contextlib
import functools
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.config.addresses import Address
from sniproxy.config.directives.resolver import ResolverSettings
from sniproxy.config.tree import Place
from sniproxy.logs.error import ErrorLog, Target
from sniproxy.message import Level
from sniproxy.testing.dns import (
    NXDOMAIN,
    SERVFAIL,
    DNSQuery,
    DNSRecord,
    FakeNameServer,
    a,
    aaaa,
    cname,
    name_bytes,
    open_name_server,
    read_question,
    reply,
)
from sniproxy.upstream.dns import BadReply, Kind, NoName, Reply, question, read_reply
from sniproxy.upstream.lookup import Addresses, Alias, Lookup, Unresolved
from sniproxy.upstream.resolver import (
    ASK_AGAIN,
    MOST_ALIASES,
    UNUSED,
    Resolver,
    rotated,
)
from sniproxy.upstream.resolver import (
    NameServer as Server,
)

# --- messages ---


@pytest.mark.parametrize("kind", Kind)
def test_a_question_is_one_that_servers_read(kind: Kind) -> None:
    asked = question("www.example.test", kind)
    assert read_question(asked.wire) == DNSQuery("www.example.test", kind.name)
    assert read_question(asked.wire).id == asked.id
    assert asked.wire[2:4] == b"\x01\x00"


NO_NAMES = ("", ".", "a..b", ".a", "a.b..", "x" * 64, ".".join(["y" * 60] * 5))


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(NoName):
        question(name, Kind.A)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for over_tcp in (False, True):
        with contextlib.suppress(BadReply):
            read_reply(data, over_tcp=over_tcp)


NAME = DNSQuery("a.test", "A", id=7)
records = st.lists(
    st.builds(
        DNSRecord,
        st.sampled_from(["A", "AAAA", "CNAME", "TXT", "46"]),
        st.one_of(
            st.binary(max_size=20),
            st.just(name_bytes("b.test")),
            st.just(b"\xc0\x0c"),
            st.just(b"\xc0\x22"),
        ),
        st.integers(0, 2**32 - 1),
        st.sampled_from([None, b"\0", b"\xc0\x20", b"\xff\xff", name_bytes("c.test"), b"\x40"]),
        st.sampled_from([1, 1, 1, 3]),
        st.sampled_from([None, None, 0, 4, 16, 65535]),
    ),
    max_size=5,
)


@given(records, st.binary(max_size=20), st.integers(0, 6))
def test_any_records_are_read_or_refused(
    records: list[DNSRecord], rest: bytes, answers: int
) -> None:
    try:
        read = read_reply(reply(NAME, *records, rest=rest, answers=answers))
    except BadReply:
        return
    assert read.name == "a.test"
    assert all(socket.inet_aton(address) for address in read.addresses)


def test_a_good_reply() -> None:
    read = read_reply(reply(NAME, cname("b.test", 50), a("192.0.2.1", 40), a("192.0.2.2", 60)))
    assert read.addresses == ("192.0.2.1", "192.0.2.2")
    assert (read.id, read.kind, read.code, read.alias, read.ttl) == (7, Kind.A, 0, None, 40)


# --- one lookup ---


def lookup(*kinds: Kind) -> Lookup:
    return Lookup.of("a.test", kinds or tuple(Kind))


def answer(of: Lookup, kind: Kind, *addresses: str, **more: Any) -> Reply:
    settled = {"code": 0, "truncated": False, "records": len(addresses)} | more
    return Reply(of.open[kind].id, "a.test", kind, addresses=addresses, **settled)


def outcomes(of: Lookup, replies: Iterable[Reply]) -> list[object]:
    return [
        str(found) if isinstance(found, Unresolved) else found
        for one in replies
        if (found := of.take(one)) is not None
    ]


@pytest.mark.parametrize("first", Kind)
def test_both_kinds_are_waited_for(first: Kind) -> None:
    of = lookup()
    replies = {Kind.A: answer(of, Kind.A, "192.0.2.1"), Kind.AAAA: answer(of, Kind.AAAA, "::2")}
    second = next(kind for kind in Kind if kind is not first)
    found = [of.take(replies[first]), of.take(replies[second])]
    assert found == [None, Addresses(("192.0.2.1",), ("::2",))]


@pytest.mark.parametrize(
    ("four", "six", "outcome"),
    [
        ({}, {}, "3: Host not found"),
        ({"code": 3}, {"code": 3}, "3: Host not found"),
        ({"code": 2}, {"code": 3}, "3: Host not found"),
        ({"code": 2}, {}, "2: Server failure"),
        ({}, {"code": 5}, "5: Operation refused"),
        ({"records": 1, "alias": "b.test"}, {}, "3: Host not found"),
        ({"records": 1, "alias": "b"}, {"records": 1, "alias": "c"}, Alias("c")),
    ],
)
def test_without_an_address(four: dict[str, Any], six: dict[str, Any], outcome: object) -> None:
    of = lookup()
    replies = [answer(of, Kind.A, **four), answer(of, Kind.AAAA, **six)]
    assert outcomes(of, replies) == [outcome]


def test_a_failure_of_one_kind_is_that_of_the_name() -> None:
    of = lookup()
    replies = [answer(of, Kind.A, code=2), answer(of, Kind.AAAA, "::1")]
    assert outcomes(of, replies) == ["2: Server failure"]


def test_the_shortest_ttl_holds() -> None:
    of = lookup()
    of.take(answer(of, Kind.A, "192.0.2.1", ttl=30))
    of.take(answer(of, Kind.AAAA, "::1", ttl=20))
    assert of.ttl == 20


# --- a resolver at work ---


@dataclass(slots=True)
class Stage:
    resolver: Resolver
    servers: list[FakeNameServer]
    lines: list[str] = field(default_factory=list)
    now: float = 1000.0

    def write(self, line: str) -> None:
        self.lines.append(line.split(": ", 1)[1].strip())

    async def addresses(self, name: str, timeout: float = 30.0) -> tuple[str, ...] | str:
        try:
            return await self.resolver.addresses(name, timeout)
        except Unresolved as error:
            return str(error)

    @property
    def asked(self) -> list[str]:
        return [f"{q.type} {q.name}" for server in self.servers for q in server.queries]


Script = Callable[[DNSQuery], Sequence[bytes]]
Test = Callable[[Stage], Awaitable[None]]


def play(test: Test, *scripts: Script, mock: bool = False, **settings: Any) -> None:
    """Run `test` with a resolver and one name server for each script."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            servers = []
            for script in scripts:
                server = FakeNameServer(script)
                await server.open()
                nursery.start_soon(server.run)
                servers.append(server)
            asked = [
                Server(socket.AF_INET, ("127.0.0.1", s.port), f"127.0.0.1:{s.port}")
                for s in servers
            ]
            said = ResolverSettings((Address("x", "x", 53),), Place("x", 1), **settings)
            stage = Stage(Resolver(said, asked, lambda: stage.now), servers)
            stage.resolver.log = ErrorLog([Target(stage, Level.DEBUG)])
            nursery.start_soon(stage.resolver.run)
            await trio.testing.wait_all_tasks_blocked()
            await test(stage)
            nursery.cancel_scope.cancel()

    # A jump has to wait for real packets: they take no time on this machine.
    clock = trio.testing.MockClock(autojump_threshold=0.05) if mock else None
    trio.run(functools.partial(main), clock=clock)


def found(*records: DNSRecord) -> Script:
    return lambda asked: [reply(asked, *[r for r in records if r.type in (asked.type, "CNAME")])]


def test_one_lookup_serves_all_who_wait() -> None:
    async def test(stage: Stage) -> None:
        seen = []

        async def ask() -> None:
            seen.append(await stage.addresses("a.test"))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
        assert seen == [("192.0.2.1",)] * 20
        assert sorted(stage.asked) == ["A a.test", "AAAA a.test"]

    play(test, found(a("192.0.2.1")))


@pytest.mark.parametrize(
    ("settings", "ttl", "seconds"), [({}, 60, 60), ({}, 0, 0), ({"valid": 5.0}, 60, 5)]
)
def test_how_long_an_answer_holds(settings: dict[str, Any], ttl: int, seconds: int) -> None:
    async def test(stage: Stage) -> None:
        await stage.addresses("a.test")
        stage.now += seconds
        await stage.addresses("A.test.")
        assert len(stage.asked) == 2
        stage.now += 1
        await stage.addresses("a.test")
        assert len(stage.asked) == 4

    play(test, found(a("192.0.2.1", ttl)), **settings)


def test_a_failure_is_not_remembered() -> None:
    async def test(stage: Stage) -> None:
        for _ in range(2):
            assert await stage.addresses("a.test") == "2: Server failure"
        assert len(stage.asked) == 4

    play(test, lambda asked: [reply(asked, code=SERVFAIL)])


def test_what_nobody_asks_for_is_forgotten() -> None:
    async def test(stage: Stage) -> None:
        await stage.addresses("a.test")
        stage.now += UNUSED + 1
        await stage.addresses("b.test")
        await stage.addresses("a.test")
        assert stage.asked.count("A a.test") == 2

    play(test, found(a("192.0.2.1", 600)))


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({}, ["A a.test", "AAAA a.test"]),
        ({"ipv6": False}, ["A a.test"]),
        ({"ipv4": False}, ["AAAA a.test"]),
    ],
)
def test_what_is_asked_for(settings: dict[str, Any], asked: list[str]) -> None:
    async def test(stage: Stage) -> None:
        await stage.addresses("a.test")
        assert sorted(stage.asked) == asked

    play(test, found(a("192.0.2.1"), aaaa("::1")), **settings)


def test_addresses_in_order_at_first_and_from_anywhere_later() -> None:
    records = (a("192.0.2.1"), a("192.0.2.2"), aaaa("::1"), aaaa("::2"))
    whole = ("192.0.2.1", "192.0.2.2", "::1", "::2")

    async def test(stage: Stage) -> None:
        assert await stage.addresses("a.test") == whole
        later = {await stage.addresses("a.test") for _ in range(200)}
        assert len(later) == 16
        assert all(sorted(one) == sorted(whole) for one in later)

    play(test, found(*records))


def test_one_address_needs_no_chance() -> None:
    assert rotated(Addresses(("192.0.2.1",))) == ("192.0.2.1",)
    assert rotated(Addresses((), ("::1",))) == ("::1",)


def test_aliases_are_followed_so_far() -> None:
    def script(asked: DNSQuery) -> Sequence[bytes]:
        number = int(asked.name.partition(".")[0])
        if number == 0:
            return [reply(asked, *([a("192.0.2.1")] if asked.type == "A" else []))]
        return [reply(asked, cname(f"{number - 1}.test"))]

    async def test(stage: Stage) -> None:
        assert await stage.addresses(f"{MOST_ALIASES}.test") == ("192.0.2.1",)
        assert await stage.addresses(f"{MOST_ALIASES + 1}.test") == "3: Host not found"

    play(test, script)


def test_a_long_answer_comes_by_tcp() -> None:
    addresses = [f"10.0.{n // 250}.{n % 250}" for n in range(1000)]

    def script(asked: DNSQuery) -> Sequence[bytes]:
        if asked.type == "AAAA":
            return [reply(asked)]
        return [reply(asked, *map(a, addresses)) if asked.tcp else reply(asked, truncated=True)]

    async def test(stage: Stage) -> None:
        assert await stage.addresses("a.test") == tuple(addresses)

    play(test, script)


def test_nobody_answers_in_time() -> None:
    async def test(stage: Stage) -> None:
        before = trio.current_time()
        assert await stage.addresses("a.test", 12.0) == "110: Operation timed out"
        assert 12.0 <= trio.current_time() - before < 12.5
        assert stage.asked.count("A a.test") == 3
        # Nobody waits any more: no more questions.
        await trio.sleep(4 * ASK_AGAIN)
        assert stage.asked.count("A a.test") == 3

    play(test, lambda asked: (), mock=True)


def test_the_next_server_is_asked_after_a_while() -> None:
    async def test(stage: Stage) -> None:
        before = trio.current_time()
        assert await stage.addresses("a.test") == ("192.0.2.1",)
        assert ASK_AGAIN <= trio.current_time() - before < ASK_AGAIN + 0.5
        # The next name begins with the next server.
        await stage.addresses("b.test")
        assert [len(server.queries) for server in stage.servers] == [2, 4]

    play(test, lambda asked: (), found(a("192.0.2.1")), mock=True)


def test_only_what_is_open_is_asked_again() -> None:
    def half(asked: DNSQuery) -> Sequence[bytes]:
        return [reply(asked, a("192.0.2.1"))] if asked.type == "A" else []

    async def test(stage: Stage) -> None:
        assert await stage.addresses("a.test") == ("192.0.2.1", "::1")
        assert [q.type for q in stage.servers[1].queries] == ["AAAA"]

    play(test, half, found(a("192.0.2.9"), aaaa("::1")), mock=True)


def test_who_goes_away_does_not_end_it_for_others() -> None:
    async def test(stage: Stage) -> None:
        seen = []

        async def ask() -> None:
            seen.append(await stage.addresses("a.test"))

        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as first:
                nursery.start_soon(ask)
                with trio.move_on_after(1.0):
                    await stage.addresses("a.test")
                first.cancel()
        assert seen == [("192.0.2.1",)]

    play(test, lambda asked: (), found(a("192.0.2.1")), mock=True)


def test_a_server_that_is_not_there() -> None:
    async def test(stage: Stage) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dead:
            dead.bind(("127.0.0.1", 0))
            gone = dead.getsockname()[1]
        stage.resolver._servers = [Server(socket.AF_INET, ("127.0.0.1", gone), f"127.0.0.1:{gone}")]
        assert await stage.addresses("a.test", 7.0) == "110: Operation timed out"
        assert stage.lines
        for line in stage.lines:
            assert "failed (111: Connection refused) while resolving, resolver: 127.0.0.1:" in line

    play(test, found(), mock=True)


def test_no_name_is_asked_for_without_one() -> None:
    async def test(stage: Stage) -> None:
        for name in ("", "a..b", "x" * 64 + ".test"):
            assert await stage.addresses(name) == "3: Host not found"
        assert stage.asked == []

    play(test, lambda asked: [reply(asked, code=NXDOMAIN)])


async def _opened() -> int:
    async with open_name_server(found()) as server:
        return server.port


def test_the_name_server_of_the_tests_has_a_port() -> None:
    assert trio.run(_opened)
