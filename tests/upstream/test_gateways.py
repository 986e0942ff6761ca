"""What uwsgi and SCGI servers and memcached are sent, and how their answers are parsed."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.http.response_head import BadResponseError, read_cgi_head, read_gateway_head
from sniproxy.models import Header, ProxyError
from sniproxy.upstream.gateway import UwsgiProtocol, scgi_request
from sniproxy.upstream.gateway_params import GatewayParams
from sniproxy.upstream.memcached import escape_key, parse_answer
from tests.configured import locations, make_context, request, servers


def pairs(
    directory: Path,
    directives: str,
    *headers: Header,
    target: str = "/a.php/b",
    stores: bool = False,
) -> list[tuple[str, str]]:
    """The parameters of a request with these fields."""
    [server] = servers(directory, f"server {{ location / {{ fastcgi_pass a:1; {directives} }} }}")
    location = server.default_location.locations[0]
    ctx = make_context(request("/a.php/b", headers=headers, host="a.test"), server, location)
    return GatewayParams(location.upstreams.fastcgi, stores=stores).pairs(ctx)


@pytest.mark.parametrize(
    ("directives", "headers", "expected"),
    [
        ("", [], [("HTTP_HOST", "a.test")]),
        ("fastcgi_param A b;", [], [("A", "b"), ("HTTP_HOST", "a.test")]),
        ("fastcgi_param http_host b;", [], [("http_host", "b")]),
        (
            'fastcgi_param HTTP_HOST "";',
            [("Host", "x"), ("X-b", "c")],
            [("HTTP_X_B", "c")],
        ),
        (
            "fastcgi_param HTTP_HOST a if_not_empty; fastcgi_param E $arg_e if_not_empty;",
            [("x", "1"), ("Cookie", "a"), ("X", "2"), ("cookie", "b")],
            [("HTTP_HOST", "a"), ("HTTP_X", "1, 2"), ("HTTP_COOKIE", "a; b")],
        ),
        ("fastcgi_pass_request_headers off;", [("X", "1")], [("HTTP_HOST", "a.test")]),
        (
            r"fastcgi_split_path_info ^(.*\.php)(.*)$; fastcgi_param S $fastcgi_script_name;"
            " fastcgi_param P $fastcgi_path_info;",
            [],
            [("S", "/a.php"), ("P", "/b"), ("HTTP_HOST", "a.test")],
        ),
    ],
)
def test_params(
    tmp_path: Path, directives: str, headers: list[Header], expected: list[tuple[str, str]]
) -> None:
    assert pairs(tmp_path, directives, *headers) == expected


def test_conditions_are_not_sent_for_a_response_to_be_stored(tmp_path: Path) -> None:
    headers = [("If-None-Match", "a"), ("Range", "b"), ("If-Range", "c"), ("X", "d")]
    assert pairs(tmp_path, "", *headers, stores=True) == [("HTTP_HOST", "a.test"), ("HTTP_X", "d")]


def test_scgi_request_is_a_netstring() -> None:
    assert scgi_request([("A", "b")], 27) == b"22:CONTENT_LENGTH\x0027\0A\0b\0,"


@given(st.lists(st.tuples(st.text("AB_"), st.text("\xff\0ab")), max_size=4), st.integers(0))
def test_the_length_of_a_netstring_is_right(params: list[tuple[str, str]], length: int) -> None:
    size, _, rest = scgi_request(params, length).partition(b":")
    assert len(rest) == int(size) + 1
    assert rest.endswith(b",")


def test_uwsgi_packet(tmp_path: Path) -> None:
    text = "location / { uwsgi_pass a:1; uwsgi_modifier1 3; uwsgi_modifier2 4; uwsgi_string end; }"
    [location] = locations(tmp_path, text)
    protocol = UwsgiProtocol(location.upstreams.uwsgi)
    assert protocol.encode([("A", "bc")], 0, has_body=False) == b"\3\x0a\0\4\1\0A\2\0bcend"
    with pytest.raises(ProxyError, match=r"uwsgi request is too big: 65539$"):
        protocol.encode([("A", "b" * 65531)], 0, has_body=False)


@pytest.mark.parametrize(
    ("text", "status", "line"),
    [
        ("X: y\n\n", 200, "200 OK"),
        ("Location: /\r\n\r\n", 302, "302 Moved Temporarily"),
        ("Status: 404\r\n\r\n", 404, ""),
        ("Status: 404 Gone\r\nLocation: /\r\n\r\n", 404, "404 Gone"),
        ("status: 200OK\r\n\r\n", 200, "200OK"),
        ("\r\n", 200, "200 OK"),
    ],
)
def test_status_of_a_cgi_head(text: str, status: int, line: str) -> None:
    parsed = read_cgi_head(f"{text}body")
    assert parsed is not None
    assert (parsed.head.status, parsed.head.status_line, parsed.length) == (status, line, len(text))


@pytest.mark.parametrize("status", ["x", "20", "2 0", "", "-20", "\xb200"])
def test_a_wrong_status_is_refused(status: str) -> None:
    with pytest.raises(BadResponseError, match="upstream sent invalid status"):
        read_cgi_head(f"Status: {status}\r\n\r\n")


@given(st.binary(max_size=60), st.integers(0, 60))
def test_both_forms_of_a_gateway_head_agree(data: bytes, end: int) -> None:
    """A status line says what the field Status would have said."""
    lines = b"X-A: b\r\n" + data.replace(b"\n", b"")[:end] + b"\r\n\r\n"
    results = []
    for first in (b"HTTP/1.1 404 Gone\r\n", b"Status: 404 Gone\r\n"):
        try:
            parsed = read_gateway_head(first + lines, request_method="GET")
        except BadResponseError as bad:
            results.append(str(bad))
        else:
            head = None if parsed is None else parsed.head
            results.append("" if head is None else f"{head.status} {head.status_line}")
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("line", "flag", "found"),
    [
        ("VALUE k 0 5\r", 0, (5, False)),
        ("VALUE k 3 5\r", 2, (5, True)),
        ("VALUE k 1 5\r", 2, (5, False)),
        ("VALUE k x 5\r", 0, (5, False)),
        ("END\r", 0, None),
    ],
)
def test_answers_of_memcached(line: str, flag: int, found: tuple[int, bool] | None) -> None:
    assert parse_answer(line, "k", flag) == found


@pytest.mark.parametrize(
    ("line", "flag", "text"),
    [
        ("END", 0, 'memcached sent invalid response: "END"'),
        ("", 0, 'memcached sent invalid response: ""'),
        ("ERROR\r", 0, 'memcached sent invalid response: "ERROR"'),
        ("VALUE j 0 5\r", 0, 'memcached sent invalid key in response "VALUE j 0 5" for key "k"'),
        ("VALUE k 0\r", 0, 'memcached sent invalid response: "VALUE k 0"'),
        ("VALUE k 0 \r", 0, 'memcached sent invalid length in response "VALUE k 0 " for key "k"'),
        ("VALUE k a 1\r", 1, 'memcached sent invalid flags in response "VALUE k a 1" for key "k"'),
        (
            "VALUE k 0 9223372036854775808\r",
            0,
            'memcached sent invalid length in response "VALUE k 0 9223372036854775808" for key "k"',
        ),
    ],
)
def test_wrong_answers_of_memcached(line: str, flag: int, text: str) -> None:
    with pytest.raises(ProxyError) as raised:
        parse_answer(line, "k", flag)
    assert raised.value.failure.text == text


@given(st.text(st.characters(max_codepoint=255), max_size=40), st.text(max_size=4))
def test_any_answer_is_parsed_or_refused(line: str, key: str) -> None:
    for wanted in (line, f"VALUE {key} {line}"):
        with contextlib.suppress(ProxyError):
            parsed = parse_answer(wanted, key, 1)
            assert wanted.endswith("\r")
            assert parsed is None or parsed[0] >= 0


@given(st.text(st.characters(max_codepoint=255)))
def test_an_escaped_key_has_no_spaces(key: str) -> None:
    escaped = escape_key(key)
    assert not any(ord(character) <= 32 for character in escaped)
    assert escape_key("a b%") == "a%20b%25"
