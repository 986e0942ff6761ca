"""What makes the content of a session without an upstream: `return` and `pass`."""

from __future__ import annotations

from ..config.addresses import Address, AddressError, parse_address
from ..config.directives.stream_core import PassTo
from ..models import FailureType, Level, ProxyError
from ..template import Template
from ..tls.stream import TLSStream
from .session import INTERNAL_ERROR, OK, StreamSession
from .session_variables import session_lookup

RETURN_TIMEOUT = 5.0
"""Seconds between two writes of the text of `return`."""
MAX_PASSES = 10
"""How often one connection is passed on, after which it is taken for a cycle."""


class ReturnHandler:
    """`return TEXT`."""

    def __init__(self, text: Template) -> None:
        self._text = text

    async def handle(self, session: StreamSession) -> int:
        session.log.action = "returning text"
        text = self._text.render(session_lookup(session.ctx)).encode("latin-1")
        try:
            await session.send_text(text, RETURN_TIMEOUT)
        except ProxyError as failed:
            if failed.failure.kind is FailureType.TIMEOUT:
                session.log.write(Level.INFO, "connection timed out (110: Connection timed out)")
                return OK
            session.log.write_failure(failed.failure)
            return INTERNAL_ERROR
        return OK


class PassHandler:
    """`pass ADDRESS`."""

    def __init__(self, target: PassTo) -> None:
        self._target = target

    async def handle(self, session: StreamSession) -> int:
        log = session.log
        log.action = "passing connection to port"
        if session.ctx.is_udp:
            log.write(Level.ERROR, "cannot pass udp connection")
            return INTERNAL_ERROR
        if isinstance(session.stream, TLSStream) and session.preread_data:
            log.write(Level.ERROR, "cannot pass connection with preread data")
            return INTERNAL_ERROR
        address = self._target.address or self._evaluate(session)
        if address is None:
            return INTERNAL_ERROR
        connection = session.ctx.connection
        connection.passes += 1
        if connection.passes > MAX_PASSES:
            log.write(Level.ERROR, "stream pass cycle")
            return INTERNAL_ERROR
        if session.hand_over(address.host, address.port, session.stream, connection):
            session.is_handed_over = True
            return OK
        name = address.host if address.is_unix else f"{address.host}:{address.port}"
        log.write(Level.ERROR, f'port not found for "{name}"')
        return OK

    def _evaluate(self, session: StreamSession) -> Address | None:
        """The address, if it depends on variables; None after what was logged."""
        assert self._target.template is not None
        text = self._target.template.render(session_lookup(session.ctx))
        try:
            address = parse_address(text, 0)
        except AddressError as error:
            session.log.write(Level.ERROR, f'{error} in pass "{text}"')
            return None
        if not address.is_literal:
            session.log.write(Level.ERROR, f'no addresses in pass "{text}"')
            return None
        if not (address.port or address.is_unix):
            session.log.write(Level.ERROR, f'no port in pass "{text}"')
            return None
        return address
