"""The variables of the browser module, beside nginx."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.config.directives.browser import Browsers
from sniproxy.variables.browser import is_at_least, is_modern
from tests.handlers.filter_pair import compare, get

RULES = {
    "unset": "",
    "msie": "modern_browser msie 5.5;",
    "gecko": "modern_browser gecko 1.7.8;",
    "opera": "modern_browser opera 8.0; modern_browser msie 6;",
    "all": "modern_browser msie 5.5; modern_browser gecko 1.0.0; modern_browser opera 9.0; "
    "modern_browser safari 413; modern_browser konqueror 3.0; modern_browser unlisted; "
    "ancient_browser Links Lynx netscape4;",
    "unlisted": "modern_browser unlisted; ancient_browser Lynx;",
    "netscape": "modern_browser unlisted; ancient_browser netscape4;",
    "ancient": "ancient_browser Lynx Mozilla;",
    "values": "modern_browser unlisted; modern_browser_value new; ancient_browser_value old;",
    "case": "modern_browser MSIE 5;",
    "no-dots": 'modern_browser msie ""; ',
    "big": "modern_browser msie 5.5.5.5.5;",
}
SHOW = 'return 200 "[$modern_browser|$ancient_browser|$msie]";'
LOCATIONS = (
    "modern_browser safari 100;\n"
    + "".join(f"location /{name}/ {{ {rule} {SHOW} }}\n" for name, rule in RULES.items())
    + f"""
    location /nested/ {{ modern_browser unlisted; ancient_browser Lynx; {SHOW}
        location /nested/in/ {{ modern_browser msie 9; {SHOW} }}
        location /nested/other/ {{ ancient_browser curl; ancient_browser_value x; {SHOW} }} }}
    location /set/ {{ set $msie set; set $modern_browser ""; {SHOW} }}
"""
)
AGENTS = (
    *("Opera/7.50 (X11; FreeBSD i386; U)  [en]", "Opera/9.01 (X11; FreeBSD 6 i386; U; en)"),
    "Mozilla/4.0 (compatible; MSIE 6.0; X11; FreeBSD i386) Opera 7.50  [en]",
    *("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", "MSIE 6.0", "Mozilla/4.0 MSIE 9"),
    *(f"Mozilla/4.0 (compatible; MSIE {v}; X)" for v in ("5.5", "5.49", "5.5.1", "4", "5", "x")),
    *(f"Mozilla/4.0 (compatible; MSIE {v}" for v in ("5.5", "5", "", "5.", "5..9", "9" * 30)),
    "Mozilla/5.0 (X11; U; Linux i686; en-US; rv:1.0.0) Gecko/20020610",
    "Mozilla/5.0 (Windows; U; Windows NT 5.1; rv:1.7.8) Gecko/20050511 Firefox/1.0.4",
    "Mozilla/5.0 (Macintosh; U; PPC Mac OS X; ru-ru) AppleWebKit/125.2 (KHTML) Safari/125.7",
    "Mozilla/5.0 (compatible; Konqueror/3.4; Linux) KHTML/3.4.2 (like Gecko)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML) Chrome/120.0 Safari/537.36",
    *("Mozilla/4.72 [en] (X11)", "Mozilla/5.72 [en]", "Mozilla/4.72 ", "Mozilla/0.72 [en]"),
    *("Lynx/2.8", "Links", "curl/8", "x", "rv:9", "Mozilla/5.0 (rv:9"),
)


def requests() -> Iterator[bytes]:
    for place in (*RULES, "nested", "nested/in", "nested/other", "set"):
        yield get(f"/{place}/")
        for agent in AGENTS:
            yield get(f"/{place}/", f"User-Agent: {agent}")


@pytest.mark.nginx
def test_browsers_are_judged_as_by_nginx(tmp_path: Path) -> None:
    outcomes = compare(tmp_path, LOCATIONS, requests())
    modern = [outcome for outcome in outcomes if outcome.body.startswith(b"[1|")]
    assert 50 < len(modern) < len(outcomes) - 50


@pytest.mark.nginx
def test_browsers_of_the_http_block_are_ignored_as_by_nginx(tmp_path: Path) -> None:
    sent = [get("/", f"User-Agent: {agent}") for agent in AGENTS]
    listed = "modern_browser msie 5.5; modern_browser gecko 1; ancient_browser Lynx;"
    outcomes = compare(tmp_path, f"location / {{ {SHOW} }}", sent, http=listed)
    assert {outcome.body[:2] for outcome in outcomes} == {b"[|"}


@given(st.text(max_size=80), st.integers(0, 2**32))
def test_no_user_agent_is_too_strange(text: str, version: int) -> None:
    is_at_least(text, version)
    server, http = {"modern_browser": ("unlisted",)}, dict[str, object]()
    assert is_modern(text, Browsers.resolve(server, http))
