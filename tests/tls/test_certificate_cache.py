"""The certificate cache: eviction, validity, reloading."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from OpenSSL import SSL

from sniproxy.config.directives.tls import CacheRules
from sniproxy.models import ConfigError
from sniproxy.tls.certificate_cache import (
    MAX_UNCACHED,
    NO_CACHE,
    CertificateCache,
)
from sniproxy.tls.certificates import CertificateSource
from sniproxy.tls.contexts import upstream_context

from .conftest import Files


class Counting:
    """A `CertificateCache` of real contexts with a settable clock and a counter."""

    def __init__(self, rules: CacheRules) -> None:
        self.now = 0.0
        self.made = 0
        self.contexts = CertificateCache(self.make, rules, lambda: self.now)

    def make(self, source: CertificateSource) -> SSL.Context:
        self.made += 1
        return upstream_context(certificate=source)

    def __call__(self, source: CertificateSource, now: float = 0.0) -> SSL.Context:
        self.now = now
        return self.contexts.context(source)


def copied(source: CertificateSource, folder: Path, name: str = "copy") -> CertificateSource:
    copy = CertificateSource(str(folder / f"{name}.crt"), str(folder / f"{name}.key"))
    Path(copy.certificate).write_bytes(Path(source.certificate).read_bytes())
    Path(copy.key).write_bytes(Path(source.key).read_bytes())
    return copy


def inline(source: CertificateSource) -> CertificateSource:
    return CertificateSource(
        f"data:{Path(source.certificate).read_text()}", f"data:{Path(source.key).read_text()}"
    )


def test_unchanged_certificate_uses_one_context(files: Files) -> None:
    contexts = Counting(NO_CACHE)
    for source in (files.leaf, inline(files.leaf)):
        assert contexts(source) is contexts(source, 1e6)
    assert contexts.made == 2


def test_changed_file_is_reloaded_at_once_without_cache(files: Files, tmp_path: Path) -> None:
    contexts = Counting(NO_CACHE)
    source = copied(files.leaf, tmp_path)
    first = contexts(source)
    copied(files.deep, tmp_path)
    assert contexts(source) is not first
    os.remove(source.key)
    with pytest.raises(ConfigError, match=r"cannot load certificate key .* BIO_new_file"):
        contexts(source)
    assert len(contexts.contexts) == 0


def test_changed_file_is_reloaded_after_the_valid_time(files: Files, tmp_path: Path) -> None:
    contexts = Counting(CacheRules(4, valid=60))
    source = copied(files.leaf, tmp_path)
    first = contexts(source)
    copied(files.deep, tmp_path)
    assert contexts(source, 60) is first
    second = contexts(source, 61)
    assert second is not first
    assert contexts(source, 200) is second


def test_least_recently_used_context_is_evicted(files: Files, tmp_path: Path) -> None:
    contexts = Counting(CacheRules(2, inactive=100))
    one, two, three = (copied(files.leaf, tmp_path, name) for name in ("1", "2", "3"))
    first = contexts(one)
    contexts(two)
    contexts(one)
    contexts(three)
    assert contexts(one) is first
    assert contexts.made == 3
    contexts(two)
    assert (contexts.made, len(contexts.contexts)) == (4, 2)


def test_inactive_context_is_evicted(files: Files, tmp_path: Path) -> None:
    contexts = Counting(CacheRules(9, inactive=10))
    one, two = (copied(files.leaf, tmp_path, name) for name in ("1", "2"))
    contexts(one)
    contexts(two, 11)
    assert len(contexts.contexts) == 1


def test_load_errors_are_not_cached() -> None:
    contexts = Counting(NO_CACHE)
    for _ in range(2):
        with pytest.raises(ConfigError, match="cannot load certificate"):
            contexts(CertificateSource("/nonexistent/x", "/nonexistent/y"))
    assert (contexts.made, len(contexts.contexts)) == (2, 0)


def test_number_of_contexts_is_limited_without_cache() -> None:
    contexts = CertificateCache(lambda source: upstream_context())
    for number in range(MAX_UNCACHED + 5):
        contexts.context(CertificateSource(f"data:{number}", "data:"))
    assert len(contexts) == MAX_UNCACHED
