"""Pages of random SSI commands, valid and not: nginx and sniproxy send and log the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.handlers.filter_pair import compare, get

PAGES = 250
NAMES = ("v", "w", "arg_a", "uri", "nosuch", "1", "0", "own")
WORDS = (
    *("a", "b", "$v", "${w}", "$arg_a", "\\$", "\\\\", "\\'", '\\"', "$", "${", "}", " ", "/", "<"),
    *("&", "$1", "x=", "-", "\xe9", "\\n", "="),
)
LEFT = ("$v", "$arg_a", "a", "${w}", "", "$0", "A", "$1", '"a"')
OPERATORS = ("=", " = ", "!=", " != ", "", " ", "==", "<")
RIGHT = ("a", "/a/", "/^(a)(b)?/", "$v", "/", "//", "\\/a", "/(", "ab", "/(?<n>.)/")
URIS = ("/p", "v.html", "/404", "/empty", "$v", "../x", "sets.html", "/show?a=%20$arg_a", "%41")
OPTIONS = ("", ' wait="yes"', ' set="v"', ' stub="b"', ' wait="no"')
FLOW = ("<!--#else -->", "<!--#endif -->", "<!--#endif -->")
BLOCKS = ('<!--#block name="b" -->', '<!--#block name="c" -->', "<!--#endblock -->")
PIECES = (
    *("<!--#", "<!-", "--", ">", "-->", "<", "<!--# echo var='uri'-->", "<!--#e", "text", " "),
    *("<!--#echo var=-->", "<!--#echo var -->", "<!--#echo v='1' x-->", "\n"),
)
SERVER = """
    set $own mine;
    location /pages/ { ssi on; alias html/; }
    location = /p { default_type text/html; return 200 included; }
    location = /empty { default_type text/html; return 200 ""; }
    location = /404 { return 404; }
    location /show { return 200 "$uri $args"; }
"""


class Pages:
    """Makes pages; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def page(self) -> str:
        return "".join(self._part() for _ in range(self._random.randint(1, 9)))

    def _one(self, texts: tuple[str, ...]) -> str:
        return self._random.choice(texts)

    def _value(self) -> str:
        return "".join(self._one(WORDS) for _ in range(self._random.randint(0, 5)))

    def _quoted(self, text: str) -> str:
        quote = "'" if '"' in text and self._random.random() < 0.5 else '"'
        return f"{quote}{text}{quote}"

    def _expression(self) -> str:
        right = self._one((*RIGHT, self._value()))
        return self._quoted(self._one(LEFT) + self._one(OPERATORS) + right)

    def _part(self) -> str:
        name = self._one(NAMES)
        match self._random.randrange(11):
            case 0 | 1:
                return f'<!--#set var="{name}" value={self._quoted(self._value())} -->'
            case 2 | 3:
                default = f" default={self._quoted(self._value())}"
                encoding = f' encoding="{self._one(("url", "none", "entity", "x"))}"'
                return f'<!--#echo var="{name}"{self._one(("", default, encoding))} -->'
            case 4:
                return f"<!--#if expr={self._expression()} -->"
            case 5:
                return self._one((*FLOW, f"<!--#elif expr={self._expression()} -->"))
            case 6:
                return self._one(BLOCKS)
            case 7 | 8:
                how, uri = self._one(("virtual", "file")), self._one(URIS)
                return f'<!--#include {how}="{uri}"{self._one(OPTIONS)} -->'
            case 9:
                # With an empty errmsg nginx ends with "zero size buf in writer".
                return f"<!--#config errmsg={self._quoted('E' + self._value())} -->"
        return self._one(PIECES)


@pytest.mark.nginx
@pytest.mark.parametrize("seed", [1, 2])
def test_random_pages_equal_nginx(seed: int, tmp_path: Path) -> None:
    pages = Pages(seed)
    files = {"v.html": b'v=<!--#echo var="v" -->'}
    files["sets.html"] = b'<!--#set var="v" value="there" -->S'
    names = [f"random-{number}.html" for number in range(PAGES)]
    files |= {name: pages.page().encode("latin-1") for name in names}
    compare(tmp_path, SERVER, [get(f"/pages/{name}?a=1") for name in names], files=files)
