"""The page of `error_detail` in its three media types, and escaping of hostile names."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.explain import ErrorGroup, explain, render_text, to_dict
from sniproxy.handlers import error_detail
from sniproxy.handlers.error_detail import FailureDetail
from sniproxy.http.pages import error_page

PAGE = error_page(502)
NO_SNI = (
    "SSL_do_handshake() failed (SSL: error:0A000458:SSL routines::tlsv1 unrecognized name:"
    "SSL alert number 112) while SSL handshaking to upstream"
)
REFUSED = "connect() failed (111: Connection refused) while connecting to upstream"
NO_LIVE = "no live upstreams while connecting to upstream"
NOT_KNOWN = "the moon is in the wrong quarter while connecting to upstream"


def line(message: str, upstream: str = "https://192.0.2.9:443", server: str = "a.test") -> str:
    return (
        f"2024/07/15 17:14:08 [error] 1#1: *1 {message}, client: 127.0.0.1, server: {server}, "
        f'request: "GET / HTTP/1.1", upstream: "{upstream}/", host: "a.test"'
    )


def html(*lines: str) -> str:
    return error_detail.html_page(PAGE, FailureDetail.from_log_lines(lines)).decode("ascii")


def text(*lines: str) -> str:
    return error_detail.text_page(
        "502 Bad Gateway", "nginx", FailureDetail.from_log_lines(lines)
    ).decode()


def block(page: str) -> ElementTree.Element:
    """What follows nginx's own page."""
    start, end = page.index('<div class="detail">'), page.index("</body>")
    return ElementTree.fromstring(page[start:end])


def texts(page: str, tag: str, kind: str = "") -> list[str]:
    found = block(page).iter(tag)
    return ["".join(e.itertext()) for e in found if not kind or e.get("class") == kind]


def test_text_page_is_the_output_of_explain() -> None:
    explanation = explain(line(NO_SNI))
    assert explanation is not None
    assert (
        text(line(NO_SNI)) == f"502 Bad Gateway\nnginx\n\n{render_text(ErrorGroup.of(explanation))}"
    )


def test_json_page_is_the_output_of_explain() -> None:
    explanation = explain(line(NO_SNI))
    assert explanation is not None
    assert json.loads(
        error_detail.json_page(504, FailureDetail.from_log_lines([line(NO_SNI)]))
    ) == {
        "status": 504,
        "lines": [line(NO_SNI)],
        "groups": [to_dict(ErrorGroup.of(explanation))],
    }


def test_html_page_has_the_page_of_nginx_and_the_explanation() -> None:
    page = html(line(NO_SNI))
    own = re.sub(r'<style>.*</style>\n|<div class="detail">.*</div>\n', "", page, flags=re.S)
    assert own.encode() == PAGE
    assert texts(page, "h2") == ["no SNI: nginx does not tell the upstream which name it wants"]
    assert texts(page, "pre", "log") == [line(NO_SNI)]
    assert [title[:1] for title in texts(page, "summary")] == ["1", "2"]
    assert "proxy_ssl_server_name on;" in texts(page, "pre", "cure")
    (proof,) = texts(page, "pre", "command")
    assert "python -m sniproxy diagnose https://192.0.2.9:443 --name NAME" in proof
    assert texts(page, "p", "beware")[0].startswith("Beware: proxy_set_header Host does not")
    assert "works in curl: a.test" in "".join(texts(page, "p"))


def test_html_page_keeps_the_page_of_nginx_unchanged() -> None:
    padded = error_page(502, user_agent="MSIE 7.0")
    page = error_detail.html_page(padded, FailureDetail.from_log_lines([line(NO_SNI)]))
    assert page.endswith(padded[padded.index(b"</body>") :])


@pytest.mark.parametrize(
    ("lines", "signs"),
    [
        ([NOT_KNOWN], []),
        ([NO_SNI, NO_SNI], ["alert-unrecognized-name"]),
        ([NO_SNI, REFUSED], ["connect-failed", "alert-unrecognized-name"]),
        ([NO_SNI, NOT_KNOWN], ["alert-unrecognized-name"]),
        ([NO_SNI, NO_LIVE], ["alert-unrecognized-name", "no-live-upstreams"]),
        ([NO_LIVE], ["no-live-upstreams"]),
    ],
)
def test_failures_of_several_peers(lines: list[str], signs: list[str]) -> None:
    whole = [line(one, f"https://192.0.2.{i}:443") for i, one in enumerate(lines)]
    detail = FailureDetail.from_log_lines(whole)
    assert [group.signature.name for group in detail.groups] == signs
    assert detail.lines == tuple(whole)
    output = text(*whole)
    if len(lines) > 1 or not signs:
        assert "\n".join(whole) in output
    assert (error_detail.NO_EXPLANATION in output) == (not signs)
    assert "\n".join(texts(html(*whole), "pre", "log")) == "\n".join(whole)
    assert json.loads(error_detail.json_page(502, detail))["lines"] == whole


HOSTILE = [
    "<script>alert(1)</script>",
    "</pre></div></body></html>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='x",
    "&lt;b&gt;&#60;",
    "]]><!--",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b2J",
    "\r\n\x00\x7f\x85\u00ad",
    "\u202eevil".encode().decode("latin-1"),
    "{name} {address} {ca}",
]
MISMATCH = 'upstream SSL certificate does not match "{}" while SSL handshaking to upstream'


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "made",
    [
        lambda name: line(MISMATCH.format(name)),
        lambda name: line(NO_SNI, server=name),
        lambda name: line(NO_SNI, upstream=f"https://{name}"),
        lambda name: line(f"{NOT_KNOWN} {name}"),
        lambda name: line(NO_SNI, upstream=f"https://192.0.2.9/?{name}"),
    ],
    ids=["name", "server", "upstream", "unknown", "uri"],
)
def test_names_with_markup_are_escaped(name: str, made: object) -> None:
    assert callable(made)
    is_harmless(made(name))


@given(st.text(st.characters(max_codepoint=255)))
def test_any_name_is_escaped(name: str) -> None:
    is_harmless(line(MISMATCH.format(name)))


def is_harmless(hostile: str) -> None:
    page = html(hostile)
    assert {e.tag for e in block(page).iter()} <= {
        "div",
        "h2",
        "h3",
        "p",
        "small",
        "b",
        "code",
        "pre",
        "ul",
        "li",
        "details",
        "summary",
    }
    assert {name for e in block(page).iter() for name in e.attrib} <= {"class", "open"}
    assert page.count("</body>") == page.count("</head>") == 1
    plain = text(hostile)
    value = error_detail.json_page(502, FailureDetail.from_log_lines([hostile])).decode("ascii")
    for form in (page.replace("\r\n", "\n"), plain, value):
        assert all(one.isprintable() or one == "\n" for one in form)
    assert all(one.isprintable() for one in json.loads(value)["lines"][0])
