"""Certificates with trust settings, as `openssl x509 -trustout` writes them."""

from __future__ import annotations

import base64
from pathlib import Path

LABEL = "TRUSTED CERTIFICATE"
REJECT = bytes.fromhex("300c a00a 0608 2b06010505070301")
"""Trust settings that reject serverAuth (`openssl x509 -trustout -addreject serverAuth`)."""


def write_trusted(folder: Path) -> None:
    """Certificates with trust settings: `trusted-NAME` without any, `rejected-NAME` with some."""
    for name in ("client.pem", "root.pem", "good.pem"):
        blocks = (folder / name).read_text().split("-----BEGIN CERTIFICATE-----")[1:]
        for prefix, settings in (("trusted", b""), ("rejected", REJECT)):
            text = ""
            for block in blocks:
                der = base64.b64decode(block.partition("-----END")[0])
                encoded = base64.encodebytes(der + settings).decode()
                text += f"-----BEGIN {LABEL}-----\n{encoded}-----END {LABEL}-----\n"
            (folder / f"{prefix}-{name}").write_text(text)
    both = [(folder / name).read_text() for name in ("client.pem", "trusted-root.pem")]
    (folder / "chain.pem").write_text("".join(both))
