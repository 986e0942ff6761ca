"""nginx as a value: a proxy that runs in this process, for tests and for programs.

    async with sniproxy.serve(config) as proxy:          # trio
        ...
    with sniproxy.serve_in_thread(config) as proxy:      # everybody else
        requests.get(proxy.urls[0])
        assert proxy.error_log[-1].message.startswith("SSL_do_handshake() failed")

Several may run at once; nothing is global. `listen 127.0.0.1:0` takes a free port.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Literal

import trio

from . import config as configuration
from .build import build_application
from .build.paths import Paths
from .config.directives.log import COMBINED, ErrorLogDirective
from .config.model import Config
from .context import Connection, RequestContext, UpstreamState
from .logs.access_format import AccessFormat
from .logs.parser import ErrorRecord, parse_error_line
from .models import ConfigError, Handshake, Level
from .observer import Observer, Observers
from .portal import BlockingPortal, ChangeNotifier, in_thread
from .server import ConnectionServer
from .template import compile_template
from .variables import is_variable

if TYPE_CHECKING:
    from .trace.recorder import TraceCallback
    from .trace.steps import Trace

Configuration = str | os.PathLike[str] | Config
Syntax = Literal["nginx", "toml"]
StrPath = str | os.PathLike[str]

_QUIET = (ErrorLogDirective("stderr", Level.EMERG),)
"""Where lines go that no `error_log` claims: they are records, and stderr is the tests' own."""


class LogCapture(Observer):
    """What a proxy has logged, and who waits for more of it."""

    log_level = Level.INFO
    wants_handshakes = True

    def __init__(self) -> None:
        self.errors: list[ErrorRecord] = []
        self.accesses: list[str] = []
        self.handshakes: list[Handshake] = []
        self.changes = ChangeNotifier()
        self._format = AccessFormat(compile_template(COMBINED))

    def line_logged(self, level: Level, line: str, connection: int | None) -> None:
        record = parse_error_line(line)
        if record is not None:
            self.errors.append(record)
            self.changes.notify()

    def request_finished(self, ctx: RequestContext) -> None:
        if not ctx.is_subrequest or ctx.location.core.log_subrequest:
            self.accesses.append(self._format.line(ctx).rstrip("\n"))
            self.changes.notify()

    def handshake_finished(self, connection: Connection, handshake: Handshake) -> None:
        self._note_handshake(handshake)

    def upstream_handshake_finished(
        self, ctx: RequestContext, attempt: UpstreamState, handshake: Handshake
    ) -> None:
        self._note_handshake(handshake)

    def _note_handshake(self, handshake: Handshake) -> None:
        self.handshakes.append(handshake)
        self.changes.notify()


class BaseProxy:
    """What is known of a proxy that runs; the same for trio and for threads."""

    def __init__(self) -> None:
        self.records = LogCapture()
        self.addresses: list[tuple[str, int]] = []
        """Where it listens: host and port, in the configuration's order."""
        self.urls: list[str] = []
        """`https://127.0.0.1:PORT` or `http://…`, in the same order."""

    @property
    def error_log(self) -> list[ErrorRecord]:
        """Every line at level info and above, whatever `error_log` says."""
        return self.records.errors

    @property
    def access_log(self) -> list[str]:
        """A line in `combined` for every request, whatever `access_log` says."""
        return self.records.accesses

    @property
    def handshakes(self) -> list[Handshake]:
        """Every TLS handshake, of both sides, in the order of their ends."""
        return self.records.handshakes


class Proxy(BaseProxy):
    """A proxy inside a trio program."""

    def __init__(
        self,
        syntax: Syntax,
        directives: str,
        prefix: StrPath | None,
        state: StrPath | None,
        trace: TraceCallback | None,
    ) -> None:
        super().__init__()
        self._trace = trace
        self._syntax: Syntax = syntax
        self._directives = directives
        self._prefix = os.path.abspath(prefix or os.curdir)
        self._state = None if state is None else os.fspath(state)
        self._server: ConnectionServer | None = None
        self._nursery: trio.Nursery | None = None

    async def reload(self, config: Configuration) -> None:
        """Serve `config` from now on; requests under way finish under the old one.

        Raises `ConfigError`, and the old configuration goes on.
        """
        previous = self._server
        self.prepare(config)
        if previous is not None:
            previous.stop_gracefully()
        self.start()

    def prepare(self, config: Configuration) -> None:
        """Load `config` and bind its addresses; raises `ConfigError`."""
        loaded, paths = self._load(config)
        site = build_application(
            loaded,
            paths,
            default_error_log=_QUIET,
            observer=self._observer(paths),
            default_access_log=False,
            state=self._state,
        )
        pooled = self._server.sockets() if self._server is not None else {}
        try:
            sockets = site.bind(_refuse, pooled)
        except ConfigError:
            site.close()
            raise
        self._server = ConnectionServer(site, sockets)
        self.addresses = [binding.address(sock) for binding, sock in sockets]
        self.urls = [
            f"{'https' if binding.ssl else 'http'}://{host}:{port}"
            for (binding, _), (host, port) in zip(sockets, self.addresses, strict=True)
        ]

    def _observer(self, paths: Paths) -> Observer:
        callback = self._trace
        if callback is None:
            return self.records
        from .trace.recorder import Tracer

        def on_trace(trace: Trace) -> None:
            callback(trace)
            self.records.changes.notify()

        return Observers([self.records, Tracer(on_trace, paths)])

    def start(self, nursery: trio.Nursery | None = None) -> None:
        """Begin to serve what was prepared."""
        self._nursery = nursery or self._nursery
        assert self._nursery is not None
        assert self._server is not None
        self._nursery.start_soon(self._run, self._server)

    def _load(self, config: Configuration) -> tuple[Config, Paths]:
        here = self._prefix
        if isinstance(config, Config):
            return config, Paths(here, here)
        if isinstance(config, str):
            parsed = configuration.parse(
                config,
                self._syntax,
                conf_prefix=here,
                prefix=here,
                directives=self._directives,
                is_variable=is_variable,
                any_port=True,
            )
            return parsed, Paths(here, here)
        path = os.path.abspath(config)
        loaded = configuration.load(
            path,
            prefix=here,
            directives=self._directives,
            is_variable=is_variable,
            any_port=True,
        )
        return loaded, Paths(here, os.path.dirname(path))

    async def wait_for(self, predicate: Callable[[], bool]) -> None:
        """Wait until `predicate` holds; it is asked again whenever something was logged."""
        await self.records.changes.until(predicate)

    async def _run(self, server: ConnectionServer) -> None:
        try:
            await server.run()
        finally:
            server.application.close()


def _refuse(error: ConfigError) -> None:
    # nginx would try again for a while: a test wants to know at once.
    raise error


@contextlib.asynccontextmanager
async def serve(
    config: Configuration,
    *,
    syntax: Syntax = "nginx",
    directives: str = "",
    prefix: StrPath | None = None,
    state: StrPath | None = None,
    trace: TraceCallback | None = None,
) -> AsyncIterator[Proxy]:
    """Serve `config` while the block runs.

    A path is a file (TOML by its name), a string is the text of one in `syntax`. `directives`
    are of the main level and come first, as `-g` has them. `prefix` is the folder that relative
    names of logs and of `root` start from, as `-p` has it, None the current one; certificates and
    `include` start from the folder of the file, those of a text from `prefix`. `state` is the
    folder of the development CA, None the user's own; `trace` is told of every request when it is
    over (`sniproxy.trace`). Raises `ConfigError` with nginx's words. At the end everything stops at
    once: no connection, task or socket is left.
    """
    proxy = Proxy(syntax, directives, prefix, state, trace)
    proxy.prepare(config)
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        proxy.start(nursery)
        try:
            yield proxy
        except BaseException as error:
            # The nursery would wrap it into a group: it is the caller's own, and goes on as it is.
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


class ThreadProxy(BaseProxy):
    """A proxy in a thread of its own, for synchronous code and asyncio."""

    def __init__(self, proxy: Proxy, loop: BlockingPortal) -> None:
        super().__init__()
        self._proxy = proxy
        self._loop = loop
        self.records = proxy.records
        self._look()

    def _look(self) -> None:
        self.addresses, self.urls = self._proxy.addresses, self._proxy.urls

    def reload(self, config: Configuration) -> None:
        """As `Proxy.reload`."""
        self._loop.run(self._proxy.reload, config)
        self._look()

    def wait_for(self, predicate: Callable[[], bool], timeout: float = 5.0) -> bool:
        """Wait until `predicate` holds, at most `timeout` seconds; whether it does."""
        return self.records.changes.block_until(predicate, timeout)


@contextlib.contextmanager
def serve_in_thread(
    config: Configuration,
    *,
    syntax: Syntax = "nginx",
    directives: str = "",
    prefix: StrPath | None = None,
    state: StrPath | None = None,
    trace: TraceCallback | None = None,
) -> Iterator[ThreadProxy]:
    """`serve` in a thread of its own, with the same proxy for code that does not know trio."""

    def opened() -> AbstractAsyncContextManager[Proxy]:
        return serve(
            config, syntax=syntax, directives=directives, prefix=prefix, state=state, trace=trace
        )

    with in_thread(opened) as (proxy, loop):
        yield ThreadProxy(proxy, loop)
