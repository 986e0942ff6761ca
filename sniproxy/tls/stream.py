"""TLS connections on non-blocking sockets.

Each operation tries first, and waits only if it would block, so that available data needs no
scheduling. Rules of this module:

- A timeout applies to one wait, as nginx's timers do, except that a handshake has one timeout
  as a whole.
- Failures are raised as `ProxyError` with a message from `errors.py`. Only the first one of a
  connection is formatted; later ones are consequences.
- After a failed or cancelled write the number of bytes sent is unknown: the stream is broken,
  and is closed without close_notify.
- Do not wait inside an `except` block: the traceback would keep the frame and its buffer alive
  for the duration of the wait.
- A connection that never blocks yields to other tasks from time to time.
"""

from __future__ import annotations

import enum
import socket
from collections.abc import Callable

import trio
from OpenSSL import SSL

from ..models import Failure, FailureType, ProxyError, Side
from . import openssl
from .client_hello import HelloRecords, NotTLSError, ServerNameError, peek_server_name
from .errors import (
    BAD_EXTENSION,
    CALLBACK_FAILED,
    NATIVE,
    Dialect,
    error_text,
    openssl_failure,
    socket_failure,
)
from .handshake_info import HandshakeInfo
from .openssl import WANT_READ, WANT_WRITE, Session
from .socket_stream import CHECKPOINT_INTERVAL, CHUNK, PEEKED, SocketStream

__all__ = ["REJECT", "ContextSelector", "Reject", "SocketStream", "TLSStream"]


class Reject(enum.Enum):
    """Returned by a `ContextSelector` for a server with `ssl_reject_handshake on`."""

    REJECT = "reject"


REJECT = Reject.REJECT

ContextSelector = Callable[[str | None], SSL.Context | Reject]
"""Selects the context of the virtual server for the SNI received (None without one).

Called once per connection: before the handshake if the ClientHello is complete, else during it.
"""


class TLSStream(SocketStream, HandshakeInfo):
    """A TLS connection, as TLS server for clients and as TLS client for upstreams.

    The constructor closes the socket and raises `ProxyError` of type INTERNAL if preparing
    fails, for instance if OpenSSL rejects `server_name`.
    """

    _choose: ContextSelector | None = None
    _offers_http2: Callable[[], bool] | None = None
    _keep_hello = False
    _malformed_name = False
    """Whether nginx's ClientHello callback would refuse the SNI."""
    ocsp_error: str | None = None
    """Why the client's certificate is not accepted by OCSP (`ssl_ocsp`)."""
    _choice: SSL.Context | Reject | None = None
    _choose_error: Exception | None = None
    _at_end = False
    _end: tuple[int, int, list[openssl.QueuedError]] | None = None
    """How reading ended: SSL_ERROR_*, errno, and the error queue."""

    def __init__(
        self,
        sock: socket.socket,
        side: Side,
        context: SSL.Context,
        *,
        server_name: str | None = None,
        session: Session | None = None,
        alpn: bytes = b"",
        choose: ContextSelector | None = None,
        offers_http2: Callable[[], bool] | None = None,
        peeked: bytes = b"",
        keep_hello: bool = False,
        dialect: Dialect = NATIVE,
    ) -> None:
        """`server_name`, `session` and `alpn` (wire format) are for the upstream side, `choose`,
        `offers_http2`, `peeked` (data already peeked) and `keep_hello` (for `offered_…`) are for
        the client side. `offers_http2` is called after `choose`: whether ALPN offers `h2`."""
        super().__init__(sock, side)
        self.context = context
        self.server_name = server_name
        """The SNI sent (upstream) or received (client); None without one."""
        self.dialect = dialect
        self.established = False
        self.offered_session = session is not None
        self._hello = peeked
        self._buffer = openssl.read_buffer()
        if side is Side.CLIENT:
            self._choose = choose
            self._offers_http2 = offers_http2
            self._keep_hello = keep_hello
            return
        self._ssl = self._new_ssl()
        if server_name is not None and not openssl.set_server_name(
            self._ssl, server_name.encode("latin-1")
        ):
            raise self._setup_error(f'SSL_set_tlsext_host_name("{server_name}") failed')
        if alpn and not openssl.set_alpn(self._ssl, alpn):
            raise self._setup_error("SSL_set_alpn_protos() failed")
        if session is not None and not openssl.set_session(self._ssl, session):
            raise self._setup_error("SSL_set_session() failed")

    @property
    def is_tls13(self) -> bool:
        """Whether TLS 1.3 was negotiated."""
        return openssl.is_tls13(self._ssl)

    def _setup_error(self, operation: str) -> ProxyError:
        text = error_text(operation, openssl.drain_error_queue(), self.dialect)
        self.close()
        return ProxyError(Failure(text, kind=FailureType.INTERNAL))

    # --- the handshake ---

    async def do_handshake(self, timeout: float) -> None:
        """Do the handshake within `timeout` seconds. It never fails because of the certificate.

        Raises `ProxyError`: `SSL_do_handshake() failed (SSL: …)`, `peer closed connection in SSL
        handshake`, `handshake rejected`, `… timed out`.
        """
        if self._fd < 0:
            raise trio.ClosedResourceError
        deadline = trio.current_time() + timeout
        if self.side is Side.CLIENT:
            if self._choose is not None:
                await self._choose_early(self._choose, deadline)
            self._ssl = self._new_ssl()
            openssl.set_servername_hook(self._ssl, self._on_server_name)
            if self._offers_http2 is not None:
                openssl.set_http2_hook(self._ssl, self._offers_http2)
        needs_record_header = self.dialect.needs_record_header
        if needs_record_header:
            openssl.start_record_header_capture(self._ssl)
        self.broken = True
        try:
            result, error, errno = openssl.do_handshake(self._ssl)
            while error in (WANT_READ, WANT_WRITE):
                await self._wait(error, deadline)
                result, error, errno = openssl.do_handshake(self._ssl)
            if result != 1:
                raise ProxyError(self._handshake_failure(error, errno))
        finally:
            if needs_record_header:
                openssl.pop_record_header(self._ssl)
            if self.side is Side.CLIENT:
                openssl.clear_servername_hook(self._ssl)
                if self._offers_http2 is not None:
                    openssl.clear_http2_hook(self._ssl)
                    self._offers_http2 = None
                # It refers to the connection, which refers to this stream: no cycle is left.
                self._choose = None
                if self._choose_error is not None:
                    raise self._choose_error
        self.broken = False
        self.established = True
        if self.side is Side.UPSTREAM:
            self._first_session = openssl.session_of(self._ssl)

    def _new_ssl(self) -> openssl.Ssl:
        if self.dialect.needs_record_header:
            openssl.enable_record_header_capture(self.context)
        return openssl.new_ssl(self.context, self._fd, server=self.side is Side.CLIENT)

    def _handshake_failure(self, error: int, errno: int) -> Failure:
        queue = openssl.drain_error_queue()
        if error == openssl.ZERO_RETURN or not queue:
            errno = errno if error == openssl.SYSCALL else 0
            return socket_failure("peer closed connection in SSL handshake", self.side, errno)
        if self._choice is REJECT:
            return socket_failure("handshake rejected", self.side)
        if self._malformed_name and queue[-1].code == BAD_EXTENSION:
            # OpenSSL sends the alert that nginx's callback chooses, but names another reason.
            queue = [openssl.queued_error(CALLBACK_FAILED)]
        return openssl_failure(
            "SSL_do_handshake() failed",
            self.side,
            queue,
            ssl_error=error,
            errno=errno,
            dialect=self.dialect,
            header=openssl.pop_record_header(self._ssl),
        )

    async def _choose_early(self, choose: ContextSelector, deadline: float) -> None:
        # As nginx's ClientHello callback, before the library looks at versions and sessions,
        # so that a virtual server's own ssl_protocols hold and no session is resumed across
        # servers. Malformed and incomplete messages are left to the library.
        try:
            name = await self._peeked_server_name(deadline)
        except ServerNameError:
            self._malformed_name = True
            return
        except (OSError, NotTLSError):
            return
        if name is not None:
            self.server_name = name or None
            self._choice = choose(self.server_name)
            if self._choice is not REJECT:
                self.context = self._choice

    async def _peeked_server_name(self, deadline: float) -> str | None:
        """The SNI of the peeked ClientHello; None if the client has closed."""
        seen = 0
        records: HelloRecords | None = None
        data: bytes | None = self._hello or self._peeked()
        while True:
            if data is not None:
                name = peek_server_name(data, records)
                if name is not None or len(data) <= seen:
                    self._hello = data if self._keep_hello else b""
                    return name
                if seen:
                    # A hello of many small records is not parsed again for each of them.
                    records = records or HelloRecords()
                seen = len(data)
                # The socket is readable already; wait until the record is complete.
                wanted = 5 + int.from_bytes(data[3:5]) if seen >= 5 else 5
                await self._wait_for_bytes(max(wanted, seen + 1), deadline)
            else:
                await self._wait(WANT_READ, deadline)
            data = self._peeked()

    def _peeked(self) -> bytes | None:
        """Data available to read; None if there is none."""
        try:
            return self.sock.recv(PEEKED, socket.MSG_PEEK)
        except BlockingIOError:
            return None

    def _on_server_name(self, ssl: openssl.Ssl) -> int | None:
        """Called during the handshake after the ClientHello: None, or the alert to send."""
        if self._malformed_name:
            # OpenSSL does not look at the name if it resumes a session, as nginx does.
            return openssl.AD_UNRECOGNIZED_NAME
        if self._choice is None:
            name = openssl.received_server_name(ssl)
            self.server_name = None if name is None else name.decode("latin-1")
            try:
                self._choice = self._choose(self.server_name) if self._choose else self.context
            except Exception as error:
                self._choose_error = error
                return openssl.AD_INTERNAL_ERROR
            if self._choice is not REJECT and self._choice is not self.context:
                if openssl.resumed(ssl):
                    # A session of the default server must not count as verified for this one.
                    return openssl.AD_INTERNAL_ERROR
                self.context = self._choice
                openssl.switch_context(ssl, self.context)
        return openssl.AD_UNRECOGNIZED_NAME if self._choice is REJECT else None

    # --- reading, writing, ending ---

    async def receive_some(
        self, timeout: float, max_bytes: int = CHUNK, *, wait_first: bool = False
    ) -> bytes:
        """Receive at most `max_bytes`; b"" at the end.

        Some resets count as the end, as in nginx. Raises `ProxyError`: `SSL_read() failed (SSL:
        …)`, `… timed out`.
        """
        if self._fd < 0:
            raise trio.ClosedResourceError
        if wait_first and self._end is None and not openssl.pending(self._ssl):
            await self._wait(WANT_READ, trio.current_time() + timeout)
        while self._end is None:
            data, error, errno = openssl.read(self._ssl, self._buffer, max_bytes)
            if data:
                if len(data) == openssl.RECORD < max_bytes:
                    data = self._read_ahead(data, max_bytes)
                self._immediate += 1
                if self._immediate >= CHECKPOINT_INTERVAL:
                    await self._checkpoint()
                return data
            if error in (WANT_READ, WANT_WRITE):
                await self._wait(error, trio.current_time() + timeout)
            else:
                self._end = error, errno, openssl.drain_error_queue()
        return self._ended()

    def _ended(self) -> bytes:
        assert self._end is not None
        self._at_end = True
        error, errno, queue = self._end
        if error == openssl.ZERO_RETURN or not queue:
            self.end_errno = errno if error == openssl.SYSCALL and errno else None
            return b""
        raise self._failed("SSL_read() failed", queue, error, errno)

    def receive_nowait(self, max_bytes: int) -> bytes | None:
        """As `SocketStream.receive_nowait`."""
        while self._end is None:
            data, error, errno = openssl.read(self._ssl, self._buffer, max_bytes)
            if data:
                return data
            if error in (WANT_READ, WANT_WRITE):
                return None
            self._end = error, errno, openssl.drain_error_queue()
        return self._ended()

    def send_nowait(self, data: bytes | memoryview, start: int) -> int:
        """As `SocketStream.send_nowait`; the same data has to follow if it has blocked."""
        count, error, errno = openssl.write(self._ssl, data, start)
        if count > 0:
            return count
        if error in (WANT_READ, WANT_WRITE):
            return 0
        queue = openssl.drain_error_queue()
        error = openssl.SYSCALL if error == openssl.ZERO_RETURN else error
        raise self._failed("SSL_write() failed", queue, error, errno)

    def _read_ahead(self, data: bytes, max_bytes: int) -> bytes:
        """Append the records that have arrived: after a full record there often are more."""
        pieces, room = [data], max_bytes - len(data)
        while room:
            piece, error, errno = openssl.read(self._ssl, self._buffer, room)
            if not piece:
                if error not in (WANT_READ, WANT_WRITE):
                    # OpenSSL reports it once: keep it for the next read.
                    self._end = error, errno, openssl.drain_error_queue()
                break
            pieces.append(piece)
            room -= len(piece)
        return b"".join(pieces)

    async def send_all(
        self,
        data: bytes | bytearray | memoryview,
        timeout: float,
        on_blocked: Callable[[], None] | None = None,
    ) -> None:
        """Send all of `data`; `timeout` applies to each wait, before which `on_blocked` is called.

        Raises `ProxyError`: `SSL_write() failed (SSL: …)`, `… timed out`.
        """
        if self._fd < 0:
            raise trio.ClosedResourceError
        sent, end = 0, len(data)
        if not end:
            return
        self.broken = True
        while True:
            count, error, errno = openssl.write(self._ssl, data, sent)
            if count > 0:
                sent += count
                if sent == end:
                    break
            elif error in (WANT_READ, WANT_WRITE):
                if on_blocked is not None:
                    on_blocked()
                await self._wait(error, trio.current_time() + timeout)
            else:
                queue = openssl.drain_error_queue()
                # After the peer's close_notify the library may hide the errno this way.
                error = openssl.SYSCALL if error == openssl.ZERO_RETURN else error
                raise self._failed("SSL_write() failed", queue, error, errno)
        self.broken = False
        self._immediate += 1
        if self._immediate >= CHECKPOINT_INTERVAL:
            await self._checkpoint()

    def _failed(
        self, operation: str, queue: list[openssl.QueuedError], error: int, errno: int
    ) -> ProxyError:
        self.broken = True
        return ProxyError(
            openssl_failure(
                operation,
                self.side,
                queue,
                ssl_error=error,
                errno=errno,
                dialect=self.dialect,
            )
        )

    def shutdown(self) -> None:
        """Send close_notify, unless the connection is broken or the peer has closed, and close.

        Does not wait, neither for sending nor for the peer's close_notify.
        """
        self._send_close_notify()
        self.close()

    def shutdown_writing(self) -> None:
        """Send close_notify and close the sending side of the socket."""
        self._send_close_notify()
        super().shutdown_writing()

    def _send_close_notify(self) -> None:
        if self.established and not self.broken and not self._at_end:
            openssl.send_close_notify(self._ssl)

    def close(self) -> None:
        """Close the connection at once, without close_notify; its session stays valid."""
        if self.established:
            openssl.mark_shut_down(self._ssl)
        super().close()
