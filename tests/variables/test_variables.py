"""Values of variables: present, empty or missing, compared with nginx."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pytest

from sniproxy.config.model import Server
from sniproxy.context import UpstreamState
from sniproxy.models import Header
from sniproxy.variables import core, is_variable, lookup, proxied, upstream
from tests.compare_nginx import NginxPair, get, paired_with_nginx
from tests.configured import make_context, request, servers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    return servers(tmp_path_factory.mktemp("server"), "server { server_name .a.test; }")[0]


def values(
    server: Server, target: str = "/", headers: tuple[Header, ...] = ()
) -> Mapping[str, str | None]:
    class Values(dict[str, str | None]):
        def __missing__(self, name: str) -> str | None:
            return lookup(make_context(request(target, headers=headers), server))(name)

    return Values()


@pytest.mark.parametrize(
    ("cookies", "a", "b"),
    [
        (("a=1; b=2",), "1", "2"),
        (("A = 1 ;b=2,3; c", "B=4"), "1 ", "2,3"),
        (("xa=1,A=2; b",), None, None),
        (("a; b=;a=3",), "3", ""),
        (("a=1,b=2",), "1,b=2", None),
        ((), None, None),
    ],
)
def test_cookie_values_end_at_semicolons(
    server: Server, cookies: tuple[str, ...], a: str | None, b: str | None
) -> None:
    seen = values(server, headers=tuple(("Cookie", cookie) for cookie in cookies))
    assert (seen["cookie_a"], seen["cookie_b"]) == (a, b)


@pytest.mark.parametrize(
    ("args", "name", "value"),
    [
        ("a=1&B=2", "a", "1"),
        ("a=1&B=2", "b", "2"),
        ("a&a=3", "a", "3"),
        ("xa=1", "a", None),
        ("a=", "a", ""),
        ("a=1=2", "a", "1=2"),
        ("=x", "", None),
        ("a%3D1", "a", None),
    ],
)
def test_arg_variables(server: Server, args: str, name: str, value: str | None) -> None:
    assert values(server, f"/?{args}")[f"arg_{name}"] == value


@pytest.mark.parametrize(
    ("authorization", "user"),
    [
        ("Basic dXNlcjpwYXNz", "user"),
        ("basic  dXNlcjpwYXNz", "user"),
        ("Basic dTp3OjA", "u"),
        ("Basic dXNlcg==", None),
        ("Basic OnBhc3M=", None),
        ("Basic dXNlcjpwYXNz dXNl", None),
        ("Basic !!!", None),
        ("Basic dXNlc", None),
        ("Basic", None),
        ("Bearer dXNlcjpwYXNz", None),
    ],
)
def test_remote_user_from_basic_credentials(
    server: Server, authorization: str, user: str | None
) -> None:
    assert values(server, headers=(("Authorization", authorization),))["remote_user"] == user


def test_empty_values_differ_from_missing_ones(server: Server) -> None:
    seen = values(server, headers=(("X-Empty", ""),))
    assert seen["http_x_empty"] == ""
    assert seen["http_x_absent"] is None
    assert seen["is_args"] == ""
    assert seen["https"] == ""
    assert seen["args"] is None
    assert seen["upstream_addr"] is None


def test_host_falls_back_to_the_server_name(server: Server) -> None:
    assert values(server)["host"] == "a.test"


def test_repeated_fields_are_joined(server: Server) -> None:
    headers = (("X-A", "1"), ("x-a", "2"), ("Cookie", "a"), ("cookie", "b"))
    seen = values(server, headers=headers)
    assert seen["http_x_a"] == "1, 2"
    assert seen["http_cookie"] == "a; b"


def test_upstream_variables_list_every_attempt(server: Server) -> None:
    tries = [UpstreamState("a:1", 0.0), UpstreamState("b:2", 0.0)]
    tries[0].status = 502
    tries[1].status, tries[1].response_time = 200, 0.5
    value = lookup(make_context(request(), server, upstream_states=tries))
    assert value("upstream_addr") == "a:1, b:2"
    assert value("upstream_status") == "502, 200"
    assert value("upstream_response_time") == "-, 0.500"


def test_only_named_captures_survive_the_next_match(server: Server) -> None:
    request_ = make_context(request(), server)
    for pattern, text in ((r"(?P<Who>\w)(\d)", "a1"), (r"(\w+)|(x)", "zz")):
        match = re.match(pattern, text)
        assert match is not None
        request_.set_captures(match)
    value = lookup(request_)
    assert value("who") == "a"
    assert value("1") == "zz"
    assert not value("2")
    assert value("3") is None


@pytest.mark.parametrize("name", ["host", "http_anything", "arg_", "sent_http_x", "1"])
def test_is_variable(name: str) -> None:
    assert is_variable(name)
    assert not is_variable(f"no_{name}")


# --- beside nginx: every variable of every request, in all three escapes ---

_NAMES = """
    limit_req_status limit_conn_status realip_remote_addr
    upstream_cache_status upstream_cache_last_modified upstream_cache_etag
args query_string is_args uri document_uri request_uri request request_method server_protocol
scheme https host server_name server_addr server_port remote_addr remote_user status
body_bytes_sent bytes_sent request_length content_length content_type http_host http_cookie
http_x_a http_user_agent HTTP_X_A cookie_A cookie_b arg_A arg_b arg_ sent_http_content_type
sent_http_content_length sent_http_connection sent_http_server sent_http_date sent_http_location
sent_http_transfer_encoding sent_http_keep_alive proxy_host proxy_port
proxy_add_x_forwarded_for upstream_addr upstream_status upstream_response_length
upstream_bytes_sent upstream_bytes_received upstream_http_server
gzip_ratio limit_rate upstream_cache_status upstream_cache_last_modified upstream_cache_etag
http_x_forwarded_for connection_requests pipe nginx_version ssl_protocol ssl_server_name
binary_remote_addr request_completion request_port is_request_port request_body
request_body_file sent_trailer_x proxy_protocol_addr proxy_protocol_port proxy_protocol_server_addr
proxy_protocol_server_port proxy_protocol_tlv_x sent_http_last_modified sent_http_x_added
"""
NAMES = _NAMES.split()

ESCAPES = ("default", "json", "none")

FORMATS = "".join(
    f"log_format {escape} escape={escape} '{'|'.join(f'{n}=[${{{n}}}]' for n in NAMES)}';\n"
    for escape in ESCAPES
)

HTTP = f"""
{FORMATS}
server {{
    listen 127.0.0.1:@PORT@;
    server_name front.test;
    {"".join(f"access_log {escape}.log {escape};" for escape in ESCAPES)}
    location / {{ return 200 "text"; }}
    location /nocontent {{ return 204; }}
    location /added {{ add_trailer X $status;
        add_header X-Added a; add_header X-Added b; add_header Last-Modified now; return 200 x; }}
    location /redirect {{ return 301 /x?y; }}
    location /away {{ return 302 http://a.test/; }}
    location /none {{ return 404; }}
    location /up/ {{ proxy_pass http://127.0.0.1:@PORT2@; }}
    location /named/ {{ proxy_pass http://localhost:@PORT2@/; }}
}}
server {{
    listen 127.0.0.1:@PORT2@;
    access_log off;
    location / {{ return 200 "[$request_uri][$uri][$args][$http_host]"; }}
    location /up/redirect {{ return 302 /up/x; }}
    location /up/404 {{ return 404; }}
}}
"""


def post(target: str, *fields: str, body: str) -> bytes:
    fields = (*fields, f"Content-Length: {len(body)}")
    return get(target, *fields).replace(b"GET", b"POST", 1) + body.encode()


def chunked(target: str) -> bytes:
    head = get(target, "Transfer-Encoding: chunked").replace(b"GET", b"POST", 1)
    return head + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"


REQUESTS = (
    *(
        get(target)
        for target in (
            "/",
            "/?",
            "/?a=1&B=2&c&b=3&=x&a=9",
            "/?a",
            "/?a&A=x",
            "/%22%5C%01%7f%C3%BC",
            '/"\\?"',
            "/nocontent",
            "/redirect",
            "/away",
            "/none",
            "/up/x",
            "/up/redirect",
            "/up/404",
            "/named/x?y",
            "/a//b/./c",
            "http://abs.test/q?r",
            "/%0D%09%08%0C%1F%7E",
        )
    ),
    *(
        get("/", *fields)
        for fields in (
            ("User-Agent:", "X-A: 1", "x-a: 2", "X-A:"),
            ("Cookie: a=1; b=2",),
            ("Cookie: a = 1 ;b=2,3; c", "cookie: B=4"),
            ("Cookie: xa=1,A=2; b",),
            ("Cookie: a; b=;a=3",),
            ("Cookie: a=1,b=2",),
            ("Authorization: Basic dXNlcjpwYXNz",),
            ("Authorization: Basic dXNlcg==",),
            ("Authorization: basic  dXNlcjpwYXNz",),
            ("Authorization: Basic !!!",),
            ("Authorization: Basic",),
            ("Authorization: Bearer x",),
            ("Authorization: Basic OnBhc3M=",),
            ("Authorization: Basic dXNlcjpwYXNz dXNl",),
            ("Authorization: Basic dXNlc",),
            ("Authorization: Basic dXNlcjpwYXNz=x",),
            ("X-Forwarded-For: 1.1.1.1",),
            ("X-Forwarded-For: 1.1.1.1", "x-forwarded-for: 2.2.2.2"),
            ("X-Forwarded-For:",),
            ("Content-Length: 0",),
            ("Content-Type:",),
            ("Referer:",),
            (f"X-A: {'y' * 300}",),
            ('X-A: \xe9"\\\t',),
        )
    ),
    get("/up/x", 'X-A: \xe9"\\\t'),
    post("/up/p", "Content-Type: a/b", body="hello"),
    post("/p", "Content-Type: a/b", body="hello"),
    chunked("/"),
    chunked("/up/"),
    get("/").replace(b"GET", b"HEAD", 1),
    get("/up/").replace(b"GET", b"HEAD", 1),
    *(
        get("/", host=host)
        for host in (
            "FRONT.test:80",
            "front.test:0",
            "front.test:",
            "[::1]:8",
            "front.test:00081",
            "[::1]",
            "1.2.3.4:65535",
        )
    ),
    get("http://abs.test:99/x"),
    get("http://abs.test/x", host="front.test:7"),
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxPair]:
    with paired_with_nginx(tmp_path_factory.mktemp("variables"), HTTP) as running:
        running.ask(REQUESTS)
        yield running


@pytest.mark.nginx
@pytest.mark.parametrize("escape", ESCAPES)
def test_access_lines_beside_nginx(both: NginxPair, escape: str) -> None:
    ours, nginxs = both.logs(f"{escape}.log", lines=len(REQUESTS))
    assert len(ours) == len(nginxs) == len(REQUESTS)
    for sent, our, nginx in zip(REQUESTS, ours, nginxs, strict=True):
        assert our.split("|") == nginx.split("|"), sent


def test_every_variable_is_compared_with_nginx() -> None:
    """Except for those that change with every run or machine, and those of TLS."""
    changing = {
        *("hostname", "pid", "msec", "time_local", "time_iso8601", "remote_port", "connection"),
        *("connection_time", "request_time", "upstream_connect_time", "upstream_header_time"),
        *(
            "upstream_response_time",
            "realip_remote_port",
            "request_id",
            "tcpinfo_rtt",
            "tcpinfo_rttvar",
        ),
        *("tcpinfo_snd_cwnd", "tcpinfo_rcv_space", "request_body_file"),
        "http2",  # in tests/conformance/http/test_http2.py
        "http3",  # the module is not in the wheel
    }
    known = {
        row.name
        for module in (core, proxied, upstream)
        for row in module.VARIABLES
        if "ssl_" not in row.name
    }
    assert known - changing <= {name.lower() for name in NAMES}
