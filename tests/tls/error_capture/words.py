"""All the words that the OpenSSL of this interpreter has."""

from __future__ import annotations

from typing import Any

import cryptography

from .talking import lib, text

COMMON = 0x80000
"""OpenSSL 3 marks the reasons that all libraries share."""
FATAL = 0xC0000


def words() -> dict[str, Any]:
    """Release, libraries with their reasons, verify texts, and 1.1.1's functions."""
    packed_since_3 = lib.ERR_GET_REASON(COMMON | 58) == COMMON | 58
    release = text(lib.OpenSSL_version(0)) if hasattr(lib, "OpenSSL_version") else ""
    return {
        "release": release,
        "made with": f"cryptography {cryptography.__version__}",
        "libraries": {n: name for n in range(128) if (name := library(n, packed_since_3))},
        "reasons": reasons(packed_since_3),
        "functions": {} if packed_since_3 else functions(),
        "verify": verify_texts(),
    }


def library(number: int, packed_since_3: bool) -> str:
    return text(lib.ERR_lib_error_string(number << (23 if packed_since_3 else 24)))


def reasons(packed_since_3: bool) -> dict[int, dict[int, str]]:
    """By library; library 0 has the common ones, which the library gives for all others too."""
    shift = 23 if packed_since_3 else 24
    flags = (0, COMMON, FATAL) if packed_since_3 else (0,)
    common = {
        flag | n: words
        for flag in flags
        for n in range(512)
        if (words := text(lib.ERR_reason_error_string(flag | n)))
    }
    found = {0: common}
    for number in range(3, 128):
        own = {
            n: words
            for n in range(1, 1400)
            if (words := text(lib.ERR_reason_error_string(number << shift | n)))
            and common.get(n) != words
        }
        if own:
            found[number] = own
    return found


def functions() -> dict[int, dict[int, str]]:
    found = {
        number: {
            n: name
            for n in range(1, 1024)
            if (name := text(lib.ERR_func_error_string(number << 24 | n << 12)))
        }
        for number in range(1, 128)
    }
    return {number: own for number, own in found.items() if own}


def verify_texts() -> dict[int, str]:
    return {
        n: words
        for n in range(128)
        if (words := text(lib.X509_verify_cert_error_string(n)))
        and words != "unknown certificate verification error"
    }
