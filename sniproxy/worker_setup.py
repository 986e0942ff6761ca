"""What a worker becomes before it serves: its user, its limits, its CPUs.

`check` says before the fork what is wrong with that, and whom to become; the rest is done in the
worker (nginx's `ngx_worker_process_init`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from .build.listeners import ListenSocket
from .build.paths import Paths
from .config.directives.main import DEFAULT_USER, CPUAffinity, Main
from .config.model import Config, iter_locations
from .logs.error import ErrorLog
from .models import ConfigError, Failure, Level
from .process_signals import CAN_TIME_OUT

with suppress(ImportError):  # Windows
    import grp
    import pwd
    import resource

NO_PRIVILEGE = (
    'the "user" directive makes sense only if the master process runs with super-user '
    "privileges, ignored"
)
UNEQUAL_MASKS = (
    'the number of "worker_processes" is not equal to the number of "worker_cpu_affinity" masks, '
    "using last mask for remaining worker processes"
)

NO_MASTER = (
    "this system has no signals that a master could wait for: one process serves in place of the "
    "master and its workers"
)
_OF_WORKERS = (
    "worker_priority",
    "worker_cpu_affinity",
    "worker_rlimit_nofile",
    "worker_rlimit_core",
)


class SetupError(Exception):
    """A worker cannot become what it is to be; the text is for the log."""


@dataclass(frozen=True, slots=True)
class User:
    """Whom workers run as."""

    name: str
    uid: int
    gid: int


def worker_count(main: Main) -> int:
    return _cpu_count() if main.worker_processes is None else main.worker_processes


def _cpu_count() -> int:
    return os.cpu_count() or 1


def uses_master(main: Main) -> bool:
    """Whether there is a master with workers.

    nginx has one unless `master_process off`. Ours does without where a master would have nothing
    to do: for one worker in the foreground that keeps its user.
    """
    return CAN_TIME_OUT and _wants_master(main)


def _wants_master(main: Main) -> bool:
    if main.master_process is not None:
        return main.master_process
    return main.daemon or worker_count(main) != 1 or _changes_user(main)


def _changes_user(main: Main) -> bool:
    if sys.platform == "win32":
        return False
    if main.user is None or os.geteuid() != 0:
        return False
    try:
        return pwd.getpwnam(main.user.user).pw_uid != 0
    except KeyError:
        return True


def user_of(main: Main) -> User | None:
    """Whom workers are to become, None for nobody else; raises `ConfigError`."""
    if sys.platform == "win32":
        return None
    if os.geteuid() != 0:
        return None
    if main.user is None:
        try:
            found = pwd.getpwnam(DEFAULT_USER)
        except KeyError:
            raise ConfigError(f'getpwnam("{DEFAULT_USER}") failed') from None
        return User(found.pw_name, found.pw_uid, found.pw_gid)
    names = main.user
    try:
        uid = pwd.getpwnam(names.user).pw_uid
    except KeyError:
        raise names.place.error(f'getpwnam("{names.user}") failed') from None
    try:
        return User(names.user, uid, grp.getgrnam(names.group).gr_gid)
    except KeyError:
        raise names.place.error(f'getgrnam("{names.group}") failed') from None


def check_system(main: Main) -> Iterator[str]:
    """Yield a warning for each directive that this system cannot obey.

    Raises `ConfigError` for a user that the system does not know.
    """
    if sys.platform == "win32":
        if main.user is not None:
            yield f'"user" is not supported, ignored in {main.user.place}'
        for name in _OF_WORKERS:
            if getattr(main, name) is not None:
                yield f'"{name}" is not supported on this platform, ignored'
        if main.daemon:
            yield '"daemon" is not supported on this platform, ignored'
    else:
        yield from _check_user(main)
    if _wants_master(main) and not CAN_TIME_OUT:
        yield NO_MASTER


def _check_user(main: Main) -> Iterator[str]:
    """Yield nginx's warning; raises `ConfigError` for names that the system does not know."""
    if sys.platform == "win32":
        return
    if main.user is not None and os.geteuid() != 0:
        yield f"{NO_PRIVILEGE} in {main.user.place}"
    elif main.user is not None:
        user_of(main)


def check(config: Config, bindings: Sequence[ListenSocket]) -> Iterator[str]:
    """Yield nginx's warnings; raises `ConfigError`."""
    main = config.main
    connections = config.events.worker_connections
    if connections < len(bindings) + 1:
        raise ConfigError(
            f"{connections} worker_connections are not enough for {len(bindings)} listening sockets"
        )
    masks = () if main.worker_cpu_affinity is None else main.worker_cpu_affinity.masks
    auto = main.worker_cpu_affinity is not None and main.worker_cpu_affinity.auto
    if not auto and len(masks) not in (0, 1, worker_count(main)):
        yield UNEQUAL_MASKS


def check_limit(config: Config) -> str | None:
    """nginx's warning about a limit of open files below `worker_connections`."""
    if sys.platform == "win32":
        return None
    connections = config.events.worker_connections
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    wanted = config.main.worker_rlimit_nofile
    if 0 <= limit < connections and (wanted is None or wanted < connections):
        limit = limit if wanted is None else wanted
        return f"{connections} worker_connections exceed open file resource limit: {limit}"
    return None


def set_limits(main: Main, log: ErrorLog) -> None:
    """Apply `worker_priority` and `worker_rlimit_…` to this process; what fails is logged."""
    if sys.platform == "win32":
        raise NotImplementedError
    if main.worker_priority is not None:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, main.worker_priority)
        except OSError as error:
            _log(log, f"setpriority({main.worker_priority}) failed", error)
    for name, number, value in (
        ("RLIMIT_NOFILE", resource.RLIMIT_NOFILE, main.worker_rlimit_nofile),
        ("RLIMIT_CORE", resource.RLIMIT_CORE, main.worker_rlimit_core),
    ):
        if value is not None:
            try:
                resource.setrlimit(number, (value, value))
            except (OSError, ValueError, OverflowError) as error:
                _log(log, f"setrlimit({name}, {value}) failed", error)


def become(user: User) -> None:
    """Take on the groups and the user for good; raises `SetupError`."""
    if sys.platform == "win32":
        raise NotImplementedError
    try:
        what = f"setgid({user.gid}) failed"
        os.setgid(user.gid)
        what = f"initgroups({user.name}, {user.gid}) failed"
        os.initgroups(user.name, user.gid)
        what = f"setuid({user.uid}) failed"
        os.setuid(user.uid)
    except OSError as error:
        raise SetupError(Failure(what, errno=error.errno).message) from None


def set_affinity(affinity: CPUAffinity, worker: int, log: ErrorLog) -> None:
    """Run on the CPUs of a worker only; a failure is logged."""
    cpus = affinity.cpus(worker, _cpu_count())
    if not cpus:
        return
    if sys.platform != "linux":
        return
    for cpu in sorted(cpus):
        log.write(Level.NOTICE, f"sched_setaffinity(): using cpu #{cpu}")
    try:
        os.sched_setaffinity(0, cpus)
    except OSError as error:
        _log(log, "sched_setaffinity() failed", error)


def give_folders(config: Config, paths: Paths, user: User) -> None:
    """Make the folders of temporary files and give them to the workers' user.

    Raises `ConfigError`.
    """
    if sys.platform == "win32":
        raise NotImplementedError
    for path in _temporary_folders(config, paths):
        try:
            os.makedirs(path, mode=0o700, exist_ok=True)
            if os.stat(path).st_uid != user.uid:
                os.chown(path, user.uid, -1)
        except OSError as error:
            raise ConfigError(f'mkdir() "{path}" failed', errno=error.errno) from None


def give_file(path: str, user: User) -> None:
    """Give a log file to the workers' user, who opens it again later."""
    if sys.platform == "win32":
        raise NotImplementedError
    with suppress(OSError):
        if os.stat(path).st_uid != user.uid:
            os.chown(path, user.uid, -1)


def _temporary_folders(config: Config, paths: Paths) -> set[str]:
    servers = config.http.servers if config.http is not None else ()
    found = set()
    for server in servers:
        for location in iter_locations(server.default_location):
            settings = [part.temp_path for part in location.upstreams]
            for path in (location.core.client_body_temp_path, *settings):
                if path is not None:
                    found.add(paths.in_prefix(path[0]))
    return found


def _log(log: ErrorLog, text: str, error: Exception) -> None:
    log.write(Level.ALERT, Failure(text, errno=getattr(error, "errno", None)).message)
