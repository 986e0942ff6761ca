"""Relative names: logs start at the prefix, certificates at the configuration's directory."""

from __future__ import annotations

import pytest

from sniproxy.build.paths import Paths

PATHS = Paths("/prefix/", "/etc/conf")


@pytest.mark.parametrize(
    ("name", "log", "certificate"),
    [
        ("a.pem", "/prefix/a.pem", "/etc/conf/a.pem"),
        ("logs/a", "/prefix/logs/a", "/etc/conf/logs/a"),
        ("/a", "/a", "/a"),
        ("../a", "/prefix/../a", "/etc/conf/../a"),
    ],
)
def test_relative_names_start_at_the_prefix(name: str, log: str, certificate: str) -> None:
    assert PATHS.in_prefix(name) == log
    assert PATHS.in_conf(name) == certificate
