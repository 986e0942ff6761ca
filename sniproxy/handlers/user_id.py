"""`userid`: send a cookie that identifies the client."""

from __future__ import annotations

import base64
import time

from ..config.directives.userid import MAX_EXPIRES, UserId
from ..config.model import Location
from ..context import ClientIdentity, RequestContext
from ..http.dates import cookie_date
from ..logs.error import ConnectionLog
from ..models import Response
from ..variables import lookup
from ..variables.userid import ENCODED, identity

_FLAGS = ("secure", "httponly", "samesite=strict", "samesite=lax", "samesite=none")


class UserIdFilter:
    """Adds the cookies of one location."""

    def __init__(self, settings: UserId) -> None:
        self._settings = settings

    def apply(self, response: Response, ctx: RequestContext, log: ConnectionLog) -> Response:
        if ctx.is_subrequest:
            return response
        settings = self._settings
        reset = lookup(ctx)("uid_reset") or ""
        known = identity(ctx, settings, reset)
        if not known.sent:
            return response
        fields = [("Set-Cookie", set_cookie(settings, known, int(time.time())))]
        if settings.userid_p3p:
            fields.append(("P3P", settings.userid_p3p))
        return response._replace(headers=(*response.headers, *fields))


def set_cookie(settings: UserId, known: ClientIdentity, now: int) -> str:
    """The value of Set-Cookie; `now` is a POSIX time."""
    mark = settings.userid_mark
    if known.is_new:
        encoded = base64.b64encode(known.sent).decode()
        if mark:
            encoded = f"{encoded[:-2]}{mark}="
    else:
        encoded = f"{known.cookie[:ENCODED]}{mark}="
    text = f"{settings.userid_name}={encoded}"
    expires = settings.userid_expires
    if expires == MAX_EXPIRES:
        text += "; expires=Thu, 31-Dec-37 23:55:55 GMT"
    elif expires:
        text += f"; expires={cookie_date(now + expires)}"
    if settings.userid_domain is not None:
        text += settings.userid_domain.text
    text += settings.userid_path.text
    # As in nginx the last one of several values of SameSite is sent as well.
    return text + "".join(f"; {flag}" for flag in _FLAGS if flag in settings.userid_flags)


def user_id_filter(location: Location) -> UserIdFilter | None:
    """The filter of a location; None if it sends no cookies."""
    settings = location.filters.userid
    return None if settings.userid in ("off", "log") else UserIdFilter(settings)
