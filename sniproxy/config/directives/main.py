"""Directives of nginx's core and event modules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..addresses import AddressError, parse_address
from ..numbers import parse_number
from ..tree import Place
from .directive import (
    ANY,
    EVENTS,
    MAIN,
    STREAM,
    Args,
    Directive,
    Merge,
    Repeat,
    Settings,
    at_least,
    between,
    block,
    directive,
    exactly,
    settings,
)
from .slots import flag, number, offset, one_of, string, time

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


DEFAULT_USER = "nobody"
"""The user of the workers, if the master runs as root."""


@dataclass(frozen=True, slots=True)
class UserNames:
    """Whom workers run as; whether the system knows them is asked at start."""

    user: str
    group: str
    place: Place


def user(args: Args) -> UserNames:
    """A user, and a group: by default that of the same name."""
    return UserNames(args.first, args.words[-1], args.place)


def worker_priority(args: Args) -> int:
    sign = -1 if args.first.startswith("-") else 1
    value = parse_number(args.first[1:] if args.first[:1] in ("-", "+") else args.first)
    if value is None:
        args.fail_directive("invalid number")
    return sign * value


@dataclass(frozen=True, slots=True)
class CPUAffinity:
    """The CPUs that workers run on."""

    masks: tuple[frozenset[int], ...]
    """Of the workers in turn, the last one for those that are left; empty for all CPUs."""
    auto: bool = False
    """Whether each worker gets one CPU of the (only) mask."""

    def cpus(self, worker: int, available: int) -> frozenset[int]:
        """The CPUs of one worker, on a machine with `available` CPUs; empty if it may use all."""
        if not self.auto:
            return self.masks[min(worker, len(self.masks) - 1)]
        mask = sorted(self.masks[0] if self.masks else range(available))
        usable = [cpu for cpu in mask if cpu < available]
        return frozenset({usable[worker % len(usable)]} if usable else ())


MAX_CPUS = 1024
"""CPU_SETSIZE."""


def cpu_affinity(args: Args) -> CPUAffinity:
    auto = args.first == "auto"
    if auto and len(args.words) > 2:
        args.fail(f'invalid number of arguments in "{args.name}" directive')
    masks = [_cpu_mask(args, word) for word in args.words[auto:]]
    return CPUAffinity(tuple(masks), auto)


def _cpu_mask(args: Args, word: str) -> frozenset[int]:
    bits = word.replace(" ", "")
    if len(bits) > MAX_CPUS:
        args.fail(f'"{args.name}" supports up to {MAX_CPUS} CPUs only')
    wrong = re.search("[^01]", bits[::-1])  # nginx reads from the end
    if wrong is not None:
        args.fail(f'invalid character "{wrong[0]}" in "{args.name}"')
    return frozenset(cpu for cpu, bit in enumerate(reversed(bits)) if bit == "1")


LIVE_PORT = 4040


def live_address(args: Args) -> str:
    """`ADDRESS:PORT`, `ADDRESS` or `PORT`, as in `listen`."""
    url = args.first
    free = args.any_port and url.endswith(":0")
    try:
        address = parse_address(url[:-1] + "1" if free else url, LIVE_PORT, listen=True)
    except AddressError as error:
        args.fail(f'{error} in "{url}" of the "{args.name}" directive')
    if address.last_port or not re.fullmatch(r"[\w.:*\[\]-]+", address.host, re.ASCII):
        args.fail(f'an address and a port expected in "{url}" of the "{args.name}" directive')
    return f"{address.host}:{0 if free else address.port}"


@settings(NGINX_CORE)
class Main(Settings):
    """Main-level settings."""

    daemon: bool = directive(
        MAIN, flag, "run in the background; unlike in nginx the default is off", default="off"
    )
    master_process: bool | None = directive(
        MAIN, flag,
        "master process with workers; unlike in nginx, one worker in the foreground that keeps "
        "its user needs no master by default",
    )  # fmt: skip
    worker_processes: int | None = directive(
        MAIN,
        worker_processes,
        "number of worker processes",
        default="1",
    )
    user: UserNames | None = directive(
        MAIN, user, "user and group of the workers, if the master runs as root "
        "(by default nobody and its group)",
        arity=between(1, 2),
    )  # fmt: skip
    worker_priority: int | None = directive(
        MAIN, worker_priority, "scheduling priority of workers, as by nice"
    )
    worker_cpu_affinity: CPUAffinity | None = directive(
        MAIN, cpu_affinity, "CPUs that workers run on", arity=at_least(1)
    )
    worker_rlimit_nofile: int | None = directive(
        MAIN, number, "limit of open files of workers (RLIMIT_NOFILE)"
    )
    worker_rlimit_core: int | None = directive(
        MAIN, offset, "limit of the size of core files of workers (RLIMIT_CORE)"
    )
    pid: str = directive(MAIN, string, "PID file", default="sniproxy.pid")
    worker_shutdown_timeout: float | None = directive(
        MAIN, time, "time limit of a graceful shutdown"
    )
    unsupported: bool = directive(
        MAIN,
        one_of({"refuse": False, "warn": True}),
        "what is done about directives that sniproxy lacks: refuse the configuration, or leave "
        "them out with a warning",
        default="refuse",
        repeat=Repeat.REPLACED,
        extension=True,
    )
    live_page: str | None = directive(
        MAIN,
        live_address,
        "address of a page that shows requests and handshakes in the browser",
        extension=True,
    )
    ssl_error_dialect: str = directive(
        MAIN,
        one_of({name: name for name in DIALECTS}),
        "OpenSSL release whose error strings are used in log messages",
        default="3.0",
        extension=True,
    )


@settings(EVENTS_CORE)
class Events(Settings):
    """Settings of `events {}`."""

    worker_connections: int = directive(
        EVENTS, worker_connections,
        "maximum number of connections of a worker; those to upstreams are not counted",
        default="512",
    )  # fmt: skip


def load_module(args: Args) -> str:
    """The name of the module in a file: `ngx_stream_module` of `modules/ngx_stream_module.so`."""
    return PurePosixPath(args.first).name.removesuffix(".so")


DIRECTIVES = (
    Directive(
        "load_module",
        MAIN,
        exactly(1),
        load_module,
        "accepted for modules whose directives work; others are refused",
        NGINX_CORE,
        repeat=Repeat.APPENDED,
        merge=Merge.NOT_INHERITED,
    ),
    block(
        "stream",
        MAIN,
        STREAM,
        "the TCP and UDP proxy",
        module="ngx_stream_module",
        repeat=Repeat.REFUSED,
    ),
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
