"""File directives: errors, warnings and inheritance, compared with the real nginx."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sniproxy import config
from sniproxy.config.directives.files import Files, name_ending
from sniproxy.config.model import Location

from .oracle import nginx_verdict, sniproxy_verdict

REFUSED = (
    "root a; root b;",
    "root a; alias b;",
    "alias a; root b;",
    "alias a; alias b;",
    "root $document_root;",
    "root a${document_root}b;",
    "alias $realpath_root;",
    "root ${realpath_root};",
    "root $;",
    "root ${a;",
    'index "";',
    'index a "";',
    "index $;",
    "index ${a;",
    "try_files a;",
    "try_files a b; try_files a b;",
    "try_files a =b;",
    "try_files a =1000;",
    "try_files a =;",
    "try_files a =-1;",
    "try_files $ a;",
    "try_files a $;",
    "if_modified_since x;",
    "max_ranges x;",
    "autoindex x;",
    "autoindex_format x;",
    "etag x;",
    "log_not_found x;",
    "default_type a; default_type b;",
)
ACCEPTED = (
    "root a;",
    "root /;",
    'root "";',
    "alias a;",
    "index /a b /c d;",
    "index a; index b;",
    "try_files =404 =404;",
    "try_files $host $host/ @x;",
    "try_files = /;",
    "types { a/b c; d/e c C; }",
    "types { a/b c; } types { d/e c; }",
    "types { } types { a/b; }",
    "types { a/b c; } location /n { types { d/e c; } }",
    "max_ranges 0;",
    "autoindex_format JSON;",
)


def inside(statements: str) -> bytes:
    text = "events {}\nhttp {\nserver { location / {\n%s\n} } }\n"
    return (text % statements).encode()


@pytest.mark.nginx
@pytest.mark.parametrize("statements", [*REFUSED, *ACCEPTED])
def test_nginx_gives_the_same_verdict(tmp_path: Path, statements: str) -> None:
    text = inside(statements)
    verdict = nginx_verdict(tmp_path, text)
    assert (verdict.error is None) is (statements in ACCEPTED)
    assert sniproxy_verdict(tmp_path, text) == verdict


@pytest.mark.nginx
@pytest.mark.parametrize(
    "server",
    [
        "location @a { alias b; }",
        "if ($host) { root a; }",
        "location / { if ($host) { root a; root b; } }",
        "location / { if ($host) { alias a; } }",
        "alias a;",
        "root a; location / { alias b; }",
        "try_files a b;",
        "location ~ a { alias b/$1; }",
    ],
)
def test_nginx_names_the_same_files_and_lines(tmp_path: Path, server: str) -> None:
    text = b"events {}\nhttp { server {\n%s\n} }\n" % server.encode()
    assert sniproxy_verdict(tmp_path, text) == nginx_verdict(tmp_path, text)


def locations(http: str) -> Iterator[Location]:
    read = config.parse(f"events {{}} http {{ {http} }}")
    assert read.http is not None
    waiting = [server.default_location for server in read.http.servers]
    for location in waiting:
        waiting += location.locations
        yield location


def files(http: str) -> list[Files]:
    return [location.files for location in locations(http)]


def test_innermost_root_or_alias_overrides_outer_levels() -> None:
    nested = "location /b/d/ { } location /b/e { root f; }"
    output = files(f"root a/; server {{ location /b/ {{ alias c/; {nested} }} }}")
    roots = [one.root for one in output]
    assert [(str(root.directory), root.replaced, root.is_alias) for root in roots] == [
        ("a", 0, False),
        ("c/", 3, True),
        ("c/", 3, True),
        ("f", 0, False),
    ]


def test_alias_in_regex_location_is_the_complete_file_name() -> None:
    assert files("server { location ~ ^/(.*) { alias /a/$1; } }")[1].root.replaced is None


def test_types_of_the_innermost_level_replace_outer_ones() -> None:
    outside, own, inherited = files(
        "types { a/b x; } types { c/d Y; }"
        " server { location /o { types { e/f x; } } location /i { } }"
    )
    for one, x, y in (
        (outside, "a/b", "c/d"),
        (own, "e/f", "text/plain"),
        (inherited, "a/b", "c/d"),
    ):
        assert (one.media_type("/f.X"), one.media_type("/f.y")) == (x, y)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nginx.conf", "events {} http { include mime.types; server { } }"),
        ("nginx.conf", "events {} http { types { include lines; } server { } }"),
        ("site.toml", 'http.include = "mime.types"\n[http.server]'),
        ("site.toml", 'http.types.include = "lines"\n[http.server]'),
        ("site.toml", "http.types = {'a/b' = 'c d', 'e/f' = ['g']}\n[http.server]"),
    ],
)
def test_types_may_be_included_from_a_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "mime.types").write_text("types { include lines; }")
    (tmp_path / "lines").write_text("a/b c d;\ne/f g;\n")
    (tmp_path / name).write_text(text)
    read = config.load(tmp_path / name)
    assert read.http is not None
    assert read.http.servers[0].default_location.files.types == (
        {"c": "a/b", "d": "a/b", "g": "e/f"},
    )


def test_try_files_is_not_inherited() -> None:
    outside, nested = files("server { try_files a b/ =404; location / { } }")
    assert nested.try_files is None
    output = outside.try_files
    assert output is not None
    assert output.status == 404
    assert [(str(one.name), one.is_directory) for one in output.candidates] == [
        ("a", False),
        ("b", True),
    ]


@pytest.mark.parametrize(
    ("path", "ending"),
    [
        ("/a.html", "html"),
        ("/a.tar.GZ", "gz"),
        ("/a", ""),
        ("/.html", ""),
        ("/a/.html", ""),
        ("/a/..html", "html"),
        ("/a.b/c", ""),
        ("/a.", ""),
        ("a.b", ""),
        ("aa.b", "b"),
        ("/", ""),
        ("", ""),
    ],
)
def test_name_ending(path: str, ending: str) -> None:
    assert name_ending(path) == ending
