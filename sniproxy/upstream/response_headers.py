"""Filter and rewrite the headers of upstream responses (pure).

Directives: `proxy_hide_header`, `proxy_pass_header`, `proxy_ignore_headers`, `proxy_redirect`,
`proxy_cookie_…`, `proxy_force_ranges`; and the fields `X-Accel-…`, which control the proxy.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..config.directives.proxy_rewrites import Replacement
from ..config.directives.upstream_settings import UpstreamSettings
from ..config.numbers import parse_number
from ..context import RequestContext, absolute_location
from ..models import Header, ResponseHead
from ..variables import lookup
from .header_rewrite import (
    CookieRules,
    rewritten_cookie,
    rewritten_redirect,
    rewritten_refresh,
)

X_ACCEL_FIELDS = (
    "x-accel-expires",
    "x-accel-redirect",
    "x-accel-limit-rate",
    "x-accel-buffering",
    "x-accel-charset",
)
HIDDEN_FIELDS = ("date", "server", "x-pad", *X_ACCEL_FIELDS)
"""Response fields that are not forwarded, unless `proxy_pass_header` names them."""

FRAMING_FIELDS = ("connection", "keep-alive", "transfer-encoding", "content-length")
"""Response fields that concern only the connection to the upstream."""

REDIRECT_HEADERS = frozenset(
    ("set-cookie", "content-disposition", "cache-control", "expires", "accept-ranges")
)
"""Fields that are added to the final response after `X-Accel-Redirect`."""


_X_ACCEL = frozenset(X_ACCEL_FIELDS)
NO_COOKIE_RULES = CookieRules((), (), ())
_NO_HEADERS: Mapping[str, str] = {}


class _HeaderAction(enum.Enum):
    """How a field is processed that is not simply forwarded."""

    DROPPED = enum.auto()
    CONTENT_TYPE = enum.auto()
    LOCATION = enum.auto()
    REFRESH = enum.auto()
    COOKIE = enum.auto()


class FilteredHeaders:
    """The headers of a response to the client."""

    __slots__ = ("content_type", "headers", "location")

    def __init__(self) -> None:
        self.headers: list[Header] = []
        self.content_type = ""
        self.location: str | None = None
        """Location field that was rewritten to a path of this server, made absolute."""


@dataclass(frozen=True, slots=True)
class ResponseHeaderPolicy:
    """How a location processes the response heads of its upstream."""

    actions: Mapping[str, _HeaderAction]
    """By field name in lower case; other fields are forwarded."""
    hidden: frozenset[str]
    ignored: frozenset[str]
    """Names of fields, in lower case, that have no effect (`proxy_ignore_headers`)."""
    redirects: tuple[Replacement, ...]
    cookies: CookieRules
    own_server: bool
    """Whether the Server field is nginx's, not the upstream's."""
    own_date: bool
    adds_missing: bool
    """Whether nginx adds Server and Date if the upstream sends none."""

    @classmethod
    def of(
        cls,
        settings: UpstreamSettings,
        hidden_fields: Iterable[str],
        redirects: tuple[Replacement, ...] = (),
        cookies: CookieRules = NO_COOKIE_RULES,
        *,
        adds_missing: bool = True,
    ) -> ResponseHeaderPolicy:
        """`hidden_fields` are hidden by default, in lower case."""
        passed = {name.lower() for name in settings.pass_header}
        hidden = {*hidden_fields, *(name.lower() for name in settings.hide_header)} - passed
        dropped = {*hidden, *FRAMING_FIELDS}
        if settings.force_ranges:
            dropped.add("accept-ranges")
        actions = {"content-type": _HeaderAction.CONTENT_TYPE}
        if redirects:
            actions |= {"location": _HeaderAction.LOCATION, "refresh": _HeaderAction.REFRESH}
        if cookies:
            actions["set-cookie"] = _HeaderAction.COOKIE
        return cls(
            actions | dict.fromkeys(dropped, _HeaderAction.DROPPED),
            frozenset(hidden),
            frozenset(name.lower() for name in settings.ignore_headers),
            redirects,
            cookies,
            "server" in hidden,
            "date" in hidden,
            adds_missing,
        )

    def adds(self, name: str, head: ResponseHead) -> bool:
        """Whether nginx adds a field, `server` or `date`, that the upstream may have sent."""
        return self.adds_missing and head.header(name) is None

    def without(self, name: str) -> ResponseHeaderPolicy:
        """The same policy, which does not forward the field `name` (lower-case) either."""
        return replace(self, actions={**self.actions, name: _HeaderAction.DROPPED})

    def filter(self, head: ResponseHead, ctx: RequestContext) -> FilteredHeaders:
        """Filter and rewrite the headers for the client."""
        filtered = FilteredHeaders()
        passed, actions = filtered.headers, self.actions
        headers = head.headers
        names = head.names or [name.lower() for name, _ in headers]
        for position, name in enumerate(names):
            header = headers[position]
            action = actions.get(name)
            if action is None:
                passed.append(header)
            elif action is _HeaderAction.CONTENT_TYPE:
                filtered.content_type = header[1]
            elif action is not _HeaderAction.DROPPED:
                self._rewrite(action, header, filtered, ctx)
        return filtered

    def _rewrite(
        self, action: _HeaderAction, header: Header, filtered: FilteredHeaders, ctx: RequestContext
    ) -> None:
        name, value = header
        values, on_match = lookup(ctx), ctx.set_captures
        if action is _HeaderAction.LOCATION:
            rewritten = rewritten_redirect(self.redirects, value, values, on_match)
            location = None if rewritten is None else absolute_location(ctx, rewritten)
            filtered.location = location
            if location is not None:
                return
        elif action is _HeaderAction.REFRESH:
            rewritten = rewritten_refresh(self.redirects, value, values, on_match)
        else:
            rewritten = rewritten_cookie(self.cookies, value, values, on_match)
        filtered.headers.append((name, value if rewritten is None else rewritten))

    def redirect_headers(self, headers: Iterable[Header], ctx: RequestContext) -> FilteredHeaders:
        """Filter the headers that are kept for an internal redirect, including hidden fields."""
        filtered = FilteredHeaders()
        for name, value in headers:
            lowered = name.lower()
            if lowered == "content-type":
                filtered.content_type = value
            elif lowered in REDIRECT_HEADERS:
                if lowered == "set-cookie" and self.cookies:
                    value = self._cookie(value, ctx)
                filtered.headers.append((name, value))
        return filtered

    def _cookie(self, value: str, ctx: RequestContext) -> str:
        rewritten = rewritten_cookie(self.cookies, value, lookup(ctx), ctx.set_captures)
        return rewritten or value

    def drop_hidden(self, headers: Iterable[Header]) -> list[Header]:
        """Remove hidden fields from early hints or trailers."""
        return [(name, value) for name, value in headers if name.lower() not in self.hidden]

    def x_accel_headers(self, head: ResponseHead) -> Mapping[str, str]:
        """The effective `X-Accel-…` fields, by name in lower case without the prefix."""
        if head.names and _X_ACCEL.isdisjoint(head.names):
            return _NO_HEADERS
        found: dict[str, str] = {}
        for name, value in head.headers:
            lowered = name.lower()
            if lowered.startswith("x-accel-") and lowered not in self.ignored:
                found[lowered.removeprefix("x-accel-")] = value
        return found


_SWITCHES = {"no": False, "yes": True}


def is_buffered(accelerated: Mapping[str, str], buffering: bool) -> bool:
    """Whether to buffer a response: `X-Accel-Buffering`, else `buffering`."""
    return _SWITCHES.get(accelerated.get("buffering", "").lower(), buffering)


def limit_rate(accelerated: Mapping[str, str], before: int | None) -> int | None:
    """Bytes per second to the client: `X-Accel-Limit-Rate`, else `before`."""
    directive = parse_number(accelerated.get("limit-rate", ""))
    return before if directive is None else directive
