"""The response of `return`, and the redirect that adds a trailing slash."""

from __future__ import annotations

from ..config.directives.rewrite import Return
from ..context import RequestContext
from ..http.uri import escape_uri
from ..models import HandlerResult, Response, SpecialResponse
from ..variables import lookup

REDIRECTS = frozenset((301, 302, 303, 307, 308))


def return_response(statement: Return, ctx: RequestContext) -> HandlerResult:
    """The response of `return CODE [TEXT|URL]`."""
    status, template = statement.status, statement.text
    ctx.status = status
    if ctx.last_error is None and (status < 400 or (template is not None and template.source)):
        ctx.answers_expectation = True
    text = template.render(lookup(ctx)) if template is not None else ""
    if status in REDIRECTS:
        return SpecialResponse(status, text)
    if status >= 400 and (template is None or not template.source):
        return SpecialResponse(status)
    if status == 204:
        return Response(status)
    data = text.encode("latin-1")
    media_type = ctx.redirect_content_type or ctx.location.files.media_type(ctx.uri)
    return Response(
        status, data, content_type=media_type, content_length=len(data), allow_conditional=True
    )


def redirect_with_slash(ctx: RequestContext) -> SpecialResponse:
    """Redirect with 301 to the path with a trailing slash, the name of a proxying location."""
    query = f"?{ctx.args}" if ctx.args else ""
    return SpecialResponse(301, escape_uri(ctx.location.name.name) + query)
