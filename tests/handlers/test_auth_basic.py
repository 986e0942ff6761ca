"""Passwords as files keep them, each format's own examples, and what fits none."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.handlers.auth_basic import UnknownHashError, find_user, verify_password

KEPT = [
    "{PLAIN}pass word",
    "{SHA}2oguq15ANCGsJCWKX31fllwpyEk=",
    "$apr1$abcdefgh$NriZ3KceyQFy368Ufp8U./",
    "$1$abcdefgh$yTpYrEJJOuAsO2Aee15/D1",
    "$5$abcdefgh$.QMzy7v4vXPoalf3eRONDBUv8WZTVbTMR1FBCZC1/L2",
    "$6$abcdefgh$YN8B0zmx4g7gHNsAPRHBHL7/9D2xv7Ojh6WbPzJjQGPPjUs3FiTtHkWxn/GwRo78ZpAtbvjbXJsa"
    "Uxh7djdaf0",
]


@pytest.mark.parametrize("kept", KEPT)
def test_what_fits(kept: str) -> None:
    assert verify_password(b"pass word", kept.encode())
    assert not verify_password(b"pass work", kept.encode())
    assert not verify_password(b"", kept.encode())


def test_rounds() -> None:
    kept = (
        "$6$rounds=1500$saltsalt$WiCPofcfPMjy3wafuteDzRSATw3eg736vRJM418S4LBxW6V6gOHYpDiHsjhJjlL5"
        "uELLX4HXDAqk/V8SJy4.R1"
    )
    assert verify_password(b"x", kept.encode())


@given(st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=20))
def test_salted(password: bytes, salt: bytes, other: bytes) -> None:
    digest = hashlib.sha1(password + salt).digest()
    kept = b"{SSHA}" + base64.b64encode(digest + salt)
    assert verify_password(password, kept)
    assert verify_password(other, kept) == (other == password)


@pytest.mark.parametrize("kept", ["", "plain", "$2y$05$x", "abJnggxhB/yWI", "$5$rounds=x$a$b"])
def test_unknown_formats(kept: str) -> None:
    with pytest.raises(UnknownHashError):
        verify_password(b"x", kept.encode())


FILE = b"# a:x\n\nuser:one\nus:two:a comment\r\nuser:three\r\nlast:four"


@pytest.mark.parametrize(
    ("user", "kept"),
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
def test_passwords_of_users(user: bytes, kept: bytes | None) -> None:
    assert find_user(FILE, user) == kept
