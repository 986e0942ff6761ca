"""`valid_referers` and `empty_gif`, beside nginx."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.handlers.filter_pair import compare, get

RULES = {
    "none": "none example.test",
    "blocked": "blocked example.test",
    "both": "none blocked server_names",
    "names": "server_names",
    "wild": "*.example.test www.* .dotted.test",
    "path": "example.test/a/ *.example.test/b",
    "regex": r"~example\.(test|org)/x ~^start",
    "case": "Example.TEST/Path",
    "long": f"{'a' * 60}.test",
}
LOCATIONS = """
    referer_hash_bucket_size 256; server_name front.test *.wild.test ~^re[0-9]+\\.test$ after.*;
    valid_referers ~outer;
    location /unset/ { return 200 "[$invalid_referer]"; }
    location /gif { empty_gif; }
    location /gif-expires { empty_gif; expires 1h; add_header X-A a; }
    location /denied/ { valid_referers none example.test; if ($invalid_referer) { return 403; }
        return 200 ok; }
    location /two/ { valid_referers none; valid_referers example.test;
        return 200 "[$invalid_referer]"; }
    location /nested/ { valid_referers example.test;
        location /nested/in/ { return 200 "[$invalid_referer]"; } }
""" + "".join(
    f'location /{name}/ {{ valid_referers {rule}; return 200 "[$invalid_referer]"; }}\n'
    for name, rule in RULES.items()
)
REFERERS = (
    *("http://example.test", "http://example.test/", "https://example.test/a/b", "http://x"),
    *("HTTP://EXAMPLE.TEST/A/", "http://example.test:8080/a/", "http://www.example.test/b/c"),
    *("http://example.test/Path/x", "ftp://example.test/", "example.test", "", "http://", "-"),
    *("http://front.test/", "http://a.wild.test/", "http://re1.test/", "http://rex.test/"),
    *("http://after.org/x", "http://dotted.test/", "http://a.dotted.test", "http://www.any.org/"),
    *("http://example.org/x", "http://start.test/x", "http://outer.test/", "http://EXAMPLE.org/X"),
    *(f"http://{'a' * 256}/", f"http://{'a' * 257}.outer/", f"http://{'a' * 60}.test/"),
    *("http://i.ru", "http://i.r", "https://x.y", "http:///a/", "http://example.test?a/a/"),
)


def requests() -> Iterator[bytes]:
    for place in ("unset", "denied", "two", "nested", "nested/in", *RULES):
        yield get(f"/{place}/")
        for referer in REFERERS:
            yield get(f"/{place}/", f"Referer: {referer}")
        yield get(f"/{place}/", "Referer: http://x.test/", "Referer: http://example.test/")
    for path in ("/gif", "/gif-expires"):
        for method in ("GET", "HEAD", "POST", "DELETE"):
            yield get(path, method=method)
        yield get(path, "If-Modified-Since: Mon, 28 Sep 1970 06:00:00 GMT")
        yield get(path, "Range: bytes=0-1")


@pytest.mark.nginx
def test_referers_are_judged_as_by_nginx(tmp_path: Path) -> None:
    outcomes = compare(tmp_path, LOCATIONS, requests(), log="$status $invalid_referer")
    invalid = [outcome for outcome in outcomes if outcome.body == b"[1]"]
    assert 100 < len(invalid) < len(outcomes) - 50
