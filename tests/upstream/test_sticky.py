"""`sticky`: cookies and learned sessions, compared with nginx."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from sniproxy.config.directives.sticky import StickyCookie
from sniproxy.template import compile_template
from sniproxy.upstream.sticky import StickySessions, cookie_text
from tests.compare_nginx import NginxPair, get, paired_with_nginx
from tests.upstream.echo import AddressEcho, address_echo

COOKIES = {
    "plain": "",
    "path": "path=/a",
    "domain": "domain=.example.com",
    "variable": "domain=$arg_d samesite=$arg_s",
    "expires": "expires=1h",
    "zero": "expires=0",
    "max": "expires=max",
    "flags": "httponly secure samesite=Strict",
    "all": "domain=a expires=2d httponly secure samesite=none path=/x",
}
TWO = "server 127.0.0.2:ECHO; server 127.0.0.3:ECHO;"
LEARN = "sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=ZONE:64k"
GROUPS = {
    **{f"c-{name}": f"{TWO} sticky cookie srv {text};" for name, text in COOKIES.items()},
    "failing": "server 127.0.0.6:ECHO fail_timeout=1h; server 127.0.0.3:ECHO; sticky cookie srv;",
    "all-failing": "server 127.0.0.6:ECHO max_fails=0; server 127.0.0.7:ECHO max_fails=0;"
    " sticky cookie srv;",
    "replaced": f"{TWO} sticky cookie srv; least_conn;",
    "learn": f"{TWO} {LEARN};",
    "learn-header": f"{TWO} {LEARN} header;",
    "learn-two": f"{TWO} {LEARN} create=$arg_session lookup=$arg_name;",
    "routes": "server 127.0.0.2:ECHO route=a; server 127.0.0.3:ECHO route=b down;"
    "server 127.0.0.4:ECHO route=c drain; server 127.0.0.5:ECHO route=a;"
    " sticky route $cookie_r $arg_r;",
}


@pytest.fixture(scope="module")
def echo() -> Iterator[AddressEcho]:
    with address_echo() as server:
        server.failing |= {"127.0.0.6", "127.0.0.7"}
        yield server


@pytest.fixture(scope="module")
def pair(echo: AddressEcho, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxPair]:
    groups = "".join(
        f"upstream {name} {{ {text.replace('ZONE', name)} }}\n" for name, text in GROUPS.items()
    )
    locations = "".join(f"location /{name} {{ proxy_pass http://{name}; }}\n" for name in GROUPS)
    http = f"""
        {groups}
        server {{
            listen 127.0.0.1:@PORT@;
            add_header X-Cookie $sent_http_set_cookie always;
            {locations}
            location /intercepted {{
                proxy_pass http://learn-header; proxy_intercept_errors on; error_page 404 /other;
            }}
            location /other {{ return 200 other; }}
        }}
    """.replace("ECHO", str(echo.port))
    with paired_with_nginx(tmp_path_factory.mktemp("sticky"), http) as both:
        yield both


def compare(pair: NginxPair, *requests: bytes) -> list[str]:
    """Compare all responses; returns the bodies."""
    both = pair.ask(requests)
    seen = [
        [
            (
                one.status,
                [(name, _without_time(value)) for name, value in one.headers if name != "Date"],
                one.body if one.status == 200 else "",
            )
            for one in answers
        ]
        for answers in both
    ]
    for (_, ours, _), (_, nginxs, _) in zip(*seen, strict=True):
        ours[:] = [field for field in ours if field[0] != "Server"]
        nginxs[:] = [field for field in nginxs if field[0] != "Server"]
    assert seen[0] == seen[1]
    return [one.body for one in both[1]]


def _without_time(value: str) -> str:
    return re.sub(r"\d\d:\d\d:\d\d GMT", "TIME", value)


@pytest.mark.nginx
@pytest.mark.parametrize("name", COOKIES)
@pytest.mark.parametrize("query", ["", "?d=example.com&s=LAX", "?s=wrong&session=x"])
def test_cookie_is_that_of_nginx(pair: NginxPair, name: str, query: str) -> None:
    compare(pair, get(f"/c-{name}{query}"), get(f"/c-{name}{query}"))


@pytest.mark.nginx
@pytest.mark.parametrize(
    "value",
    ["", "x", "a" * 8000, "0" * 32, "%00", '"quoted"', "\xff\xfe", "a=b", "a, srv=b"],
)
def test_forged_cookies(pair: NginxPair, value: str) -> None:
    compare(pair, *[get("/c-plain", f"Cookie: srv={value}")] * 3)


@pytest.mark.nginx
def test_cookie_of_another_group_leads_to_the_same_address(pair: NginxPair) -> None:
    _, answers = pair.ask([get("/c-path")])
    (sid,) = re.findall("srv=([0-9a-f]+)", answers[0].header("Set-Cookie") or "")
    assert compare(pair, *[get("/c-plain", f"Cookie: srv={sid}")] * 3) == [answers[0].body] * 3


@pytest.mark.nginx
def test_cookie_names_the_peer_that_answers(pair: NginxPair) -> None:
    compare(pair, *[get("/failing")] * 4)
    compare(pair, *[get("/all-failing")] * 2)
    compare(pair, *[get("/replaced")] * 2)


@pytest.mark.nginx
@pytest.mark.parametrize("group", ["learn", "learn-header", "learn-two"])
def test_sessions_are_learned(pair: NginxPair, group: str) -> None:
    first, *others = compare(
        pair,
        get(f"/{group}?session=one"),
        *[get(f"/{group}?name=one", "Cookie: s=one")] * 3,
        get(f"/{group}?session=two"),
        get(f"/{group}"),
        get(f"/{group}", "Cookie: s=two"),
        get(f"/{group}", "Cookie: s=unknown"),
        get(f"/{group}", "Cookie: s=" + "x" * 4000),
        get(f"/{group}?name=one"),
    )
    assert others[:3] == [first] * 3


@pytest.mark.nginx
def test_intercepted_responses_begin_no_session(pair: NginxPair) -> None:
    compare(
        pair,
        get("/intercepted?session=new&status=404"),
        *[get("/learn-header", "Cookie: s=new")] * 3,
        get("/intercepted?session=new&status=500"),
        *[get("/learn-header", "Cookie: s=new")] * 3,
    )


@pytest.mark.nginx
def test_routes(pair: NginxPair) -> None:
    compare(
        pair,
        *(
            get(f"/routes?r={route}", *([f"Cookie: r={cookie}"] if cookie else []))
            for route in ("a", "b", "c", "", "A")
            for cookie in ("", "a", "c")
            for _ in range(3)
        ),
    )


def test_date_has_four_digits_after_2037() -> None:
    cookie = StickyCookie("a", compile_template(""), expires=1)
    text = cookie_text(cookie, "s", 2**31, lambda name: "")
    assert text == "a=s; expires=Tue, 19-Jan-2038 03:14:09 GMT; max-age=1"


def test_sessions_expire_and_make_room() -> None:
    sessions = StickySessions("zone", 32768, "group", 10.0)
    try:
        sessions.learn("a", "one", 0, create=True)
        sessions.learn("b", "two", 5_000, create=False)
        assert [sessions.find("a", 9_999), sessions.find("b", 9_999)] == ["one", ""]
        assert not sessions.find("a", 10_000)
        for number in range(2000):
            sessions.learn(str(number), "one", 20_000, create=True)
        assert not sessions.find("0", 20_000)
        assert sessions.find("1999", 20_000) == "one"
    finally:
        sessions.close()
