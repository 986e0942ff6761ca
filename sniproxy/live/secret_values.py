"""Mask secrets in the JSON of entries (pure).

Header fields are masked when an entry is made (`trace.masking`), and their values are recorded
beside it. Query parameters are masked here, by name, wherever a URL or a request line occurs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..trace.masking import MASK

NAMES = (
    "access_token", "api_key", "apikey", "api-key", "auth", "client_secret", "code", "credential",
    "id_token", "jwt", "key", "pass", "passwd", "password", "pwd", "refresh_token", "secret",
    "session", "sessionid", "sig", "signature", "token", "x-amz-credential",
    "x-amz-security-token", "x-amz-signature",
)  # fmt: skip
"""Names of query parameters whose values are secret, in any case."""
_PARAMETER = re.compile(rf"((?:^|[?&;])(?:{'|'.join(NAMES)})=)[^&;\s\"'#]+", re.I)
_PRIVATE_KEY = re.compile("-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [^-]*-----|$)", re.S)
_CREDENTIALS = re.compile(
    r"\b((?:proxy-)?authorization|(?:set-)?cookie)([\"']?(?:\s*[=:]\s*|\s+))"
    r"(?![\"']?\$)(\"[^\"\n]*\"|'[^'\n]*'|[^\s;\"'\n]+(?: [^\s;\"'\n]+)*)",
    re.I,
)
HIDDEN = "hidden"
"""The key of the values that were masked, each with the path to its place."""


def mask_query(text: str) -> str:
    """Mask the values of secret query parameters."""
    return _PARAMETER.sub(rf"\1{MASK}", text) if "=" in text else text


def mask_configuration(text: str) -> str:
    """Mask private keys and fixed credentials in the text of a configuration; lines stay lines."""

    def masked_key(found: re.Match[str]) -> str:
        return MASK + "\n" * found[0].count("\n")

    return _CREDENTIALS.sub(rf"\1\2{MASK}", _PRIVATE_KEY.sub(masked_key, text))


def without_secrets(detail: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON value of an entry as everybody may see it."""
    public = {name: value for name, value in detail.items() if name != HIDDEN}
    return {**_changed(public, mask_query), "masked": True}


def with_secrets(detail: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON value of an entry with the values that were masked."""
    revealed = {name: value for name, value in detail.items() if name != HIDDEN}
    for path, value in detail.get(HIDDEN, ()):
        place = revealed
        try:
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    return {**revealed, "masked": False}


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_changed(one, change) for one in value]
    if isinstance(value, dict):
        return {name: _changed(one, change) for name, one in value.items()}
    return value
