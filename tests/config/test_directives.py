"""What single directives refuse and warn of, beside nginx: both are asked, and say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cases import http, location
from .oracle import nginx_verdict, sniproxy_verdict

MAPS = [
    http(inside)
    for inside in (
        "map a b {}",
        "map $host $x { a; }",
        "map $host $x { a 1 2; }",
        "map $host $x { a { } }",
        "map $host $x { a 1; A 2; }",
        "map $host $x { default 1; default 2; }",
        "map $host $x { hostnames; *.a 1; .a 2; }",
        "map $host $x { hostnames; .a 1; a 2; }",
        "map $host $x { hostnames; a* 1; }",
        "map $host $x { hostnames; a..b 1; }",
        "map $host $x { hostnames; *.a 1; a 2; a.* 3; }",
        "map $host $x { *.a 1; .a 2; a* 3; }",
        "map $host $x { ~a $nosuch; }",
        "map $host $x { ~(?<who>a) $who; }",
        "map $nosuch $x { }",
        "map $host $x { a $; }",
        "map $host $x { include nosuch; }",
        "map $host $x { include a b; }",
        "map $host $x {",
        "map $host $x { volatile; hostnames; }",
        "map $host $x { volatile 1 2; }",
        "map_hash_max_size a;",
        "map_hash_bucket_size 64; map_hash_bucket_size 64;",
        "geo $x { 10.0.0.0/8 a; 10.0.0.0/8 b; }",
        "geo $x { 10.0.0.1/8 a; }",
        "geo $x { 10.0.0.0/33 a; }",
        "geo $x { ::1/129 a; }",
        "geo $x { ::1/64 a; 2001:db8::/32 b; }",
        "geo $x { nonsense a; }",
        "geo $x { 10.0.0.1; }",
        "geo $x { delete 10.0.0.1; }",
        "geo $x { default a; default b; }",
        "geo $x { 10.0.0.1 a; ranges; }",
        "geo $x { ranges; 10.0.0.1-10.0.0.0 a; }",
        "geo $x { ranges; 10.0.0.1 a; }",
        "geo $x { ranges; ::1-::2 a; }",
        "geo $x { ranges; default a; default b; }",
        "geo $x { ranges; 10.0.0.0-10.0.0.1 a; 10.0.0.0-10.0.0.1 b; }",
        "geo $x { ranges; delete 10.0.0.0-10.0.0.1; }",
        "geo $x { proxy nonsense; }",
        "geo $x { proxy 10.0.0.1/8; }",
        "geo x { }",
        "geo $host x { }",
        "geo $nosuch $x { }",
        "geo $x { 255.255.255.255 a; }",
        "split_clients $host $x { 10% a; 95% b; }",
        "split_clients $host $x { 10% a; * b; 5% c; }",
        "split_clients $host $x { 0% a; }",
        "split_clients $host $x { 10 a; }",
        "split_clients $host $x { 1.234% a; }",
        "split_clients $host $x { 1.2% a; .5% b; 5.% c; }",
        "split_clients $host $x { % a; }",
        "split_clients $host $x { include a; }",
        "split_clients $host x { }",
    )
]

HEADERS = [
    location(inside)
    for inside in (
        "expires;",
        "expires a b c;",
        "expires x;",
        "expires x 1;",
        "expires 1; expires 2;",
        "expires @25h;",
        "expires modified @1h;",
        "expires modified max;",
        "expires modified -1d;",
        "expires $nosuch;",
        "expires +1h30m;",
        'expires "";',
        "add_header a;",
        "add_header a b c;",
        "add_header a b always; add_header a b always;",
        "add_header a $;",
        "add_header a $nosuch;",
        "add_header a b Always;",
        "add_trailer a b c;",
        "add_header_inherit yes;",
        "add_header_inherit merge; add_header_inherit on;",
        "add_trailer_inherit MERGE;",
        "chunked_transfer_encoding yes;",
        "if ($host) { expires 1; add_header a b; add_trailer a b; add_header_inherit off; }",
    )
]

ACCESS = [
    location(inside)
    for inside in (
        "allow;",
        "allow nonsense;",
        "allow 10.0.0.1/8;",
        "deny 10.0.0.0/33;",
        "deny ::1/64;",
        "deny unix:x;",
        "allow all; deny all; allow unix:;",
        "satisfy some;",
        "satisfy ANY;",
        "satisfy any; satisfy all;",
        "auth_basic a; auth_basic b;",
        "auth_basic $;",
        "auth_basic $nosuch;",
        "auth_basic_user_file a; auth_basic_user_file b;",
        "auth_delay x;",
        "auth_request a b;",
        "auth_request /a; auth_request /b;",
        "auth_request_set a b;",
        "auth_request_set $a;",
        "auth_request_set $a $a;",
        "auth_request_set $a $nosuch;",
        "limit_except NONE { deny all; }",
        "limit_except { }",
        "limit_except GET { satisfy any; }",
        "limit_except GET { proxy_pass http://127.0.0.1/x; }",
        "limit_except GET { deny all; } limit_except POST { }",
        "limit_except get post { deny all; auth_basic x; access_log off; }",
        "limit_except GET;",
        "if ($host) { deny all; }",
    )
]


@pytest.mark.nginx
@pytest.mark.parametrize("text", [*MAPS, *HEADERS, *ACCESS])
def test_both_say_the_same(tmp_path: Path, text: str) -> None:
    raw = text.encode("latin-1")
    assert sniproxy_verdict(tmp_path, raw) == nginx_verdict(tmp_path, raw)
