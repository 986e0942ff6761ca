"""The page of `error_detail` in its three media types, and escaping of hostile names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.explain import ErrorGroup, explain, render_text, to_dict
from sniproxy.forms import FORMS
from sniproxy.handlers import error_detail
from sniproxy.handlers.error_detail import FailureDetail
from sniproxy.handlers.error_detail_html import NO_EXPLANATION, html_page
from sniproxy.http.pages import error_page
from tests.configured import locations

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


def html(*lines: str, own: bytes = PAGE) -> str:
    detail = FailureDetail.from_log_lines(lines)
    return html_page(own, detail.lines, detail.groups).decode("ascii")


def text(*lines: str) -> str:
    return error_detail.text_page(
        "502 Bad Gateway", "nginx", FailureDetail.from_log_lines(lines)
    ).decode()


def block(page: str) -> ElementTree.Element:
    """The content of the page."""
    start, end = page.index('<main class="detail">'), page.index("<script>")
    return ElementTree.fromstring(re.sub("<hr>|<input [^>]*>", "", page[start:end]))


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


def test_html_page_has_the_explanation_and_the_page_of_nginx() -> None:
    page = html(line(NO_SNI))
    assert texts(page, "h1")[0].startswith("nginx could not open an encrypted connection")
    assert texts(page, "h2") == ["no SNI: nginx does not tell the upstream which name it wants"]
    assert texts(page, "pre", "log") == [line(NO_SNI)]
    assert len(texts(page, "summary")) == 1
    assert "proxy_ssl_server_name on;" in texts(page, "pre", "cure")
    proof = texts(page, "pre", "command")
    assert "python -m sniproxy diagnose https://192.0.2.9:443 --name NAME" in proof
    assert texts(page, "p", "beware")[-1].startswith("Beware: proxy_set_header Host does not")
    assert "works in curl: a.test" in "".join(texts(page, "p"))
    assert texts(page, "blockquote")[0].split() == ["502", "Bad", "Gateway", "nginx/1.31.3"]


@pytest.mark.parametrize("user_agent", ["", "MSIE 7.0"])
def test_html_page_has_the_body_of_nginxs_page_unchanged(user_agent: str) -> None:
    own = error_page(504, server_tokens="off", user_agent=user_agent)
    page = html(line(NO_SNI), own=own)
    body = own[own.index(b"<body>") + 6 : own.index(b"</body>")].strip().decode()
    assert f"<blockquote>{body}</blockquote>" in page
    assert "<title>504 Gateway Time-out</title>" in page


def test_html_page_is_a_standards_mode_page_that_loads_nothing() -> None:
    page = html(line(NO_SNI))
    assert page.startswith('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n')
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert not re.search(r"\bsrc=|<link|@import|url\(", page)


def test_fixes_are_in_every_form_and_weak_ones_come_last() -> None:
    page = html(line(NO_SNI))
    assert texts(page, "label") == list(FORMS.values())
    assert len(re.findall('checked=""', page)) == 1
    caddy = page[page.index("Caddy</label>") : page.index("Traefik</label>")]
    weak = caddy.index("gives up security")
    assert weak < caddy.index("tls_insecure_skip_verify")
    assert "tls_server_name" in caddy[:weak]
    assert "header_up Host" in caddy[:weak]
    assert "header_up Host" not in caddy[weak:]


def test_a_cause_without_directives_has_one_form() -> None:
    assert texts(html(line(NO_LIVE)), "label") == []


TLS = "proxy_pass https://192.0.2.9;"


@pytest.mark.parametrize(
    ("directives", "message", "name"),
    [
        (f"{TLS} proxy_set_header Host origin.test;", NO_SNI, "origin.test"),
        (f"{TLS} proxy_set_header hOST origin.test:8443;", NO_SNI, "origin.test"),
        (f"{TLS} proxy_ssl_name origin.test;", NO_SNI, "origin.test"),
        (f"{TLS} proxy_ssl_name o.test; proxy_set_header Host w.test;", NO_SNI, "w.test"),
        ("proxy_pass https://localhost;", NO_SNI, ""),
        (TLS, NO_SNI, ""),
        (f"{TLS} proxy_set_header Host $host;", NO_SNI, ""),
        (f"{TLS} proxy_set_header Host 192.0.2.9;", NO_SNI, ""),
        (f"{TLS} proxy_set_header Host 'a b.test';", NO_SNI, ""),
        (f'{TLS} proxy_set_header Host "<b>.test";', NO_SNI, ""),
        (f"{TLS} proxy_ssl_server_name on; proxy_ssl_name o.test;", NO_SNI, ""),
        (
            f"{TLS} proxy_ssl_server_name on; proxy_ssl_name o.test; proxy_set_header Host w.test;",
            NO_SNI,
            "w.test",
        ),
        (f"{TLS} proxy_ssl_name o.test; proxy_set_header Host o.test;", REFUSED, "o.test"),
    ],
)
def test_names_of_the_location_are_filled_in(
    directives: str, message: str, name: str, tmp_path: Path
) -> None:
    [location] = locations(tmp_path, f"location / {{ {directives} }}")
    detail = FailureDetail.from_log_lines([line(message)], location.proxy)
    [group] = detail.groups
    assert group.known.get("name", "") == name
    page = html_page(PAGE, detail.lines, detail.groups).decode()
    plain = error_detail.text_page("502 Bad Gateway", "nginx", detail).decode()
    if message == NO_SNI:
        expected = name or "<the upstream's name>"
        assert f"proxy_ssl_name {expected};" in texts(page, "pre", "cure")
        assert f"proxy_ssl_name {expected};" in plain
        assert ("works in curl: a.test" in page) == (not name)


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
    assert (NO_EXPLANATION in output) == (not signs)
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


TAGS = frozenset(
    re.findall(
        r"\w+",
        "main article section blockquote center div h1 h2 h3 p span small b code pre ul li "
        "details summary label",
    )
)


def is_harmless(hostile: str) -> None:
    page = html(hostile)
    tags = {e.tag for e in block(page).iter()}
    assert tags <= TAGS
    attributes = {name for e in block(page).iter() for name in e.attrib}
    assert attributes <= {"class", "for"}
    for tag in ("</body>", "</head>", "<script>", "</script>", "<style>"):
        assert page.count(tag) == 1
    plain = text(hostile)
    value = error_detail.json_page(502, FailureDetail.from_log_lines([hostile])).decode("ascii")
    for form in (page.replace("\r\n", "\n"), plain, value):
        assert all(one.isprintable() or one == "\n" for one in form)
    assert all(one.isprintable() for one in json.loads(value)["lines"][0])
