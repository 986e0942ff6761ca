"""One connection to an upstream, made by the house's own connector, and what it came to.

The only module of this room that opens sockets. It never sends a body, and no request where it
may not; it reads no more than a response head. Every `Failed` ends here as an `Attempt`.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import trio

from ..config.directives.proxy import ProxyPass
from ..facts import Facts
from ..http.upstream_head import NotHTTP, read_response_head
from ..message import ConfigError, Failed, Failure, FailureClass
from ..names import certificate_names
from ..site.paths import Paths
from ..site.tls import TLSContexts
from ..tls import openssl
from ..tls.dialects import find_dialect
from ..tls.errors import ALERT, Dialect, ErrorContext, FormattedError
from ..tls.openssl import LIB_SSL, QueuedError
from ..tls.stream import SocketStream, TLSStream
from ..upstream.connector import UpstreamTLS, connect, verify
from ..upstream.request_headers import RequestHeaderBuilder, upstream_uri
from ..upstream.selector import Peer
from ..variables import lookup
from .attempts import Attempt, Question, Result, Setting
from .plan import CERTIFICATE_ALERTS, MOST, next_setting

CONNECTING = "connecting to upstream"
HANDSHAKING = "SSL handshaking to upstream"
SENDING = "sending request to upstream"
READING = "reading response header from upstream"

WORDS = "3.0"
"""The OpenSSL whose words lines are told in: that of most nginx in use."""
ENOUGH_OF_BODY = 512
TICKET_PAUSE = 0.3
"""Seconds in which a TLS 1.3 server refuses our certificate, where no request is sent."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds."""

    look_up: float = 4.0
    connect: float = 2.5
    handshake: float = 2.5
    answer: float = 3.0
    whole: float = 10.0


class _Listening:
    """A dialect that keeps what it is told: the errors, and the bytes that came first."""

    needs_record_header = True

    def __init__(self, words: Dialect) -> None:
        self._words = words
        self.first = b""
        self.queue: Sequence[QueuedError] = ()

    def format_errors(
        self, queue: Sequence[QueuedError], where: ErrorContext
    ) -> Sequence[FormattedError]:
        self.first = self.first or where.header
        self.queue = queue or self.queue
        return self._words.format_errors(queue, where)

    def verify(self, result: int) -> str:
        return self._words.verify(result)

    @property
    def alert(self) -> int | None:
        for error in self.queue:
            number = error.reason_number - ALERT
            if error.library_number == LIB_SSL and 0 <= number <= 255:
                return number
        return None

    @property
    def is_puzzled(self) -> bool:
        """Whether errors came of bytes that nobody has seen: they overtook the look at them."""
        return bool(self.queue) and self.alert is None and not self.first

    @property
    def reason(self) -> str:
        return self.queue[-1].reason if self.queue else ""


@dataclass(slots=True)
class _Trial:
    """One attempt while it is made."""

    listening: _Listening
    action: str = CONNECTING
    stream: SocketStream | None = None
    asked: bool = False
    sent: str | None = None
    facts: dict[str, object] = field(default_factory=dict)


class Probe:
    """Makes the attempts at one `proxy_pass`."""

    def __init__(
        self,
        question: Question,
        target: ProxyPass,
        peers: Sequence[Peer],
        facts: Facts,
        paths: Paths,
        patience: Patience = Patience(),
    ) -> None:
        """`facts` are those of the request that is sent; relative names of files are `paths`'."""
        self.question = question
        self.target = target
        self.peers = peers
        self.patience = patience
        self.connections = 0
        self._facts = facts
        self._paths = paths

    async def attempt(self, setting: Setting) -> Attempt:
        """Make one; raises nothing but trio's own."""
        began = trio.current_time()
        trial = _Trial(_Listening(find_dialect(WORDS)))
        peer = self.peers[setting.address]
        self.connections += 1
        try:
            result = await self._made(setting, peer, trial)
            line = ""
        except Failed as failed:
            if trial.action == HANDSHAKING and trial.listening.is_puzzled:
                trial.listening.first = await self._first_bytes(peer, trial.sent)
            result = _result(trial, failed.failure)
            line = f"{failed.failure.message} while {trial.action}"
        except NotHTTP as error:
            result, line = Result.NOT_HTTP, f"{error.text} while {trial.action}"
        except ConfigError as error:
            result, line = Result.UNPREPARED, str(error)
        finally:
            if trial.stream is not None:
                trial.stream.close()
        made = Attempt(
            setting,
            result,
            line,
            address=peer.name,
            sent=trial.sent,
            alert=trial.listening.alert,
            reason=trial.listening.reason,
            asked=trial.asked,
            seconds=trio.current_time() - began,
        )
        return replace(made, **trial.facts)  # type: ignore[arg-type]

    async def _made(self, setting: Setting, peer: Peer, trial: _Trial) -> Result:
        patience, proxy = self.patience, setting.proxy
        tls = None if setting.plain else self._tls(setting, trial)
        trial.stream = stream = await connect(peer, patience.connect, proxy)
        if tls is not None:
            trial.action = HANDSHAKING
            trial.stream = stream = secured = tls.stream(stream, peer)
            trial.sent = secured.server_name
            try:
                await secured.do_handshake(patience.handshake)
            finally:
                trial.facts.update(_seen(secured))
            if proxy.proxy_ssl_verify:
                verify(secured, tls.name)
        if not self.question.may_ask:
            return await self._listened(stream, trial)
        return await self._asked(stream, setting, trial)

    def _tls(self, setting: Setting, trial: _Trial) -> UpstreamTLS:
        """Raises `ConfigError` where a file does not load."""
        proxy = setting.proxy
        contexts = TLSContexts(self._paths, dialect=trial.listening)
        context, named = contexts.for_upstream(proxy)
        if named is not None:
            context = named.context(lookup(self._facts)) or context

        def note() -> None:
            trial.asked = True

        openssl.on_certificate_request(context, note)
        return UpstreamTLS(
            context,
            self.question.name(proxy),
            server_name=proxy.proxy_ssl_server_name,
            verify=proxy.proxy_ssl_verify,
            session_reuse=False,
            dialect=trial.listening,
        )

    async def _first_bytes(self, peer: Peer, server_name: str | None) -> bytes:
        """What the upstream says first to a hello: another connection, which never goes on."""
        self.connections += 1
        try:
            stream = await connect(peer, self.patience.connect)
        except Failed:
            return b""
        try:
            await stream.send_all(_hello(server_name), self.patience.handshake)
            return await stream.receive_some(self.patience.handshake, 5)
        except (Failed, ValueError):  # the standard library is choosy about names
            return b""
        finally:
            stream.close()

    async def _listened(self, stream: SocketStream, trial: _Trial) -> Result:
        """Where nothing is to be asked: does the upstream refuse us by itself?"""
        if not trial.asked:
            return Result.SHAKEN
        trial.action = READING
        try:
            data = await stream.receive_some(TICKET_PAUSE)
        except Failed as failed:
            if failed.failure.kind is FailureClass.TIMEOUT:
                return Result.SHAKEN
            raise
        if not data:
            raise Failed(_CLOSED_EARLY)
        return Result.SHAKEN

    async def _asked(self, stream: SocketStream, setting: Setting, trial: _Trial) -> Result:
        proxy = setting.proxy
        facts = self._facts
        facts.proxy_host = self.target.proxy_host
        facts.location = replace(facts.location, proxy=proxy)
        uri = upstream_uri(facts.location, self.target, facts)
        head = RequestHeaderBuilder(proxy).build(facts, "GET", uri, None)
        trial.action = SENDING
        await stream.send_all(head, self.patience.answer)
        trial.action = READING
        buffer = bytearray()
        with trio.move_on_after(self.patience.answer) as timer:
            while True:
                data = await stream.receive_some(self.patience.answer)
                if not data:
                    raise Failed(_CLOSED_EARLY)
                buffer += data
                parsed = read_response_head(
                    buffer, request_method="GET", limit=proxy.proxy_buffer_size
                )
                if parsed is not None and parsed.head.status != 103:
                    break
                if parsed is not None:
                    del buffer[: parsed.length]
        if timer.cancelled_caught or parsed is None:
            raise Failed(_TIMED_OUT)
        rest = bytes(buffer[parsed.length :])
        if setting.plain and not rest:
            # Whether a 400 is about plain HTTP on a TLS port is said there.
            with contextlib.suppress(Failed):
                rest = await stream.receive_some(TICKET_PAUSE)
        trial.facts["status"] = parsed.head.status
        trial.facts["answer"] = rest[:ENOUGH_OF_BODY].decode("latin-1")
        return Result.ANSWERED


_CLOSED_EARLY = Failure("upstream prematurely closed connection")
_TIMED_OUT = Failure("upstream timed out", kind=FailureClass.TIMEOUT, errno=110)


def _seen(stream: TLSStream) -> dict[str, object]:
    """What the handshake has shown, as far as it came."""
    if not stream.established:
        return {}
    certificate = stream.peer_certificate
    result = stream.verify_result
    length = stream.chain_length
    return {
        "names": certificate_names(certificate).all if certificate is not None else (),
        "protocol": stream.protocol,
        "verify_result": result,
        "intermediates": max(length - 2, 0) if length and not result else None,
    }


def _hello(server_name: str | None) -> bytes:
    """A ClientHello."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    sent = ssl.MemoryBIO()
    hello = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=server_name)
    with contextlib.suppress(ssl.SSLError):
        hello.do_handshake()
    return sent.read()


def _result(trial: _Trial, failure: Failure) -> Result:
    if trial.action == CONNECTING:
        return Result.UNREACHABLE
    if trial.action == HANDSHAKING:
        return _handshake_result(trial, failure)
    if "too big header" in failure.text:
        return Result.TOO_BIG
    if failure.kind is FailureClass.INVALID_HEADER:
        return Result.NOT_HTTP
    if trial.listening.alert in CERTIFICATE_ALERTS:
        return Result.WANTS_CERTIFICATE
    if failure.kind is FailureClass.TIMEOUT:
        return Result.MUTE
    return Result.NO_ANSWER


_RECORDS = range(20, 25)
"""The types that a TLS record may have."""


def _handshake_result(trial: _Trial, failure: Failure) -> Result:
    first = trial.listening.first
    if "certificate verify error" in failure.text:
        return Result.UNTRUSTED
    if "certificate does not match" in failure.text:
        return Result.MISNAMED
    if failure.kind is FailureClass.INTERNAL:
        return Result.UNPREPARED
    if failure.kind is FailureClass.TIMEOUT:
        return Result.SILENT
    if not trial.listening.queue:
        return Result.CLOSED
    if trial.listening.alert is not None or first.startswith(b"\x15\x03"):
        return Result.ALERT
    if first.startswith(b"HTTP"):
        return Result.PLAIN_HTTP
    if first and first[0] not in _RECORDS:
        return Result.NOT_TLS
    return Result.REFUSED_HERE


Progress = Callable[[Setting, int], None]
"""Is told of every attempt before it is made, with how many there were."""


async def investigate(probe: Probe, deadline: float, progress: Progress) -> list[Attempt]:
    """All attempts that are worth making until `deadline`, in trio's time."""
    attempts: list[Attempt] = []
    with trio.CancelScope(deadline=deadline):
        while probe.connections < MOST:
            setting = next_setting(probe.question, attempts)
            if setting is None:
                break
            progress(setting, len(attempts))
            attempts.append(await probe.attempt(setting))
    return attempts
