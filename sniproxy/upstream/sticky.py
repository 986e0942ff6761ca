"""Session affinity: `sticky cookie`, `sticky route` and `sticky learn`.

    cookie: the client's cookie has the `sid` of a peer, and each response sets it
    route:  a variable has it
    learn:  a variable has the name of a session, whose peer is found in memory that workers share

A `StickySelector` tells the selector of the load-balancing method which peer to prefer.
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Callable, Sequence

from ..config.directives.sticky import MAX_EXPIRES, Sticky, StickyCookie, is_samesite
from ..context import RequestContext, UpstreamState
from ..http.dates import cookie_date
from ..logs.error import ErrorLog
from ..models import Level
from ..shared_table import SharedTable
from ..template import Template, VariableLookup
from ..variables import lookup
from .selector import Peer, PeerSelector, RequestSelector, Upstream

SID_SIZE = 32
_EXPIRES_MAX = "; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000"


def sid_of(peer: Peer) -> str:
    """The name of a peer for `sticky`: its `route`, or a hash of its address."""
    return peer.settings.route or hashlib.md5(peer.name.encode("latin-1")).hexdigest()


class StickySessions:
    """The peers of sessions, by the name of the session (`sticky learn`)."""

    def __init__(self, zone: str, size: int, group: str, timeout: float) -> None:
        """`size` is that of the memory in bytes, `timeout` in seconds."""
        self.zone = zone
        self.size = size
        self.group = group
        self.timeout = timeout
        self.log = ErrorLog(())
        self._table = SharedTable(size, f"=qB{SID_SIZE}s")

    def with_timeout(self, timeout: float) -> StickySessions:
        """The same sessions for the next configuration."""
        other = copy.copy(self)
        other.timeout = timeout
        return other

    def find(self, session: str, now: int) -> str:
        """The `sid` of a session's peer; "" if it is not known. `now` is in milliseconds."""
        with self._table:
            self._expire(now)
            number = self._table.find(_key(session))
            if not number:
                return ""
            _, length, sid = self._table.read(number)
            return str(sid[:length], "latin-1")

    def learn(self, session: str, sid: str, now: int, *, create: bool) -> None:
        """Note the peer that serves a session; one that is not known begins if `create`."""
        table, key = self._table, _key(session)
        values = (now, len(sid), sid.encode("latin-1"))
        is_full = False
        with table:
            self._expire(now)
            number = table.find(key)
            if number:
                table.write(number, values)
                table.touch(number)
            elif create:
                is_full = table.used == table.capacity
                if is_full:
                    table.remove(table.oldest)
                table.insert(key, values)
        if is_full:
            self.log.write(
                Level.WARN,
                f'could not allocate node in sticky session zone "{self.zone}", expiring least'
                " recently used session",
            )

    def _expire(self, now: int) -> None:
        table = self._table
        while table.oldest and table.read(table.oldest)[0] + self.timeout * 1000 <= now:
            table.remove(table.oldest)

    def close(self) -> None:
        """Give the memory back, in this process."""
        self._table.close()


def _key(session: str) -> bytes:
    return hashlib.md5(session.encode("latin-1")).digest()


class StickyRules:
    """The `sticky` directive of a group."""

    def __init__(self, settings: Sticky, sessions: StickySessions | None) -> None:
        self.lookup = settings.lookup
        self.cookie = settings.cookie
        self.sessions = sessions
        learned = settings.sessions
        self.create = () if learned is None else learned.create
        self.after_headers = learned is not None and learned.after_headers

    def selector(
        self,
        make: Callable[[Upstream, RequestContext], RequestSelector] | None,
        upstream: Upstream,
        ctx: RequestContext,
    ) -> StickySelector:
        """The selector of a request, whose method makes selectors by `make`."""
        method = PeerSelector(upstream) if make is None else make(upstream, ctx)
        return StickySelector(self, method, ctx)


class StickySelector:
    """Prefers the peer of a request's session."""

    def __init__(self, rules: StickyRules, method: RequestSelector, ctx: RequestContext) -> None:
        self._rules = rules
        self._method = method
        self._ctx = ctx
        self._id = _first_value(rules.lookup, lookup(ctx))
        self._cookie: tuple[str, str] | None = None
        """The field that was added to the response."""
        self._peer: Peer | None = None
        self.hint = ""
        self.wants_head = method.wants_head or rules.after_headers

    @property
    def tries_left(self) -> int:
        return self._method.tries_left

    @tries_left.setter
    def tries_left(self, tries: int) -> None:
        self._method.tries_left = tries

    def get(self) -> Peer | None:
        sessions, sid = self._rules.sessions, self._id
        if sessions is not None and sid:
            sid = sessions.find(sid, _milliseconds())
        self._method.hint = sid
        peer = self._peer = self._method.get()
        if peer is not None and self._rules.cookie is not None:
            self._set_cookie(self._rules.cookie, peer)
        return peer

    def connected(self, peer: Peer, attempt: UpstreamState, *, is_tcp: bool) -> None:
        self._method.connected(peer, attempt, is_tcp=is_tcp)

    def head_received(self, attempt: UpstreamState) -> None:
        if self._rules.after_headers:
            self._learn()
        if self._method.wants_head:
            self._method.head_received(attempt)

    def free(
        self,
        peer: Peer,
        *,
        failed: bool,
        attempt: UpstreamState | None = None,
        has_response: bool = True,
    ) -> bool:
        if has_response and not self._rules.after_headers:
            self._learn()
        return self._method.free(peer, failed=failed, attempt=attempt, has_response=has_response)

    def _learn(self) -> None:
        sessions = self._rules.sessions
        if sessions is None or self._peer is None:
            return
        created = _first_value(self._rules.create, lookup(self._ctx))
        session = created or self._id
        if session:
            sessions.learn(session, self._peer.sid, _milliseconds(), create=bool(created))

    def _set_cookie(self, cookie: StickyCookie, peer: Peer) -> None:
        text = cookie_text(cookie, peer.sid, int(time.time()), lookup(self._ctx))
        field = ("Set-Cookie", text)
        fields, before = self._ctx.redirect_headers, self._cookie
        if before is None:
            self._ctx.redirect_headers = (*fields, field)
        else:
            self._ctx.redirect_headers = tuple(field if one is before else one for one in fields)
        self._cookie = field


def cookie_text(cookie: StickyCookie, sid: str, now: int, values: VariableLookup) -> str:
    """The value of `Set-Cookie` at `now`, in POSIX seconds."""
    text = f"{cookie.name}={sid}"
    if cookie.expires == MAX_EXPIRES:
        text += _EXPIRES_MAX
    elif cookie.expires is not None:
        text += f"; expires={cookie_date(now + cookie.expires)}; max-age={cookie.expires}"
    domain = "" if cookie.domain is None else cookie.domain.render(values)
    if domain:
        text += f"; domain={domain}"
    if cookie.httponly:
        text += "; httponly"
    if cookie.secure:
        text += "; secure"
    samesite = "" if cookie.samesite is None else cookie.samesite.render(values)
    if samesite:
        text += f"; samesite={samesite if is_samesite(samesite) else 'strict'}"
    return text + (f"; path={cookie.path}" if cookie.path else "")


def _first_value(variables: Sequence[Template], values: VariableLookup) -> str:
    for variable in variables:
        value = variable.render(values)
        if value:
            return value
    return ""


def _milliseconds() -> int:
    return int(time.time() * 1000)
