"""How long a response may be stored; the scenarios compare the rules with nginx."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.cache.file_format import HEADER_SIZE, CacheFileHeader
from sniproxy.cache.key import CacheKey, file_of
from sniproxy.cache.validity import CacheValidity, validity_of
from sniproxy.cache.vary import variant_of

NOW = 1_700_000_000


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("Cache-Control", "max-age=10")], CacheValidity(valid_until=NOW + 10)),
        (
            [("Cache-Control", "max-age=10, stale-while-revalidate=5")],
            CacheValidity(valid_until=NOW + 10, updating=5, error=5),
        ),
        (
            [("Cache-Control", "stale-if-error=7;max-age=10")],
            CacheValidity(valid_until=NOW + 10, error=7),
        ),
        ([("X-Accel-Expires", "@5")], CacheValidity(valid_until=5)),
        ([("X-Accel-Expires", "0")], CacheValidity(storable=False)),
        ([("Vary", "A"), ("Vary", "B")], CacheValidity(vary=b"A, B")),
        ([("Expires", "garbage")], CacheValidity(expired=True)),
        ([("Cache-Control", "no-cache")], CacheValidity(refused=True)),
    ],
)
def test_validity(fields: list[tuple[str, str]], expected: CacheValidity) -> None:
    assert validity_of(fields, (), NOW) == expected


TEXT = st.text(st.characters(max_codepoint=255), max_size=40)
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(("Cache-Control", "Expires", "X-Accel-Expires", "Vary", "Set-Cookie")),
        TEXT | st.sampled_from(("max-age=9", "s-maxage=", "@", "@1", "*", "max-age=99999999999")),
    )
)


@given(FIELDS)
def test_any_field_has_a_validity(fields: list[tuple[str, str]]) -> None:
    validity = validity_of(fields, (), NOW)
    assert validity.valid_until >= 0
    ignored = ("cache-control", "expires", "x-accel-expires", "vary", "set-cookie")
    assert validity_of(fields, ignored, NOW) == CacheValidity()


@given(
    st.integers(0, 2**62),
    st.integers(-1, 2**62),
    st.binary(max_size=128),
    st.binary(max_size=128),
    st.binary(min_size=16, max_size=16),
)
def test_a_header_is_read_as_it_was_written(
    valid_until: int, last_modified: int, etag: bytes, vary: bytes, variant: bytes
) -> None:
    header = CacheFileHeader(valid_until, 1, 2, last_modified, 3, 4, 5, 6, 7, etag, vary, variant)
    data = header.pack()
    assert len(data) == HEADER_SIZE
    assert CacheFileHeader.unpack(data) == header


@given(st.binary(min_size=HEADER_SIZE, max_size=HEADER_SIZE))
def test_any_bytes_are_a_header(data: bytes) -> None:
    CacheFileHeader.unpack(data)


def test_names_of_files() -> None:
    digest = CacheKey.of("http://127.0.0.1:9801/a?x=1").digest
    assert file_of("c", digest, (1, 2)) == "c/b/c4/4e3fc717d1a324b6e53b8c559bc3bc4b"
    assert file_of("c", digest, ()) == "c/4e3fc717d1a324b6e53b8c559bc3bc4b"


@given(TEXT, st.lists(st.tuples(TEXT, TEXT)))
def test_any_vary_has_a_variant(vary: str, headers: list[tuple[str, str]]) -> None:
    data = vary.encode("latin-1")
    assert variant_of(bytes(16), data, headers) == variant_of(bytes(16), data.upper(), headers)
