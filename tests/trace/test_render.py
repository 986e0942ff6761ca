"""Traces formatted as a tree and as data."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sniproxy.models import Failure, Handshake, Level, Side
from sniproxy.trace.render import Node, as_data, drawn, lines, node, tree
from sniproxy.trace.steps import (
    Answer,
    Certificate,
    Choice,
    ClientTLSTrace,
    FileStep,
    Head,
    LocationStep,
    Names,
    PeerTrace,
    RedirectStep,
    Step,
    Trace,
    UpstreamStep,
)

TREE = node("a", node("b", node("c", "d"), "e"), node("f", "g"))


def test_a_tree_in_unicode_and_in_ascii() -> None:
    assert list(drawn(TREE, "utf-8")) == [
        "a", "├─ b", "│  ├─ c", "│  │  └─ d", "│  └─ e", "└─ f", "   └─ g",
    ]  # fmt: skip
    ascii_tree = ["a", "|- b", "|  |- c", "|  |  `- d", "|  `- e", "`- f", "   `- g"]
    for encoding in ("ascii", "latin-1", None, "no such encoding"):
        assert list(drawn(TREE, encoding)) == ascii_tree


@pytest.mark.parametrize(
    ("text", "encoding", "rendered"),
    [
        ("\x1b[31m", "utf-8", "\\x1B[31m"),
        ("a\nb\r\0", "utf-8", "a\\x0Ab\\x0D\\x00"),
        ("K\xc3\xb6ln", "utf-8", "Köln"),  # bytes that are UTF-8
        ("K\xc3\xb6ln", "ascii", "K\\xf6ln"),
        ("\x9bx", "utf-8", "\\x9Bx"),
        ("\xe2\x80\xae", "utf-8", "\\u202E"),  # right to left
    ],
)
def test_nothing_is_raw(text: str, encoding: str, rendered: str) -> None:
    assert list(drawn(Node(text), encoding)) == [rendered]


DONE = Handshake(
    Side.UPSTREAM, "127.0.0.1:9443", "up.test",
    verified_name="up.test", verify_error="ok",
    protocol="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384", group="X25519",
    certificate_names=("up.test",), duration=0.0021,
)  # fmt: skip
FAILED = Handshake(
    Side.UPSTREAM, "127.0.0.1:9443", None,
    failure=Failure("SSL_do_handshake() failed (SSL: no)", Level.ERROR), duration=0.001,
)  # fmt: skip
NAMES = Names("up.test", "proxy_ssl_name $a", "", "up.test by ca.pem, depth 1", ("TLSv1.3",))
PEER = PeerTrace(
    "127.0.0.1:9443", False, 0.0003, DONE,
    Head("GET / HTTP/1.1", (("Host", "up.test"),)), Head("HTTP/1.1 200 OK", (("A", "b"),)),
    "", 200, 0.003, 0.004, 50, 60,
)  # fmt: skip
UPSTREAM_STEP = UpstreamStep(
    "https://$a", "n:3", "up.test", (("a", "up.test"), ("b", None)), NAMES, (PEER,)
)


@pytest.mark.parametrize(
    ("stop", "output"),
    [
        (
            LocationStep("/a", "~ x", "first", "n:1", ("/", "/b/")),
            ["location for /a: ~ x (first) n:1", "└─ passed over: /, /b/"],
        ),
        (
            LocationStep("/a", "/", "w", "n:1", tuple("abcdefghij")),
            ["location for /a: / (w) n:1", "└─ passed over: a, b, c, d, e, f, g, h and 2 more"],
        ),
        (LocationStep("/a", "(server)", "no location matches", ""),
         ["location for /a: (server) (no location matches)"]),
        (RedirectStep("rewrite", "/b?c", "/a/", "n:2"), ["rewrite to /b?c, in /a/ n:2"]),
        (RedirectStep("return", "", "/a/", "n:2"), ["return: sent the response, in /a/ n:2"]),
        (FileStep("/f"), ["files: /f"]),
        (FileStep("/f", "/auth"), ["subrequest /auth: files: /f"]),
        (
            UPSTREAM_STEP,
            [
                "proxy_pass https://$a n:3",
                "├─ upstream: up.test",
                "├─ $a = up.test",
                "├─ $b = (none)",
                "├─ name: up.test, from proxy_ssl_name $a",
                "├─ SNI: up.test",
                "├─ verified: up.test by ca.pem, depth 1",
                "└─ peer 127.0.0.1:9443: 200",
                "   ├─ connected in 0.3 ms",
                "   ├─ SSL handshake: done, 2.1 ms",
                "   │  ├─ offered: SNI up.test, TLSv1.3, no ALPN, no session",
                "   │  ├─ negotiated: TLSv1.3, TLS_AES_256_GCM_SHA384, X25519, new session",
                '   │  └─ certificate: up.test; verify result 0: ok, for "up.test"',
                "   ├─ sent: GET / HTTP/1.1",
                "   │  └─ Host: up.test",
                "   ├─ received: HTTP/1.1 200 OK",
                "   │  └─ A: b",
                "   └─ 3.0 ms to its head, 4.0 ms to its end, 50 bytes sent, 60 received",
            ],
        ),
        (
            replace(
                UPSTREAM_STEP,
                variables=(("a", ""),),
                names=Names("", "the host of proxy_pass", "the name is empty", "not verified", ()),
                peers=(
                    PeerTrace("[::1]:1", False, 0.1, FAILED, None, None,
                         "SSL_do_handshake() failed (SSL: no)", 502, None, 0.101, 0, 0),
                    replace(PEER, reused=True, handshake=None, status=None, response=None,
                            header_time=None, response_time=None),
                ),
            ),
            [
                "proxy_pass https://$a n:3",
                "├─ upstream: up.test",
                '├─ $a = ""',
                '├─ name: "", from the host of proxy_pass',
                "├─ SNI: none, since the name is empty",
                "├─ not verified",
                "├─ peer [::1]:1: SSL_do_handshake() failed (SSL: no) after 101.0 ms",
                "│  ├─ connected in 100.0 ms",
                "│  └─ SSL handshake: failed, 1.0 ms",
                "│     └─ offered: no SNI, , no ALPN, no session",
                "└─ peer 127.0.0.1:9443: no response",
                "   ├─ over a pooled connection",
                "   ├─ sent: GET / HTTP/1.1",
                "   │  └─ Host: up.test",
                "   └─ 50 bytes sent, 60 received",
            ],
        ),
    ],
)  # fmt: skip
def test_stops_of_the_way(stop: Step, output: list[str]) -> None:
    trace = replace(TRACE, steps=(stop,), answer=None, access_log=(), error_log=())
    assert list(drawn(tree(trace).below[-1], "utf-8")) == output


CLIENT = ClientTLSTrace(
    Handshake(
        Side.CLIENT, "192.0.2.1:5", "a.test", protocol="TLSv1.2", cipher="X", alpn="http/1.1",
        resumed=True, certificate_names=("joe",), verify_error="ok", duration=0.001,
    ),
    Choice("a.test", 'by SNI: exact name "a.test"', "n:1"),
    Certificate(("a.test", "b.test"), "CN=CA", "a.pem"),
)  # fmt: skip
TRACE = Trace(
    connection=7,
    number=2,
    client="192.0.2.1:5",
    listening="192.0.2.2:443",
    tls=CLIENT,
    request=Head("GET / HTTP/1.1", (("Host", "a.test"),)),
    url="https://a.test/",
    server=Choice("a.test", "the only server of 192.0.2.2:443", "n:1"),
    steps=(LocationStep("/", "/", "longest prefix", "n:2"),),
    answer=Answer(404, Head("HTTP/1.1 404 Not Found", (("A", "b"),)), False, 0.0123, 30, 90, 40),
    access_log=("line",),
    error_log=("one", "two"),
)


def test_a_whole_trace() -> None:
    assert lines(TRACE) == [
        "GET https://a.test/ -> 404 in 12.3 ms",
        "├─ client 192.0.2.1:5, to 192.0.2.2:443, connection *7, request 2 on it",
        "├─ SSL handshake with the client: TLSv1.2, X, ALPN http/1.1, resumed session, 1.0 ms",
        "│  ├─ SNI received: a.test",
        '│  ├─ server for the handshake: a.test (by SNI: exact name "a.test") n:1',
        "│  ├─ certificate, not sent in a resumed session: a.test, b.test",
        "│  │  ├─ issued by CN=CA",
        "│  │  └─ ssl_certificate a.pem",
        "│  └─ client certificate: joe; verify result 0: ok",
        "├─ request: GET / HTTP/1.1",
        "│  └─ Host: a.test",
        "├─ server: a.test (the only server of 192.0.2.2:443) n:1",
        "├─ location for /: / (longest prefix) n:2",
        "├─ response: HTTP/1.1 404 Not Found",
        "│  └─ A: b",
        "├─ bytes: 30 received, 90 sent, 40 of them the body, incomplete",
        "├─ access log: line",
        "├─ error log: one",
        "└─ error log: two",
    ]


def test_a_handshake_that_failed() -> None:
    handshake = Handshake(
        Side.CLIENT, "192.0.2.1:5", None, failure=Failure("handshake rejected"), duration=0.001
    )
    failed = replace(
        TRACE, number=0, tls=ClientTLSTrace(handshake, None, None),
        request=None, server=None, steps=(), answer=None, access_log=(), error_log=("one",),
    )  # fmt: skip
    assert lines(failed) == [
        "connection from 192.0.2.1:5: SSL handshake failed",
        "├─ client 192.0.2.1:5, to 192.0.2.2:443, connection *7",
        "├─ SSL handshake with the client: failed: handshake rejected, 1.0 ms",
        "│  └─ SNI received: none",
        "└─ error log: one",
    ]


def test_as_data() -> None:
    output = as_data(
        replace(TRACE, steps=(UPSTREAM_STEP, RedirectStep("rewrite", "/b", "/a", "n:1")))
    )
    assert json.loads(json.dumps(output)) == output
    assert output["tls"]["handshake"]["side"] == "client"
    assert [stop["kind"] for stop in output["steps"]] == ["proxy_pass", "redirect"]
    failed = as_data(replace(TRACE, tls=ClientTLSTrace(FAILED, None, None)))
    failure = failed["tls"]["handshake"]["failure"]
    assert (failure["level"], failure["kind"]) == ("error", "error")
