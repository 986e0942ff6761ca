"""Run a proxy in this process, for tests and programs.

    async with sniproxy.serve(config) as proxy:          # trio
        ...
    with sniproxy.serve_in_thread(config) as proxy:      # other code
        requests.get(proxy.urls[0])
        assert proxy.error_log[-1].message.startswith("SSL_do_handshake() failed")

Several proxies can run at once; there is no global state. `listen 127.0.0.1:0` takes a free port.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Literal, TypeVar

import trio

from . import config as configuration
from .build import build_application
from .build.listeners import close_all
from .build.paths import Paths
from .config.directives.log import COMBINED, ErrorLogDirective
from .config.model import Config
from .context import Connection, RequestContext, UpstreamState
from .logs.access_format import AccessFormat
from .logs.parser import ErrorRecord, parse_error_line
from .models import ConfigError, Handshake, Level, Session
from .observer import Observer, Observers, SessionState
from .portal import BlockingPortal, ChangeNotifier, in_thread
from .server import ConnectionServer
from .template import compile_template
from .variables import is_variable

if TYPE_CHECKING:
    from .live import LivePage
    from .trace.recorder import TraceCallback
    from .trace.steps import Trace

Configuration = str | os.PathLike[str] | Config
Syntax = Literal["nginx", "toml"]
StrPath = str | os.PathLike[str]
Value = TypeVar("Value")

ANY_PORT = "127.0.0.1:0"
_QUIET = (ErrorLogDirective("stderr", Level.EMERG),)
"""Default `error_log`: lines are captured, and stderr is left to the tests."""


class LogCapture(Observer):
    """The log lines and handshakes of a proxy, and the callers waiting for more of them."""

    log_level = Level.INFO
    wants_handshakes = True

    def __init__(self) -> None:
        self.errors: list[ErrorRecord] = []
        self.accesses: list[str] = []
        self.handshakes: list[Handshake] = []
        self.sessions: list[Session] = []
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

    def session_finished(self, ctx: SessionState) -> None:
        connection = ctx.connection
        self.sessions.append(
            Session(
                "UDP" if ctx.is_udp else "TCP",
                f"{connection.client_address}:{connection.client_port}",
                ctx.status,
                ctx.server_name,
                tuple(state.address for state in ctx.upstream_states),
                ctx.received,
                ctx.bytes_sent,
                time.time() - ctx.started,
            )
        )
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
    """Attributes of a running proxy, common to trio and threads."""

    def __init__(self) -> None:
        self.records = LogCapture()
        self.addresses: list[tuple[str, int]] = []
        """Listening addresses as host and port, in the order of the configuration."""
        self.urls: list[str] = []
        """`https://127.0.0.1:PORT` or `http://…`, in the same order; `tcp://…`, `tls://…` or `udp://…`
        for those of `stream {}`."""
        self.live_url: str | None = None
        """URL of the live page; None without `live`."""

    @property
    def error_log(self) -> list[ErrorRecord]:
        """All error log lines from level info, regardless of `error_log`."""
        return self.records.errors

    @property
    def access_log(self) -> list[str]:
        """A line in the format `combined` for each request, regardless of `access_log`."""
        return self.records.accesses

    @property
    def sessions(self) -> list[Session]:
        """All sessions of `stream {}` that are over, in the order in which they ended."""
        return self.records.sessions

    @property
    def handshakes(self) -> list[Handshake]:
        """All TLS handshakes with clients and upstreams, in the order in which they ended."""
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
        live: bool | str = False,
    ) -> None:
        super().__init__()
        self._page: LivePage | None = None
        if live:
            from .live import LivePage

            self._page = LivePage(live if isinstance(live, str) else ANY_PORT, any_port=True)
        self._trace = trace
        self._syntax: Syntax = syntax
        self._directives = directives
        self._prefix = os.path.abspath(prefix or os.curdir)
        self._state = None if state is None else os.fspath(state)
        self._server: ConnectionServer | None = None
        self._nursery: trio.Nursery | None = None

    async def reload(self, config: Configuration) -> None:
        """Serve `config` from now on; requests in progress finish with the old configuration.

        Raises `ConfigError`; the old configuration then stays in effect.
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
            previous=self._server.application if self._server is not None else None,
        )
        previous_sockets = self._server.sockets if self._server is not None else ()
        try:
            sockets = site.bind(_refuse, previous_sockets)
        except ConfigError:
            site.close()
            raise
        self._server = ConnectionServer(site, sockets)
        if self._page is not None:
            self._page.site = site
        self.addresses = [binding.address(sock) for binding, sock in sockets]
        self.urls = [
            f"{binding.scheme}://{host}:{port}"
            for (binding, _), (host, port) in zip(sockets, self.addresses, strict=True)
        ]

    def _observer(self, paths: Paths) -> Observer:
        observers: list[Observer] = [self.records, *self._tracers(paths)]
        if self._page is not None:
            observers.append(self._page.recorder(paths, alone=False))
        return observers[0] if len(observers) == 1 else Observers(observers)

    def _tracers(self, paths: Paths) -> Iterator[Observer]:
        callback = self._trace
        if callback is None:
            return
        from .trace.recorder import Tracer

        def on_trace(trace: Trace) -> None:
            callback(trace)
            self.records.changes.notify()

        yield Tracer(on_trace, paths)

    def open_page(self, nursery: trio.Nursery) -> None:
        """Bind and serve the live page, if there is one; raises `ConfigError`."""
        if self._page is not None:
            self._page.bind(_refuse)
            self.live_url = self._page.url
            nursery.start_soon(self._page.run)

    def close_page(self) -> None:
        if self._page is not None:
            self._page.close()

    def start(self, nursery: trio.Nursery | None = None) -> None:
        """Start to serve the loaded configuration."""
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

    async def wait_for(self, predicate: Callable[[], Value]) -> Value:
        """Wait until `predicate` returns something true, and return that.

        It is called whenever something was logged. `trio.fail_after` limits the time.
        """
        return await self.records.changes.until(predicate)

    async def _run(self, server: ConnectionServer) -> None:
        try:
            await server.run()
        finally:
            server.application.close()
            current = self._server
            taken_over = current.sockets if current not in (None, server) else ()
            close_all(server.sockets, taken_over)


def _refuse(error: ConfigError) -> None:
    # nginx retries for a while; a test should fail at once.
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
    live: bool | str = False,
) -> AsyncIterator[Proxy]:
    """Serve `config` while the block runs.

    `config` is a path (TOML if the name ends in `.toml`), a text in `syntax`, or a `Config`.
    `directives` are added to the main level, like nginx's `-g`. `prefix` is the folder that
    relative names of logs and of `root` refer to, like `-p`; the default is the current folder.
    Names of certificates and `include` files refer to the folder of the file, or to `prefix` for
    a text. `state` is the folder of the development CA; the default is the user's. `trace` is
    called with the trace of each request when it has finished (`sniproxy.trace`). `live` serves
    the live page at `proxy.live_url`, on a free port or at `ADDRESS:PORT`. Raises `ConfigError`
    with nginx's message. When the block ends, everything is stopped at once, and no connection,
    task or socket is left.
    """
    proxy = Proxy(syntax, directives, prefix, state, trace, live)
    proxy.prepare(config)
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        proxy.start(nursery)
        try:
            proxy.open_page(nursery)
            yield proxy
        except BaseException as error:
            # The nursery would wrap the caller's exception in a group; it is re-raised unchanged.
            failure = error
        nursery.cancel_scope.cancel()
    proxy.close_page()
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
        self.live_url = self._proxy.live_url

    def reload(self, config: Configuration) -> None:
        """As `Proxy.reload`."""
        self._loop.run(self._proxy.reload, config)
        self._look()

    def wait_for(self, predicate: Callable[[], Value], timeout: float = 5.0) -> Value:
        """Wait until `predicate` returns something true, and return that.

        It is called whenever something was logged. Raises TimeoutError after `timeout` seconds.
        """
        return self.records.changes.block_until(predicate, timeout, self._describe)

    async def wait_for_async(self, predicate: Callable[[], Value], timeout: float = 5.0) -> Value:
        """As `wait_for`, for asyncio: other tasks run meanwhile."""
        return await self.records.changes.until_in_asyncio(predicate, timeout, self._describe)

    def _describe(self) -> str:
        last = "\n".join(record.line for record in self.error_log[-5:])
        return f"the proxy has logged {len(self.access_log)} requests, and at last\n{last}"


@contextlib.contextmanager
def serve_in_thread(
    config: Configuration,
    *,
    syntax: Syntax = "nginx",
    directives: str = "",
    prefix: StrPath | None = None,
    state: StrPath | None = None,
    trace: TraceCallback | None = None,
    live: bool | str = False,
) -> Iterator[ThreadProxy]:
    """Run `serve` in a thread, for code that does not use trio."""

    def opened() -> AbstractAsyncContextManager[Proxy]:
        return serve(
            config,
            syntax=syntax,
            directives=directives,
            prefix=prefix,
            state=state,
            trace=trace,
            live=live,
        )

    with in_thread(opened) as (proxy, loop):
        yield ThreadProxy(proxy, loop)
