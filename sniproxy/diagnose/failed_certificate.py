"""Describe the certificate of a chain at which verification failed."""

from __future__ import annotations

import ssl
from datetime import datetime

from ..tls.der import DERError
from ..tls.peer_certificate import PeerCertificate
from .model import Attempt, FailedCertificate

_PEM_BEGIN, _PEM_END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def failed_certificate(depth: int, der: bytes, authorities: str) -> FailedCertificate | None:
    """What is said about the certificate; None if it cannot be parsed.

    `authorities` is the path of the file of trusted CAs.
    """
    certificate = PeerCertificate(der)
    try:
        return FailedCertificate(
            depth,
            certificate.subject,
            _day(certificate.not_before),
            _day(certificate.not_after),
            _contains(authorities, der),
        )
    except (DERError, ValueError, StopIteration, IndexError):
        return None


def _day(time: datetime) -> str:
    return time.strftime("%Y-%m-%d")


def _contains(path: str, der: bytes) -> bool:
    """Whether the PEM file has this certificate."""
    try:
        with open(path, encoding="latin-1") as file:
            text = file.read()
    except OSError:
        return False
    blocks = (part.partition(_PEM_END)[0] for part in text.split(_PEM_BEGIN)[1:])
    for block in blocks:
        try:
            if ssl.PEM_cert_to_DER_cert(f"{_PEM_BEGIN}{block}{_PEM_END}") == der:
                return True
        except ValueError:
            continue
    return False


def position(attempt: Attempt) -> str:
    """Which certificate it is: `its own certificate (CN=a.test)`; "" if that is not known."""
    failed = attempt.failed_certificate
    if failed is None:
        return ""
    subject = failed.subject or "without a subject"
    if failed.depth == 0:
        return f"its own certificate ({subject})"
    place = f"certificate {failed.depth + 1} of its chain ({subject})"
    return f"{place}, which is in the file of authorities," if failed.from_authorities else place
