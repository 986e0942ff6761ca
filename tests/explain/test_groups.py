"""Lines counted by cause, upstream and name, in constant memory."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.explain import ErrorGroup, ErrorGroups, explain, render_text
from sniproxy.explain.groups import MAX_EXAMPLE, MAX_GROUPS
from sniproxy.explain.render import summary, to_dict
from sniproxy.terminal import escape_control

REFUSED = "connect() failed (111: Connection refused) while connecting to upstream"
NO_SNI = (
    "SSL_do_handshake() failed (SSL: error:0A000458:SSL routines::tlsv1 unrecognized name:"
    "SSL alert number 112) while SSL handshaking to upstream"
)
NO_LIVE = "no live upstreams while connecting to upstream"


def line(
    text: str, time: str = "17:14:08", upstream: str = "https://192.0.2.9:443", server: str = "a.b"
) -> str:
    return (
        f"2024/07/15 {time} [error] 1#1: *1 {text}, client: 192.0.2.1, server: {server}, "
        f'request: "GET / HTTP/1.1", upstream: "{upstream}/", host: "{server}"'
    )


def grouped(*lines: str) -> ErrorGroups:
    groups = ErrorGroups()
    for one in lines:
        groups.feed(one)
    groups.flush()
    return groups


def test_counts_and_times() -> None:
    groups = grouped(
        line(REFUSED, "12:00:00"),
        line(REFUSED, "09:00:00"),
        line(NO_SNI),
        line(REFUSED, "13:00:00"),
        REFUSED,
        "something else",
    )
    refused, no_sni, bare = groups
    assert (refused.count, refused.first, refused.last) == (
        3,
        "2024/07/15 09:00:00",
        "2024/07/15 13:00:00",
    )
    assert (no_sni.count, no_sni.side, no_sni.causes[0].name) == (1, "upstream", "sni-missing")
    assert (no_sni.upstream, no_sni.address, no_sni.name) == (
        "https://192.0.2.9:443",
        "192.0.2.9:443",
        "a.b",
    )
    assert (bare.upstream, bare.first) == ("", None)
    assert (groups.lines, groups.explained, groups.unknown) == (6, 5, 1)


def test_upstreams_and_names_are_reported_apart() -> None:
    mismatch = 'upstream SSL certificate does not match "{}" while SSL handshaking to upstream'
    groups = grouped(
        line(mismatch.format("one")),
        line(mismatch.format("two")),
        line(mismatch.format("one"), upstream="https://192.0.2.8:443"),
        line(mismatch.format("one")),
    )
    assert [(group.name, group.upstream[-7:], group.count) for group in groups] == [
        ("one", "2.9:443", 2),
        ("two", "2.9:443", 1),
        ("one", "2.8:443", 1),
    ]


def test_new_groups_are_handed_out_once() -> None:
    groups = ErrorGroups()
    assert [group.count for group in groups.feed(line(REFUSED))] == [1]
    assert groups.feed(line(REFUSED)) == []


def test_a_consequence_points_to_what_was_before_it() -> None:
    groups = list(
        grouped(
            line(REFUSED, upstream="http://192.0.2.7:80", server="other"),
            line(NO_SNI),
            line(NO_LIVE, upstream="https://backend"),
            line(REFUSED),
        )
    )
    assert groups[2].preceded_by == [groups[1]]
    assert "sni-missing" in render_text(groups[2])
    assert to_dict(groups[2])["preceded_by"][0]["causes"][0] == "sni-missing"


def test_too_many_are_counted_as_one() -> None:
    many = MAX_GROUPS + 50
    groups = grouped(*(line(REFUSED, upstream=f"http://h{n}:80") for n in range(many)))
    assert len(groups) == MAX_GROUPS + 1
    *_, last = groups
    assert (last.merged, last.count, last.upstream) == (True, 50, "")
    assert sum(group.count for group in groups) == many
    assert "several" in render_text(last)


@pytest.mark.long
def test_memory_does_not_grow() -> None:
    groups = ErrorGroups()

    def feed(start: int) -> int:
        tracemalloc.start()
        for n in range(start, start + 6000):
            groups.feed(line(f'host {n} "{n}" not found in upstream', upstream=f"http://{n}:1"))
            groups.feed(line(REFUSED, upstream=f"http://{n}:1"))
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return size

    feed(0)
    assert feed(10_000) < 3_000_000
    groups.feed("x" * 1_000_000)
    groups.feed(line(NO_SNI) + "y" * 1_000_000)
    assert all(len(group.line) <= MAX_EXAMPLE for group in groups)


# --- what is told ---


def test_nothing_moves_the_terminal() -> None:
    evil = "\x1b[2J\x9b1m\x07\r\b\xff"
    (group,) = grouped(line(NO_SNI, server=f"a{evil}", upstream=f"https://h{evil}:1"))
    for text in (render_text(group), summary(group)):
        assert all(one.isprintable() or one == "\n" for one in text)
    assert "\\x1B" not in str(to_dict(group)["details"])
    assert "{" not in render_text(group).replace("%{", "")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain", "plain"),
        ("Ã¼", "ü"),
        ("\xfc", "ü"),
        ("\xfc\x9b", "ü\\x9B"),
        ("a\tb\x1b", "a\\x09b\\x1B"),
        ("\u202e".encode().decode("latin-1"), "\\u202E"),
    ],
)
def test_displayed(text: str, seen: str) -> None:
    assert escape_control(text) == seen


def test_the_address_is_filled_in_only_if_it_is_one() -> None:
    (group,) = grouped(line(NO_SNI))
    assert "openssl s_client -connect 192.0.2.9:443 -servername NAME" in render_text(group)
    (group,) = grouped(line(NO_SNI, upstream="https://$(reboot);:443"))
    assert "reboot" not in "".join(to_dict(group)["details"][0]["proof"])


@given(st.binary(max_size=80), st.integers(0, 300))
def test_whatever_a_line_has_it_can_be_reported(noise: bytes, at: int) -> None:
    text = line(NO_SNI)
    for group in grouped(text[:at] + noise.decode("latin-1") + text[at:]):
        assert all(one.isprintable() or one == "\n" for one in render_text(group))


def test_one_line_can_be_reported_as_a_group() -> None:
    explanation = explain(line(NO_SNI))
    assert explanation is not None
    group = ErrorGroup.of(explanation)
    assert (group.count, group.first) == (1, "2024/07/15 17:14:08")
    assert render_text(group) == render_text(*grouped(line(NO_SNI)))
