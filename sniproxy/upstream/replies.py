"""The head of an upstream's response on its way to the client (pure).

Directives: `proxy_hide_header`, `proxy_pass_header`, `proxy_ignore_headers`, `proxy_redirect`,
`proxy_cookie_…`, `proxy_force_ranges`; and the fields `X-Accel-…`, which are for us.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..config.directives.proxy import Proxy
from ..config.directives.proxy_rewrites import Replacement
from ..config.directives.slots import parse_number
from ..message import Header, ResponseHead
from ..script import Lookup
from .rewrites import (
    CookieRules,
    OnMatch,
    rewritten_cookie,
    rewritten_redirect,
    rewritten_refresh,
)

HIDDEN_FIELDS = (
    "date",
    "server",
    "x-pad",
    "x-accel-expires",
    "x-accel-redirect",
    "x-accel-limit-rate",
    "x-accel-buffering",
    "x-accel-charset",
)
"""Fields of the upstream's that the client does not see, unless `proxy_pass_header` names them."""

FRAMING_FIELDS = ("connection", "keep-alive", "transfer-encoding", "content-length")
"""Fields of the upstream's that speak of its connection, not of the client's."""

CARRIED_FIELDS = frozenset(
    ("set-cookie", "content-disposition", "cache-control", "expires", "accept-ranges")
)
"""Fields that stay with a request whose answer comes from elsewhere (`X-Accel-Redirect`)."""


class _Way(enum.Enum):
    """What is done with a field that does not simply go on."""

    DROPPED = enum.auto()
    CONTENT_TYPE = enum.auto()
    LOCATION = enum.auto()
    REFRESH = enum.auto()
    COOKIE = enum.auto()


@dataclass(slots=True)
class Reply:
    """What of a head goes on to the client."""

    headers: list[Header] = field(default_factory=list)
    content_type: str = ""
    location: str | None = None
    """A redirect that was rewritten to a path of this server, made absolute."""


@dataclass(frozen=True, slots=True)
class ReplyRules:
    """What one location does with the heads of its upstream."""

    ways: Mapping[str, _Way]
    """By lower-case name; any other field goes on."""
    hidden: frozenset[str]
    ignored: frozenset[str]
    """Lower-case names of fields that are not obeyed."""
    redirects: tuple[Replacement, ...]
    cookies: CookieRules
    own_server: bool
    """Whether the client sees our Server field, and not the upstream's."""
    own_date: bool

    @classmethod
    def of(cls, proxy: Proxy) -> ReplyRules:
        passed = {name.lower() for name in proxy.proxy_pass_header}
        hidden = {*HIDDEN_FIELDS, *(name.lower() for name in proxy.proxy_hide_header)} - passed
        dropped = {*hidden, *FRAMING_FIELDS}
        if proxy.proxy_force_ranges:
            dropped.add("accept-ranges")
        redirects = tuple([rule for rule in proxy.proxy_redirect if rule is not None])
        cookies = CookieRules(
            tuple([rule for rule in proxy.proxy_cookie_domain if rule is not None]),
            tuple([rule for rule in proxy.proxy_cookie_path if rule is not None]),
            tuple([rule for rule in proxy.proxy_cookie_flags if rule is not None]),
        )
        ways = {"content-type": _Way.CONTENT_TYPE}
        if redirects:
            ways |= {"location": _Way.LOCATION, "refresh": _Way.REFRESH}
        if cookies:
            ways["set-cookie"] = _Way.COOKIE
        return cls(
            ways | dict.fromkeys(dropped, _Way.DROPPED),
            frozenset(hidden),
            frozenset(name.lower() for name in proxy.proxy_ignore_headers),
            redirects,
            cookies,
            "server" in hidden,
            "date" in hidden,
        )

    def reply(
        self,
        headers: Iterable[Header],
        lookup: Lookup,
        on_match: OnMatch,
        absolute: Callable[[str], str | None],
    ) -> Reply:
        """The fields that the client gets, as it gets them.

        `absolute` makes a redirect of ours absolute; None leaves it in its place as it is.
        """
        reply = Reply()
        passed = reply.headers
        for name, value in headers:
            way = self.ways.get(name.lower())
            if way is None:
                passed.append((name, value))
            elif way is _Way.CONTENT_TYPE:
                reply.content_type = value
            elif way is _Way.LOCATION:
                rewritten = rewritten_redirect(self.redirects, value, lookup, on_match)
                reply.location = None if rewritten is None else absolute(rewritten)
                if reply.location is None:
                    passed.append((name, value if rewritten is None else rewritten))
            elif way is _Way.REFRESH:
                rewritten = rewritten_refresh(self.redirects, value, lookup, on_match)
                passed.append((name, value if rewritten is None else rewritten))
            elif way is _Way.COOKIE:
                rewritten = rewritten_cookie(self.cookies, value, lookup, on_match)
                passed.append((name, value if rewritten is None else rewritten))
        return reply

    def carried(self, headers: Iterable[Header], lookup: Lookup, on_match: OnMatch) -> Reply:
        """The same where another place answers instead: hidden fields count too."""
        reply = Reply()
        for name, value in headers:
            lowered = name.lower()
            if lowered == "content-type":
                reply.content_type = value
            elif lowered in CARRIED_FIELDS:
                if lowered == "set-cookie" and self.cookies:
                    value = rewritten_cookie(self.cookies, value, lookup, on_match) or value
                reply.headers.append((name, value))
        return reply

    def without_hidden(self, headers: Iterable[Header]) -> list[Header]:
        """What of early hints, or of trailers, goes on."""
        return [(name, value) for name, value in headers if name.lower() not in self.hidden]

    def accelerated(self, head: ResponseHead) -> Mapping[str, str]:
        """The `X-Accel-…` fields that are obeyed, by lower-case name without that prefix."""
        found: dict[str, str] = {}
        for name, value in head.headers:
            if name[:2] not in _X:
                continue
            lowered = name.lower()
            if lowered.startswith("x-accel-") and lowered not in self.ignored:
                found[lowered.removeprefix("x-accel-")] = value
        return found


_X = frozenset(("X-", "x-"))
_SWITCHES = {"no": False, "yes": True}


def is_buffered(accelerated: Mapping[str, str], buffering: bool) -> bool:
    """Whether a response is gathered in buffers: what it says itself, else `buffering`."""
    return _SWITCHES.get(accelerated.get("buffering", "").lower(), buffering)


def limit_rate(accelerated: Mapping[str, str], before: int | None) -> int | None:
    """Bytes a second that the client is to get: what it says itself, else what held `before`."""
    said = parse_number(accelerated.get("limit-rate", ""))
    return before if said is None else said
