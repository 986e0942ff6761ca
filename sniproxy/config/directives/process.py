"""nginx's core and events modules: the process itself."""

from __future__ import annotations

from .kinds import flag, nothing, number, string, whole_time, words
from .row import (
    ANY,
    EVENTS,
    MAIN,
    Args,
    Context,
    Merge,
    Repeat,
    Row,
    Settings,
    Status,
    at_least,
    between,
    block,
    row,
    settings,
)

NGINX_CORE = "ngx_core_module"
EVENTS_CORE = "ngx_event_core_module"


def worker_processes(args: Args) -> int | None:
    """A number, or `auto`, which is None."""
    return None if args.first == "auto" else number(args)


@settings(NGINX_CORE)
class Main(Settings):
    """The directives of the main level that have a value."""

    daemon: bool = row(
        MAIN, flag, "leave the terminal; off by default here, unlike nginx", default="off"
    )
    master_process: bool = row(
        MAIN, flag, "a master with workers; served by one process here", default="on"
    )
    worker_processes: int | None = row(
        MAIN, worker_processes, "number of workers; one process serves here", default="1"
    )
    user: tuple[str, ...] | None = row(
        MAIN, words, "the workers' user and group; this process keeps its own",
        arity=between(1, 2), default="nobody nogroup",
    )  # fmt: skip
    pid: str = row(MAIN, string, "the file that holds the process id", default="logs/nginx.pid")
    worker_shutdown_timeout: float | None = row(
        MAIN, whole_time, "seconds that a graceful stop may take"
    )
    ssl_error_dialect: str = row(
        MAIN, string, "whose OpenSSL words error lines use", default="native", ours=True
    )


@settings(EVENTS_CORE)
class Events(Settings):
    """The directives of `events {}`."""

    worker_connections: int = row(
        EVENTS, number, "connections that one process may hold", default="512"
    )


def _no_effect(name: str, context: Context, module: str, arity_least: int = 1) -> Row:
    return Row(name, context, at_least(arity_least), nothing, "a matter of nginx's own machinery",
               module, repeat=Repeat.REPLACED, merge=Merge.OWN, status=Status.NO_EFFECT)  # fmt: skip


ROWS = (
    block("events", MAIN, EVENTS, "how connections are processed", module="ngx_events_module"),
    Row("include", ANY, between(1, 1), string, "read the files that match here", "ngx_conf_module",
        repeat=Repeat.APPENDED, merge=Merge.OWN),
    *(
        _no_effect(name, MAIN, NGINX_CORE)
        for name in (
            "timer_resolution", "lock_file", "worker_priority", "worker_cpu_affinity",
            "worker_rlimit_nofile", "worker_rlimit_core", "working_directory", "env",
            "debug_points", "pcre_jit", "thread_pool",
        )
    ),
    *(
        _no_effect(name, EVENTS, EVENTS_CORE)
        for name in ("use", "multi_accept", "accept_mutex", "accept_mutex_delay", "debug_connection",
                     "worker_aio_requests", "epoll_events")
    ),
)  # fmt: skip
