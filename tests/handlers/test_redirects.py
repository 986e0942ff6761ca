"""`return`, built-in pages and redirects of upstreams: complete responses as in nginx."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sniproxy.context import Connection, absolute_location
from sniproxy.handlers.special_response import special_response
from tests.compare_nginx import Answer, NginxPair, get, paired_with_nginx
from tests.configured import make_context, request, servers


@pytest.mark.parametrize(
    ("host", "port", "tls", "absolute"),
    [
        ("a.test", 80, False, "http://a.test/x"),
        ("a.test", 8080, False, "http://a.test:8080/x"),
        ("a.test", 443, False, "http://a.test:443/x"),
        ("a.test", 443, True, "https://a.test/x"),
        ("a.test", 80, True, "https://a.test:80/x"),
        ("", 80, False, "http://192.0.2.2/x"),
        ("a.test", 0, False, "http://a.test/x"),
    ],
)
def test_absolute_redirects(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    port: int,
    tls: bool,
    absolute: str,
) -> None:
    request_ = make_context(request(host=host), servers(tmp_path, "server { }")[0])
    request_.connection.server_port = port
    monkeypatch.setattr(Connection, "scheme", "https" if tls else "http")
    assert absolute_location(request_, "/x") == absolute


@pytest.mark.parametrize("status", [408, 444, 499])
def test_statuses_without_reason_phrase(tmp_path: Path, status: int) -> None:
    response = special_response(status, make_context(request(), servers(tmp_path, "server { }")[0]))
    assert response.close_without_response
    assert response.status == status


@pytest.mark.parametrize("inner", [494, 495, 496, 497])
def test_internal_statuses_are_sent_as_400(tmp_path: Path, inner: int) -> None:
    response = special_response(inner, make_context(request(), servers(tmp_path, "server { }")[0]))
    assert response.status == 400


# --- beside nginx ---

RETURNS = {
    "301": "301 /x",
    "302": '302 "http://a.test/"',
    "303": '303 /\xe9"<>',
    "307": "307 relative",
    "308": '308 ""',
    "301-none": "301",
    "url": "http://a.test$request_uri",
    "scheme": "$scheme://a.test/",
    "double": "301 //a.test/",
    "200": "200",
    "200-empty": '200 ""',
    "204": "204 text",
    "304": "304 text",
    "404": "404",
    "404-text": '404 "text"',
    "404-empty": '404 ""',
    "404-variable": "404 $arg_none",
    "200-variable": "200 $arg_none",
    "500": "500",
    "600": "600 x",
    "600-none": "600",
    "to": "301 $arg_to",
    "two": "200 one; return 201 two",
}

TARGETS = [
    *(f"/return/{name}" for name in RETURNS if name != "to"),
    *(f"/return/to?to={to}" for to in ("/x", "x", "", "//x", "http://a.test/")),
    "/return/url?q",
]

LOCATIONS = {
    "/plain/": "http://127.0.0.1:@PORT2@",
    "/uri/": "http://127.0.0.1:@PORT2@/there/",
    "/open": "http://127.0.0.1:@PORT2@/there",
    "/named/": "http://localhost:@PORT2@/there/",
    "= /exact": "http://127.0.0.1:@PORT2@/there/exact",
    "/group/": "http://group/there/",
    "~ ^/regex": "http://127.0.0.1:@PORT2@",
    "/upper/": "HTTP://127.0.0.1:@PORT2@/there/",
}

REDIRECTS = [
    *("/there/x", "/", "there/x", "http://other.test/there/x", "//127.0.0.1/x"),
    *("http://HERE/there/x?y#z", "http://HERE/there/", "http://HERE/there", "http://HERE/"),
    *("http://HERE", "http://HERE/other", "HTTP://HERE/there/x", "http://group/there/x"),
    *("http://group/", "https://HERE/there/x", "http://HERE/there/exact"),
    *("http://HERE/thereabouts", "http://localhost:PORT/there/x"),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxPair]:
    returns = "".join(
        f"location = /return/{name} {{ return {text}; }}\n" for name, text in RETURNS.items()
    )
    proxied = "".join(
        f"location {name} {{ proxy_pass {target}; }}\n" for name, target in LOCATIONS.items()
    )
    http = f"""
    access_log off;
    upstream group {{ server 127.0.0.1:@PORT2@; }}
    server {{ listen 127.0.0.1:@PORT@; server_name front.test; {returns} {proxied} }}
    server {{ listen 127.0.0.1:@PORT2@; return 302 $http_x_to; }}
    """
    with paired_with_nginx(tmp_path_factory.mktemp("redirects"), http) as running:
        yield running


def whole(answer: Answer) -> tuple[int, list[tuple[str, str]], str]:
    headers = [(name, value) for name, value in answer.headers if name != "Date"]
    return answer.status, headers, answer.body


@pytest.mark.nginx
@pytest.mark.parametrize("target", TARGETS)
def test_returns_beside_nginx(both: NginxPair, target: str) -> None:
    (ours,), (nginxs,) = both.ask([get(target)])
    assert whole(ours) == whole(nginxs)


@pytest.mark.nginx
@pytest.mark.parametrize(
    "sent",
    [
        get("/return/301", host="H.test:99"),
        b"GET /return/301 HTTP/1.0\r\n\r\n",
        get("/return/301", "User-Agent: MSIE 6"),
        get("/return/404", "User-Agent: Mozilla/4.0 (MSIE 6)"),
        get("/return/404").replace(b"GET", b"HEAD"),
    ],
)
def test_more_returns_beside_nginx(both: NginxPair, sent: bytes) -> None:
    (ours,), (nginxs,) = both.ask([sent])
    assert whole(ours) == whole(nginxs)


@pytest.mark.nginx
@pytest.mark.parametrize("location", LOCATIONS)
def test_redirects_of_an_upstream_beside_nginx(both: NginxPair, location: str) -> None:
    path = location.split()[-1].lstrip("^")
    answers = []
    for served in both.both:
        port = str(served.ports["2"])
        targets = [
            to.replace("HERE", f"127.0.0.1:{port}").replace("PORT", port) for to in REDIRECTS
        ]
        answers.append([whole(a) for a in served.ask(get(path, f"X-To: {t}") for t in targets)])
    for to, ours, nginxs in zip(REDIRECTS, *answers, strict=True):
        assert ours == nginxs, to
