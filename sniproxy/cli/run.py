"""`sniproxy -c FILE`: load a configuration, then test it, serve it, or signal who serves it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import trio

from .. import config, process_signals
from ..build import Application, LoadedConfig, load
from ..build.listeners import BoundSocket
from ..build.paths import Paths
from ..config.directives.directive import Args
from ..config.directives.log import ErrorLogDirective
from ..config.directives.main import live_address
from ..config.model import Config
from ..config.tree import COMMAND_LINE, Place
from ..cycle import Cycle
from ..inherited import InheritedSockets, take
from ..logs.error import ErrorLog, LogTarget
from ..logs.sinks import Sinks, StderrSink
from ..models import ConfigError, Level, UnsupportedError
from ..observer import Observer, Observers
from ..pid_file import PidFile
from ..shared_zone import SharedCounter
from ..variables import definition_error, is_variable
from ..version import NGINX_VERSION, SNIPROXY_VERSION
from ..watch_files import FileWatcher, files_of
from ..worker_setup import (
    check,
    check_limit,
    check_system,
    give_folders,
    user_of,
    uses_master,
    worker_count,
)
from . import version
from .banner import banner
from .options import Options, UsageError, parse_options
from .output import wrapping_width
from .process import daemonize, send_signal

if sys.platform != "win32":
    import resource
if TYPE_CHECKING:
    from ..live import LivePage

DEFAULT_CONF = "nginx.conf"
MISSING_CONF = "name a configuration with -c FILE, or see the commands: sniproxy --help"

EVENT_METHOD = {"linux": "epoll", "darwin": "kqueue", "win32": "iocp"}.get(sys.platform, "poll")
"""nginx's name of what trio waits with."""

LENIENT = "unsupported warn; "
LENIENT_HINT = 'start with --lenient, or add "unsupported warn;" to the file, to go without'

LIVE_NEEDS_RESTART = "another address of the live page needs a restart"

NO_MASTER = "this process serves without a master: worker processes and their user need a restart"


def main(words: Sequence[str]) -> int:
    """Run nginx's command line; returns the exit status."""
    try:
        options = parse_options(words)
    except UsageError as error:
        _print_error(str(error))
        return 1
    if options.help:
        print(version.help_text(wrapping_width()), end="")
        return 0
    if options.version:
        print(version.version_text(), end="")
        return 0
    if options.show_version:
        sys.stderr.write(version.version_text())
        if options.show_help:
            sys.stderr.write("\n" + version.help_text())
        if options.show_configure:
            sys.stderr.write(version.configure_text())
        if not options.test:
            return 0
    return _Run(options).main()


def _system_lines() -> Iterator[str]:
    if sys.platform == "win32":
        yield f"OS: Windows {'.'.join(map(str, sys.getwindowsversion()[:3]))}"
    else:
        system = os.uname()
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        yield f"OS: {system.sysname} {system.release}"
        yield f"getrlimit(RLIMIT_NOFILE): {limits[0]}:{limits[1]}"


class _Run:
    """One run with one configuration."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.signal = None if options.test else options.signal
        """The argument of `-s`; None to serve. `-t` takes precedence: then no signal is sent."""
        prefix = options.prefix or ""
        name = DEFAULT_CONF if options.conf_file is None else options.conf_file
        self.conf_file = os.path.join(prefix, name)
        self.paths = Paths(prefix, os.path.dirname(self.conf_file))
        self.log = ErrorLog([])
        """The log for errors besides stderr: the file of `-e`, later the configuration's."""
        self.watcher = FileWatcher()
        self.inherited = InheritedSockets("")
        self.is_in_background = False
        self.has_master: bool | None = None
        """Whether a master serves with workers; a reload cannot change it. None before a start."""
        self.has_started = False
        self.live_address: str | None = None
        self.page: LivePage | None = None
        """The live page, once the configuration that asks for it is open."""
        self.counter: SharedCounter | None = None
        """Draws the numbers of connections, where there are workers."""

    def main(self) -> int:
        with ExitStack() as stack:
            self.stack = stack
            self._open_early_log(stack)
            try:
                return self._main(stack)
            except ConfigError as error:
                self._report_refusal(error)
                if self._is_default_missing():
                    _print_error(MISSING_CONF)
        if self.options.test:
            _print_error(f"configuration file {self.conf_file} test failed")
        return 1

    def _report_refusal(self, error: ConfigError) -> None:
        self._report(error.level, str(error))
        if isinstance(error, UnsupportedError):
            for text in error.others:
                self._report(error.level, text)
            if error.others or error.is_known:
                _print_error(LENIENT_HINT)

    def _is_default_missing(self) -> bool:
        """Whether no file was given, and the default one does not exist."""
        options = self.options
        is_default = options.conf_file is None and options.prefix is None and not options.test
        return is_default and not os.path.exists(self.conf_file)

    def _open_early_log(self, stack: ExitStack) -> None:
        if self.options.error_log in (None, "stderr"):
            return
        sinks = Sinks()
        stack.callback(sinks.close)
        try:
            sink = sinks.file(self.paths.in_prefix(str(self.options.error_log)))
        except ConfigError as error:
            _print_error(f"[alert] could not open error log file: {error}")
        else:
            self.log = ErrorLog([LogTarget(sink, Level.NOTICE)])

    def _main(self, stack: ExitStack) -> int:
        if self.signal is not None:
            self.log.write(Level.NOTICE, "signal process started")
        prepared = self._load()
        main = prepared.config.main
        pid_file = PidFile(self.paths.in_prefix(main.pid))
        if self.signal is not None:
            send_signal(self.signal, pid_file.path)
            return 0
        if self.options.test:
            self._print_unless_quiet(f"the configuration file {self.conf_file} syntax is ok")
        self._check(prepared)
        if self.options.test:
            pid_file.check()
            site = self._open(prepared)
            stack.callback(site.close)
            self.log = site.error_log
            return self._test(prepared.config, site)
        self.inherited = take()
        site = self._open(prepared)
        stack.callback(site.close)
        self.log = site.error_log
        cycle = self._bind(site, ())
        self._log_start(site)
        # Before the line that says it serves: a signal that follows it has to be obeyed.
        process_signals.block(process_signals.MASTER)
        if self.page is not None:
            print(f"  live page: {self.page.url}", flush=True)
        if sys.platform != "win32":
            if main.daemon and not self.inherited.text:
                daemonize(self.log)
            self.is_in_background = main.daemon
        self._serve(stack, cycle, pid_file)
        return 0

    def _serve(self, stack: ExitStack, cycle: Cycle, pid_file: PidFile) -> None:
        """Serve until a signal ends it; raises `ConfigError` if the pid file cannot be written."""
        self._pid_file = pid_file
        watch = self.options.watch
        if sys.platform != "win32" and self.has_master:
            from ..master import Master

            background = self.is_in_background
            master = Master(
                cycle,
                self,
                pid_file,
                self.inherited,
                background=background,
                watch=watch,
                page=self.page,
            )
            stack.callback(master.close)
            with pid_file:
                self._print_banner(cycle.site)
                master.run()
        else:
            from ..single_process import SingleProcess

            single = SingleProcess(cycle, self, watch=watch, page=self.page)
            stack.callback(single.close)
            with pid_file:
                self._print_banner(cycle.site)
                trio.run(single.run)

    # --- loading, at start and again ---

    def _load(self, previous: Application | None = None) -> LoadedConfig:
        loaded = config.load(
            self.conf_file,
            prefix=self.paths.prefix,
            directives=f"{LENIENT if self.options.lenient else ''}{self.options.directives}",
            is_variable=is_variable,
            definition_error=definition_error,
        )
        if self.options.watch:
            self.watcher.watch(files_of(loaded, self.paths), loaded.include_masks)
        for warning in (*check_system(loaded.main), *loaded.warnings):
            self._report(Level.WARN, warning)
        for notice in () if self.options.quiet else loaded.notices:
            self._report(Level.NOTICE, notice)
        self._decide_about_master(loaded)
        prepared = load(loaded, self.paths, previous=previous, next_connection_id=self.counter)
        for warning in prepared.warnings:
            self._report(Level.WARN, warning)
        return prepared

    def _decide_about_master(self, loaded: Config) -> None:
        wanted = uses_master(loaded.main)
        if self.options.test or self.signal is not None:
            return
        if self.has_master is None:
            self.has_master = wanted
            if wanted:
                self.counter = SharedCounter()
                self.stack.callback(self.counter.close)
        elif wanted and not self.has_master:
            self._report(Level.WARN, NO_MASTER)

    def _check(self, prepared: LoadedConfig) -> None:
        for warning in check(prepared.config, prepared.bindings):
            self._report(Level.WARN, warning)

    def _bind(self, site: Application, previous: Sequence[BoundSocket]) -> Cycle:
        """Bind the addresses of a site; raises `ConfigError`."""
        main = site.config.main
        workers = 1
        if self.has_master:
            user, workers = user_of(main), max(worker_count(main), 1)
            if user is not None:
                give_folders(site.config, self.paths, user)
        previous = previous or self.inherited.bound_to(site.bindings)
        sockets = site.bind(lambda error: self._report(error.level, str(error)), previous, workers)
        self.inherited.close()
        return Cycle(site, sockets)

    def _log_start(self, site: Application) -> None:
        log = site.error_log
        if self.inherited.text:
            log.write(Level.NOTICE, f'using inherited sockets from "{self.inherited.text}"')
        self._log_event_method(log)
        if (warning := check_limit(site.config)) is not None:
            self._report(Level.WARN, warning)
        for text in (
            f"nginx/{NGINX_VERSION}",
            f"built by sniproxy {SNIPROXY_VERSION} (Python {sys.version.split()[0]})",
            *_system_lines(),
        ):
            log.write(Level.NOTICE, text)

    def _log_event_method(self, log: ErrorLog) -> None:
        log.write(Level.NOTICE, f'using the "{EVENT_METHOD}" event method')

    def reload(self, previous: Cycle) -> Cycle | None:
        """The configuration as it is now (`cycle.ConfigurationLoader`)."""
        try:
            prepared = self._load(previous.site)
            self._check(prepared)
            site = self._open(prepared)
        except ConfigError as error:
            self._report_refusal(error)
            if error.file is not None:
                self.watcher.add(error.file)
            return None
        self.log = site.error_log
        fresh = Cycle(site, ())
        try:
            fresh = self._bind(site, previous.sockets)
            self._pid_file.replace(self.paths.in_prefix(prepared.config.main.pid))
        except ConfigError as error:
            self._report(error.level, str(error))
            fresh.close(previous)
            self.log = previous.site.error_log
            return None
        self._log_event_method(self.log)
        return fresh

    def changed_files(self) -> Sequence[str]:
        """The files that have changed, which a line tells (`cycle.ConfigurationLoader`)."""
        changed = self.watcher.changes()
        if changed:
            self._report(Level.NOTICE, f"{', '.join(changed)} changed, reloading")
        return changed

    def _open(self, prepared: LoadedConfig) -> Application:
        default = (ErrorLogDirective(self.options.error_log or "stderr", Level.ERROR),)
        if self.options.test:
            return prepared.open(default_error_log=default)
        observers: list[Observer] = []
        if self.options.trace:
            observers.append(self._tracer(prepared.paths))
        page = self._live_page(prepared.config)
        if page is not None:
            observers.append(page.recorder(prepared.paths, alone=not observers))
        observer = observers[0] if len(observers) == 1 else Observers(observers)
        site = prepared.open(default_error_log=default, observer=observer if observers else None)
        if page is not None:
            page.site = site
        return site

    def _tracer(self, paths: Paths) -> Observer:
        from ..trace.printing import print_selected
        from ..trace.recorder import Tracer
        from ..trace.selection import SelectionError, select

        try:
            is_selected = select(self.options.trace_filter)
        except SelectionError as error:
            raise ConfigError(f"{error} in --trace") from None
        return Tracer(print_selected(is_selected, short=self.options.trace_short), paths)

    def _live_page(self, loaded: Config) -> LivePage | None:
        """The live page, bound when it is first needed; raises `ConfigError`."""
        wanted = self.options.live or loaded.main.live_page
        if self.page is None and self.has_started:
            if wanted:
                self._report(Level.WARN, LIVE_NEEDS_RESTART)
            return None
        if self.page is None and wanted:
            from ..live import LivePage

            page = LivePage(self._checked_address(wanted), workers=bool(self.has_master))
            self.stack.callback(page.close)
            page.bind(lambda error: self._report(error.level, str(error)), self.inherited)
            self.page = page
            self.live_address = wanted
        elif wanted != self.live_address:
            self._report(Level.WARN, LIVE_NEEDS_RESTART)
        return self.page

    def _checked_address(self, text: str) -> str:
        """The address as the directive has it; raises `ConfigError`."""
        words = ("live_page", (text,), Place(COMMAND_LINE, 0))
        return text if self.options.live is None else live_address(Args(*words))

    def _print_banner(self, site: Application) -> None:
        self.has_started = True
        if sys.stdout.isatty():
            print(banner(site), flush=True)

    def _test(self, loaded: Config, site: Application) -> int:
        site.check_binding()
        self._print_unless_quiet(f"configuration file {self.conf_file} test is successful")
        if self.options.dump:
            for name, text in loaded.sources:
                sys.stdout.write(f"# configuration file {name}:\n{text}\n")
        return 0

    def _report(self, level: Level, text: str) -> None:
        """Report a problem at start: on stderr, and in the log if there is one."""
        self.log.write(level, text)
        if not self.log.is_on_stderr:
            _print_error(f"[{level.label}] {text}")

    def _print_unless_quiet(self, text: str) -> None:
        if not self.options.quiet:
            _print_error(text)


def _print_error(text: str) -> None:
    StderrSink().write(f"sniproxy: {text}\n")
