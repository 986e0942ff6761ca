"""The responses that a test gives an upstream, and the requests as a test compares them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sniproxy.testing.http_framing import END_OF_HEAD
from sniproxy.testing.upstreams.spec import ReceivedRequest, Reply

JSON = dict[str, Any] | list[Any]


class RecordedRequest(str):
    """A request as an upstream received it. As a string it is `METHOD PATH`: `GET /a?b=c`."""

    server_name: str | None
    """The SNI; None without one."""
    raw: bytes
    """All bytes of the request."""

    def __new__(cls, request: ReceivedRequest) -> RecordedRequest:
        line = request.line
        made = super().__new__(cls, line.rpartition(" ")[0] if " HTTP/" in line else line)
        made.server_name, made.raw = request.server_name, request.request
        return made

    @property
    def method(self) -> str:
        return self.partition(" ")[0]

    @property
    def path(self) -> str:
        """The path with the query, as received."""
        return self.partition(" ")[2]

    @property
    def headers(self) -> dict[str, str]:
        """The header fields by their names in lower case; values of equal names are joined."""
        found: dict[str, str] = {}
        for line in self.raw.partition(END_OF_HEAD)[0].split(b"\r\n")[1:]:
            name, _, value = line.decode("latin-1").partition(":")
            name, value = name.lower(), value.strip()
            found[name] = f"{found[name]}, {value}" if name in found else value
        return found

    @property
    def body(self) -> bytes:
        """The body as received, with its chunks if it is chunked."""
        return self.raw.partition(END_OF_HEAD)[2]

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


Body = str | bytes | JSON | Callable[[RecordedRequest], "str | bytes | JSON"]
HeaderFields = Mapping[str, str]


class Responder:
    """Responses by path."""

    def __init__(self) -> None:
        self._replies: dict[str | None, Callable[[RecordedRequest], Reply]] = {}

    def add(self, path: str | None, body: Body, status: int, headers: HeaderFields) -> None:
        """Respond so to requests for `path` (None: for all others).

        Raises ValueError if the response would be no valid HTTP.
        """

        def reply(request: RecordedRequest) -> Reply:
            return make_reply(body(request) if callable(body) else body, status, headers)

        # What is invalid is reported to the test that says so.
        make_reply("" if callable(body) else body, status, headers).head()
        self._replies[path] = reply

    def reply_to(self, request: ReceivedRequest) -> Reply | None:
        """The response; None if the test gave none for this request."""
        if not self._replies:
            return None
        recorded = RecordedRequest(request)
        path = recorded.path.partition("?")[0]
        factory = self._replies.get(path) or self._replies.get(None)
        return None if factory is None else factory(recorded)


def make_reply(body: str | bytes | JSON, status: int, headers: HeaderFields) -> Reply:
    """A response whose Content-Type follows from the type of the body, unless it is given."""
    if isinstance(body, bytes):
        content, content_type = body, "application/octet-stream"
    elif isinstance(body, str):
        content, content_type = body.encode(), "text/plain; charset=utf-8"
    else:
        content, content_type = json.dumps(body).encode(), "application/json"
    return Reply(content, status, content_type=content_type, fields=tuple(headers.items()))
