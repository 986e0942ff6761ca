"""Names of the IANA numbers in a ClientHello, for `$ssl_ciphers`, `$ssl_curves`, `$ssl_sigalgs`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

_CURVES = """
sect163k1 sect163r1 sect163r2 sect193r1 sect193r2 sect233k1 sect233r1 sect239k1 sect283k1
sect283r1 sect409k1 sect409r1 sect571k1 sect571r1 secp160k1 secp160r1 secp160r2 secp192k1
prime192v1 secp224k1 secp224r1 secp256k1 prime256v1 secp384r1 secp521r1 brainpoolP256r1
brainpoolP384r1 brainpoolP512r1 X25519 X448 brainpoolP256r1tls13 brainpoolP384r1tls13
brainpoolP512r1tls13
"""

GROUPS = {
    **dict(enumerate(_CURVES.split(), 1)),
    **dict(enumerate(("ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"), 256)),
    **dict(enumerate(("MLKEM512", "MLKEM768", "MLKEM1024"), 512)),
    **dict(enumerate(("SecP256r1MLKEM768", "X25519MLKEM768", "SecP384r1MLKEM1024"), 4587)),
}
"""Names that nginx prints for groups: the short name of OpenSSL's object, if there is one
(`prime256v1` for secp256r1)."""


def format_ids(numbers: Iterable[int], name: Callable[[int], str | None]) -> str:
    """Format numbers as `A:B:0x0a0a`, in hexadecimal if they have no name."""
    return ":".join(name(number) or f"0x{number:04x}" for number in numbers)
