"""The CA bundle of the operating system."""

from __future__ import annotations

import os

SYSTEM_STORES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""CA bundles of operating systems: Debian, Fedora, openSUSE, Alpine and BSD."""


def system_store() -> str:
    """Path of the system's CA bundle; "" if none is found."""
    return next((path for path in SYSTEM_STORES if os.path.exists(path)), "")
