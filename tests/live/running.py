"""A proxy with a live page, and a client for its API."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sniproxy.embed import ThreadProxy

PLAIN = """
events {}
http { server { listen 127.0.0.1:0; server_name front.test;
    location / { return 200 "hello\\n"; }
    location /failing { return 500; }
    location /to { proxy_pass %s; %s } } }
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response of the API."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)


class LiveClient:
    """Asks the live page of a proxy."""

    def __init__(self, proxy: ThreadProxy) -> None:
        assert proxy.live_url is not None
        parts = urlsplit(proxy.live_url)
        self.address = parts.netloc
        self.token = parse_qs(parts.query)["token"][0]

    def send(
        self,
        path: str,
        method: str = "GET",
        fields: Mapping[str, str] | None = None,
        *,
        token: bool = False,
    ) -> Answer:
        client = http.client.HTTPConnection(self.address, timeout=30)
        headers = dict(fields or {})
        if token:
            headers["X-Live-Token"] = self.token
        client.request(method, path, headers=headers)
        response = client.getresponse()
        found = Answer(response.status, dict(response.getheaders()), response.read())
        client.close()
        return found

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the list, the oldest first."""
        rows: list[dict[str, Any]] = self.send("/api/requests").value["requests"]
        return rows

    def details(self, number: int, *, reveal: bool = False) -> Any:
        path = f"/api/requests/{number}{'?reveal=1' if reveal else ''}"
        return self.send(path, token=reveal).value


def fetch(proxy: ThreadProxy, path: str, method: str = "GET", **fields: str) -> int:
    """Send a request through the proxy; returns the status."""
    host, port = proxy.addresses[0]
    client = http.client.HTTPConnection(host, port, timeout=30)
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    body = headers.pop("body", None)
    client.request(method, path, body=body, headers={"Host": "front.test", **headers})
    response = client.getresponse()
    response.read()
    client.close()
    return response.status
