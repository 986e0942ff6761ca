"""The tries of one request, and what the class of a failure means for the next.

    next peer ─► Attempt.answer ─► Answer (its body still with the peer)
        ▲              │
        └── by class of failure             (`proxy_next_upstream`)

A try ends with an answer or with a `Failure`. Here alone it is decided whether another peer is
asked; reading the body afterwards can fail no more than once, since a part of the response may
be with the client by then.
"""

from __future__ import annotations

import time

from ..config.directives.proxy import Proxy
from ..facts import Facts, Try
from ..logs.error import ConnectionLog
from ..message import Failed, Failure, FailureClass, Level
from .attempt import Answer, Attempt, Outgoing
from .peers import Peer

_BY_STATUS = {kind.status: kind for kind in FailureClass if kind.word.startswith("http_")}
_NON_IDEMPOTENT = frozenset(("POST", "LOCK", "PATCH"))
_NOT_THE_PEERS_FAULT = frozenset(
    (FailureClass.HTTP_403, FailureClass.HTTP_404, FailureClass.INTERNAL)
)


class Exchange:
    """One request's way to an upstream and back."""

    def __init__(self, outgoing: Outgoing) -> None:
        self.outgoing = outgoing
        self.proxy: Proxy = outgoing.proxy
        self.log = outgoing.log
        self.turns = outgoing.upstream.turns(outgoing.facts)
        if self.proxy.proxy_next_upstream_tries:
            most = self.proxy.proxy_next_upstream_tries
            self.turns.tries_left = min(self.turns.tries_left, most)
        self.began = time.monotonic()
        self.lines: tuple[str, ...] = ()
        """Those of the failures, as `tell` has them."""

    async def respond(self) -> Answer | FailureClass:
        """The first answer that counts, or the class of the failure that ends the request."""
        while True:
            self.log.action = "connecting to upstream"
            peer = self.turns.next()
            if peer is None:
                return self._nobody_left()
            self.log.upstream = self.outgoing.shown(peer.name)
            attempt = Attempt(self.outgoing, peer, self.turns)
            try:
                answer = await attempt.answer()
                failure = self._asks_another(attempt, answer)
                if failure is None:
                    return answer
            except Failed as failed:
                failure = failed.failure
            except BaseException:
                # The client has ended it: that is no fault of the peer's.
                self.turns.done(peer, failed=False)
                attempt.end(whole=True)
                raise
            self._note_failure(peer, attempt.facts, failure)
            if attempt.facts.kept and failure.kind is FailureClass.ERROR:
                # It may have ended while it was idle: that is no try.
                self.turns.tries_left += 1
            goes_on = self.turns.tries_left > 0 and self._allows(failure.kind, attempt)
            # nginx says goodbye to the last peer and to no other.
            attempt.end(whole=not goes_on)
            if not goes_on:
                return failure.kind

    def _nobody_left(self) -> FailureClass:
        name = self.outgoing.upstream.name
        self.log.upstream = self.outgoing.shown(name)
        kind = FailureClass.NO_LIVE
        self._tell(Failure("no live upstreams", kind=kind))
        nobody = Try(name, time.monotonic(), status=kind.status, response_time=0.0)
        self.outgoing.facts.tries.append(nobody)
        return kind

    def _asks_another(self, attempt: Attempt, answer: Answer) -> Failure | None:
        """An answer that `proxy_next_upstream` takes for a failure, while there are peers."""
        kind = _BY_STATUS.get(answer.head.status)
        if kind is None or self.turns.tries_left <= 1 or not self._allows(kind, attempt):
            return None
        return Failure("", kind=kind)

    def _allows(self, kind: FailureClass, attempt: Attempt) -> bool:
        chosen = self.proxy.proxy_next_upstream
        outgoing = self.outgoing
        repeatable = not (attempt.sent and outgoing.facts.method in _NON_IDEMPOTENT)
        is_gone = attempt.sent and outgoing.streamed is not None
        timeout = self.proxy.proxy_next_upstream_timeout
        return (
            kind.word in chosen
            and "off" not in chosen
            and (repeatable or "non_idempotent" in chosen)
            and not is_gone
            and not (timeout and time.monotonic() - self.began >= timeout)
        )

    def _note_failure(self, peer: Peer, facts: Try, failure: Failure) -> None:
        """Write the line of a failed try, and give the peer back with its verdict."""
        # Where our own side could not be prepared, nobody has answered anything.
        internal = failure.kind is FailureClass.INTERNAL
        facts.status = None if internal else failure.kind.status
        facts.response_time = time.monotonic() - facts.began
        facts.failure = failure
        late = failure.kind is FailureClass.TIMEOUT
        # nginx writes the line of a time-out after it has given the peer back.
        if failure.text and not late:
            self._tell(failure)
        if self.turns.done(peer, failed=failure.kind not in _NOT_THE_PEERS_FAULT):
            self.log.write(Level.WARN, "upstream server temporarily disabled")
        if late:
            self._tell(failure)

    def _tell(self, failure: Failure) -> None:
        self.lines += tell(failure, self.outgoing.facts, self.log)


def tell(failure: Failure, facts: Facts, log: ConnectionLog) -> tuple[str, ...]:
    """Write the line of a failure; the line, where a page is to show it (`error_detail`)."""
    if facts.location.core.error_detail:
        return (log.write_and_return(failure),)
    log.write_failure(failure)
    return ()
