"""Which server and which location: each row a rule of nginx, and nginx itself beside them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from sniproxy.config.model import Location, Server
from sniproxy.routing import Locations, ServerNames
from tests.compare_nginx import Answer, NginxPair, get, paired_with_nginx
from tests.configured import locations, servers

# --- servers ---

SERVERS = {
    "default": "default.test",
    "nameless": "",
    "exact": "www.example.test exact.test",
    "star": "*.example.test",
    "deep": "*.deep.example.test",
    "dotted": ".dotted.test",
    "prefix": "mail.*",
    "longer": "mail.sub.*",
    "first": r"~^(?<who>\w+)\.re\.test$",
    "upper": r"~^WWW\d",
    "second": "~re",
    "both": '"" both.test',
}

HOSTS = {
    "default.test": "default",
    "unknown": "default",
    "": "nameless",
    "www.example.test": "exact",
    "exact.test": "exact",
    "x.exact.test": "default",
    "a.example.test": "star",
    "a.b.example.test": "star",
    "deep.example.test": "star",
    "mail.example.test": "star",
    ".example.test": "star",
    "example.test": "default",
    "xexample.test": "default",
    "x.deep.example.test": "deep",
    "dotted.test": "dotted",
    "a.dotted.test": "dotted",
    "a.b.dotted.test": "dotted",
    ".dotted.test": "dotted",
    "mail.x": "prefix",
    "mail.x.y": "prefix",
    "mail.sub": "prefix",
    "mail.sub.x": "longer",
    "mail": "default",
    "joe.re.test": "first",
    "www1": "upper",
    "re": "second",
    "a.re.test.x": "second",
    "both.test": "both",
}


def servers_text(listen: str) -> str:
    return "".join(
        f"server {{ listen {listen}{' default_server' if name == 'default' else ''};"
        f" {f'server_name {names};' if names else ''}"
        f' return 200 "{name} [$server_name] [$host] [$who] [$1]"; }}\n'
        for name, names in SERVERS.items()
    )


@pytest.fixture(scope="module")
def server_names(tmp_path_factory: pytest.TempPathFactory) -> ServerNames[Server]:
    directory = tmp_path_factory.mktemp("servers")
    # One regular expression of the configuration has to define $who.
    made = servers(directory, servers_text("127.0.0.1:1"))
    return ServerNames(made, made[0])


@pytest.mark.parametrize(("host", "server"), HOSTS.items())
def test_server_is_chosen_by_host(
    server_names: ServerNames[Server], host: str, server: str
) -> None:
    chosen = server_names.find(host)
    assert list(SERVERS)[server_names.servers.index(chosen)] == server


def test_matched_server_name_is_reported(server_names: ServerNames[Server]) -> None:
    _, match = server_names.match("joe.re.test")
    assert match is not None
    assert match["who"] == "joe"
    assert server_names.match("www.example.test")[1] is None
    assert server_names.match("unknown")[1] is None


@pytest.mark.parametrize(
    ("names", "rendered"),
    [
        ("a.test b.test", "a.test"),
        ("A.Test", "a.test"),
        (".a.test", "a.test"),
        ("*.a.test", "*.a.test"),
        ("a.*", "a.*"),
        ("~^A$", "~^A$"),
        ('""', ""),
        ("", ""),
    ],
)
def test_server_name_in_logs(names: str, rendered: str, tmp_path: Path) -> None:
    text = f"server_name {names};" if names else ""
    assert servers(tmp_path, f"server {{ {text} }}")[0].name == rendered


# --- locations ---

PROXIED = "proxy_pass http://127.0.0.1:@PORT2@"

LOCATIONS = rf"""
location = / {{ return 200 root; }}
location /plain {{ return 200 plain; }}
location = /plain {{ return 200 plain=; }}
location ^~ /still/ {{ return 200 still; }}
location ~ \.php$ {{ return 200 php; }}
location ~* \.(PNG|gif)$ {{ return 200 "img $1"; }}
location ~ ^/plain/(?<Kind>[a-z]+)/(\d+)?x {{ return 200 "kind $kind $2 $1 $KIND"; }}
location /nest/ {{ return 200 nest;
    location /nest/inner {{ return 200 inner;
        location = /nest/inner/exact {{ return 200 exact; }}
        location ~ q$ {{ return 200 innerq; }}
        location /nest/inner/proxied/ {{ {PROXIED}/p/; }}
    }}
    location ^~ /nest/still {{ return 200 neststill; }}
    location ~ z$ {{ return 200 nestz; }}
}}
location ^~ /strict/ {{ return 200 strict;
    location /strict/a {{ return 200 stricta; }}
    location ~ \.php$ {{ return 200 strictphp; }}
}}
location ~ ^/re {{ return 200 re;
    location ~ /re/(.)in {{ return 200 "rein $1"; }}
    location ~ ^/re/y {{ return 200 rey; }}
}}
location ~ /ab {{ return 200 ab;
    location /ab/c {{ return 200 dead; }}
    location /ab/d/ {{ {PROXIED}; }}
}}
location /proxied/ {{ {PROXIED}; }}
location = /exactslash/ {{ {PROXIED}; }}
location /both/ {{ {PROXIED}; }}
location = /both {{ return 200 both=; }}
location /both2/ {{ {PROXIED}; }}
location /both2 {{ return 200 both2; }}
location /noslash/ {{ return 200 noslash; }}
location /slashdot.php/ {{ {PROXIED}; }}
location "/sp ace/" {{ {PROXIED}/new/; }}
location /pct%/ {{ {PROXIED}/new/; }}
location /uri/ {{ {PROXIED}/new/; }}
location /urin {{ {PROXIED}/; }}
location = /urie {{ {PROXIED}/exact; }}
location ^~ /uric/ {{ {PROXIED}/c; }}
location /esc/ {{ {PROXIED}/a%20b/; }}
location /query/ {{ {PROXIED}?x=; }}
location /slashquery/ {{ {PROXIED}/?x=; }}
location ~ ^/rx {{ {PROXIED}; }}
"""

PATHS = {
    "/": "/",
    "/plain": "/plain",
    "/plainer": "/plain",
    "/still/a.php": "/still/",
    "/plain/a.php": r"\.php$",
    "/a.PNG": r"\.(PNG|gif)$",
    "/nest/x": "/nest/",
    "/nest/z.php": r"\.php$",
    "/nest/z": "z$",
    "/nest/inner/exact": "/nest/inner/exact",
    "/nest/inner/q": "q$",
    "/nest/inner/z": "z$",
    "/nest/stillz": "/nest/still",
    "/strict/a": "/strict/a",
    "/strict/a.php": r"\.php$",
    "/re": "^/re",
    "/re/xin": "/re/(.)in",
    "/ab/c": "/ab",
    "/x/ab/d": "/ab",
    "/both": "/both",
    "/both2": "/both2",
    "/noslash": None,
    "/nosuch": None,
}

SLASHES = {
    "/proxied": "/proxied/",
    "/exactslash": "/exactslash/",
    "/slashdot.php": "/slashdot.php/",
    "/nest/inner/proxied": "/nest/inner/proxied/",
}


@pytest.fixture(scope="module")
def made_locations(tmp_path_factory: pytest.TempPathFactory) -> Locations:
    text = LOCATIONS.replace("@PORT2@", "1")
    return Locations(locations(tmp_path_factory.mktemp("locations"), text))


def name_of(location: Location | None) -> str | None:
    return location.name.name if location is not None else None


@pytest.mark.parametrize(("path", "location"), PATHS.items())
def test_location_is_chosen_by_path(
    made_locations: Locations, path: str, location: str | None
) -> None:
    found = made_locations.find(path)
    assert name_of(found.location) == location
    assert not found.add_slash


@pytest.mark.parametrize(("path", "location"), SLASHES.items())
def test_missing_slash_is_redirected(made_locations: Locations, path: str, location: str) -> None:
    found = made_locations.find(path)
    assert found.add_slash
    assert name_of(found.location) == location


# --- beside nginx ---

_TARGETS = r"""
/ /x /plain /plainer /plain/ /plain/a.php /plain/a.png /a.PNG /a.GIF.x /still /still/
/still/a.php /still/../a.php /plain/abc/12x /plain/abc/x /nest /nest/ /nest/x /nest/inner
/nest/inner/exact /nest/inner/exact/x /nest/inner/q /nest/inner/z /nest/inner/a.php
/nest/inner/proxied /nest/inner/proxied?a=b /nest/inner/proxied/x%20y /nest/stillz /nest/still
/nest/z /nest/z.php /strict/ /strict /strict/a /strict/a.php /strict/b.php /re /re/xin /re/x
/re/y /ab /ab/c /ab/d /ab/d/ /x/ab/c /x/ab/d /proxied /proxied/ /proxied?q=1&x=%20
/proxied/%20/?a=%20 /exactslash /exactslash/ /exactslash/x /both /both/ /both2 /both2/ /both2/x
/noslash /noslash/ /sp%20ace /sp%20ace/ /sp%20ace/x?y /pct%25 /pct%25/x /uri /uri/ /uri/a%20b
/uri/a%2Fb /uri/a%3Fb?c%20=d /uri/a?b=%20 /uri/a%23b#frag /uri/a/../b /uri/../uri/c /uri//d///e
/uri/%41?x /uri/a"b /uri/a"b?%41 /uri/a"b%41 /uri/a|b%7c /uri/a+b%2B /uri/a;b%3B&=% /uri/a;b%3B
/uri/%FF /uri/a:b@c$%24 /urin /urin/x /urinx%25 /urie /urie?z /urix /uric/ /uric/d
/uric/%2e%2e/uri/x /esc/ /esc/%20 /rx /rx/a%20b?q /rx/a#f /rx/a?b#f /%72x/x%41 /slashdot.php
/slashdot.php/ /a%00 /.. /nosuch? /rx? /uri/x? /uri/?? /uri/x?a?b /uri/x?a=%zz /uri/%zz
/query/ /query/a?b /slashquery/ /slashquery/a?b /slashquery
http://h.test/uri/x%20y?z http://h.test http://h.test?x http://h.test/rx#y
"""
TARGETS = _TARGETS.split()

PIECES = [
    *("plain", "still", "nest", "inner", "exact", "proxied", "strict", "re", "ab", "both", "uri"),
    *("urin", "rx", "esc", "a", "z", "q", "x.php", "y.PNG", "%2e", "..", ".", "%2F", "%20", "%3F"),
    *("%25", "", "12x", "cd", "/", ";", "+", "é", "d"),
]


def random_targets(seed: int, count: int) -> list[str]:
    dice = random.Random(seed)
    targets = []
    for _ in range(count):
        pieces = [dice.choice(PIECES) for _ in range(dice.randint(1, 4))]
        ending = dice.choice(["", "", "/", "?a=b", "?%20#c", "?"])
        targets.append("/" + dice.choice(["/", "/", ""]).join(pieces) + ending)
    return targets


REQUESTS = {
    **{f"host {host}": get("/", host=host) for host in HOSTS if host},
    **{
        f"host {host}": get("/", host=host)
        for host in ("WWW.Example.TEST.", "a.example.test:80", "[::1]:80", "joe.RE.test")
    },
    "no host": b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "the target's host": get("http://a.example.test:9/x", host="exact.test"),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxPair]:
    http = (
        servers_text("127.0.0.1:@PORT@")
        + f"server {{ listen 127.0.0.1:@PORT1@; {LOCATIONS} }}"
        + 'server { listen 127.0.0.1:@PORT2@; return 200 "$request_uri|$uri|$args|$http_host"; }'
    )
    with paired_with_nginx(tmp_path_factory.mktemp("routing"), "access_log off;" + http) as running:
        yield running


def rendered(answer: Answer) -> tuple[int, str | None, str]:
    return answer.status, answer.header("location"), answer.body


@pytest.mark.nginx
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_server_selection_equals_nginx(both: NginxPair, request_: bytes) -> None:
    ours, nginxs = both.ask([request_])
    assert [rendered(answer) for answer in ours] == [rendered(answer) for answer in nginxs]


@pytest.mark.nginx
@pytest.mark.parametrize("target", TARGETS)
def test_location_selection_equals_nginx(both: NginxPair, target: str) -> None:
    ours, nginxs = both.ask([get(target)], "1")
    assert [rendered(answer) for answer in ours] == [rendered(answer) for answer in nginxs]


@pytest.mark.nginx
def test_location_selection_of_many_targets_equals_nginx(both: NginxPair) -> None:
    targets = random_targets(seed=1, count=600)
    ours, nginxs = both.ask([get(target) for target in targets], "1")
    assert {t: rendered(a) for t, a in zip(targets, ours, strict=True)} == {
        t: rendered(a) for t, a in zip(targets, nginxs, strict=True)
    }
