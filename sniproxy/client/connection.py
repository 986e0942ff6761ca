"""One client connection, from accept to close.

    handshake ─► head ─► server ─► location ─► body ─► handler ─► response ─► access log
                  ▲                                                    │
                  └──────────────────── keep-alive ────────────────────┘

A request walks this line once. What goes wrong with the client ends here, in a line at
nginx's level and a closed connection; what goes wrong upstream comes back as a response.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

import trio
from OpenSSL import SSL

from ..departures import Departure, LateScope
from ..facts import Connection, Facts
from ..http.head import READING_HEADERS, READING_LINE, BadRequest, HeadRules, Note
from ..logs.error import ConnectionLog
from ..message import (
    ConfigError,
    Failed,
    Failure,
    FailureClass,
    Header,
    Level,
    Outcome,
    Request,
    Response,
    Side,
    Special,
)
from ..phases import Phases
from ..running import Listener, Running, RunningLocation, RunningServer
from ..tls.stream import REJECT, Reject, SocketStream, TLSStream
from ..upstream.sending import ClientFailed
from . import verification
from .body import ArrivingBody, SpooledBody
from .closing import TIMED_OUT, close_in_order, timed_out
from .framing import Framing
from .keeping import keeps
from .receiving import Reception
from .requests import CutShort, RequestReader
from .responses import ResponseWriter
from .tunnel import UPGRADED, tunnel

READING_PIPELINED = "reading client pipelined request line"
CLIENT_LEFT = (
    "epoll_wait() reported that client prematurely closed connection, "
    "so upstream connection is closed too"
)


class ClientConnection:
    """The requests of one connection, one after the other."""

    def __init__(
        self, running: Running, listener: Listener, stream: SocketStream, connection: Connection
    ) -> None:
        self.running = running
        self.listener = listener
        self.connection = connection
        self.default = running.servers[listener.names.default]
        """What holds until a Host has chosen the server: the SNI's, else the address's."""
        self.negotiated = ""
        """The SNI, where it is the name of `default`."""
        self.log = ConnectionLog(
            self.default.outside.error_log,
            connection.number,
            connection.client_address,
            listener.text,
        )
        self.stream = stream
        self.framing = Framing()
        self.head_deadline = 0.0
        """When the head of a request has to be there (`client_header_timeout`); the first one's
        counts from the beginning of the connection, its handshake included."""
        self.reading_line = READING_LINE
        """The action while a request line is read."""
        self.kept_for = 0.0
        """Seconds to wait for the next request (`keepalive_timeout`)."""
        self.departure: Departure | None = None
        """Watched from the first request on that an upstream answers."""
        self.leaving = LateScope()
        """Cancelled when the client leaves while its request is with an upstream."""
        self.descriptor = -1
        self.waiting = False
        """Whether it waits between two requests, so that a graceful stop may end it."""

    def stop_if_waiting(self) -> None:
        """Let a connection that waits between two requests find that its client has closed it."""
        if self.waiting:
            self.stream.shutdown_reading()

    async def serve(self) -> None:
        """Answer requests until the connection ends."""
        try:
            with self.leaving:
                await self._serve()
        except Failed as failed:
            self.log.write_failure(failed.failure)
        finally:
            self.stream.close()
            if self.departure is not None:
                self.running.watch.end(self.descriptor, self.departure)

    async def _serve(self) -> None:
        self._start_timer()
        if self.listener.ssl and not await self._handshake():
            return
        self.log.action = "waiting for request"
        self.reader = RequestReader(self.stream)
        self.writer = ResponseWriter(self.stream, self.framing)
        while await self._wait_for_request() and await self._serve_request():
            self.log.next_request()
            self.log.error_log = self.default.outside.error_log
            self.log.action = "keepalive"

    def _start_timer(self) -> None:
        timeout = self.default.settings.core.client_header_timeout
        self.head_deadline = trio.current_time() + timeout

    def _time_left(self) -> float:
        return self.head_deadline - trio.current_time()

    # --- TLS ---

    async def _handshake(self) -> bool:
        """False where the client has closed; plain HTTP on a TLS port goes on without TLS."""
        self.log.action = "SSL handshaking"
        peeked = await self.stream.peek(self._time_left())
        if not peeked:
            self.log.write(Level.INFO, "client closed connection")
            return False
        if peeked[0] != 0x16 and not peeked[0] & 0x80:
            return True
        began, started = time.time(), time.monotonic()
        running = self.running
        tls = TLSStream(
            self.stream.sock,
            Side.CLIENT,
            running.tls_of(self.listener, self.default).base,
            choose=self._choose,
            dialect=running.dialect,
            peeked=peeked,
            keep_hello=running.keep_hellos,
        )
        tls.adopt(self.stream)
        self.stream = self.connection.tls = tls
        del peeked  # or this frame would hold it for as long as the handshake lasts
        peer = f"{self.connection.client_address}:{self.connection.client_port}"
        try:
            await tls.do_handshake(self._time_left())
        except Failed as failed:
            self.running.note(tls, peer, began, time.monotonic() - started, failed.failure)
            raise
        duration = time.monotonic() - started
        self.running.note(tls, peer, began, duration, None)
        return True

    def _choose(self, server_name: str | None) -> SSL.Context | Reject:
        """The server that the SNI names is there from the hello on, its log included."""
        found = self.running.negotiated(self.listener, server_name)
        if found is not None:
            self.negotiated, self.default = found
            self.log.error_log = self.default.outside.error_log
        if self.default.settings.ssl.ssl_reject_handshake:
            return REJECT
        tls = self.running.tls_of(self.listener, self.default)
        try:
            return tls.context(self.connection)
        except ConfigError as error:
            self.log.write(Level.ERROR, error.message)
            return tls.base

    # --- one request ---

    async def _wait_for_request(self) -> bool:
        """Wait for the first byte of a request; False where the connection is to end."""
        first = not self.connection.requests
        if self.reader.buffer:
            self.reading_line = READING_PIPELINED
            self._start_timer()
            return True
        self.reading_line = READING_LINE
        self.waiting = not first
        try:
            came = await self.reader.wait(self._time_left() if first else self.kept_for)
        except Failed as failed:
            if first:
                raise
            if failed.failure.kind is FailureClass.TIMEOUT:
                self.stream.shutdown()
            else:
                self._note_kept_connection_closed(failed.failure.errno)
            return False
        finally:
            self.waiting = False
        if not first:
            self._start_timer()
        if not came and first:
            self.log.write(Level.INFO, "client closed connection")
        elif not came and not self.running.stopping:
            self._note_kept_connection_closed(self.stream.end_errno)
        return came

    def _note_kept_connection_closed(self, errno: int | None) -> None:
        text = f"client {self.log.client} closed keepalive connection"
        self.log.write_no_context(Level.INFO, Failure(text, errno=errno).message)

    async def _serve_request(self) -> bool:
        """Read and answer one request; whether another may follow."""
        self.log.action = self.reading_line
        try:
            head = await self.reader.head(
                self.default.head_rules, self._rules_of, self._time_left()
            )
        except BadRequest as refused:
            return await self._refuse(refused)
        except CutShort as cut_short:
            return await self._refuse(cut_short.request, silent=True)
        self.connection.requests += 1
        settings, captures = self.listener.names.match(head.request.host)
        server = self.running.servers[settings]
        self._note_request(server, head.request, head.notes)
        facts = self._facts(server, head.request, head.length)
        if captures is not None:
            facts.matched(captures)
        return await self._answer(server, facts)

    def _rules_of(self, host: str) -> HeadRules | None:
        """None where a client certificate may be asked for by a name other than the SNI."""
        server = self.running.server_for(self.listener, host)
        if self.negotiated and host != self.negotiated:
            return server.head_rules if server.settings.ssl.ssl_verify_client == "off" else None
        return server.head_rules

    def _note_request(self, server: RunningServer, request: Request, notes: Iterable[Note]) -> None:
        self.log.action = READING_HEADERS if request.version > 9 else READING_LINE
        self.log.server_name = server.settings.name
        self.log.request_line = request.line
        self.log.error_log = server.outside.error_log
        for note in notes:
            self.log.headers = _shown(note.host, note.referrer)
            self.log.write(note.level, note.text)
        self.log.headers = request.headers

    def _facts(self, server: RunningServer, request: Request, length: int) -> Facts:
        facts = Facts(
            self.connection, request, server.settings, server.settings.outside, request.path,
            request.args, request.method,
        )  # fmt: skip
        facts.request_length = length
        facts.pipelined = self.reading_line is READING_PIPELINED
        facts.hint = self.hint
        return facts

    async def _answer(self, server: RunningServer, facts: Facts) -> bool:
        """All that lies between a request's head and its access line; whether to go on."""
        phases = self._phases(server, facts)
        try:
            refusal = self._refusal(facts)
            if refusal is not None:
                response = await phases.settled(refusal)
            else:
                response = await phases.response()
            if not response.conditional:
                self.log.action = "sending to client"
            return await self._send(facts, response)
        except Failed as failed:
            self.log.write_failure(failed.failure)
            return False
        except BaseException:
            # Cancelled, alone or in groups.
            if self.leaving.cancel_called:
                self._note_departure(facts)
            raise
        finally:
            self.reception.close()
            self._log_access(phases.location, facts)

    def _phases(self, server: RunningServer, facts: Facts) -> Phases:
        self.framing.request(facts.request)
        self.reception = Reception(self.stream, self.reader, self.log)
        return Phases(server, facts, self, self.log)

    def _refusal(self, facts: Facts) -> Special | None:
        """What is wrong with a request before its location is looked at."""
        if not self.listener.ssl:
            return None
        tls = self.connection.tls
        if tls is None:
            self.log.write(Level.INFO, "client sent plain HTTP request to HTTPS port")
            return Special(497)
        refusal = verification.refusal(facts.server.ssl.ssl_verify_client, tls)
        if refusal is None:
            return None
        self.log.write(Level.INFO, refusal.text)
        return Special(refusal.status)

    # --- what the phases ask for ---

    async def unless_it_leaves(self, answer: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """What `answer` comes to; the connection ends where the client leaves before."""
        departure, arriving = self._departure(), self.reception.arriving
        if arriving is not None and not arriving.is_over:
            # What a client sends before its end is read first.
            departure.disarm()
            arriving.at_end = departure.arm
        with departure:
            return await answer()

    def _departure(self) -> Departure:
        if self.departure is None:
            self.descriptor = self.stream.sock.fileno()
            self.leaving.open()
            self.departure = self.running.watch.begin(self.descriptor, self.leaving)
        return self.departure

    def _note_departure(self, facts: Facts) -> None:
        self.log.write(Level.INFO, CLIENT_LEFT)
        if not (facts.status and facts.bytes_sent):
            facts.status = 499

    async def body(self, facts: Facts) -> SpooledBody | Special | Response | None:
        """The request's body, read whole; None without one, an answer for one that is refused."""
        return await self.reception.whole(facts)

    async def streamed_body(
        self, facts: Facts
    ) -> ArrivingBody | SpooledBody | Special | Response | None:
        """The request's body as it comes; read whole if it is here already."""
        return await self.reception.as_it_comes(facts)

    async def hint(self, facts: Facts, headers: Sequence[Header]) -> None:
        """Send early hints; raises `ClientFailed`."""
        try:
            await self.writer.early_hints(facts, headers)
        except Failed as failed:
            self.log.write_failure(failed.failure)
            raise ClientFailed(Response(500, silent=True)) from None

    # --- the answer on the wire ---

    async def _send(self, facts: Facts, response: Response) -> bool:
        core = facts.location.core
        may_keep = not self.running.stopping and keeps(core, facts.request, self.connection)
        try:
            keep = await self._write(facts, response, may_keep=may_keep)
        except Failed as failed:
            if failed.failure.kind is FailureClass.TIMEOUT:
                timed_out(self.stream, core)
            raise
        if response.silent:
            if response.status in TIMED_OUT:
                timed_out(self.stream, core)
            return False
        if response.upgraded is not None:
            self.log.action = UPGRADED
            await tunnel(self.stream, response.upgraded, self.reader.take(), facts, self.log)
            self.stream.shutdown()
            return False
        unread = self.reception.is_unread(facts)
        if self.reception.breaks_off:
            keep = False
        if unread and not self.reception.begun:
            # The connection stays whole until the body is over, as nginx's does.
            if not await self.reader.discard_body(facts):
                self.stream.shutdown()
                return False
            unread = False
        if keep:
            self.kept_for = core.keepalive_timeout[0]
            return True
        await close_in_order(self.stream, core, unread=unread or bool(self.reader.buffer))
        return False

    async def _write(self, facts: Facts, response: Response, *, may_keep: bool) -> bool:
        """Write a response; whether the connection may be kept."""
        if not response.watched:
            return await self.writer.write(facts, response, may_keep=may_keep)
        with self._departure():
            return await self.writer.write(facts, response, may_keep=may_keep)

    async def _refuse(self, refused: BadRequest, *, silent: bool = False) -> bool:
        """Answer a malformed head with its page, and close; `silent` leaves the page out."""
        name = refused.name
        server = self.default if name is None else self.running.server_for(self.listener, name)
        request = Request(
            refused.line, refused.method, refused.target, refused.path, refused.query,
            refused.version, refused.headers, name or "", keepalive=False,
        )  # fmt: skip
        self.connection.requests += 1
        self._note_request(server, request, refused.notes)
        at_the_line = refused.action == READING_LINE
        self.log.action = self.reading_line if at_the_line else refused.action
        self.log.headers = _shown(refused.host, refused.referrer)
        self.log.write(refused.level, refused.text)
        facts = self._facts(server, request, refused.length)
        facts.refused = refused
        if not refused.length:
            facts.method = ""
        phases = self._phases(server, facts)
        try:
            if silent:
                facts.status = refused.status
                if refused.status in TIMED_OUT:
                    timed_out(self.stream, facts.location.core)
                return False
            response = await phases.settled(Special(refused.status))
            self.log.action = "sending to client"
            await self.writer.write(facts, response, may_keep=False)
            await close_in_order(self.stream, facts.location.core, unread=True)
        except Failed as failed:
            self.log.write_failure(failed.failure)
        finally:
            self._log_access(phases.location, facts)
        return False

    def _log_access(self, location: RunningLocation, facts: Facts) -> None:
        if not location.access_logs:
            return
        self.log.action = "logging request"
        if not self.leaving.cancel_called and trio.current_effective_deadline() == -math.inf:
            return  # a fast stop: nginx leaves without a word
        for target in location.access_logs:
            target.write(facts, self.log)


def _shown(host: str | None, referrer: str | None) -> tuple[Header, ...]:
    """The two fields that log lines show, of a head that was not understood whole."""
    shown = (("host", host), ("referer", referrer))
    return tuple([(name, value) for name, value in shown if value is not None])
