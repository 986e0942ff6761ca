"""PCRE patterns translated for Python's `re`."""

from __future__ import annotations

import pytest

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
def test_features_missing_in_python_are_rejected(pattern: str) -> None:
    with pytest.raises(RegexError, match="is not supported by sniproxy"):
        compile_regex(pattern)
