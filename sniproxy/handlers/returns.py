"""`return` as a decision, and the answer that needs no directive: a slash is lacking."""

from __future__ import annotations

from ..config.directives.rewrite import Return
from ..facts import Facts
from ..http.uri import escape_uri
from ..message import Outcome, Response, Special
from ..variables import lookup

REDIRECTS = frozenset((301, 302, 303, 307, 308))


def returned(statement: Return, facts: Facts) -> Outcome:
    """What `return CODE [TEXT|URL]` answers."""
    status, template = statement.status, statement.text
    facts.status = status
    text = template.render(lookup(facts)) if template is not None else ""
    if status in REDIRECTS:
        return Special(status, text)
    if status >= 400 and (template is None or not template.source):
        return Special(status)
    if status == 204:
        return Response(status)
    data = text.encode("latin-1")
    media_type = facts.location.files.media_type(facts.uri)
    return Response(
        status, data, content_type=media_type, content_length=len(data), conditional=True
    )


def with_slash(facts: Facts) -> Special:
    """301 to the name of a proxying location, which ends in the slash that the path lacks."""
    query = f"?{facts.args}" if facts.args else ""
    return Special(301, escape_uri(facts.location.name.name) + query)
