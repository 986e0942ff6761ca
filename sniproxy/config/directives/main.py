"""Directives of nginx's core and event modules."""

from __future__ import annotations

from ..numbers import parse_number
from .directive import (
    ANY,
    EVENTS,
    MAIN,
    Args,
    Directive,
    Merge,
    Repeat,
    Settings,
    between,
    block,
    directive,
    exactly,
    settings,
)
from .slots import flag, one_of, string, time, words

NGINX_CORE = "ngx_core_module"
EVENTS_CORE = "ngx_event_core_module"

DIALECTS = ("native", "3.5", "3.0", "1.1.1")


def worker_processes(args: Args) -> int | None:
    """A number, or None for `auto`."""
    if args.first == "auto":
        return None
    value = parse_number(args.first)
    if value is None:
        args.fail_directive("invalid value")
    return value


def worker_connections(args: Args) -> int:
    value = parse_number(args.first)
    if value is None:
        args.fail(f'invalid number "{args.first}"')
    return value


@settings(NGINX_CORE)
class Main(Settings):
    """Main-level settings."""

    daemon: bool = directive(
        MAIN, flag, "run in the background; unlike in nginx the default is off", default="off"
    )
    master_process: bool = directive(
        MAIN, flag, "master process with workers; sniproxy serves with one process", default="on"
    )
    worker_processes: int | None = directive(
        MAIN,
        worker_processes,
        "number of worker processes; sniproxy serves with one process",
        default="1",
    )
    user: tuple[str, ...] | None = directive(
        MAIN, words, "user and group of the workers; sniproxy does not change its own",
        arity=between(1, 2), default="nobody nogroup",
    )  # fmt: skip
    pid: str = directive(MAIN, string, "PID file", default="sniproxy.pid")
    worker_shutdown_timeout: float | None = directive(
        MAIN, time, "time limit of a graceful shutdown"
    )
    ssl_error_dialect: str = directive(
        MAIN,
        one_of({name: name for name in DIALECTS}),
        "OpenSSL release whose error strings are used in log messages",
        default="native",
        extension=True,
    )


@settings(EVENTS_CORE)
class Events(Settings):
    """Settings of `events {}`."""

    worker_connections: int = directive(
        EVENTS, worker_connections, "maximum number of connections", default="512"
    )


DIRECTIVES = (
    block(
        "events",
        MAIN,
        EVENTS,
        "connection processing settings",
        module="ngx_events_module",
        repeat=Repeat.REFUSED,
    ),
    Directive(
        "include",
        ANY,
        exactly(1),
        string,
        "include the files that match a name or mask",
        "ngx_conf_module",
        repeat=Repeat.APPENDED,
        merge=Merge.NOT_INHERITED,
    ),
)
