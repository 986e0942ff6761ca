"""`sniproxy -c FILE`: read, test, serve."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import trio

from .. import config
from ..config.directives.log import ErrorLog as ErrorLogSaid
from ..config.model import Config
from ..logs.error import error_line
from ..logs.sinks import FileSink, StderrSink
from ..message import ConfigError, Level
from ..site import Site, build_site
from ..site.paths import Paths
from ..variables import is_variable
from . import version
from .banner import banner
from .options import Options, UsageError, parse_options
from .process import PidFile, daemonize, serve_until_signal

DEFAULT_CONF = "nginx.conf"


def main(words: Sequence[str]) -> int:
    """Run nginx's command line; returns the exit status."""
    try:
        options = parse_options(words)
        if options.signal is not None:
            raise UsageError('option "-s" is not supported by sniproxy yet: send a signal instead')
    except UsageError as error:
        _say(str(error))
        return 1
    if options.show_version:
        sys.stderr.write(version.version_text())
        if options.show_help:
            sys.stderr.write("\n" + version.USAGE)
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
        self.conf_file = os.path.join(prefix, options.conf_file or DEFAULT_CONF)
        self.paths = Paths(prefix, os.path.dirname(self.conf_file))

    def main(self) -> int:
        try:
            loaded = self._load()
            site = self._build(loaded)
        except ConfigError as error:
            self._complain(error)
            if self.options.test:
                _say(f"configuration file {self.conf_file} test failed")
            return 1
        try:
            if self.options.test:
                return self._test(loaded)
            return self._serve(site)
        finally:
            site.close()

    def _load(self) -> Config:
        loaded = config.load(
            self.conf_file, directives=self.options.directives, is_variable=is_variable
        )
        for warning in loaded.warnings:
            _say(f"[warn] {warning}")
        if self.options.test and not self.options.quiet:
            _say(f"the configuration file {self.conf_file} syntax is ok")
        return loaded

    def _build(self, loaded: Config) -> Site:
        target = self.options.error_log or "stderr"
        default = (ErrorLogSaid(target, Level.ERROR),)
        return build_site(loaded, self.paths, default_error_log=default)

    def _test(self, loaded: Config) -> int:
        if not self.options.quiet:
            _say(f"configuration file {self.conf_file} test is successful")
        if self.options.dump:
            for name, text in loaded.sources:
                sys.stdout.write(f"# configuration file {name}:\n{text}\n")
        return 0

    def _serve(self, site: Site) -> int:
        try:
            sockets = site.bind(self._complain)
        except ConfigError as error:
            self._complain(error)
            return 1
        if site.config.main.daemon:
            daemonize()
        try:
            pid_file = PidFile(site.paths.in_prefix(site.config.main.pid))
        except ConfigError as error:
            self._complain(error)
            return 1
        with pid_file:
            if sys.stdout.isatty():
                print(banner(site), flush=True)
            trio.run(serve_until_signal, site, sockets)
        return 0

    def _complain(self, error: ConfigError) -> None:
        """Tell of an error at start on stderr, and in the log that `-e` names."""
        _say(f"[emerg] {error}")
        if self.options.error_log not in (None, "stderr"):
            try:
                sink = FileSink(self.paths.in_prefix(str(self.options.error_log)))
            except ConfigError:
                return
            sink.write(error_line(Level.EMERG, str(error)))
            sink.close()


def _say(text: str) -> None:
    StderrSink().write(f"sniproxy: {text}\n")
