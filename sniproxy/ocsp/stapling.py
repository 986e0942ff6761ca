"""`ssl_stapling`: OCSP responses that are stapled to handshakes, and their renewal."""

from __future__ import annotations

import math
import time
from functools import partial

import trio

from ..logs.error import ErrorLog
from ..models import Level
from .message import GOOD, CheckedCertificate, OCSPResponseError, check_response, request_target
from .responder import OCSPServer, RequestFailedError, RequestLog, ask

_RETRY = 300
"""Seconds until a failed request is repeated; a response is not renewed before either."""
_LONGEST = 3600
"""Seconds after which a response is renewed in any case."""


class Stapler:
    """The response about one certificate; the first handshakes have none.

    A handshake in which the client asks for the status starts a request if one is due.
    """

    def __init__(
        self, checked: CheckedCertificate, responder: OCSPServer, name: str, *, verify: bool
    ) -> None:
        """`name` is the file name of the certificate; `verify` is `ssl_stapling_verify`."""
        self._checked = checked
        self._responder = responder
        self._name = name
        self._verify = verify
        self._response = b""
        self._valid_until = 0.0
        self._renew_at = 0.0
        self._is_due = trio.Event()

    def continue_from(self, previous: Stapler) -> None:
        """Start with the response of the same certificate in the previous configuration."""
        self._response = previous._response
        self._valid_until, self._renew_at = previous._valid_until, previous._renew_at

    def response(self) -> bytes | None:
        """The response to staple now; called in handshakes."""
        now = time.time()
        if self._renew_at < now:
            self._is_due.set()
        return self._response if self._response and self._valid_until >= now else None

    async def run(self, log: ErrorLog) -> None:
        """Renew the response whenever that is due, until cancelled."""
        while True:
            await self._is_due.wait()
            await self._renew(RequestLog(partial(log.write), self._responder.host, self._name))
            self._is_due = trio.Event()

    async def _renew(self, log: RequestLog) -> None:
        try:
            target = request_target(self._responder.uri, self._checked)
            data = await ask(self._responder, target, log)
            now = time.time()
            if not data:
                raise OCSPResponseError
            status = check_response(data, self._checked, now, verify=self._verify, trust_chain=True)
            if status.status != GOOD:
                text = f'certificate status "{status.status}" in the OCSP response'
                raise OCSPResponseError(text)
        except (RequestFailedError, OCSPResponseError) as failed:
            if str(failed):
                log.write(Level.ERROR, str(failed))
            self._renew_at = time.time() + _RETRY
            return
        self._response, self._valid_until = data, status.valid_until
        before_end = math.inf if status.valid_until == math.inf else status.valid_until - _RETRY
        self._renew_at = max(min(before_end, now + _LONGEST), now + _RETRY)
