"""Serves one connection to an upstream: its faults as raw bytes, correct HTTP/1 by h11."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import trio

from sniproxy.testing.streams import BIOTLSStream, ByteStream, RecordingStream, ssl_reason
from sniproxy.testing.upstreams.http1 import RequestStream
from sniproxy.testing.upstreams.http2_session import REFUSAL, Http2Session, answer, echoed
from sniproxy.testing.upstreams.records import CloseKind
from sniproxy.testing.upstreams.running import RunningUpstream
from sniproxy.testing.upstreams.script import Signals, Step, run_script
from sniproxy.testing.upstreams.spec import (
    TLS,
    Action,
    AfterSend,
    HandshakeFault,
    Http2Spec,
    ReceivedRequest,
    Reply,
)
from sniproxy.tls.client_hello import NotTLSError, parse_client_hello


class ConnectionHandler:
    """Serves one connection to an upstream as its spec says, and records it."""

    def __init__(
        self,
        upstream: RunningUpstream,
        stream: RecordingStream,
        context: Callable[[TLS, str | None], ssl.SSLContext],
        signals: Signals,
    ) -> None:
        self.upstream = upstream
        self.signals = signals
        self._received = b""
        self.stream = stream
        self.context = context
        self.tls: BIOTLSStream | None = None
        self.record = upstream.open()

    @property
    def channel(self) -> ByteStream:
        return self.tls or self.stream

    async def run(self) -> None:
        await self._serve()
        notified = self.tls is not None and self.tls.close_notify_received
        self._update(
            raw=bytes(self.stream.received),
            closed_by=CloseKind.CLOSE_NOTIFY if notified else CloseKind.CLOSED,
        )

    async def _serve(self) -> None:
        spec = self.upstream.spec
        fault = spec.handshake_fault
        if fault and fault.before_read:
            return await self._perform(fault.action)
        first = await self._first_bytes()
        if fault and not self._is_allowed(fault):
            return await self._perform(fault.action)
        if spec.tls:
            context = self.context(spec.tls, self.record.server_name)
            if not await self._handshake(context, first):
                return await self.stream.finish()
            first = b""
        if spec.http2:
            return await self._speak_http2(spec.http2, first)
        if spec.script:
            return await self._run_script(spec.script, first)
        return await self._respond(first)

    async def _first_bytes(self) -> bytes:
        """Read the first bytes; if they begin a ClientHello, read until it is complete."""
        data = await self.stream.read()
        try:
            while (hello := parse_client_hello(data)) is None:
                if not (more := await self.stream.read()):
                    return data
                data += more
        except NotTLSError:
            return data
        self._update(hello=hello)
        return data

    def _is_allowed(self, fault: HandshakeFault) -> bool:
        protocols = self.record.hello.alpn if self.record.hello else ()
        return self.record.server_name in fault.allow_sni or not {*protocols}.isdisjoint(
            fault.allow_alpn
        )

    async def _handshake(self, context: ssl.SSLContext, first: bytes) -> bool:
        tls = BIOTLSStream(self.stream, context, server_side=True, first=first)
        try:
            await tls.handshake()
        except ssl.SSLError as error:
            self._update(handshake=ssl_reason(error))
            return False
        self.tls = tls
        self._update(
            handshake="finished",
            protocol=tls.tls.version() or "",
            resumed=bool(tls.tls.session_reused),
            cipher=(tls.tls.cipher() or ("",))[0],
            client_certificate=_common_name(tls.tls.getpeercert()),
        )
        return True

    async def _respond(self, first: bytes) -> None:
        action = self.upstream.spec.response
        limit = self.upstream.spec.max_requests
        requests = RequestStream(self.channel, first)
        while request := await requests.next_request():
            self._update(requests=(*self.record.requests, request))
            if limit is not None and len(self.record.requests) > limit:
                return await self._perform(Action())
            received = ReceivedRequest(self.record.server_name, request)
            reply = self.upstream.responder.reply_to(received)
            if reply is not None:
                await self.channel.send(requests.serialize(reply))
            elif action.then is not AfterSend.WAIT:
                return await self._perform(action, received, requests)
            else:
                await self._send(action, received, requests)
            requests.start_next()
        if requests.unfinished:
            self._update(requests=(*self.record.requests, requests.unfinished))
        return None

    async def _speak_http2(self, http2: Http2Spec, first: bytes) -> None:
        then = self.upstream.spec.response.then
        session = Http2Session(
            self.channel,
            first,
            lambda line: self._update(frames=(*self.record.frames, line)),
            early=http2.early,
            acknowledges=http2.acknowledges,
        )
        if not await session.read_preface():
            if not session.received:
                return None
            self._update(requests=(session.received,))
            return await self._perform(Action(REFUSAL))
        session.send(http2.start)
        limit = self.upstream.spec.max_requests
        while found := await session.next_request():
            stream, request = found
            self._update(requests=(*self.record.requests, request))
            if limit is not None and len(self.record.requests) > limit:
                await session.flush()
                return await self._perform(Action())
            received = ReceivedRequest(self.record.server_name, request)
            reply = self.upstream.responder.reply_to(received)
            if reply is not None:
                session.send(answer(stream, reply))
            else:
                session.send((http2.answer or echoed)(stream, received))
                if then is not AfterSend.WAIT:
                    await session.flush()
                    return await self._perform(Action(then=then))
        if session.unfinished:
            self._update(requests=(*self.record.requests, session.unfinished))
        return None

    async def _run_script(self, steps: tuple[Step, ...], first: bytes) -> None:
        rest = await run_script(steps, self.channel, self.signals, self._record_request, first)
        action = self.upstream.spec.response
        if action.then is AfterSend.WAIT:
            self._record_request(rest)
            while data := await self.channel.read():
                self._record_request(data)
        else:
            await self._perform(Action(then=action.then))

    def _record_request(self, data: bytes) -> None:
        self._received += data
        self._update(requests=(self._received,))

    async def _send(
        self,
        action: Action,
        request: ReceivedRequest | None = None,
        requests: RequestStream | None = None,
    ) -> None:
        """Send the bytes of an action; `request`, if any, was read from `requests`."""
        data = action.send
        if callable(data):
            data = data(request or ReceivedRequest(self.record.server_name, b""))
        if isinstance(data, Reply):
            assert requests is not None, "a reply is for a request"
            data = requests.serialize(data)
        if action.byte_interval:
            await self._send_slowly(data, action.byte_interval)
        elif data:
            await self.channel.send(data)

    async def _send_slowly(self, data: bytes, interval: float) -> None:
        """Send one byte every `interval` seconds until the other side closes."""
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                while await self.channel.read():
                    pass
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            for byte in data:
                await self.channel.send(bytes((byte,)))
                await trio.sleep(interval)
            nursery.cancel_scope.cancel()

    async def _perform(
        self,
        action: Action,
        request: ReceivedRequest | None = None,
        requests: RequestStream | None = None,
    ) -> None:
        """Perform an action: send its bytes, then close as it says."""
        await self._send(action, request, requests)
        match action.then:
            case AfterSend.RESET:
                self.stream.reset()
            case AfterSend.SILENCE | AfterSend.WAIT:
                while await self.channel.read():
                    pass
            case AfterSend.CUT:
                await self.stream.finish()
            case AfterSend.CLOSE:
                if self.tls:
                    await self.tls.close_notify()
                await self.stream.finish()

    def _update(self, **changes: object) -> None:
        self.record = self.upstream.update(self.record, **changes)


def _common_name(certificate: dict[str, Any] | None) -> str | None:
    """The common name in the result of `getpeercert()`; None without a certificate."""
    subject = dict(pair for part in (certificate or {}).get("subject", ()) for pair in part)
    return subject.get("commonName")
