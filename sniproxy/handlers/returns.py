"""`return`, and the two answers that need no directive: no location, a missing slash."""

from __future__ import annotations

from ..config.directives.rewrite import Return
from ..facts import Facts
from ..http.uri import escape_uri
from ..logs.error import ConnectionLog
from ..message import Response
from ..upstream.attempt import RequestBody
from ..variables import lookup
from .special import special_response

REDIRECTS = frozenset((301, 302, 303, 307, 308))


class ReturnHandler:
    """`return CODE [TEXT|URL]`."""

    reads_body = False
    watches_client = False

    def __init__(self, statement: Return) -> None:
        self.statement = statement

    async def respond(self, facts: Facts, body: RequestBody | None, log: ConnectionLog) -> Response:
        status, template = self.statement.status, self.statement.text
        text = template.render(lookup(facts)) if template is not None else ""
        if status in REDIRECTS:
            return special_response(status, facts, location=text)
        if status >= 400 and (template is None or not template.source):
            return special_response(status, facts)
        data = text.encode("latin-1")
        if status == 204:
            return Response(status)
        return Response(status, data, content_type="text/plain", content_length=len(data))


class PageHandler:
    """One built-in page for every request."""

    reads_body = False
    watches_client = False

    def __init__(self, status: int) -> None:
        self.status = status

    async def respond(self, facts: Facts, body: RequestBody | None, log: ConnectionLog) -> Response:
        return special_response(self.status, facts)


class AddSlashHandler:
    """301 to the name of a proxying location, which ends in the slash that the path lacks."""

    reads_body = False
    watches_client = False

    async def respond(self, facts: Facts, body: RequestBody | None, log: ConnectionLog) -> Response:
        query = f"?{facts.args}" if facts.args else ""
        target = escape_uri(facts.location.name.name) + query
        return special_response(301, facts, location=target)
