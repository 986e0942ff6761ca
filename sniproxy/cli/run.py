"""`sniproxy -c FILE`: read, test, serve."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack

import trio

from .. import config
from ..config.directives.log import ErrorLog as ErrorLogSaid
from ..config.model import Config
from ..logs.error import ErrorLog, Target
from ..logs.sinks import Sinks, StderrSink
from ..message import ConfigError, Level
from ..site import Prepared, Site, prepare
from ..site.listeners import close_all
from ..site.paths import Paths
from ..variables import is_variable
from . import version
from .banner import banner
from .options import Options, UsageError, parse_options
from .process import PidFile, daemonize, serve_until_signal

DEFAULT_CONF = "nginx.conf"
MISSING_CONF = "name a configuration with -c FILE, or see the commands: sniproxy --help"


def main(words: Sequence[str]) -> int:
    """Run nginx's command line; returns the exit status."""
    try:
        options = parse_options(words)
        if options.signal is not None:
            raise UsageError('option "-s" is not supported by sniproxy yet: send a signal instead')
    except UsageError as error:
        _say(str(error))
        return 1
    if options.help:
        print(version.help_text(), end="")
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


class _Run:
    """One start with one configuration."""

    def __init__(self, options: Options) -> None:
        self.options = options
        prefix = options.prefix or ""
        name = DEFAULT_CONF if options.conf_file is None else options.conf_file
        self.conf_file = os.path.join(prefix, name)
        self.paths = Paths(prefix, os.path.dirname(self.conf_file))
        self.log = ErrorLog([])
        """Where errors go beside stderr: the file of `-e`, then the configuration's own log."""

    def main(self) -> int:
        with ExitStack() as closed_at_last:
            self._open_early_log(closed_at_last)
            try:
                return self._main(closed_at_last)
            except ConfigError as error:
                self._tell(error.level, str(error))
                if self._is_default_missing():
                    _say(MISSING_CONF)
        if self.options.test:
            _say(f"configuration file {self.conf_file} test failed")
        return 1

    def _is_default_missing(self) -> bool:
        """Whether no file was given, and the default one does not exist."""
        options = self.options
        is_default = options.conf_file is None and options.prefix is None and not options.test
        return is_default and not os.path.exists(self.conf_file)

    def _open_early_log(self, closed_at_last: ExitStack) -> None:
        if self.options.error_log in (None, "stderr"):
            return
        sinks = Sinks()
        closed_at_last.callback(sinks.close)
        try:
            sink = sinks.file(self.paths.in_prefix(str(self.options.error_log)))
        except ConfigError as error:
            _say(f"[alert] could not open error log file: {error}")
        else:
            self.log = ErrorLog([Target(sink, Level.NOTICE)])

    def _main(self, closed_at_last: ExitStack) -> int:
        loaded = config.load(
            self.conf_file,
            prefix=self.paths.prefix,
            directives=self.options.directives,
            is_variable=is_variable,
        )
        for warning in loaded.warnings:
            self._tell(Level.WARN, warning)
        prepared = prepare(loaded, self.paths)
        for warning in prepared.warnings:
            self._tell(Level.WARN, warning)
        pid_file = PidFile(self.paths.in_prefix(loaded.main.pid))
        if self.options.test:
            self._say_unless_quiet(f"the configuration file {self.conf_file} syntax is ok")
            pid_file.check()
        site = self._open(prepared)
        closed_at_last.callback(site.close)
        self.log = site.error_log
        if self.options.test:
            return self._test(loaded, site)
        sockets = site.bind(lambda error: self._tell(error.level, str(error)))
        closed_at_last.callback(close_all, sockets)
        if loaded.main.daemon:
            daemonize(self.log)
        trio.run(serve_until_signal, site, sockets, pid_file, lambda: _greet(site))
        return 0

    def _open(self, prepared: Prepared) -> Site:
        default = (ErrorLogSaid(self.options.error_log or "stderr", Level.ERROR),)
        if not self.options.trace or self.options.test:
            return prepared.open(default_error_log=default)
        from ..trace.printing import print_tree
        from ..trace.watching import Watch

        watch = Watch(print_tree)
        site = prepared.open(default_error_log=default, observers=[watch.observer])
        watch.attach(site)
        return site

    def _test(self, loaded: Config, site: Site) -> int:
        site.try_binding()
        self._say_unless_quiet(f"configuration file {self.conf_file} test is successful")
        if self.options.dump:
            for name, text in loaded.sources:
                sys.stdout.write(f"# configuration file {name}:\n{text}\n")
        return 0

    def _tell(self, level: Level, text: str) -> None:
        """Tell of trouble at the start: on stderr, and in the log as far as there is one."""
        self.log.write(level, text)
        if not self.log.is_on_stderr:
            _say(f"[{level.word}] {text}")

    def _say_unless_quiet(self, text: str) -> None:
        if not self.options.quiet:
            _say(text)


def _greet(site: Site) -> None:
    if sys.stdout.isatty():
        print(banner(site), flush=True)


def _say(text: str) -> None:
    StderrSink().write(f"sniproxy: {text}\n")
