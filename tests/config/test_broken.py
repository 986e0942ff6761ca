"""Configuration errors: message and line, compared with the real nginx."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cases import BROKEN, EVENTS, GOOD, location, server
from .oracle import Verdict, nginx_verdict, sniproxy_verdict

COMMAND_LINE = [
    ("daemon off", "events{}", 'unexpected end of parameter, expecting ";" in command line'),
    ('pid "a', "events{}", 'unexpected end of parameter, expecting ";" in command line'),
    ("daemon off;;", "events{}", 'unexpected ";" in command line'),
    ("}", "events{}", 'unexpected "}" in command line'),
    ("foo;", "events{}", 'unknown directive "foo" in command line'),
    ("listen 80;", "events{}", '"listen" directive is not allowed here in command line'),
    (
        "pid a b;",
        "events{}",
        'invalid number of arguments in "pid" directive in command line',
    ),
    (
        "events{}",
        "events{}",
        "block directives are not supported in -g option in command line",
    ),
    ("daemon off; daemon on;", "events{}", '"daemon" directive is duplicate in command line'),
    ("daemon off;", "daemon on;events{}", '"daemon" directive is duplicate in FILE:1'),
    (
        "include /nowhere;",
        "events{}",
        'open() "/nowhere" failed (2: No such file or directory) in command line',
    ),
]

OURS = [
    (server("ssl_certificate auto;\nlisten 127.0.0.1:18443 ssl;"), None),
    (location("error_detail On;"), None),
    (
        location("error_detail maybe;"),
        'invalid value "maybe" in "error_detail" directive, it must be "on" or "off" in FILE:7',
    ),
    ("error_detail on;", '"error_detail" directive is not allowed here in FILE:1'),
    (
        location("mp4;"),
        '"mp4" directive is not supported by sniproxy: '
        "byte ranges work, which players use in FILE:7",
    ),
    (
        "load_module a.so;",
        'module "a" of "load_module" is not supported by sniproxy: nginx\'s binary modules cannot '
        "be loaded in FILE:1",
    ),
    ("mail;", 'directive "mail" has no opening "{" in FILE:1'),
    (location("ssi;"), 'invalid number of arguments in "ssi" directive in FILE:7'),
    ("ssi on;", '"ssi" directive is not allowed here in FILE:1'),
    (
        server('location ~ "(" {}'),
        'pcre2_compile() failed: missing closing parenthesis in "(" in FILE:6',
    ),
    (
        location("proxy_cookie_domain ~*a b;"),
        'pcre2_compile() failed: quantifier does not follow a repeatable item in "*a" at "*a" '
        "in FILE:7",
    ),
    (
        location("proxy_redirect ~( b;"),
        'pcre2_compile() failed: missing closing parenthesis in "(" in FILE:7',
    ),
    (
        location("proxy_bind 127.0.0.1 transparent;"),
        'parameter "transparent" is not supported by sniproxy yet in FILE:7',
    ),
    (
        server("location ~ a**b {}"),
        'pcre2_compile() failed: quantifier does not follow a repeatable item in "a**b" at "*b" '
        "in FILE:6",
    ),
    (
        server("listen 18443 quic ssl;"),
        '"listen" directive "ssl" parameter is incompatible with "quic" in FILE:6',
    ),
    (server("listen 18443 quic; listen 18443 quic;"), "a duplicate listen 0.0.0.0:18443 in FILE:6"),
    (
        server("listen 18443 quic;"),
        'no "ssl_certificate" is defined for the "listen ... quic" directive in FILE:4',
    ),
    (
        server("http3 maybe;"),
        'invalid value "maybe" in "http3" directive, it must be "on" or "off" in FILE:6',
    ),
    # nginx detects these at the end of `http {}` and reports that line.
    (location("proxy_set_header a $;"), "invalid variable name in FILE:7"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_error_message(tmp_path: Path, text: str, message: str) -> None:
    assert sniproxy_verdict(tmp_path, text.encode("latin-1")).error == message


@pytest.mark.nginx
@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_nginx_has_the_same_error_message(tmp_path: Path, text: str, message: str) -> None:
    assert nginx_verdict(tmp_path, text.encode("latin-1")).error == message


@pytest.mark.parametrize(("text", "warnings"), GOOD)
def test_valid_configuration_is_accepted(tmp_path: Path, text: str, warnings: list[str]) -> None:
    assert sniproxy_verdict(tmp_path, text.encode("latin-1")) == Verdict(None, tuple(warnings))


@pytest.mark.nginx
@pytest.mark.parametrize(("text", "warnings"), GOOD)
def test_nginx_accepts_it_too(tmp_path: Path, text: str, warnings: list[str]) -> None:
    assert nginx_verdict(tmp_path, text.encode("latin-1")) == Verdict(None, tuple(warnings))


@pytest.mark.parametrize(("directives", "text", "message"), COMMAND_LINE)
def test_errors_in_command_line_directives(
    tmp_path: Path, directives: str, text: str, message: str
) -> None:
    assert sniproxy_verdict(tmp_path, text.encode(), directives).error == message


@pytest.mark.nginx
@pytest.mark.parametrize(("directives", "text", "message"), COMMAND_LINE)
def test_nginx_reports_the_same_errors_for_command_line_directives(
    tmp_path: Path, directives: str, text: str, message: str
) -> None:
    assert nginx_verdict(tmp_path, text.encode(), directives).error == message


@pytest.mark.parametrize(("text", "message"), OURS)
def test_errors_that_nginx_does_not_have(tmp_path: Path, text: str, message: str | None) -> None:
    assert sniproxy_verdict(tmp_path, text.encode()).error == message


@pytest.mark.nginx
@pytest.mark.parametrize("length", [4094, 4095, 4096, 4097])
@pytest.mark.parametrize("tail", ["", " ", ";", " ;", "\n;", "\nx y;", ")", "x"])
@pytest.mark.parametrize("opening", ["", '"', "'", "#"])
def test_nginx_has_the_same_buffer_limits(
    tmp_path: Path, opening: str, tail: str, length: int
) -> None:
    closing = opening if opening in "\"'" else ""
    for text in (opening + "a" * length + closing + tail, opening + "a" * length + tail):
        raw = f"env {text}\n{EVENTS}".encode()
        assert sniproxy_verdict(tmp_path, raw) == nginx_verdict(tmp_path, raw)


@pytest.mark.nginx
def test_nginx_truncates_long_messages_the_same(tmp_path: Path) -> None:
    raw = b"a" * 3000 + b";"
    verdict = sniproxy_verdict(tmp_path, raw)
    assert verdict == nginx_verdict(tmp_path, raw)
    assert verdict.error is not None
    assert len(verdict.error) < 1100


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    verdict = sniproxy_verdict(tmp_path, b"include gone.conf;")
    assert verdict.error == (
        f'open() "{tmp_path}/gone.conf" failed (2: No such file or directory) in FILE:1'
    )


@pytest.mark.nginx
@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({}, "include gone*.conf;events{}"),
        ({}, "include gone.conf;events{}"),
        ({"a.conf": "foo;", "b.conf": "bar;"}, "include *.conf_;include [ba].conf;events{}"),
        ({"a.conf": "daemon on;\n", "b.conf": "\n\ndaemon on;"}, "include ?.conf;events{}"),
        ({"a.conf": "events {"}, "include a.conf; }"),
        ({"a.conf": "} events{}"}, "events { include a.conf;"),
        ({"a.conf": "worker_connections 9;"}, "events { include a.conf; include a.conf; }"),
        ({"a.conf": "worker_connections 9;"}, "events { include a.conf; }"),
        ({"a.conf": "a/b c;", "d": ""}, "events{} http { types { include a.conf; } foo; }"),
        ({"a.conf": "include b.conf;", "b.conf": "x;"}, "include a.conf;"),
        ({".a.conf": "x;"}, "include *.conf_ ; events{} include *hidden*; include *.a.conf;"),
    ],
)
def test_nginx_treats_includes_the_same(tmp_path: Path, files: dict[str, str], text: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    raw = text.encode()
    assert sniproxy_verdict(tmp_path, raw) == nginx_verdict(tmp_path, raw)


def test_file_including_itself_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("\ninclude b.conf;")
    (tmp_path / "b.conf").write_text("include a*.conf;")
    verdict = sniproxy_verdict(tmp_path, b"include a.conf;")
    assert verdict.error == f'"{tmp_path}/a.conf" includes itself in {tmp_path}/b.conf:1'


def test_directory_instead_of_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    verdict = sniproxy_verdict(tmp_path, b"include folder;")
    assert verdict.error == f'pread() "{tmp_path}/folder" failed (21: Is a directory)'
