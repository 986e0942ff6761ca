"""What is recorded of requests that are in progress at the same time on one connection (HTTP/2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..context import RequestContext
from .builder import HandlerCall, handler_call


@dataclass(slots=True)
class _CallsOfRequest:
    finished: list[HandlerCall] = field(default_factory=list)
    running: list[tuple[int, int, str]] = field(default_factory=list)
    """Number of routing steps and attempts before, and the path."""


class HandlerCalls:
    """The calls of handlers for the requests in progress, with those for their subrequests."""

    __slots__ = ("_requests",)

    def __init__(self) -> None:
        self._requests: dict[RequestContext, _CallsOfRequest] = {}

    def start(self, ctx: RequestContext) -> None:
        """A handler is about to run."""
        calls = self._requests.setdefault(ctx.main, _CallsOfRequest())
        calls.running.append((len(ctx.routing_steps), len(ctx.upstream_states), ctx.uri))

    def finish(self, ctx: RequestContext) -> None:
        """It has returned."""
        calls = self._requests.get(ctx.main)
        if calls is not None and calls.running:
            detours, tries, path = calls.running.pop()
            calls.finished.append(handler_call(ctx, ctx.location, path, detours, tries))

    def take(self, ctx: RequestContext) -> list[HandlerCall]:
        """The finished calls for a request of a client that is over."""
        calls = self._requests.pop(ctx, None)
        return [] if calls is None else calls.finished


def take_lines(ctx: RequestContext, lines: list[str]) -> tuple[list[str], list[str]]:
    """The log lines of a connection about a request that is over, and those about others.

    With HTTP/1 all are about the request.
    """
    return (lines, []) if ctx.request.version < 20 else lines_of(ctx, lines)


def lines_of(ctx: RequestContext, lines: list[str]) -> tuple[list[str], list[str]]:
    """The log lines that do not name another request, and those that do."""
    own = f', request: "{ctx.request.line}"'
    of_others = [line for line in lines if ', request: "' in line and own not in line]
    return [line for line in lines if line not in of_others], of_others
