"""Huge, binary, deeply nested and endless configuration files take bounded time and memory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from sniproxy import config
from sniproxy.config.model import iter_locations
from sniproxy.models import ConfigError

MEGABYTES = 50_000_000
DEPTH = 10_000


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    began = time.process_time()
    yield
    assert time.process_time() - began < 10


def refusal(raw: bytes, syntax: Literal["nginx", "toml"] = "nginx") -> str:
    with pytest.raises(ConfigError) as caught:
        config.parse(raw, syntax, "F")
    return str(caught.value)


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        (b"\n", 'no "events" section in configuration'),
        (b"# a comment of many\n", 'no "events" section in configuration'),
        (b"#", 'too long parameter "##########..." started in F:1'),
        (b"a", 'too long parameter "aaaaaaaaaa..." started in F:1'),
        (b"\\a", 'too long parameter "\\a\\a\\a\\a\\a..." started in F:1'),
        (b"${", 'too long parameter "${${${${${..." started in F:1'),
        (b"a ", 'unexpected end of file, expecting ";" or "}" in F:1'),
        (b"\0", 'too long parameter "' + "\0" * 10 + '..." started in F:1'),
        (b"{", 'unexpected "{" in F:1'),
        (bytes(range(256)), 'unknown directive "" in F:2'),
    ],
)
@pytest.mark.long
def test_fifty_megabytes_of_statements_are_read(piece: bytes, message: str) -> None:
    size = MEGABYTES // 10 if piece == b"a " else MEGABYTES
    assert refusal(piece * (size // len(piece))) == message


@pytest.mark.parametrize("quote", ['"', "'"])
def test_unterminated_quote_in_a_large_file_is_an_error(quote: str) -> None:
    assert refusal(b"\n" + quote.encode() + b"a" * MEGABYTES) == (
        f'too long parameter, probably missing terminating "{quote}" character in F:2'
    )


def test_deeply_nested_locations_need_no_recursion() -> None:
    text = "events{} http { server { listen 8000; %s %s } }"
    read = config.parse(text % ("location / { proxy_read_timeout 1s; " * DEPTH, "}" * DEPTH))
    assert read.http is not None
    assert sum(1 for _ in iter_locations(read.http.servers[0].default_location)) == DEPTH + 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * DEPTH, "invalid TOML: nested too deeply in F:1"),
        ("a = " + "{a=" * DEPTH, "invalid TOML: nested too deeply in F:1"),
        ("a" + ".a" * 3000 + " = 1", 'unknown directive "a" in F:1'),
        ("a = " + "1" * 100_000, ""),
        ('a = "' + "x" * 5_000_000, "invalid TOML: unterminated string in F:1"),
        ("a" * 1_000_000 + " = 1", ""),
    ],
    ids=["lists", "tables", "keys", "digits", "string", "name"],
)
def test_large_toml_is_read(text: str, message: str) -> None:
    output = refusal(text.encode(), "toml")
    assert output == message or (not message and len(output) < 1200)


def test_deeply_nested_toml_is_an_error() -> None:
    name = 'http.server.location."/"' + '.location."/"' * 3000
    read = config.parse(f"[{name}]\nproxy_read_timeout = '1s'\n[http]\n", "toml")
    assert read.http is not None
    *_, innermost = iter_locations(read.http.servers[0].default_location)
    assert innermost.proxy.read_timeout == 1


def test_circular_includes_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("include b; include b;")
    (tmp_path / "b").write_text("include ./a;")
    with pytest.raises(ConfigError, match="includes itself"):
        config.load(tmp_path / "a")


def test_pipe_as_configuration_reads_as_empty_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match='no "events" section'):
        config.load(tmp_path / "pipe")
    with pytest.raises(ConfigError, match='no "events" section'):
        config.load("/dev/zero")
