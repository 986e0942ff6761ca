"""Errors and warnings of single directives: each row is proved on nginx, then on sniproxy.

A row is a directive and nginx's message; "" means that it is accepted.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sniproxy.variables.connections import STATUS_VARIABLES
from sniproxy.variables.registry import RESERVED, VARIABLES

from .cases import http, location
from .oracle import Verdict, nginx_verdict, sniproxy_verdict

MAPS = {
    "map a b {}": 'invalid variable name "b"',
    "map $host $x { a; }": "invalid number of the map parameters",
    "map $host $x { a 1 2; }": "invalid number of the map parameters",
    "map $host $x { a { } }": 'unexpected "{"',
    "map $host $x { a 1; A 2; }": 'conflicting parameter "a"',
    "map $host $x { default 1; default 2; }": "duplicate default map parameter",
    "map $host $x { hostnames; *.a 1; .a 2; }": 'conflicting parameter ".a"',
    "map $host $x { hostnames; .a 1; a 2; }": 'conflicting parameter "a"',
    "map $host $x { hostnames; a* 1; }": 'invalid hostname or wildcard "a*"',
    "map $host $x { hostnames; a..b 1; }": 'invalid hostname or wildcard "a..b"',
    "map $host $x { hostnames; *.a 1; a 2; a.* 3; }": "",
    "map $host $x { *.a 1; .a 2; a* 3; }": "",
    "map $host $x { ~a $nosuch; }": 'unknown "nosuch" variable',
    "map $host $x { ~(?<who>a) $who; }": "",
    "map $nosuch $x { }": 'unknown "nosuch" variable',
    "map $host $x { a $; }": "invalid variable name",
    "map $host $x { include nosuch; }": (
        'open() "FOLDER/nosuch" failed (2: No such file or directory)'
    ),
    "map $host $x { include a b; }": "invalid number of the map parameters",
    "map $host $x {": 'unexpected end of file, expecting "}"',
    "map $host $x { volatile; hostnames; }": "",
    "map $host $x { volatile 1 2; }": "invalid number of the map parameters",
    "map_hash_max_size a;": '"map_hash_max_size" directive invalid number',
    "map_hash_bucket_size 64; map_hash_bucket_size 64;": (
        '"map_hash_bucket_size" directive is duplicate'
    ),
    "geo $x { 10.0.0.0/8 a; 10.0.0.0/8 b; }": (
        'warn: duplicate network "10.0.0.0/8", value: "b", old value: "a"'
    ),
    "geo $x { 10.0.0.1/8 a; }": "warn: low address bits of 10.0.0.1/8 are meaningless",
    "geo $x { 10.0.0.0/33 a; }": 'invalid network "10.0.0.0/33"',
    "geo $x { ::1/129 a; }": 'invalid network "::1/129"',
    "geo $x { ::1/64 a; 2001:db8::/32 b; }": "warn: low address bits of ::1/64 are meaningless",
    "geo $x { nonsense a; }": 'invalid network "nonsense"',
    "geo $x { 10.0.0.1; }": "invalid number of the geo parameters",
    "geo $x { delete 10.0.0.1; }": 'warn: no network "10.0.0.1" to delete',
    "geo $x { default a; default b; }": (
        'warn: duplicate network "default", value: "b", old value: "a"; warn: duplicate '
        'network "default", value: "b", old value: "a"'
    ),
    "geo $x { 10.0.0.1 a; ranges; }": (
        'the "ranges" directive must be the first directive inside "geo" block'
    ),
    "geo $x { ranges; 10.0.0.1-10.0.0.0 a; }": 'invalid range "10.0.0.1-10.0.0.0"',
    "geo $x { ranges; 10.0.0.1 a; }": 'invalid range "10.0.0.1"',
    "geo $x { ranges; ::1-::2 a; }": 'invalid range "::1-::2"',
    "geo $x { ranges; default a; default b; }": (
        'warn: duplicate default geo range value: "b", old value: "a"'
    ),
    "geo $x { ranges; 10.0.0.0-10.0.0.1 a; 10.0.0.0-10.0.0.1 b; }": (
        'warn: duplicate range "10.0.0.0-10.0.0.1", value: "b", old value: "a"'
    ),
    "geo $x { ranges; delete 10.0.0.0-10.0.0.1; }": (
        'warn: no address range "10.0.0.0-10.0.0.1" to delete'
    ),
    "geo $x { proxy nonsense; }": 'invalid network "nonsense"',
    "geo $x { proxy 10.0.0.1/8; }": "warn: low address bits of 10.0.0.1/8 are meaningless",
    "geo x { }": 'invalid variable name "x"',
    "geo $host x { }": 'invalid variable name "x"',
    "geo $nosuch $x { }": 'unknown "nosuch" variable',
    "geo $x { 255.255.255.255 a; }": "",
    "split_clients $host $x { 10% a; 95% b; }": "percent total is greater than 100%",
    "split_clients $host $x { 10% a; * b; 5% c; }": "percent total is greater than 100%",
    "split_clients $host $x { 0% a; }": 'invalid percent value "0%"',
    "split_clients $host $x { 10 a; }": 'invalid percent value "10"',
    "split_clients $host $x { 1.234% a; }": 'invalid percent value "1.234%"',
    "split_clients $host $x { 1.2% a; .5% b; 5.% c; }": "",
    "split_clients $host $x { % a; }": 'invalid percent value "%"',
    "split_clients $host $x { include a; }": 'invalid percent value "include"',
    "split_clients $host x { }": 'invalid variable name "x"',
}

HEADERS = {
    "expires;": 'invalid number of arguments in "expires" directive',
    "expires a b c;": 'invalid number of arguments in "expires" directive',
    "expires x;": '"expires" directive invalid value',
    "expires x 1;": '"expires" directive invalid value',
    "expires 1; expires 2;": '"expires" directive is duplicate',
    "expires @25h;": '"expires" directive daily time value must be less than 24 hours',
    "expires modified @1h;": (
        '"expires" directive daily time cannot be used with "modified" parameter'
    ),
    "expires modified max;": '"expires" directive invalid value',
    "expires modified -1d;": "",
    "expires $nosuch;": 'unknown "nosuch" variable',
    "expires +1h30m;": "",
    'expires "";': '"expires" directive invalid value',
    "add_header a;": 'invalid number of arguments in "add_header" directive',
    "add_header a b c;": 'invalid parameter "c"',
    "add_header a b always; add_header a b always;": "",
    "add_header a $;": "invalid variable name",
    "add_header a $nosuch;": 'unknown "nosuch" variable',
    "add_header a b Always;": 'invalid parameter "Always"',
    "add_trailer a b c;": 'invalid parameter "c"',
    "add_header_inherit yes;": 'invalid value "yes"',
    "add_header_inherit merge; add_header_inherit on;": (
        '"add_header_inherit" directive is duplicate'
    ),
    "add_trailer_inherit MERGE;": "",
    "chunked_transfer_encoding yes;": (
        'invalid value "yes" in "chunked_transfer_encoding" directive, it must be "on" or "off"'
    ),
    "if ($host) { expires 1; add_header a b; add_trailer a b; add_header_inherit off; }": "",
}

ACCESS = {
    "allow;": 'invalid number of arguments in "allow" directive',
    "allow nonsense;": 'invalid parameter "nonsense"',
    "allow 10.0.0.1/8;": "warn: low address bits of 10.0.0.1/8 are meaningless",
    "deny 10.0.0.0/33;": 'invalid parameter "10.0.0.0/33"',
    "deny ::1/64;": "warn: low address bits of ::1/64 are meaningless",
    "deny unix:x;": 'invalid parameter "unix:x"',
    "allow all; deny all; allow unix:;": "",
    "satisfy some;": 'invalid value "some"',
    "satisfy ANY;": "",
    "satisfy any; satisfy all;": '"satisfy" directive is duplicate',
    "auth_basic a; auth_basic b;": '"auth_basic" directive is duplicate',
    "auth_basic $;": "invalid variable name",
    "auth_basic $nosuch;": 'unknown "nosuch" variable',
    "auth_basic_user_file a; auth_basic_user_file b;": (
        '"auth_basic_user_file" directive is duplicate'
    ),
    "auth_delay x;": '"auth_delay" directive invalid value',
    "auth_request a b;": 'invalid number of arguments in "auth_request" directive',
    "auth_request /a; auth_request /b;": '"auth_request" directive is duplicate',
    "auth_request_set a b;": 'invalid variable name "a"',
    "auth_request_set $a;": 'invalid number of arguments in "auth_request_set" directive',
    "auth_request_set $a $a;": "",
    "auth_request_set $a $nosuch;": 'unknown "nosuch" variable',
    "limit_except NONE { deny all; }": 'invalid method "NONE"',
    "limit_except { }": 'invalid number of arguments in "limit_except" directive',
    "limit_except GET { satisfy any; }": '"satisfy" directive is not allowed here',
    "limit_except GET { proxy_pass http://127.0.0.1/x; }": (
        '"proxy_pass" cannot have URI part in location given by regular expression, or '
        'inside named location, or inside "if" statement, or inside "limit_except" block'
    ),
    "limit_except GET { deny all; } limit_except POST { }": '"limit_except" directive is duplicate',
    "limit_except get post { deny all; auth_basic x; access_log off; }": "",
    "limit_except GET;": 'directive "limit_except" has no opening "{"',
    "if ($host) { deny all; }": '"deny" directive is not allowed here',
}

LIMITS = {
    "client_body_in_file_only yes;": 'invalid value "yes"',
    "client_body_in_file_only CLEAN;": "",
    "client_body_temp_path a x;": '"client_body_temp_path" directive invalid value',
    "client_body_temp_path a 1 2 3 4;": (
        'invalid number of arguments in "client_body_temp_path" directive'
    ),
    "client_body_temp_path a 1 2 3;": "",
    "client_body_temp_path a 0;": '"client_body_temp_path" directive invalid value',
    "keepalive_time x;": '"keepalive_time" directive invalid value',
    "keepalive_disable chrome;": 'invalid value "chrome"',
    "keepalive_disable none msie6;": "",
    "keepalive_disable msie6; keepalive_disable safari;": "",
    "keepalive_disable a b c;": 'invalid number of arguments in "keepalive_disable" directive',
    "reset_timedout_connection yes;": (
        'invalid value "yes" in "reset_timedout_connection" directive, it must be "on" or "off"'
    ),
    "max_headers 1;": '"max_headers" directive is not allowed here',
    "log_subrequest yes;": (
        'invalid value "yes" in "log_subrequest" directive, it must be "on" or "off"'
    ),
    "lingering_close maybe;": 'invalid value "maybe"',
}
HTTP_LIMITS = {
    "max_headers x;": '"max_headers" directive invalid number',
    "max_headers 1; max_headers 2;": '"max_headers" directive is duplicate',
}

CACHE = {
    "proxy_cache off; proxy_cache off;": '"proxy_cache" directive is duplicate',
    "proxy_cache $;": "invalid variable name",
    "proxy_cache $nosuch;": 'unknown "nosuch" variable',
    "proxy_cache nosuch;": '"proxy_cache" zone "nosuch" is unknown',
    'proxy_cache "";': '"proxy_cache" zone "" is unknown',
    "proxy_cache a b;": 'invalid number of arguments in "proxy_cache" directive',
    "proxy_cache a; proxy_store on;": (
        '"proxy_store" directive is incompatible with "proxy_cache"'
    ),
    "proxy_store on; proxy_cache a;": (
        '"proxy_cache" directive is incompatible with "proxy_store"'
    ),
    "proxy_cache off; proxy_store on;": "",
    "proxy_store off; proxy_store off;": '"proxy_store" directive is duplicate',
    'proxy_store "";': "empty path",
    "proxy_store $;": "invalid variable name",
    "proxy_store /data$nosuch;": 'unknown "nosuch" variable',
    "proxy_store_access foo;": 'invalid value "foo"',
    "proxy_store_access user:x;": 'invalid value "user:x"',
    "proxy_store_access USER:rw;": 'invalid value "USER:rw"',
    "proxy_store_access user: ;": 'invalid value "user:"',
    "proxy_store_access user:rw group:r all:r; proxy_store_access user:r;": (
        '"proxy_store_access" directive is duplicate'
    ),
    "proxy_store_access group:rw all:r;": "",
    "proxy_cache_valid x;": 'invalid time value "x"',
    "proxy_cache_valid 1ms;": 'invalid time value "1ms"',
    "proxy_cache_valid 99 1m;": 'invalid status "99"',
    "proxy_cache_valid any 200 600 1m;": 'invalid status "600"',
    "proxy_cache_valid x 1x;": 'invalid time value "1x"',
    "proxy_cache_valid ANY 1m;": 'invalid status "ANY"',
    "proxy_cache_valid 1M; proxy_cache_valid 404 301 1s; proxy_cache_valid any 0;": "",
    "proxy_cache_key a; proxy_cache_key b;": '"proxy_cache_key" directive is duplicate',
    'proxy_cache_key ""; proxy_cache_key b;': '"proxy_cache_key" directive is duplicate',
    "proxy_cache_key $nosuch;": 'unknown "nosuch" variable',
    "proxy_cache_methods PUT;": 'invalid value "PUT"',
    "proxy_cache_methods get Post POST;": 'warn: duplicate value "POST"',
    "proxy_cache_methods POST; proxy_cache_methods GET;": "",
    "proxy_cache_use_stale foo;": 'invalid value "foo"',
    "proxy_cache_use_stale denied;": 'invalid value "denied"',
    "proxy_cache_use_stale error updating non_idempotent off;": "",
    "proxy_cache_use_stale error; proxy_cache_use_stale Error;": 'warn: duplicate value "Error"',
    "proxy_cache_min_uses x;": '"proxy_cache_min_uses" directive invalid number',
    "proxy_cache_max_range_offset x;": '"proxy_cache_max_range_offset" directive invalid value',
    "proxy_cache_max_range_offset 1g;": "",
    "proxy_cache_bypass $nosuch;": 'unknown "nosuch" variable',
    "proxy_cache_bypass $;": "invalid variable name",
    "proxy_cache_bypass a $host; proxy_cache_bypass b;": "",
    "proxy_no_cache;": 'invalid number of arguments in "proxy_no_cache" directive',
    "proxy_no_cache a; proxy_no_cache b;": "",
    "proxy_cache_lock maybe;": (
        'invalid value "maybe" in "proxy_cache_lock" directive, it must be "on" or "off"'
    ),
    "proxy_cache_lock_timeout x;": '"proxy_cache_lock_timeout" directive invalid value',
    "proxy_cache_lock_age 1ms;": "",
    "proxy_cache_revalidate on; proxy_cache_revalidate on;": (
        '"proxy_cache_revalidate" directive is duplicate'
    ),
}
GZIP = {
    "gzip_window 3k;": ('"gzip_window" directive must be 512, 1k, 2k, 4k, 8k, 16k, or 32k'),
    "gzip_window 256;": '"gzip_window" directive must be 512, 1k, 2k, 4k, 8k, 16k, or 32k',
    "gzip_window x;": '"gzip_window" directive invalid value',
    "gzip_window 32k; gzip_hash 512;": "",
    "gzip_hash 256k;": (
        '"gzip_hash" directive must be 512, 1k, 2k, 4k, 8k, 16k, 32k, 64k, or 128k'
    ),
    "gzip_types text/html Text/CSS text/css; gzip_types text/css * a a;": (
        'warn: duplicate MIME type "text/html"; warn: duplicate MIME type "text/css"; '
        'warn: duplicate MIME type "text/css"'
    ),
    "gzip_types *; gzip_types a a text/html;": "",
    "gzip_disable msie6 a; gzip_disable b;": "",
    "gzip_comp_level 0;": "value must be between 1 and 9",
    "gzip_proxied off any; gzip_proxied any;": 'warn: duplicate value "any"',
    "gzip_proxied maybe;": 'invalid value "maybe"',
    "gzip_http_version 2;": 'invalid value "2"',
    "if ($host) { gzip on; }": "",
    "if ($host) { gzip_vary on; }": '"gzip_vary" directive is not allowed here',
    "gzip on; gzip off;": '"gzip" directive is duplicate',
}
LONG = "a" * 47


def numbered(count: int) -> str:
    return " ".join(f"a{number}.example.com" for number in range(count))


HASHES = {
    f"SERVER {{ server_name {LONG}; }}": "",
    f"SERVER {{ server_name {LONG}; }} SERVER {{ server_name b; }}": (
        "could not build server_names_hash, you should increase server_names_hash_bucket_size: 64"
    ),
    f"SERVER {{ server_name {LONG[1:]}; }} SERVER {{ server_name b *.a.c; }}": "",
    f"SERVER {{ server_name *.{LONG}.c; }} SERVER {{ server_name b; }}": (
        "could not build server_names_hash, you should increase server_names_hash_bucket_size: 64"
    ),
    f"SERVER {{ server_name {LONG}.*; }} SERVER {{ server_name b; }}": (
        "could not build server_names_hash, you should increase server_names_hash_bucket_size: 64"
    ),
    f"SERVER {{ server_name .{LONG[1:]}; }} SERVER {{ server_name *.{'a.' * 40}b; }}": "",
    f"server_names_hash_bucket_size 65; SERVER {{ server_name {LONG}{LONG}; }} SERVER {{ }}": "",
    f"server_names_hash_bucket_size 32; SERVER {{ server_name {LONG[1:]}; }} SERVER {{ }}": "",
    f"SERVER {{ server_name {numbered(1500)}; }} SERVER {{ }}": (
        "warn: could not build optimal server_names_hash, you should increase either "
        "server_names_hash_max_size: 512 or server_names_hash_bucket_size: 64; ignoring "
        "server_names_hash_bucket_size"
    ),
    f"SERVER {{ server_name {numbered(300)}; }} SERVER {{ }}": (
        "warn: could not build optimal server_names_hash, you should increase either "
        "server_names_hash_max_size: 512 or server_names_hash_bucket_size: 64; ignoring "
        "server_names_hash_bucket_size"
    ),
    f"SERVER {{ server_name {numbered(60)}; }} SERVER {{ }}": "",
    f"map $host $x {{ {LONG} 1; }}": (
        "could not build map_hash, you should increase map_hash_bucket_size: 64"
    ),
    f"map $host $x {{ {LONG[1:]} 1; }}": "",
    f"map_hash_bucket_size 128; map $host $x {{ {LONG} 1; ~{LONG * 3} 2; }}": "",
    "map $host $x { a 1; } map_hash_bucket_size 128;": (
        '"map_hash_bucket_size" directive is duplicate'
    ),
    f"map_hash_max_size 1; map $host $x {{ {' '.join(f'a{i}.test 1;' for i in range(20))} }}": (
        "warn: could not build optimal map_hash, you should increase either map_hash_max_size: 1 "
        "or map_hash_bucket_size: 64; ignoring map_hash_bucket_size"
    ),
}
HTTP_CACHE = {
    "proxy_cache_path c;": 'invalid number of arguments in "proxy_cache_path" directive',
    "proxy_cache_path c levels=1;": '"proxy_cache_path" must have "keys_zone" parameter',
    "proxy_cache_path c keys_zone=:1m;": '"proxy_cache_path" must have "keys_zone" parameter',
    "proxy_cache_path c keys_zone=a;": 'invalid keys zone size "keys_zone=a"',
    "proxy_cache_path c keys_zone=a:x;": 'invalid keys zone size "keys_zone=a:x"',
    "proxy_cache_path c keys_zone=a:8191;": 'keys zone "keys_zone=a:8191" is too small',
    "proxy_cache_path FOLDER/c keys_zone=a:64k;": "",
    "proxy_cache_path c keys_zone=a:1m levels=3;": 'invalid "levels" "levels=3"',
    "proxy_cache_path c keys_zone=a:1m levels=1:2:;": 'invalid "levels" "levels=1:2:"',
    "proxy_cache_path c keys_zone=a:1m levels=1:1:1:1;": 'invalid "levels" "levels=1:1:1:1"',
    "proxy_cache_path FOLDER/c levels= keys_zone=a:1m;": "",
    "proxy_cache_path FOLDER/c levels=2:2:2 keys_zone=a:1m;": "",
    "proxy_cache_path c keys_zone=a:1m nonsense;": 'invalid parameter "nonsense"',
    "proxy_cache_path c keys_zone=a:1m purger=on;": 'invalid parameter "purger=on"',
    "proxy_cache_path c keys_zone=a:1m use_temp_path=x;": (
        'invalid use_temp_path value "use_temp_path=x", it must be "on" or "off"'
    ),
    **{
        f"proxy_cache_path c keys_zone=a:1m {name}={text};": f'invalid {name} value "{name}={text}"'
        for name, text in (
            ("inactive", "1ms"),
            ("max_size", "-1"),
            ("max_size", ""),
            ("min_free", "x"),
            ("loader_files", "x"),
            ("loader_sleep", "1y"),
            ("loader_threshold", "x"),
            ("manager_files", ""),
            ("manager_sleep", "x"),
            ("manager_threshold", "x"),
        )
    },
    "proxy_cache_path FOLDER/c keys_zone=a:1m inactive=1y max_size=1g min_free=1k "
    "loader_files=1 loader_sleep=1ms loader_threshold=1s manager_files=0 manager_sleep=0 "
    "manager_threshold=1 use_temp_path=off;": "",
    "proxy_cache_path FOLDER/c keys_zone=a:1m; proxy_cache_path FOLDER/d keys_zone=a:1m;": (
        'duplicate zone "a"'
    ),
    "proxy_cache_path FOLDER/c keys_zone=a:1m; proxy_cache_path FOLDER/d keys_zone=a:2m;": (
        'the size 2097152 of shared memory zone "a" conflicts with already declared size 1048576'
    ),
    "proxy_cache_path FOLDER/c/ keys_zone=a:1m; proxy_cache_path FOLDER/c/ keys_zone=b:1m;": (
        'the same path name "FOLDER/c" used in FILE:4 and'
    ),
    "proxy_cache_path c keys_zone=a:1m; proxy_cache_path c/ keys_zone=b:1m;": (
        'the same path name "FOLDER/c" used in FILE:4 and'
    ),
    "proxy_cache_path FOLDER/c keys_zone=a:1m; proxy_cache_path FOLDER/c/ keys_zone=b:1m;": "",
    "proxy_cache_path FOLDER/c keys_zone=a:1m; proxy_temp_path FOLDER/c;": (
        'the same path name "FOLDER/c" used in FILE:4 and'
    ),
    "proxy_temp_path FOLDER/c 1; client_body_temp_path FOLDER/c 1 2;": (
        'the same path name "FOLDER/c" in FILE:4 has the different levels than'
    ),
    "proxy_temp_path FOLDER/c 1; client_body_temp_path FOLDER/c 1;": "",
    "upstream u { zone a 64k; server 127.0.0.1; } proxy_cache_path c keys_zone=a:1m;": (
        'the shared memory zone "a" is already declared for a different use'
    ),
    "ssl_session_cache shared:a:1m; SERVER { location / { proxy_cache a; } }": (
        'the shared memory zone "a" is already declared for a different use'
    ),
    "proxy_cache_path FOLDER/c keys_zone=a:1m; SERVER { proxy_cache a; }": "",
    "SERVER { proxy_cache a; } proxy_cache_path FOLDER/c keys_zone=a:1m;": "",
    "proxy_cache nosuch; SERVER { proxy_cache off; }": 'zero size shared memory zone "nosuch"',
    "proxy_cache nosuch; SERVER { proxy_store on; }": 'zero size shared memory zone "nosuch"',
    "proxy_cache nosuch; SERVER { }": '"proxy_cache" zone "nosuch" is unknown',
    "upstream u { zone a; server 127.0.0.1; }": 'zero size shared memory zone "a"',
    "upstream u { zone a; server 127.0.0.1; } upstream v { zone a 64k; server 127.0.0.1; }": "",
    "ssl_session_cache shared:a:1m; SERVER { ssl_session_cache shared:a:2m; }": (
        'the size 2097152 of shared memory zone "a" conflicts with already declared size 1048576'
    ),
    "ssl_protocols TLSv1.2 TLSv1.2;": 'warn: duplicate value "TLSv1.2"',
    "proxy_ignore_headers Vary; proxy_ignore_headers vary;": 'warn: duplicate value "vary"',
}

LOGS = {
    "access_log a combined buffer=0;": 'invalid buffer size "0"',
    "access_log a combined buffer=x;": 'invalid buffer size "x"',
    "access_log a combined flush=1s;": 'no buffer is defined for access_log "a"',
    "access_log a combined flush=0 buffer=1k;": 'invalid flush time "0"',
    "access_log a combined buffer=1k flush=x;": 'invalid flush time "x"',
    "access_log a combined gzip=0;": 'invalid compression level "0"',
    "access_log a combined gzip=10;": 'invalid compression level "10"',
    "access_log a combined gzip=;": 'invalid compression level ""',
    "access_log a combined gzipx;": 'invalid parameter "gzipx"',
    "access_log a combined gzip flush=1m;": "",
    "access_log a combined buffer=1k gzip=9;": "",
    "access_log $host combined buffer=1k;": "buffered logs cannot have variables in name",
    "access_log $host combined gzip;": "buffered logs cannot have variables in name",
    "access_log $nosuch;": 'unknown "nosuch" variable',
    "access_log a$;": "invalid variable name",
    "access_log a combined if=$nosuch;": 'unknown "nosuch" variable',
    "access_log a nosuch;": 'unknown log format "nosuch"',
    "access_log a COMBINED;": "",
    "access_log a combined combined;": 'invalid parameter "combined"',
    "access_log off a;": 'invalid parameter "a"',
    "access_log;": 'invalid number of arguments in "access_log" directive',
    "access_log syslog:;": 'unknown syslog parameter ""',
    "access_log syslog:server=127.0.0.1 combined;": "",
    "access_log syslog:server=127.0.0.1,server=127.0.0.2;": 'duplicate syslog "server"',
    "access_log syslog:server=127.0.0.1,facility=x;": 'unknown syslog facility "x"',
    "access_log syslog:server=127.0.0.1,facility=mail,facility=mail;": (
        'duplicate syslog "facility"'
    ),
    "access_log syslog:server=127.0.0.1,severity=err;": 'unknown syslog severity "err"',
    "access_log syslog:server=127.0.0.1,severity=error;": "",
    "access_log syslog:server=127.0.0.1,tag=a-b;": (
        'syslog "tag" only allows alphanumeric characters and underscore'
    ),
    "access_log syslog:server=127.0.0.1,tag=a_B1;": "",
    f"access_log syslog:server=127.0.0.1,tag={'x' * 33};": "syslog tag length exceeds 32",
    "access_log syslog:server=127.0.0.1,nohostname;": "",
    "access_log syslog:server=127.0.0.1,nohost;": 'unknown syslog parameter "nohost"',
    "access_log syslog:server=127.0.0.1,;": 'unknown syslog parameter ""',
    "access_log syslog:server=127.0.0.1:x;": 'invalid port in syslog server "127.0.0.1:x"',
    "access_log syslog:server=127.0.0.1:70000;": 'invalid port in syslog server "127.0.0.1:70000"',
    "access_log syslog:server=unix:;": 'no path in the unix domain socket in syslog server "unix:"',
    "access_log syslog:server=[::1]:1;": "",
    "access_log syslog:server=127.0.0.1 combined buffer=1k;": "logs to syslog cannot be buffered",
    "access_log syslog:server=127.0.0.1 combined if=$host;": "",
    "error_log syslog:server=127.0.0.1,tag=a error;": "",
    "error_log syslog:tag=a error;": "no syslog server specified",
    "error_log syslog:server=127.0.0.1 nosuch;": 'invalid log level "nosuch"',
    "log_format a escape=x b;": 'unknown log format escaping "x"',
    "log_format a escape=json;": "",
    "log_format a b; log_format a c;": 'duplicate "log_format" name "a"',
    "open_log_file_cache max=1;": "",
}

FIXED = sorted(
    (RESERVED | {variable.name for variable in VARIABLES if not variable.changeable})
    - STATUS_VARIABLES  # the wheel's nginx lacks that module
    - {"slice_range"}  # and that one
)
DEFINITIONS = {
    "map $host $uri { }": 'the duplicate "uri" variable',
    "geo $status { }": 'the duplicate "status" variable',
    "split_clients $host $request_id { }": 'the duplicate "request_id" variable',
    "server { auth_request_set $host x; }": 'the duplicate "host" variable',
}
CHANGEABLE = ("args", "http_x", "sent_http_x", "arg_x", "upstream_http_x", "x")

CASES = [
    *(
        (http(text.replace("SERVER {", "server { listen 127.0.0.1:18080;")), expected)
        for text, expected in (MAPS | HTTP_LIMITS | LOGS | HTTP_CACHE | HASHES).items()
    ),
    *(
        (location(text), expected)
        for text, expected in (HEADERS | ACCESS | LIMITS | CACHE | GZIP).items()
    ),
    *((http(text), expected) for text, expected in DEFINITIONS.items()),
    *((location(f"set ${name} x;"), f'the duplicate "{name}" variable') for name in FIXED),
    *((location(f"set ${name} x;"), "") for name in CHANGEABLE),
]


def summary(verdict: Verdict, folder: Path) -> str:
    """The error, or the warnings behind `warn: `, without line, or ""."""
    if verdict.error is not None:
        texts = [verdict.error]
    else:
        texts = [f"warn: {warning}" for warning in verdict.warnings]
    message = "; ".join([re.sub(r" in FILE(:\d+)?$", "", text) for text in texts])
    return message.replace(str(folder), "FOLDER")


@pytest.mark.nginx
@pytest.mark.parametrize(("text", "expected"), CASES)
def test_nginx_gives_the_same_verdict(tmp_path: Path, text: str, expected: str) -> None:
    raw = text.replace("FOLDER", str(tmp_path)).encode("latin-1")
    nginx = nginx_verdict(tmp_path, raw)
    assert summary(nginx, tmp_path) == expected
    assert sniproxy_verdict(tmp_path, raw) == nginx
