"""Errors of directives that the wheel's nginx lacks: each row is proved on the system's nginx."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .cases import http, location
from .oracle import nginx_verdict, sniproxy_verdict
from .test_directives import summary

SYSTEM = shutil.which("nginx")

TEXTS = {
    "sub_filter a;": 'invalid number of arguments in "sub_filter" directive',
    "sub_filter a b c;": 'invalid number of arguments in "sub_filter" directive',
    "sub_filter '' b;": "empty search pattern",
    "sub_filter a b; sub_filter a b;": "",
    "sub_filter $ b;": "invalid variable name",
    "sub_filter a ${host;": 'the closing bracket in "host" variable is missing',
    "sub_filter $nosuch b;": 'unknown "nosuch" variable',
    "sub_filter b $nosuch;": 'unknown "nosuch" variable',
    "sub_filter_once a;": (
        'invalid value "a" in "sub_filter_once" directive, it must be "on" or "off"'
    ),
    "sub_filter_once on; sub_filter_once on;": '"sub_filter_once" directive is duplicate',
    "sub_filter_last_modified on; sub_filter_last_modified off;": (
        '"sub_filter_last_modified" directive is duplicate'
    ),
    "sub_filter_types text/css; sub_filter_types text/xml;": "",
    "sub_filter_types;": 'invalid number of arguments in "sub_filter_types" directive',
    "add_before_body ''; add_after_body a;": "",
    "add_before_body $nosuch;": "",
    "add_before_body /a; add_before_body /a;": '"add_before_body" directive is duplicate',
    "add_after_body /a; add_after_body /a;": '"add_after_body" directive is duplicate',
    "addition_types a/b c/d; addition_types *;": "",
    "slice 1k;": "",
    "slice x;": '"slice" directive invalid value',
    "slice 1; slice 2;": '"slice" directive is duplicate',
    "map $host $slice_range { }": 'the duplicate "slice_range" variable',
    "add_before_body /a b;": 'invalid number of arguments in "add_before_body" directive',
}
ELSEWHERE = {
    "if ($host) { add_before_body a; }": '"add_before_body" directive is not allowed here',
    "if ($host) { sub_filter a b; }": '"sub_filter" directive is not allowed here',
}

CASES = [(http(text), expected) for text, expected in TEXTS.items()] + [
    (location(text), expected) for text, expected in ELSEWHERE.items()
]


@pytest.mark.nginx
@pytest.mark.skipif(SYSTEM is None, reason="needs the nginx of the system")
@pytest.mark.parametrize(("text", "expected"), CASES)
def test_the_system_nginx_gives_the_same_verdict(tmp_path: Path, text: str, expected: str) -> None:
    nginx = nginx_verdict(tmp_path, text.encode(), binary=SYSTEM)
    assert summary(nginx, tmp_path) == expected
    assert sniproxy_verdict(tmp_path, text.encode()) == nginx
