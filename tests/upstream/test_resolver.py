"""The resolver: parsing of responses, single queries, cache; with real servers and a fake clock."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from sniproxy.config.addresses import Address
from sniproxy.config.directives.resolver import ResolverSettings
from sniproxy.config.tree import Place
from sniproxy.logs.error import ErrorLog, LogTarget
from sniproxy.models import Level
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
from sniproxy.upstream.dns_message import (
    DNSResponse,
    InvalidNameError,
    MalformedResponseError,
    RecordType,
    make_query,
    parse_response,
)
from sniproxy.upstream.resolver import (
    EXPIRE,
    MAX_CNAME_DEPTH,
    RESEND_INTERVAL,
    Resolver,
    rotate,
)
from sniproxy.upstream.resolver import (
    DNSServer as Server,
)
from sniproxy.upstream.resolver_query import CNAME, AddressSet, ResolveError, ResolverQuery

# --- messages ---


@pytest.mark.parametrize("kind", RecordType)
def test_query_is_readable_by_servers(kind: RecordType) -> None:
    query = make_query("www.example.test", kind)
    assert read_question(query.wire) == DNSQuery("www.example.test", kind.name)
    assert read_question(query.wire).id == query.id
    assert query.wire[2:4] == b"\x01\x00"


NO_NAMES = ("", ".", "a..b", ".a", "a.b..", "x" * 64, ".".join(["y" * 60] * 5))


@pytest.mark.parametrize("name", NO_NAMES)
def test_invalid_names_are_rejected(name: str) -> None:
    with pytest.raises(InvalidNameError):
        make_query(name, RecordType.A)


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_rejected(data: bytes) -> None:
    for over_tcp in (False, True):
        with contextlib.suppress(MalformedResponseError):
            parse_response(data, over_tcp=over_tcp)


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
def test_any_records_are_parsed_or_rejected(
    records: list[DNSRecord], rest: bytes, answers: int
) -> None:
    try:
        read = parse_response(reply(NAME, *records, rest=rest, answers=answers))
    except MalformedResponseError:
        return
    assert read.name == "a.test"
    assert all(socket.inet_aton(address) for address in read.addresses)


def test_well_formed_response() -> None:
    read = parse_response(reply(NAME, cname("b.test", 50), a("192.0.2.1", 40), a("192.0.2.2", 60)))
    assert read.addresses == ("192.0.2.1", "192.0.2.2")
    assert (read.id, read.type, read.code, read.cname, read.ttl) == (7, RecordType.A, 0, None, 40)


# --- one query ---


ADDRESSES = (RecordType.A, RecordType.AAAA)


def lookup(*kinds: RecordType) -> ResolverQuery:
    return ResolverQuery.create("a.test", kinds or ADDRESSES)


def answer(of: ResolverQuery, kind: RecordType, *addresses: str, **more: Any) -> DNSResponse:
    defaults = {"code": 0, "truncated": False, "records": len(addresses)} | more
    return DNSResponse(of.unanswered[kind].id, "a.test", kind, addresses=addresses, **defaults)


def outcomes(of: ResolverQuery, replies: Iterable[DNSResponse]) -> list[object]:
    return [
        str(found) if isinstance(found, ResolveError) else found
        for one in replies
        if (found := of.handle_response(one)) is not None
    ]


@pytest.mark.parametrize("first", ADDRESSES)
def test_result_needs_both_record_types(first: RecordType) -> None:
    of = lookup()
    replies = {
        RecordType.A: answer(of, RecordType.A, "192.0.2.1"),
        RecordType.AAAA: answer(of, RecordType.AAAA, "::2"),
    }
    second = next(kind for kind in ADDRESSES if kind is not first)
    found = [of.handle_response(replies[first]), of.handle_response(replies[second])]
    assert found == [None, AddressSet(("192.0.2.1",), ("::2",))]


@pytest.mark.parametrize(
    ("four", "six", "outcome"),
    [
        ({}, {}, "3: Host not found"),
        ({"code": 3}, {"code": 3}, "3: Host not found"),
        ({"code": 2}, {"code": 3}, "3: Host not found"),
        ({"code": 2}, {}, "2: Server failure"),
        ({}, {"code": 5}, "5: Operation refused"),
        ({"records": 1, "cname": "b.test"}, {}, "3: Host not found"),
        ({"records": 1, "cname": "b"}, {"records": 1, "cname": "c"}, CNAME("c")),
    ],
)
def test_result_without_an_address(
    four: dict[str, Any], six: dict[str, Any], outcome: object
) -> None:
    of = lookup()
    replies = [answer(of, RecordType.A, **four), answer(of, RecordType.AAAA, **six)]
    assert outcomes(of, replies) == [outcome]


def test_failure_of_one_record_type_fails_the_query() -> None:
    of = lookup()
    replies = [answer(of, RecordType.A, code=2), answer(of, RecordType.AAAA, "::1")]
    assert outcomes(of, replies) == ["2: Server failure"]


def test_shortest_ttl_is_used() -> None:
    of = lookup()
    of.handle_response(answer(of, RecordType.A, "192.0.2.1", ttl=30))
    of.handle_response(answer(of, RecordType.AAAA, "::1", ttl=20))
    assert of.ttl == 20


# --- a running resolver ---

PACKET_TIME = 0.05
"""Real packets take less: a shorter threshold would let the mock clock overtake them."""


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
        except ResolveError as error:
            return str(error)

    @property
    def query(self) -> list[str]:
        return [f"{q.type} {q.name}" for server in self.servers for q in server.queries]


Responder = Callable[[DNSQuery], Sequence[bytes]]


@contextlib.asynccontextmanager
async def open_stage(*scripts: Responder, **settings: Any) -> AsyncIterator[Stage]:
    """A running resolver with one name server for each script."""
    async with trio.open_nursery() as nursery:
        servers = []
        for script in scripts:
            server = FakeNameServer(script)
            await server.open()
            nursery.start_soon(server.run)
            servers.append(server)
        addresses = [
            Server(socket.AF_INET, ("127.0.0.1", s.port), f"127.0.0.1:{s.port}") for s in servers
        ]
        directive = ResolverSettings((Address("x", "x", 53),), Place("x", 1), **settings)
        stage = Stage(Resolver(directive, addresses, lambda: stage.now), servers)
        nursery.start_soon(stage.resolver.run, ErrorLog([LogTarget(stage, Level.DEBUG)]))
        await trio.testing.wait_all_tasks_blocked()
        yield stage
        nursery.cancel_scope.cancel()


def found(*records: DNSRecord) -> Responder:
    return lambda query: [reply(query, *[r for r in records if r.type in (query.type, "CNAME")])]


async def test_concurrent_lookups_share_one_query() -> None:
    async with open_stage(found(a("192.0.2.1"))) as stage:
        seen = []

        async def ask() -> None:
            seen.append(await stage.addresses("a.test"))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
        assert seen == [("192.0.2.1",)] * 20
        assert sorted(stage.query) == ["A a.test", "AAAA a.test"]


@pytest.mark.parametrize(
    ("settings", "ttl", "seconds"), [({}, 60, 60), ({}, 0, 0), ({"valid": 5.0}, 60, 5)]
)
async def test_cache_time(settings: dict[str, Any], ttl: int, seconds: int) -> None:
    async with open_stage(found(a("192.0.2.1", ttl)), **settings) as stage:
        await stage.addresses("a.test")
        stage.now += seconds
        await stage.addresses("A.test.")
        assert len(stage.query) == 2
        stage.now += 1
        await stage.addresses("a.test")
        assert len(stage.query) == 4


async def test_failures_are_not_cached() -> None:
    async with open_stage(lambda query: [reply(query, code=SERVFAIL)]) as stage:
        for _ in range(2):
            assert await stage.addresses("a.test") == "2: Server failure"
        assert len(stage.query) == 4


async def test_unused_cache_entries_expire() -> None:
    async with open_stage(found(a("192.0.2.1", 600))) as stage:
        await stage.addresses("a.test")
        stage.now += EXPIRE + 1
        await stage.addresses("b.test")
        await stage.addresses("a.test")
        assert stage.query.count("A a.test") == 2


@pytest.mark.parametrize(
    ("settings", "query"),
    [
        ({}, ["A a.test", "AAAA a.test"]),
        ({"ipv6": False}, ["A a.test"]),
        ({"ipv4": False}, ["AAAA a.test"]),
    ],
)
async def test_queried_record_types(settings: dict[str, Any], query: list[str]) -> None:
    async with open_stage(found(a("192.0.2.1"), aaaa("::1")), **settings) as stage:
        await stage.addresses("a.test")
        assert sorted(stage.query) == query


async def test_cached_addresses_are_rotated() -> None:
    records = (a("192.0.2.1"), a("192.0.2.2"), aaaa("::1"), aaaa("::2"))
    whole = ("192.0.2.1", "192.0.2.2", "::1", "::2")

    async with open_stage(found(*records)) as stage:
        assert await stage.addresses("a.test") == whole
        later = {await stage.addresses("a.test") for _ in range(200)}
        assert len(later) == 16
        assert all(sorted(one) == sorted(whole) for one in later)


def test_single_address_is_not_rotated() -> None:
    assert rotate(AddressSet(("192.0.2.1",))) == ("192.0.2.1",)
    assert rotate(AddressSet((), ("::1",))) == ("::1",)


async def test_cname_chain_is_limited() -> None:
    def script(query: DNSQuery) -> Sequence[bytes]:
        number = int(query.name.partition(".")[0])
        if number == 0:
            return [reply(query, *([a("192.0.2.1")] if query.type == "A" else []))]
        return [reply(query, cname(f"{number - 1}.test"))]

    async with open_stage(script) as stage:
        assert await stage.addresses(f"{MAX_CNAME_DEPTH}.test") == ("192.0.2.1",)
        assert await stage.addresses(f"{MAX_CNAME_DEPTH + 1}.test") == "3: Host not found"


async def test_truncated_response_is_queried_over_tcp() -> None:
    addresses = [f"10.0.{n // 250}.{n % 250}" for n in range(1000)]

    def script(query: DNSQuery) -> Sequence[bytes]:
        if query.type == "AAAA":
            return [reply(query)]
        return [reply(query, *map(a, addresses)) if query.tcp else reply(query, truncated=True)]

    async with open_stage(script) as stage:
        assert await stage.addresses("a.test") == tuple(addresses)


async def test_lookup_times_out(mock_clock: MockClock) -> None:
    mock_clock.autojump_threshold = PACKET_TIME
    async with open_stage(lambda query: ()) as stage:
        before = trio.current_time()
        assert await stage.addresses("a.test", 12.0) == "110: Operation timed out"
        assert 12.0 <= trio.current_time() - before < 12.5
        assert stage.query.count("A a.test") == 3
        # No caller waits any more: no more queries.
        await trio.sleep(4 * RESEND_INTERVAL)
        assert stage.query.count("A a.test") == 3


async def test_next_server_is_queried_after_the_resend_interval(mock_clock: MockClock) -> None:
    mock_clock.autojump_threshold = PACKET_TIME
    async with open_stage(lambda query: (), found(a("192.0.2.1"))) as stage:
        before = trio.current_time()
        assert await stage.addresses("a.test") == ("192.0.2.1",)
        assert RESEND_INTERVAL <= trio.current_time() - before < RESEND_INTERVAL + 0.5
        # The next query starts with the next server.
        await stage.addresses("b.test")
        assert [len(server.queries) for server in stage.servers] == [2, 4]


async def test_only_unanswered_queries_are_resent(mock_clock: MockClock) -> None:
    mock_clock.autojump_threshold = PACKET_TIME

    def half(query: DNSQuery) -> Sequence[bytes]:
        return [reply(query, a("192.0.2.1"))] if query.type == "A" else []

    async with open_stage(half, found(a("192.0.2.9"), aaaa("::1"))) as stage:
        assert await stage.addresses("a.test") == ("192.0.2.1", "::1")
        assert [q.type for q in stage.servers[1].queries] == ["AAAA"]


async def test_cancelled_lookup_does_not_end_the_query_for_others(mock_clock: MockClock) -> None:
    mock_clock.autojump_threshold = PACKET_TIME
    async with open_stage(lambda query: (), found(a("192.0.2.1"))) as stage:
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


async def test_unreachable_server_is_logged(mock_clock: MockClock) -> None:
    mock_clock.autojump_threshold = PACKET_TIME
    async with open_stage(found()) as stage:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dead:
            dead.bind(("127.0.0.1", 0))
            gone = dead.getsockname()[1]
        stage.resolver._servers = [Server(socket.AF_INET, ("127.0.0.1", gone), f"127.0.0.1:{gone}")]
        assert await stage.addresses("a.test", 7.0) == "110: Operation timed out"
        assert stage.lines
        for line in stage.lines:
            assert "failed (111: Connection refused) while resolving, resolver: 127.0.0.1:" in line


async def test_invalid_name_is_not_queried() -> None:
    async with open_stage(lambda query: [reply(query, code=NXDOMAIN)]) as stage:
        for name in ("", "a..b", "x" * 64 + ".test"):
            assert await stage.addresses(name) == "3: Host not found"
        assert stage.query == []


async def test_name_server_of_the_tests_has_a_port() -> None:
    async with open_name_server(found()) as server:
        assert server.port
