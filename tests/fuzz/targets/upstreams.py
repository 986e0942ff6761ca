"""Answers of DNS, FastCGI and memcached servers, and files of the cache."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from sniproxy.cache.file_format import HEADER_SIZE, CacheFileHeader, vary_length
from sniproxy.models import ProxyError
from sniproxy.upstream.dns_message import MalformedResponseError, parse_response
from sniproxy.upstream.fastcgi import FastCGIHeadReader
from sniproxy.upstream.fastcgi_records import InvalidRecordError, RecordReader
from sniproxy.upstream.memcached import parse_answer
from tests.fuzz.targets.target import Target, in_pieces, outcome


def dns(data: bytes) -> None:
    for over_tcp in (True, False):
        outcome(partial(parse_response, data, over_tcp=over_tcp), MalformedResponseError)


class _Lines:
    """The log of a connection."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def write(self, level: object, text: str) -> None:
        self.texts.append(text)


def fastcgi_head(data: bytes) -> None:
    """A head is the same however its records arrive."""

    def read(pieces: list[bytes]) -> object:
        log = _Lines()
        reader = FastCGIHeadReader(cast("Any", log))
        for piece in pieces:
            if (parsed := reader.feed(piece)) is not None:
                return parsed
        return None

    expected = outcome(lambda: read([data]), ProxyError)
    assert outcome(lambda: read(in_pieces(data)), ProxyError) == expected


def fastcgi_records(data: bytes) -> None:
    """The contents of records are the same however they arrive."""

    def read(pieces: list[bytes]) -> object:
        reader = RecordReader()
        contents: list[tuple[int, bytes]] = []
        for piece in pieces:
            reader.feed(piece)
            while (found := reader.next()) is not None:
                if found.starts or not contents:
                    contents.append((found.kind, found.content))
                else:
                    contents[-1] = found.kind, contents[-1][1] + found.content
        return contents

    expected = outcome(lambda: read([data]), InvalidRecordError)
    assert outcome(lambda: read(in_pieces(data)), InvalidRecordError) == expected


def memcached(data: bytes) -> None:
    for gzip_flag in (0, 2):
        answer = outcome(
            partial(parse_answer, data.decode("latin-1"), "key", gzip_flag), ProxyError
        )
        if isinstance(answer, tuple) and isinstance(answer[0], int):
            assert answer[0] >= 0


def cache_file(data: bytes) -> None:
    """What is written for a header that was read is the same header, but for lengths that lie."""
    data = data[:HEADER_SIZE].ljust(HEADER_SIZE, b"\0")
    header = CacheFileHeader.unpack(data)
    vary_length(data)
    assert CacheFileHeader.unpack(header.pack()) == header


TARGETS = (
    Target("dns", dns),
    Target("fastcgi_head", fastcgi_head),
    Target("fastcgi_records", fastcgi_records),
    Target("memcached", memcached),
    Target("cache_file", cache_file),
)
