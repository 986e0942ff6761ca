"""`ssl_ocsp`: check client certificates by OCSP, after the handshake."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import replace

from cryptography import x509
from OpenSSL import crypto

from ..logs.error import ConnectionLog
from ..models import Level
from ..shared_table import KEY_SIZE, SharedTable
from .message import (
    GOOD,
    REVOKED,
    UNKNOWN,
    CertificateStatus,
    CheckedCertificate,
    OCSPResponseError,
    certificate_id,
    check_response,
    request_target,
    responder_url,
    verified_chain,
)
from .responder import (
    OCSPServer,
    RequestFailedError,
    RequestLog,
    ResponderURLError,
    ask,
    parse_responder,
)

REQUEST_FAILED = "certificate status request failed"
_TEXTS = {REVOKED: "certificate revoked", UNKNOWN: "certificate status unknown"}
_STATUSES = (GOOD, REVOKED, UNKNOWN)
_UNLIMITED = 3600
"""Seconds that a status without an end is kept."""


class StatusCache:
    """Statuses of certificates, in memory that workers share (`ssl_ocsp_cache`)."""

    def __init__(self, size: int) -> None:
        self._table = SharedTable(size, "=qq")
        self._users = 1

    def share(self) -> StatusCache:
        """Use the cache in another configuration, too; each closes it once."""
        self._users += 1
        return self

    def find(self, checked: CheckedCertificate, now: float) -> str | None:
        """The status of a certificate; None if it is not known, or no longer."""
        with self._table:
            number = self._table.find(_key(checked))
            if not number:
                return None
            status, valid_until = self._table.read(number)
            if valid_until > now:
                return _STATUSES[status]
            self._table.remove(number)
        return None

    def store(self, checked: CheckedCertificate, status: CertificateStatus, now: float) -> None:
        if status.valid_until < now:
            return
        end = now + _UNLIMITED if status.valid_until == math.inf else status.valid_until
        values = (_STATUSES.index(status.status), int(end))
        table, key = self._table, _key(checked)
        with table:
            number = table.find(key)
            if number:
                table.write(number, values)
                return
            if table.used == table.capacity:
                table.remove(table.oldest)
            table.insert(key, values)

    def close(self) -> None:
        self._users -= 1
        if not self._users:
            self._table.close()


def _key(checked: CheckedCertificate) -> bytes:
    name, key, serial = certificate_id(checked)
    text = name + key + serial.to_bytes(32, "big")
    return hashlib.blake2b(text, digest_size=KEY_SIZE).digest()


class ClientCertificateCheck:
    """Checks the client certificates of one virtual server."""

    def __init__(
        self,
        trusted: Sequence[x509.Certificate],
        responder: OCSPServer,
        cache: StatusCache | None,
        *,
        leaf_only: bool,
        has_url: bool,
    ) -> None:
        """`responder` is that of `ssl_ocsp_responder` if `has_url`; else its resolver counts, for
        the URLs in certificates. `leaf_only` is `ssl_ocsp leaf`."""
        self._trusted = tuple(trusted)
        self._responder = responder
        self._cache = cache
        self._leaf_only = leaf_only
        self._has_url = has_url

    async def failure(
        self, leaf: x509.Certificate, others: Sequence[x509.Certificate], log: ConnectionLog
    ) -> str | None:
        """Why a certificate is not accepted; None if it is.

        `others` are the certificates that the client has sent with it.
        """
        try:
            chain = verified_chain(leaf, self._trusted, others)
        except crypto.X509StoreContextError:
            log.write(Level.ERROR, "X509_verify_cert() failed")
            return REQUEST_FAILED
        for certificate, issuer in zip(chain[:1] if self._leaf_only else chain, chain[1:]):  # noqa: B905
            checked = CheckedCertificate(certificate, issuer, tuple(chain), self._trusted)
            try:
                status = await self._status(checked, log)
            except (RequestFailedError, OCSPResponseError):
                return REQUEST_FAILED
            if status != GOOD:
                return _TEXTS[status]
        return None

    async def _status(self, checked: CheckedCertificate, log: ConnectionLog) -> str:
        responder = self._responder_of(checked.certificate, log)
        cached = None if self._cache is None else self._cache.find(checked, time.time())
        if cached is not None:
            return cached
        request_log = RequestLog(log.write_no_context, responder.host)
        data = await ask(responder, request_target(responder.uri, checked), request_log)
        now = time.time()
        if not data:
            raise OCSPResponseError
        try:
            status = check_response(data, checked, now)
        except OCSPResponseError as wrong:
            request_log.write(Level.ERROR, str(wrong))
            raise
        if self._cache is not None:
            self._cache.store(checked, status, now)
        return status.status

    def _responder_of(self, certificate: x509.Certificate, log: ConnectionLog) -> OCSPServer:
        """The responder to ask. Raises `RequestFailedError` after logging why there is none."""
        if self._has_url:
            return self._responder
        url = responder_url(certificate)
        if url is None:
            log.write(Level.ERROR, "no OCSP responder URL in certificate")
            raise RequestFailedError
        try:
            return replace(self._responder, address=parse_responder(url))
        except ResponderURLError as wrong:
            log.write(Level.ERROR, f"{wrong} in certificate")
            raise RequestFailedError from None
