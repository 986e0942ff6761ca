"""Errors of the directives of filters: each row is proved on nginx, then on sniproxy."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cases import http, location
from .oracle import nginx_verdict, sniproxy_verdict
from .test_directives import summary

CHARSETS = {
    "charset utf-8; charset utf-8;": '"charset" directive is duplicate',
    "charset $nosuch;": 'unknown "nosuch" variable',
    "charset $;": 'invalid variable name "$"',
    "charset off; source_charset off;": "",
    "charset off; source_charset $host;": "",
    "server { listen 127.0.0.1:18080; charset a; source_charset b; }": (
        'no "charset_map" between the charsets "b" and "a"'
    ),
    "charset a; server { listen 127.0.0.1:18080; source_charset off; }": (
        'no "charset_map" between the charsets "off" and "a"'
    ),
    "charset A; source_charset a;": "",
    "charset_map a b { } charset a; source_charset b;": "",
    "charset_map A b { } charset a; server { listen 127.0.0.1:18080; "
    "location / { source_charset b; } location /x { source_charset c; } }": (
        'no "charset_map" between the charsets "c" and "A"'
    ),
    "charset_map a A { }": '"charset_map" between the same charsets "a" and "A"',
    "charset_map utf-8 a { }": (
        '"charset_map" with "utf-8" charset should be given in the second column'
    ),
    "charset_map a b { } charset_map B A { }": 'duplicate "charset_map" between "B" and "A"',
    "charset_map a b { 80; }": "invalid parameters number",
    "charset_map a b { 80 81 82; }": "invalid parameters number",
    "charset_map a b { 80 { } }": 'unexpected "{"',
    "charset_map a b { include x; }": 'invalid value "include"',
    "charset_map a b { 100 80; }": 'invalid value "100"',
    "charset_map a b { 80 100; }": 'invalid value "100"',
    "charset_map a b { 0080 80; }": "",
    'charset_map a b { "" 80; }': 'invalid value ""',
    "charset_map a utf-8 { 80 D0; }": 'invalid value "D0"',
    "charset_map a utf-8 { 80 41; }": 'invalid value "41"',
    "charset_map a utf-8 { 80 D0B; }": 'invalid value "D0B"',
    "charset_map a utf-8 { 80 xyz; }": 'invalid value "xyz"',
    "charset_map a utf-8 { 80 D0B0; C1 E282AC; }": "",
    "charset_map a utf-8 { 80 F09F9880; }": 'invalid value "F09F9880"',
    "charset_map a utf-8 { 80 C180; }": 'invalid value "C180"',
    "charset_map a b;": 'directive "charset_map" has no opening "{"',
    "charset_types a; charset_types A;": 'warn: duplicate MIME type "a"',
    "override_charset x;": (
        'invalid value "x" in "override_charset" directive, it must be "on" or "off"'
    ),
}
SIGNED_LINKS = {
    "server { listen 127.0.0.1:18080; secure_link_secret a; secure_link b; }": (
        '"secure_link_secret" cannot be mixed with "secure_link" and "secure_link_md5"'
    ),
    "server { listen 127.0.0.1:18080; location / { secure_link_md5 a; secure_link_secret b; } }": (
        '"secure_link_secret" cannot be mixed with "secure_link" and "secure_link_md5"'
    ),
    "secure_link a; secure_link_secret b; server { listen 127.0.0.1:18080; }": "",
    "secure_link a; server { listen 127.0.0.1:18080; secure_link_secret b; "
    "location / { secure_link_md5 c; } }": "",
    'secure_link_secret ""; secure_link_secret b;': '"secure_link_secret" directive is duplicate',
    "secure_link a; secure_link b;": '"secure_link" directive is duplicate',
    "secure_link_md5 $nosuch;": 'unknown "nosuch" variable',
    "secure_link $;": "invalid variable name",
    "secure_link a b;": 'invalid number of arguments in "secure_link" directive',
}
MIRRORS = {
    "mirror off; mirror /a;": '"mirror" directive is duplicate',
    "mirror /a; mirror off;": '"mirror" directive is duplicate',
    "mirror off; mirror off;": '"mirror" directive is duplicate',
    "mirror /a; mirror /a; mirror a;": "",
    "mirror off; server { listen 127.0.0.1:18080; mirror /a; }": "",
    "mirror_request_body 1;": (
        'invalid value "1" in "mirror_request_body" directive, it must be "on" or "off"'
    ),
    "mirror_request_body on; mirror_request_body off;": (
        '"mirror_request_body" directive is duplicate'
    ),
    "server { listen 127.0.0.1:18080; location / { if ($host) { mirror /a; } } }": (
        '"mirror" directive is not allowed here'
    ),
}
REFERERS = {
    'valid_referers "";': 'invalid referer ""',
    "valid_referers ~;": 'empty regex in "~"',
    "valid_referers a..b;": 'invalid hostname or wildcard "a..b"',
    "valid_referers *a;": 'invalid hostname or wildcard "*a"',
    "valid_referers a A;": 'conflicting parameter "a"',
    "valid_referers .a a;": 'conflicting parameter "a"',
    "valid_referers *.a .a;": 'conflicting parameter ".a"',
    "valid_referers a/x a/y;": 'conflicting parameter "a"',
    "valid_referers none;": (
        'the "none" or "blocked" referers are specified in the "valid_referers" '
        "directive without any valid referer"
    ),
    "valid_referers none ~a;": (
        'the "none" or "blocked" referers are specified in the "valid_referers" '
        "directive without any valid referer"
    ),
    "valid_referers none server_names;": "",
    "valid_referers none blocked a;": "",
    "empty_gif; empty_gif;": "",
    "empty_gif a;": 'invalid number of arguments in "empty_gif" directive',
}
RATES = {
    "http2_chunk_size 0;": "the http2 chunk size cannot be zero",
    "http2_chunk_size 100m;": "",
    "http2_chunk_size x;": '"http2_chunk_size" directive invalid value',
    "http2_chunk_size 1; http2_chunk_size 2;": '"http2_chunk_size" directive is duplicate',
    "limit_rate x;": '"limit_rate" directive invalid value',
    "limit_rate_after 1g;": '"limit_rate_after" directive invalid value',
    "limit_rate 1k; limit_rate_after 1m;": "",
    "limit_rate $host; limit_rate_after $host;": "",
    "limit_rate 1; limit_rate 2;": '"limit_rate" directive is duplicate',
    "set $limit_rate 1k;": "",
    "limit_rate $nosuch;": 'unknown "nosuch" variable',
}

MODULES = {
    "modern_browser firefox 1;": 'unknown browser name "firefox"',
    "modern_browser msie 1x;": 'invalid browser version "1x"',
    "modern_browser msie 1..2; modern_browser msie 5; ancient_browser a b netscape4;": "",
    'modern_browser_value ""; ancient_browser_value $host;': "",
    "modern_browser_value a; modern_browser_value b;": "",
    "userid yes;": 'invalid value "yes"',
    "userid on; userid off;": '"userid" directive is duplicate',
    "userid_service -1;": '"userid_service" directive invalid number',
    "userid_service x;": '"userid_service" directive invalid number',
    "userid_expires soon;": '"userid_expires" directive invalid value',
    "userid_expires 100ms;": '"userid_expires" directive invalid value',
    "userid_expires max; userid_expires off;": '"userid_expires" directive is duplicate',
    "userid_mark ab;": (
        '"userid_mark" directive value must be "off" or a single letter, digit or "="'
    ),
    "userid_mark -;": (
        '"userid_mark" directive value must be "off" or a single letter, digit or "="'
    ),
    "userid_mark a; userid_mark b;": '"userid_mark" directive is duplicate',
    "userid_flags secure other;": 'invalid value "other"',
    "userid_flags secure secure;": 'warn: duplicate value "secure"',
    "userid_flags samesite=lax samesite=strict;": 'warn: duplicate value "samesite=strict"',
    "userid_domain none; userid_path /x; userid_p3p none; userid_name n;": "",
    "set $uid_reset 1; set $msie 2; set $modern_browser 3;": "",
    "set $uid_got 1;": 'the duplicate "uid_got" variable',
    "set $uid_set 1;": 'the duplicate "uid_set" variable',
    "disable_symlinks maybe;": 'invalid parameter "maybe"',
    "disable_symlinks from=/x;": (
        '"disable_symlinks" must have "off", "on" or "if_not_owner" parameter'
    ),
    "disable_symlinks on off;": 'duplicate parameters "on off"',
    "disable_symlinks off from=/x;": '"from=" cannot be used with "off" parameter',
    "disable_symlinks if_not_owner from=$host;": "",
    "disable_symlinks on from=$nosuch;": 'unknown "nosuch" variable',
    "disable_symlinks on; disable_symlinks off;": '"disable_symlinks" directive is duplicate',
}

INCLUDES = {
    "post_action /a; post_action /a;": '"post_action" directive is duplicate',
    "post_action a b;": 'invalid number of arguments in "post_action" directive',
    "post_action @none;": "",
    "ssi a;": 'invalid value "a" in "ssi" directive, it must be "on" or "off"',
    "ssi on; ssi on;": '"ssi" directive is duplicate',
    "ssi_silent_errors on; ssi_last_modified on; ssi_ignore_recycled_buffers on;": "",
    "ssi_value_length x;": '"ssi_value_length" directive invalid value',
    "ssi_value_length 1k; ssi_min_file_chunk 1k;": "",
    "ssi_min_file_chunk -1;": '"ssi_min_file_chunk" directive invalid value',
    "ssi_types a/b *;": "",
    "subrequest_output_buffer_size x;": '"subrequest_output_buffer_size" directive invalid value',
    "map $host $date_gmt { }": 'the duplicate "date_gmt" variable',
    "server { listen 127.0.0.1:18080; location / { if ($host) { ssi on; } } }": "",
    "server { listen 127.0.0.1:18080; location / { if ($host) { ssi_types a; } } }": (
        '"ssi_types" directive is not allowed here'
    ),
}
OF_HTTP = {**CHARSETS, **SIGNED_LINKS, **MIRRORS, **INCLUDES}
CASES = [(http(text), expected) for text, expected in OF_HTTP.items()] + [
    (location(text), expected) for text, expected in (REFERERS | RATES | MODULES).items()
]


@pytest.mark.nginx
@pytest.mark.parametrize(("text", "expected"), CASES)
def test_nginx_gives_the_same_verdict(tmp_path: Path, text: str, expected: str) -> None:
    nginx = nginx_verdict(tmp_path, text.encode())
    assert summary(nginx, tmp_path) == expected
    assert sniproxy_verdict(tmp_path, text.encode()) == nginx
