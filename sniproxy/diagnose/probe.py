"""Probe an upstream: make one connection with the proxy's own connector, and classify it.

The only module of this package that opens sockets. It never sends a body, sends a request only
if allowed to, and reads little more than the response head. Each `ProxyError` becomes an `Attempt`.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import trio
from cryptography import x509

from ..build.paths import Paths
from ..build.tls import ContextFactory
from ..config.directives.upstream_target import ProxyPass
from ..context import RequestContext
from ..http.response_head import NotHTTPError
from ..models import ConfigError, Failure, FailureType, ProxyError
from ..server_name import certificate_names
from ..tls import openssl
from ..tls.dialects import find_dialect
from ..tls.errors import ALERT, Dialect, ErrorContext, FormattedError
from ..tls.openssl import LIB_SSL, QueuedError
from ..tls.stream import SocketStream, TLSStream
from ..upstream.connector import UpstreamTLSConfig, connect, verify
from ..upstream.http1 import RequestHeaderBuilder, upstream_uri
from ..upstream.http2 import ALPN
from ..upstream.selector import Peer
from ..variables import lookup
from .failed_certificate import failed_certificate
from .http2_probe import http2_request, read_http2_status
from .http_exchange import (
    CLOSED_EARLY,
    MAX_BODY,
    SHORT_WAIT,
    BodyError,
    HTTP2ResponseError,
    ResponseReader,
    broken_rule,
)
from .model import HTTP_2, Attempt, ProbeSpec, Result, Setting
from .strategy import CERTIFICATE_ALERTS, MAX_CONNECTIONS, next_setting

CONNECTING = "connecting to upstream"
HANDSHAKING = "SSL handshaking to upstream"
SENDING = "sending request to upstream"
READING = "reading response header from upstream"

HTTP1_FRAME = "upstream sent too large http2 frame: 4740180"
"""What nginx logs about `HTT` in place of a frame of HTTP/2."""

DIALECT = "3.0"
"""The OpenSSL release whose error strings are used in log lines: the most common with nginx."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts of the steps of a diagnosis, in seconds."""

    lookup: float = 4.0
    connect: float = 10.0
    handshake: float = 10.0
    response: float = 10.0
    total: float = 60.0

    @classmethod
    def patient(cls, seconds: float) -> Timeouts:
        """Waits of so many seconds for each step."""
        return cls(connect=seconds, handshake=seconds, response=seconds, total=6 * seconds)


class _RecordingDialect:
    """A dialect that records the OpenSSL errors passed to it and the first bytes received."""

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
    def missing_first_bytes(self) -> bool:
        """Whether OpenSSL failed on received bytes that were not recorded."""
        return bool(self.queue) and self.alert is None and not self.first

    @property
    def reason(self) -> str:
        return self.queue[-1].reason if self.queue else ""


@dataclass(slots=True)
class _AttemptState:
    """The state of an attempt in progress."""

    dialect: _RecordingDialect
    action: str = CONNECTING
    stream: SocketStream | None = None
    certificate_requested: bool = False
    sent: str | None = None
    reader: ResponseReader | None = None
    failures: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    """For each X509_V_* error the depth and the certificate (DER) where it occurred last."""
    ctx: dict[str, object] = field(default_factory=dict)


class Probe:
    """Makes the connection attempts for one `proxy_pass`."""

    def __init__(
        self,
        spec: ProbeSpec,
        target: ProxyPass,
        peers: Sequence[Peer],
        ctx: RequestContext,
        paths: Paths,
        timeouts: Timeouts = Timeouts(),
    ) -> None:
        """`facts` is the context of the request to send; `paths` resolves relative file names."""
        self.spec = spec
        self.target = target
        self.peers = peers
        self.timeouts = timeouts
        self.connections = 0
        self._facts = ctx
        self._paths = paths

    async def attempt(self, setting: Setting) -> Attempt:
        """Make one attempt; failures are its result, only trio's errors are raised."""
        began = trio.current_time()
        state = _AttemptState(_RecordingDialect(find_dialect(DIALECT)))
        peer = self.peers[setting.address]
        self.connections += 1
        try:
            result = await self._connect(setting, peer, state)
            line = ""
        except ProxyError as failed:
            if state.action == HANDSHAKING and state.dialect.missing_first_bytes:
                state.dialect.first = await self._first_bytes(peer, state.sent)
            result = _result(state, failed.failure)
            line = f"{failed.failure.message} while {state.action}"
        except NotHTTPError as error:
            is_http2 = isinstance(error, HTTP2ResponseError)
            result = Result.HTTP2 if is_http2 else Result.NOT_HTTP
            line = f"{error.text} while {state.action}"
        except BodyError as error:
            result, line = error.result, error.line
        except ConfigError as error:
            result, line = Result.SETUP_ERROR, str(error)
        finally:
            if state.stream is not None:
                state.stream.close()
        made = Attempt(
            setting,
            result,
            line,
            address=peer.name,
            sni=state.sent,
            alert=state.dialect.alert,
            reason=state.dialect.reason,
            certificate_requested=state.certificate_requested,
            seconds=trio.current_time() - began,
        )
        if result in (Result.NOT_HTTP, Result.INVALID_RESPONSE) and state.reader is not None:
            made = replace(made, broken_rule=broken_rule(state.reader.received))
        return replace(made, **state.ctx)  # type: ignore[arg-type]

    async def _connect(self, setting: Setting, peer: Peer, state: _AttemptState) -> Result:
        timeouts, proxy = self.timeouts, setting.proxy
        tls = None if setting.plain else self._tls(setting, state)
        state.stream = stream = await connect(peer, timeouts.connect, proxy)
        if tls is not None:
            state.action = HANDSHAKING
            alpn = ALPN if proxy.proxy_http_version == HTTP_2 else b""
            state.stream = stream = secured = tls.stream(stream, peer, alpn)
            state.sent = secured.server_name
            try:
                await secured.do_handshake(timeouts.handshake)
            finally:
                state.ctx.update(_handshake_info(secured))
                if failed := state.failures.get(secured.verify_result):
                    authorities = self._paths.in_conf(proxy.ssl_trusted_certificate or "")
                    state.ctx["failed_certificate"] = failed_certificate(*failed, authorities)
            if proxy.ssl_verify:
                verify(secured, tls.name)
        if not self.spec.send_request:
            return await self._await_alert(stream, state)
        return await self._request(stream, setting, state)

    def _tls(self, setting: Setting, state: _AttemptState) -> UpstreamTLSConfig:
        """Raises `ConfigError` if a file cannot be loaded."""
        proxy = setting.proxy
        contexts = ContextFactory(self._paths, dialect=state.dialect)
        context, named = contexts.for_upstream(proxy)
        if named is not None:
            context = named.context(lookup(self._facts)) or context

        def note() -> None:
            state.certificate_requested = True

        def note_failure(number: int, depth: int, certificate: bytes) -> None:
            state.failures[number] = (depth, certificate)

        openssl.on_certificate_request(context, note)
        openssl.on_verification_error(context, note_failure)
        return UpstreamTLSConfig(
            context,
            self.spec.name(proxy),
            server_name=proxy.ssl_server_name,
            verify=proxy.ssl_verify,
            session_reuse=False,
            dialect=state.dialect,
        )

    async def _first_bytes(self, peer: Peer, server_name: str | None) -> bytes:
        """The upstream's first bytes after a ClientHello, from another connection."""
        self.connections += 1
        try:
            stream = await connect(peer, self.timeouts.connect)
        except ProxyError:
            return b""
        try:
            await stream.send_all(_hello(server_name), self.timeouts.handshake)
            return await stream.receive_some(self.timeouts.handshake, 5)
        except (ProxyError, ValueError):  # ssl rejects some names
            return b""
        finally:
            stream.close()

    async def _await_alert(self, stream: SocketStream, state: _AttemptState) -> Result:
        """Without a request: wait briefly for an alert if a certificate was requested."""
        if not state.certificate_requested:
            return Result.HANDSHAKE_OK
        state.action = READING
        try:
            data = await stream.receive_some(SHORT_WAIT)
        except ProxyError as failed:
            if failed.failure.kind is FailureType.TIMEOUT:
                return Result.HANDSHAKE_OK
            raise
        if not data:
            raise ProxyError(CLOSED_EARLY)
        return Result.HANDSHAKE_OK

    async def _request(
        self, stream: SocketStream, setting: Setting, state: _AttemptState
    ) -> Result:
        proxy = setting.proxy
        ctx = self._facts
        ctx.proxy_host = self.target.proxy_host
        ctx.location = ctx.location.with_proxy(proxy)
        uri = upstream_uri(ctx.location, self.target, ctx)
        if proxy.proxy_http_version == HTTP_2:
            return await self._request_by_http2(stream, setting, state, uri)
        head = RequestHeaderBuilder(proxy).build(ctx, "GET", uri, None)
        state.action = SENDING
        await stream.send_all(head, self.timeouts.response)
        state.action = READING
        state.reader = reader = ResponseReader(stream, self.timeouts.response, proxy.buffer_size)
        parsed, rest = await reader.read_head()
        if setting.plain and not rest:
            # The body says whether a 400 is about plain HTTP on a TLS port.
            rest = await reader.read_more_soon()
        state.ctx["status"] = parsed.status
        state.ctx["body"] = rest[:MAX_BODY].decode("latin-1")
        await reader.read_body(parsed, rest)
        return Result.RESPONSE

    async def _request_by_http2(
        self, stream: SocketStream, setting: Setting, state: _AttemptState, uri: str
    ) -> Result:
        timeout, grpc = self.timeouts.response, self.spec.grpc
        state.action = SENDING
        request = http2_request(setting, self.target, self._facts, uri, grpc=grpc)
        await stream.send_all(request, timeout)
        state.action = READING
        size = setting.proxy.buffer_size
        state.ctx["status"] = await read_http2_status(stream, timeout, size)
        return Result.RESPONSE


def _handshake_info(stream: TLSStream) -> dict[str, object]:
    """The fields of `Attempt` known from the handshake."""
    if not stream.established:
        return {}
    certificate = stream.peer_certificate
    result = stream.verify_result
    length = stream.chain_length
    return {
        "names": certificate_names(certificate).all if certificate is not None else (),
        "has_addresses": certificate is not None and _has_addresses(certificate),
        "protocol": stream.protocol,
        "cipher": stream.cipher,
        "is_anonymous": stream.peer_certificate_der is None,
        "verify_result": result,
        "intermediates": max(length - 2, 0) if length and not result else None,
    }


def _has_addresses(certificate: x509.Certificate) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return bool(names.get_values_for_type(x509.IPAddress))
    except (x509.ExtensionNotFound, ValueError):
        return False


def _hello(server_name: str | None) -> bytes:
    """A ClientHello made by the standard library."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    sent = ssl.MemoryBIO()
    hello = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=server_name)
    with contextlib.suppress(ssl.SSLError):
        hello.do_handshake()
    return sent.read()


def _result(state: _AttemptState, failure: Failure) -> Result:
    if state.action == CONNECTING:
        return Result.UNREACHABLE
    if state.action == HANDSHAKING:
        return _handshake_result(state, failure)
    if failure.text == HTTP1_FRAME:
        return Result.HTTP1
    if "too big header" in failure.text:
        return Result.HEADER_TOO_BIG
    if failure.kind is FailureType.INVALID_HEADER:
        return Result.INVALID_RESPONSE
    if state.dialect.alert in CERTIFICATE_ALERTS:
        return Result.CERTIFICATE_REQUIRED
    if failure.kind is FailureType.TIMEOUT:
        return Result.NO_RESPONSE
    return Result.CLOSED_WITHOUT_RESPONSE


_RECORDS = range(20, 25)
"""The content types of TLS records."""


def _handshake_result(state: _AttemptState, failure: Failure) -> Result:
    first = state.dialect.first
    if "certificate verify error" in failure.text:
        return Result.UNTRUSTED
    if "certificate does not match" in failure.text:
        return Result.NAME_MISMATCH
    if failure.kind is FailureType.INTERNAL:
        return Result.SETUP_ERROR
    if failure.kind is FailureType.TIMEOUT:
        return Result.NO_SERVER_HELLO
    if not state.dialect.queue:
        return Result.CLOSED
    if state.dialect.alert is not None or first.startswith(b"\x15\x03"):
        return Result.ALERT
    if first.startswith(b"HTTP"):
        return Result.PLAIN_HTTP
    if first and first[0] not in _RECORDS:
        return Result.NOT_TLS
    return Result.LOCAL_TLS_ERROR


ProgressCallback = Callable[[Setting, int], None]
"""Called before each attempt with its setting and the number of attempts so far."""


async def investigate(probe: Probe, deadline: float, progress: ProgressCallback) -> list[Attempt]:
    """Make all attempts that the strategy proposes, until `deadline` (trio's clock)."""
    attempts: list[Attempt] = []
    with trio.CancelScope(deadline=deadline):
        while probe.connections < MAX_CONNECTIONS:
            setting = next_setting(probe.spec, attempts)
            if setting is None:
                break
            progress(setting, len(attempts))
            attempts.append(await probe.attempt(setting))
    return attempts
