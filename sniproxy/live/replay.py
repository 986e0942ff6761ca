"""Send a recorded request again, through the listener that has received it."""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import trio

from ..config.model import Server
from ..models import Header
from ..runtime import Listener
from .secret_values import with_secrets

TIMEOUT = 60.0
MAX_RESPONSE = 64 << 20
_OF_THE_CONNECTION = frozenset(
    ("connection", "content-length", "expect", "keep-alive", "transfer-encoding", "upgrade")
)
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")


class ReplayError(Exception):
    """The request cannot be sent again; the text is the reason."""


def request_bytes(row: Mapping[str, Any], detail: Mapping[str, Any]) -> bytes:
    """The request as it is sent again: its head and its body, on a connection of its own.

    Raises `ReplayError`.
    """
    if not detail.get("can_replay"):
        raise ReplayError("the request was not recorded completely")
    revealed = with_secrets(detail)
    trace = revealed["trace"]
    words = trace["request"]["line"].split(" ")
    if len(words) != 3:
        raise ReplayError("the request line is not that of a request that can be repeated")
    recorded = (revealed["bodies"] or {}).get("request")
    body = b"" if recorded is None else base64.b64decode(recorded["data"])
    fields: Sequence[Header] = trace["request"]["fields"]
    lines = [f"{words[0]} {words[1]} HTTP/1.1"]
    if not any(name.lower() == "host" for name, _ in fields):
        lines.append(f"Host: {row['host']}")
    lines += [
        f"{name}: {value}" for name, value in fields if name.lower() not in _OF_THE_CONNECTION
    ]
    if body or any(name.lower() == "content-length" for name, _ in fields):
        lines.append(f"Content-Length: {len(body)}")
    lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


async def replay(
    row: Mapping[str, Any], detail: Mapping[str, Any], listeners: Sequence[Listener[Server]]
) -> int:
    """Send the request; returns the status, 0 if there was no response. Raises `ReplayError`."""
    data = request_bytes(row, detail)
    text = detail["trace"]["listening"]
    listener = next((one for one in listeners if one.text == text), None)
    if listener is None:
        raise ReplayError(f"the configuration does not listen on {text} any more")
    try:
        with trio.fail_after(TIMEOUT):
            return await _send(data, listener, detail["address"], row)
    except trio.TooSlowError:
        raise ReplayError(f"no response within {TIMEOUT:g} seconds") from None
    except (OSError, ssl.SSLError, trio.BrokenResourceError, ValueError) as error:
        cause = error.__cause__ or error
        raise ReplayError(f"{type(cause).__name__}: {cause}") from None


async def _send(
    data: bytes, listener: Listener[Server], address: Sequence[Any], row: Mapping[str, Any]
) -> int:
    stream: trio.SocketStream | trio.SSLStream[trio.SocketStream] = await _connect(*address)
    if listener.proxy_protocol:
        await stream.send_all(b"PROXY UNKNOWN\r\n")
    if row["scheme"] == "https":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        assert isinstance(stream, trio.SocketStream)
        stream = trio.SSLStream(
            stream, context, server_hostname=row["sni_in"], https_compatible=True
        )
    async with stream:
        await stream.send_all(data)
        received = bytearray()
        size = 0
        while piece := await stream.receive_some(65536):
            size += len(piece)
            if len(received) < 64:
                received += piece
            if size > MAX_RESPONSE:
                break
    found = _STATUS.match(received)
    return 0 if found is None else int(found[1])


async def _connect(host: str, port: int) -> trio.SocketStream:
    if host.startswith("unix:"):
        return await trio.open_unix_socket(host.removeprefix("unix:"))
    return await trio.open_tcp_stream(host, port)
