"""Large bodies over HTTP/2 and through `stream {}`: parts of `benchmarks.limits`."""

from __future__ import annotations

import hashlib
import socket
import ssl

import h2.config
import h2.connection
import h2.events

from benchmarks.wire import SERVER_NAME

_WINDOW = 1024 * 1024
_PIECE = 262144


class HTTP2Client:
    """One HTTP/2 connection, on a TLS socket that has negotiated it."""

    def __init__(self, tls: ssl.SSLSocket) -> None:
        self._tls = tls
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration())
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW)
        self._send()

    def _send(self) -> None:
        self._tls.sendall(self._h2.data_to_send())

    def _request(self, method: str, path: str, *more: tuple[str, str]) -> int:
        number = self._h2.get_next_available_stream_id()
        pseudo = {"method": method, "scheme": "https", "path": path, "authority": SERVER_NAME}
        fields = [(f":{name}", value) for name, value in pseudo.items()]
        self._h2.send_headers(number, [*fields, *more], end_stream=method == "GET")
        return number

    def download(self, path: str) -> str:
        """The digest of a body."""
        self._request("GET", path)
        self._send()
        digest, has_ended = hashlib.sha256(), False
        while not has_ended:
            for event in self._receive():
                if isinstance(event, h2.events.DataReceived):
                    digest.update(event.data or b"")
                has_ended = has_ended or isinstance(event, h2.events.StreamEnded)
        return digest.hexdigest()

    def upload(self, path: str, block: bytes, count: int) -> bool:
        """Send a block so many times; whether the response has status 200."""
        number = self._request("PUT", path, ("content-length", str(len(block) * count)))
        for _ in range(count):
            rest = memoryview(block)
            while rest:
                room = self._h2.local_flow_control_window(number)
                if not room:
                    self._receive()
                    continue
                size = min(room, self._h2.max_outbound_frame_size, len(rest))
                self._h2.send_data(number, bytes(rest[:size]))
                rest = rest[size:]
                self._send()
        self._h2.end_stream(number)
        self._send()
        return self._statuses(1) == [200]

    def gets(self, path: str, count: int) -> list[int]:
        """The statuses of so many requests at once."""
        for _ in range(count):
            self._request("GET", path)
        self._send()
        return self._statuses(count)

    def _statuses(self, count: int) -> list[int]:
        """The statuses of so many responses, once they are complete."""
        statuses, ended = [], 0
        while ended < count:
            for event in self._receive():
                if isinstance(event, h2.events.ResponseReceived):
                    statuses.append(int(dict(event.headers or ())[b":status"]))
                ended += isinstance(event, h2.events.StreamEnded)
        return statuses

    def _receive(self) -> list[h2.events.Event]:
        data = self._tls.recv(_PIECE)
        if not data:
            raise ConnectionError("the proxy has closed the connection")
        events = self._h2.receive_data(data)
        for event in events:
            if isinstance(event, h2.events.ConnectionTerminated | h2.events.StreamReset):
                raise ConnectionError(repr(event))
            if isinstance(event, h2.events.DataReceived) and event.stream_id:
                size = event.flow_controlled_length or 0
                self._h2.acknowledge_received_data(size, event.stream_id)
        self._send()
        return events


def tls_client(port: int, timeout: float, alpn: str = "http/1.1") -> ssl.SSLSocket:
    """A TLS connection that verifies nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([alpn])
    sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(sock, server_hostname=SERVER_NAME)
