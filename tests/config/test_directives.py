"""What single directives refuse and warn of, beside nginx: both are asked, and say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from sniproxy.variables.registry import _RESERVED, VARIABLES

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

LIMITS = [
    location(inside)
    for inside in (
        "client_body_in_file_only yes;",
        "client_body_in_file_only CLEAN;",
        "client_body_temp_path a x;",
        "client_body_temp_path a 1 2 3 4;",
        "client_body_temp_path a 1 2 3;",
        "client_body_temp_path a 0;",
        "keepalive_time x;",
        "keepalive_disable chrome;",
        "keepalive_disable none msie6;",
        "keepalive_disable msie6; keepalive_disable safari;",
        "keepalive_disable a b c;",
        "reset_timedout_connection yes;",
        "max_headers 1;",
        "log_subrequest yes;",
        "lingering_close maybe;",
    )
] + [http(f"{inside}") for inside in ("max_headers x;", "max_headers 1; max_headers 2;")]

LOGS = [
    http(inside)
    for inside in (
        "access_log a combined buffer=0;",
        "access_log a combined buffer=x;",
        "access_log a combined flush=1s;",
        "access_log a combined flush=0 buffer=1k;",
        "access_log a combined buffer=1k flush=x;",
        "access_log a combined gzip=0;",
        "access_log a combined gzip=10;",
        "access_log a combined gzip=;",
        "access_log a combined gzipx;",
        "access_log a combined gzip flush=1m;",
        "access_log a combined buffer=1k gzip=9;",
        "access_log $host combined buffer=1k;",
        "access_log $host combined gzip;",
        "access_log $nosuch;",
        "access_log a$;",
        "access_log a combined if=$nosuch;",
        "access_log a nosuch;",
        "access_log a COMBINED;",
        "access_log a combined combined;",
        "access_log off a;",
        "access_log;",
        "access_log syslog:;",
        "access_log syslog:server=127.0.0.1 combined;",
        "access_log syslog:server=127.0.0.1,server=127.0.0.2;",
        "access_log syslog:server=127.0.0.1,facility=x;",
        "access_log syslog:server=127.0.0.1,facility=mail,facility=mail;",
        "access_log syslog:server=127.0.0.1,severity=err;",
        "access_log syslog:server=127.0.0.1,severity=error;",
        "access_log syslog:server=127.0.0.1,tag=a-b;",
        "access_log syslog:server=127.0.0.1,tag=a_B1;",
        f"access_log syslog:server=127.0.0.1,tag={'x' * 33};",
        "access_log syslog:server=127.0.0.1,nohostname;",
        "access_log syslog:server=127.0.0.1,nohost;",
        "access_log syslog:server=127.0.0.1,;",
        "access_log syslog:server=127.0.0.1:x;",
        "access_log syslog:server=127.0.0.1:70000;",
        "access_log syslog:server=unix:;",
        "access_log syslog:server=[::1]:1;",
        "access_log syslog:server=127.0.0.1 combined buffer=1k;",
        "access_log syslog:server=127.0.0.1 combined if=$host;",
        "error_log syslog:server=127.0.0.1,tag=a error;",
        "error_log syslog:tag=a error;",
        "error_log syslog:server=127.0.0.1 nosuch;",
        "log_format a escape=x b;",
        "log_format a escape=json;",
        "log_format a b; log_format a c;",
        "open_log_file_cache max=1;",
    )
]

FIXED = sorted(_RESERVED | {variable.name for variable in VARIABLES if not variable.changeable})
DEFINITIONS = [
    location(f"set ${name} x;")
    for name in (*FIXED, "args", "http_x", "sent_http_x", "arg_x", "upstream_http_x", "x")
] + [
    http(inside)
    for inside in (
        "map $host $uri { }",
        "geo $status { }",
        "split_clients $host $request_id { }",
        "server { auth_request_set $host x; }",
    )
]


@pytest.mark.nginx
@pytest.mark.parametrize("text", [*MAPS, *HEADERS, *ACCESS, *LIMITS, *LOGS, *DEFINITIONS])
def test_nginx_gives_the_same_verdict(tmp_path: Path, text: str) -> None:
    raw = text.encode("latin-1")
    assert sniproxy_verdict(tmp_path, raw) == nginx_verdict(tmp_path, raw)
