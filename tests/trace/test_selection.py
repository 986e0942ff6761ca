"""Filters of traces, and traces in one line."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from sniproxy.models import Handshake, Side
from sniproxy.trace.selection import SelectionError, select
from sniproxy.trace.short_line import short_line
from sniproxy.trace.steps import (
    Answer,
    Choice,
    ClientTLSTrace,
    Head,
    LocationStep,
    PeerTrace,
    Trace,
    UpstreamStep,
)

FAILURE = "SSL_do_handshake() failed (SSL: error:0A000458)"
PEER = PeerTrace(
    "127.0.0.1:8444", False, 0.001, Handshake(Side.UPSTREAM, "127.0.0.1:8444", None), None, None,
    FAILURE, 502, None, 0.02, 0, 0,
)  # fmt: skip
TRACE = Trace(
    connection=3,
    number=1,
    client="192.0.2.7:5000",
    listening="127.0.0.1:8443",
    tls=ClientTLSTrace(Handshake(Side.CLIENT, "192.0.2.7:5000", "shop.test"), None, None),
    request=Head("GET /cart?a=1 HTTP/1.1", ()),
    url="https://shop.test:8443/cart?a=1",
    server=Choice("shop.test", "by Host", "nginx.conf:3"),
    steps=(
        LocationStep("/cart", "/cart", "longest prefix", "nginx.conf:5"),
        UpstreamStep("https://127.0.0.1:8444", "nginx.conf:6", "127.0.0.1:8444", (), None, (PEER,)),
    ),
    answer=Answer(502, None, True, 0.0313, 100, 200, 150),
    access_log=(),
    error_log=(),
)
OK = replace(TRACE, steps=TRACE.steps[:1], answer=Answer(200, None, True, 0.001, 100, 200, 150))


@pytest.mark.parametrize(
    ("words", "failed", "ok"),
    [
        ("", True, True),
        ("status:502", True, False),
        ("status:5xx", True, False),
        ("status:>=400", True, False),
        ("status:<400", False, True),
        ("-status:5xx", False, True),
        ("is:failed", True, False),
        ("is:ok", False, True),
        ("host:shop", True, True),
        ("host:cart", False, False),
        ("path:/CART", True, True),
        ("method:get", True, True),
        ("method:ge", False, False),
        ("location:/cart", True, True),
        ("server:shop.test", True, True),
        ("peer:8444", True, False),
        ("client:192.0.2.7", True, True),
        ("sni:none", True, False),
        ("sni:shop", True, True),
        ("time:>30", True, False),
        ("cart 8444", True, False),
        ("http://x", False, False),
        ("12:30", False, False),
    ],
)
def test_words_select_traces(words: str, failed: bool, ok: bool) -> None:
    assert (select(words)(TRACE), select(words)(OK)) == (failed, ok)


@pytest.mark.parametrize("words", ["stats:500", "status:many", "is:red", "-time:slow"])
def test_unknown_words_are_refused(words: str) -> None:
    with pytest.raises(SelectionError, match=re.escape(words.lstrip("-").partition(":")[0])):
        select(words)


def test_a_trace_in_one_line() -> None:
    assert short_line(TRACE, "12:00:00.000", colour=False) == (
        "12:00:00.000  502  GET https://shop.test:8443/cart?a=1  "
        "SNI shop.test → shop.test → /cart → no SNI → 127.0.0.1:8444  31.3 ms  " + FAILURE
    )
    assert short_line(OK, "12:00:00.000", colour=False) == (
        "12:00:00.000  200  GET https://shop.test:8443/cart?a=1  "
        "SNI shop.test → shop.test → /cart  1.0 ms"
    )


def test_a_line_has_colours_and_no_other_escapes() -> None:
    hostile = replace(TRACE, url="https://a.test/\x1b[31m\x9b2J\n")
    line = short_line(hostile, "12:00:00.000", colour=True)
    assert "\x1b[31m502\x1b[0m" in line
    assert not re.search(
        r"[\x00-\x1f\x7f-\x9f]", re.sub(r"\x1b\[\d+m", "", line.replace("\\x1b[31m", ""))
    )
    assert "\n" not in line


def test_a_failed_handshake_in_one_line() -> None:
    failed = replace(TRACE, request=None, url="", server=None, steps=(), answer=None)
    assert short_line(failed, "12:00:00.000", colour=False) == (
        "12:00:00.000  ---  handshake with 192.0.2.7:5000  SNI shop.test"
    )
