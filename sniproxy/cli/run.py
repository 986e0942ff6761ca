"""`sniproxy -c FILE`: load a configuration, then test it or serve it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack

import trio

from .. import config
from ..build import Application, LoadedConfig, load
from ..build.listeners import close_all
from ..build.paths import Paths
from ..config.directives.log import ErrorLogDirective
from ..config.model import Config
from ..logs.error import ErrorLog, LogTarget
from ..logs.sinks import Sinks, StderrSink
from ..models import ConfigError, Level
from ..variables import definition_error, is_variable
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
        _print_error(str(error))
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
    """One run with one configuration."""

    def __init__(self, options: Options) -> None:
        self.options = options
        prefix = options.prefix or ""
        name = DEFAULT_CONF if options.conf_file is None else options.conf_file
        self.conf_file = os.path.join(prefix, name)
        self.paths = Paths(prefix, os.path.dirname(self.conf_file))
        self.log = ErrorLog([])
        """The log for errors besides stderr: the file of `-e`, later the configuration's."""

    def main(self) -> int:
        with ExitStack() as stack:
            self._open_early_log(stack)
            try:
                return self._main(stack)
            except ConfigError as error:
                self._report(error.level, str(error))
                if self._is_default_missing():
                    _print_error(MISSING_CONF)
        if self.options.test:
            _print_error(f"configuration file {self.conf_file} test failed")
        return 1

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
        loaded = config.load(
            self.conf_file,
            prefix=self.paths.prefix,
            directives=self.options.directives,
            is_variable=is_variable,
            definition_error=definition_error,
        )
        for warning in loaded.warnings:
            self._report(Level.WARN, warning)
        prepared = load(loaded, self.paths)
        for warning in prepared.warnings:
            self._report(Level.WARN, warning)
        pid_file = PidFile(self.paths.in_prefix(loaded.main.pid))
        if self.options.test:
            self._print_unless_quiet(f"the configuration file {self.conf_file} syntax is ok")
            pid_file.check()
        site = self._open(prepared)
        stack.callback(site.close)
        self.log = site.error_log
        if self.options.test:
            return self._test(loaded, site)
        sockets = site.bind(lambda error: self._report(error.level, str(error)))
        stack.callback(close_all, sockets)
        if loaded.main.daemon:
            daemonize(self.log)
        trio.run(serve_until_signal, site, sockets, pid_file, lambda: _print_banner(site))
        return 0

    def _open(self, prepared: LoadedConfig) -> Application:
        default = (ErrorLogDirective(self.options.error_log or "stderr", Level.ERROR),)
        if not self.options.trace or self.options.test:
            return prepared.open(default_error_log=default)
        from ..trace.printing import print_tree
        from ..trace.recorder import Tracer

        observer = Tracer(print_tree, prepared.paths)
        return prepared.open(default_error_log=default, observer=observer)

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


def _print_banner(site: Application) -> None:
    if sys.stdout.isatty():
        print(banner(site), flush=True)


def _print_error(text: str) -> None:
    StderrSink().write(f"sniproxy: {text}\n")
