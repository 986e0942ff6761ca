"""PCRE patterns translated for Python's `re`."""

from __future__ import annotations

import sys
from urllib.request import urlopen

import pytest

import sniproxy
from sniproxy.config.regex import RegexError, compile_regex


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("(?<n>a)", "a", "a"),
        ("(?'n'a)", "a", "a"),
        (r"(?<n>a)\k<n>", "aa", "aa"),
        (r"(?<=a)b", "ab", "b"),
        ("[[:alpha:]]+", "12ab", "ab"),
        ("[[:^alpha:]]+", "ab12", "12"),
        ("[^[:space:]_]+", " a_", "a"),
        ("[]a]+", "]a", "]a"),
        ("[^]a]+", "]ab", "b"),
        ("[a&&b]+", "a&b", "a&b"),
        ("[[a]+", "[a", "[a"),
        (r"\Q.*\E$", "a.*", ".*"),
        (r"a\z", "a\n", None),
        (r"a\Z", "a\n", "a"),
        ("a$", "a\n", "a"),
        (r"\x{41}", "A", "A"),
        (r"\h+", "a\t b", "\t "),
        (r"\w+", "\xe9a", "a"),
        ("a++b", "aab", "aab"),
        (".", "\xff", "\xff"),
    ],
)
def test_pcre_syntax_matches_like_pcre(pattern: str, text: str, found: str | None) -> None:
    match = compile_regex(pattern).search(text)
    assert (match and match[0]) == found


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", 'missing closing parenthesis in "("'),
        ("a[", 'missing terminating ] for character class in "a["'),
        ("*a", 'quantifier does not follow a repeatable item in "*a" at "*a"'),
        ("a**b", 'quantifier does not follow a repeatable item in "a**b" at "*b"'),
        ("(?<n>a)**b", 'quantifier does not follow a repeatable item in "(?<n>a)**b" at "*b"'),
        ("a)", 'unmatched closing parenthesis in "a)" at ")"'),
        ("[z-a]", 'range out of order in character class in "[z-a]" at "a]"'),
        (
            "(?<1a>x)",
            'subpattern name must start with a non-digit in "(?<1a>x)" at "1a>x)"',
        ),
        ("\\", '\\ at end of pattern in "\\"'),
        ("(?z)", 'unrecognized character after (? or (?- in "(?z)" at "z)"'),
        (r"\1", r'reference to non-existent subpattern in "\1" at "1"'),
    ],
)
def test_errors_have_the_messages_of_pcre2(pattern: str, words: str) -> None:
    with pytest.raises(RegexError) as caught:
        compile_regex(pattern)
    assert str(caught.value) == f"pcre2_compile() failed: {words}"


@pytest.mark.parametrize("pattern", [r"a\Kb", "(?|a|b)", r"\p{L}", "(*UTF8)a", "(a(?1))"])
def test_features_missing_in_python_need_a_package(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pcre2", None)
    with pytest.raises(RegexError, match=r"is not supported by sniproxy without PCRE2"):
        compile_regex(pattern)


@pytest.mark.packages("pcre2")
@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"/\p{Lu}+(?<a>x)", "a/ABx", ("/ABx", {"a": "x"})),
        (r"(?|/(a)|/b(c))$", "/bc", ("/bc", {})),
        (r"foo\Kbar", "foobar", ("bar", {})),
        (r"^(\((?:[^()]|(?1))*\))$", "(a(b)c)", ("(a(b)c)", {})),
        (r"\p{L}\xe9", "\xe9\xe9", ("\xe9\xe9", {})),
        (r"(?<n>a)\K(?<m>b)?", "a", ("", {"n": "a", "m": None})),
        (r"(*UTF8)^.$", "\xc3\xa9", ("\xc3\xa9", {})),
        (r"\p{Lu}", "a1", None),
        (r"(?:\p{L}+)*(?:a+)+$", "a" * 5000 + "!", None),
    ],
)
def test_pcre2_matches_what_python_cannot(
    pattern: str, text: str, found: tuple[str, dict[str, str | None]] | None
) -> None:
    match = compile_regex(pattern).search(text)
    assert (None if match is None else (match[0], match.groupdict())) == found
    if match is not None:
        assert match.re.groups >= len(match.groupdict())
        assert text[match.start() : match.end()] == match[0]


@pytest.mark.packages("pcre2")
def test_pcre2_refuses_with_its_own_message() -> None:
    with pytest.raises(RegexError) as caught:
        compile_regex(r"\p{Lu}(?|(a)")
    assert str(caught.value) == (
        r'pcre2_compile() failed: missing closing parenthesis in "\p{Lu}(?|(a)"'
    )
    assert compile_regex(r"(?|A)", caseless=True).search("a") is not None


@pytest.mark.packages("pcre2")
def test_pcre2_serves_locations_maps_and_rewrites() -> None:
    text = r"""
    events {}
    http {
        map $uri $kind { default none; "~^/\p{Lu}(?<rest>.*)$" "capital $rest"; }
        server {
            listen 127.0.0.1:0;
            rewrite ^/(?|old-(\d)|older-(\d\d))$ /new/$1;
            location ~ "^/nested(?<brackets>\((?:[^()]|(?1))*\))$" { return 200 $brackets; }
            location / { return 200 "$kind $uri"; }
        }
    }
    """
    with sniproxy.serve_in_thread(text) as proxy:

        def answer(path: str) -> str:
            with urlopen(proxy.urls[0] + path) as response:
                return str(response.read().decode())

        assert answer("/Ab") == "capital b /Ab"
        assert answer("/older-12") == "none /new/12"
        assert answer("/nested(a(b))") == "(a(b))"
        assert answer("/nested(a(b)") == "none /nested(a(b)"
