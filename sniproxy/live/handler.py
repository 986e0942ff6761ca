"""The content handler of the live page: its files, and the JSON API.

GET  /api/requests                  the rows of the list
GET  /api/requests/ID               the details of one; ?reveal=1 without masks (token)
POST /api/requests/ID/replay        send it again (token)
POST /api/requests/ID/diagnose      diagnose its upstream (token)
GET  /api/events                    server-sent events: rows as they come
GET  /api/upstreams, /api/configuration
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from importlib.resources import files
from typing import Any, Protocol
from urllib.parse import parse_qs

import trio

from ..build import Application
from ..context import RequestContext
from ..diagnose.url import DiagnoseError
from ..handlers.base import Client
from ..logs.error import ConnectionLog
from ..models import BodyReader, HandlerResult, Response
from .diagnosis import diagnose_upstream, lint_findings
from .events import EventStream
from .replay import ReplayError, replay
from .request_check import allowed_hosts, has_token, refusal
from .ring import LiveEntry, Ring, dump
from .secret_values import mask_configuration, with_secrets, without_secrets

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_FIELDS = (
    ("Content-Security-Policy", CSP),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
PAGE_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/filter.js": ("filter.js", "text/javascript; charset=utf-8"),
    "/detail.js": ("detail.js", "text/javascript; charset=utf-8"),
    "/upstreams.js": ("upstreams.js", "text/javascript; charset=utf-8"),
    "/dom.js": ("dom.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
NEEDS_TOKEN = "this needs the token in the URL that sniproxy has printed"


class PageState(Protocol):
    """What the handler needs of the page."""

    ring: Ring
    token: str
    is_public: bool
    """Whether the page listens on an address that other machines can reach."""
    site: Application | None
    """The configuration that is served."""

    async def upstreams(self, site: Application) -> dict[str, Any]:
        """The upstreams of all workers, and the zones that they share."""

    def look(self) -> None:
        """Observe all requests for a while."""

    def viewer_came(self) -> None:
        """A browser listens for events."""

    def viewer_left(self) -> None:
        """It has gone."""


class LiveHandler:
    """Answers the requests for the live page."""

    def __init__(self, page: PageState) -> None:
        self._page = page

    async def handle(
        self, ctx: RequestContext, client: Client, log: ConnectionLog
    ) -> HandlerResult:
        """Handle a request; those of other sites are refused."""
        head, connection = ctx.request, ctx.connection
        hosts = allowed_hosts(connection.server_address, connection.server_port)
        if reason := refusal(head, hosts):
            return error(403, reason)
        path = head.path
        if not path.startswith("/api/"):
            return page_file(path) if head.method in ("GET", "HEAD") else error(405, "use GET")
        allowed = has_token(head, self._page.token, in_query=head.method == "GET")
        if self._page.is_public and not allowed:
            return error(403, NEEDS_TOKEN)
        if head.method == "POST":
            if not has_token(head, self._page.token, in_query=False):
                return error(403, NEEDS_TOKEN)
            return await self._act(path)
        if head.method not in ("GET", "HEAD"):
            return error(405, "use GET or POST")
        return await self._get(path, parse_qs(head.args), allowed=allowed)

    async def _get(self, path: str, query: dict[str, list[str]], *, allowed: bool) -> Response:
        page = self._page
        match path.split("/")[2:]:
            case ["requests"]:
                page.look()
                return self._rows(_number(query, "after"))
            case ["requests", text]:
                entry = self._entry(text)
                if entry is None:
                    return error(404, "there is no such entry, or it is too old")
                if not _number(query, "reveal"):
                    return json_response(without_secrets(json.loads(entry.detail)))
                if not allowed:
                    return error(403, NEEDS_TOKEN)
                return json_response(with_secrets(json.loads(entry.detail)))
            case ["events"]:
                after = _number(query, "after") if query.get("ring") == [page.ring.name] else 0
                return self._events(after)
            case ["upstreams"] if page.site is not None:
                return json_response(await page.upstreams(page.site))
            case ["configuration"] if page.site is not None:
                return json_response(await self._configuration(page.site))
        return error(404, "there is nothing here")

    def _rows(self, after: int) -> Response:
        ring = self._page.ring
        rows = b",".join(entry.row for entry in ring.after(after))
        head = dump({"ring": ring.name, "first": ring.first, "last": ring.last})
        return json_bytes(head[:-1] + b',"requests":[' + rows + b"]}")

    def _events(self, after: int) -> Response:
        page = self._page
        page.look()
        page.viewer_came()
        body: BodyReader = EventStream(page.ring, after, page.viewer_left)
        return Response(
            200,
            body,
            "text/event-stream; charset=utf-8",
            headers=SECURITY_FIELDS,
            flush_headers=True,
            cancel_on_client_abort=True,
        )

    async def _act(self, path: str) -> Response:
        site = self._page.site
        match path.split("/")[2:]:
            case ["requests", text, "replay" | "diagnose" as action] if site is not None:
                entry = self._entry(text)
                if entry is None:
                    return error(404, "there is no such entry, or it is too old")
                row, detail = json.loads(entry.row), json.loads(entry.detail)
                if action == "diagnose":
                    return await _diagnose(detail, site.config.file)
                try:
                    status = await replay(row, detail, site.runtime.listeners)
                except ReplayError as failed:
                    return error(409, str(failed))
                return json_response({"status": status})
        return error(404, "there is nothing here")

    def _entry(self, text: str) -> LiveEntry | None:
        return self._page.ring.get(int(text)) if text.isascii() and text.isdigit() else None

    async def _configuration(self, site: Application) -> dict[str, Any]:
        config = site.config
        findings = await _in_thread(partial(lint_findings, config.file))
        return {
            "file": config.file,
            "files": [
                {"name": name, "text": mask_configuration(text)} for name, text in config.sources
            ],
            "findings": findings,
        }


async def _diagnose(detail: dict[str, Any], file: str) -> Response:
    try:
        return json_response(await _in_thread(partial(diagnose_upstream, detail, file)))
    except DiagnoseError as failed:
        return error(409, str(failed))


async def _in_thread(function: Callable[[], Any]) -> Any:
    return await trio.to_thread.run_sync(function, abandon_on_cancel=True)


def _number(query: dict[str, list[str]], name: str) -> int:
    text = query.get(name, ["0"])[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


# --- responses -------------------------------------------------------------------------------


@cache
def _content(name: str) -> bytes:
    return files(__package__).joinpath("page", name).read_bytes()


def page_file(path: str) -> Response:
    """A file of the page."""
    if path not in PAGE_FILES:
        return error(404, "there is nothing here")
    name, kind = PAGE_FILES[path]
    body = _content(name)
    return Response(200, body, kind, len(body), SECURITY_FIELDS)


def json_bytes(body: bytes, status: int = 200) -> Response:
    return Response(status, body, "application/json", len(body), SECURITY_FIELDS)


def json_response(value: object, status: int = 200) -> Response:
    return json_bytes(dump(value) + b"\n", status)


def error(status: int, reason: str) -> Response:
    """A response that says why there is no other."""
    return json_response({"error": reason}, status)
