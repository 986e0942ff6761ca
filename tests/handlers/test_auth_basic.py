"""Passwords of `auth_basic_user_file`: every hash format, and the same against nginx."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.handlers.auth_basic import find_user, verify_password
from tests.compare_nginx import get, paired_with_nginx

PASSWORD = "pass word"

HASHES = {
    "plain": "{PLAIN}pass word",
    "sha": "{SHA}2oguq15ANCGsJCWKX31fllwpyEk=",
    "ssha": "{SSHA}85f2vhDDzyWaDNppq37VzQGf2UI0NTY3",  # of another password
    "apr1": "$apr1$abcdefgh$NriZ3KceyQFy368Ufp8U./",
    "md5": "$1$abcdefgh$yTpYrEJJOuAsO2Aee15/D1",
    "bcrypt-2a": "$2a$05$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf.",
    "bcrypt-2b": "$2b$05$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf.",
    "bcrypt-2x": "$2x$05$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf.",
    "bcrypt-2y": "$2y$05$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf.",
    "des": "ab3jcLo8aNLw6",
    "bsdi": "_J9..rasmRjdRCN/nX0s",
    "sha256": "$5$abcdefgh$.QMzy7v4vXPoalf3eRONDBUv8WZTVbTMR1FBCZC1/L2",
    "sha512": "$6$abcdefgh$YN8B0zmx4g7gHNsAPRHBHL7/9D2xv7Ojh6WbPzJjQGPPjUs3FiTtHkWxn/GwRo78ZpAt"
    "bvjbXJsaUxh7djdaf0",
}

UNREADABLE = [
    "",
    "plain",
    "x",
    "*0",
    "!!",
    "{SHA}",
    "{SSHA}!!!",
    "{plain}pass word",
    "{CRYPT}ab3jcLo8aNLw6",
    "$1$",
    "$2y$05$x",
    "$2y$03$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf.",
    "$5$rounds=x$a$b",
    "$5$a",
    "$6$",
    "$6$rounds=0$abc$zz",
    "$6$rounds=99999999999$abc$zz",
    "$y$j9T$abcdefgh$53HXNxZB2a7VoI7YjlXnuqZl44ziJZfXwvfzovUJ6J6",
]


@pytest.mark.parametrize("scheme", [name for name in HASHES if name != "ssha"])
def test_only_the_right_password_matches(scheme: str) -> None:
    stored = HASHES[scheme].encode()
    assert verify_password(PASSWORD.encode(), stored)
    assert not verify_password(b"Pass word", stored)
    assert not verify_password(b"", stored)


def test_number_of_rounds_is_read_from_the_hash() -> None:
    stored = (
        "$6$rounds=1500$saltsalt$WiCPofcfPMjy3wafuteDzRSATw3eg736vRJM418S4LBxW6V6gOHYpDiHsjhJjlL5"
        "uELLX4HXDAqk/V8SJy4.R1"
    )
    assert verify_password(b"x", stored.encode())


@given(st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=20))
def test_ssha_accepts_salts_of_any_length(password: bytes, salt: bytes, other: bytes) -> None:
    digest = hashlib.sha1(password + salt).digest()
    stored = b"{SSHA}" + base64.b64encode(digest + salt)
    assert verify_password(password, stored)
    assert verify_password(other, stored) == (other == password)


@pytest.mark.parametrize("stored", UNREADABLE)
def test_unreadable_hash_matches_no_password(stored: str) -> None:
    assert not verify_password(b"x", stored.encode())


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_any_bytes_are_compared_without_an_error(password: bytes, stored: bytes) -> None:
    verify_password(password, stored)


def test_bcrypt_ignores_what_follows_72_bytes() -> None:
    assert not verify_password(b"x" * 100, HASHES["bcrypt-2y"].encode())


FILE = b"# a:x\n\nuser:one\nus:two:a comment\r\nuser:three\r\nlast:four"


@pytest.mark.parametrize(
    ("user", "stored"),
    [
        (b"user", b"one"),
        (b"us", b"two"),
        (b"last", b"four"),
        (b"a", None),
        (b"# a", None),
        (b"u", None),
        (b"nobody", None),
    ],
)
def test_first_line_of_a_user_is_found(user: bytes, stored: bytes | None) -> None:
    assert find_user(FILE, user) == stored


@pytest.mark.nginx
def test_nginx_gives_the_same_statuses(tmp_path: Path) -> None:
    stored = [*HASHES.values(), *UNREADABLE]
    users = tmp_path / "users"
    users.write_text("".join(f"u{number}:{one}\n" for number, one in enumerate(stored)))
    requests = [
        get("/", f"Authorization: Basic {token(f'u{number}:{password}')}")
        for number in range(len(stored))
        for password in (PASSWORD, "wrong", "pass wor", "pass word\0x")
    ]
    (tmp_path / "index.html").write_text("let in\n")
    http = f"""server {{
        listen 127.0.0.1:@PORT@; root {tmp_path};
        auth_basic realm; auth_basic_user_file {users};
    }}"""
    with paired_with_nginx(tmp_path, http) as running:
        ours, nginx = ([answer.status for answer in one] for one in running.ask(requests))
        assert ours == nginx
        assert ours.count(401) < len(ours)


def token(credentials: str) -> str:
    return base64.b64encode(credentials.encode()).decode()
