"""What the fixtures of `plugin.py` are made of."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType

import pytest
from cryptography.hazmat.primitives import serialization

from ..inprocess import (
    Configuration,
    Folder,
    Proxy,
    RunningProxy,
    Syntax,
    ThreadProxy,
    serve,
    serve_in_thread,
)
from ..tls.devca import DevCA
from .zoo import Peer, Upstream, zoo_in_thread

MOST_LINES = 100
"""That are shown of one proxy."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key: `context.load_cert_chain(issued.certificate, issued.key)`."""

    certificate: str
    key: str


class DevelopmentCA:
    """A CA of its own in the folder `state`."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._ca = DevCA.open(state)
        self.path = str(self._ca.certificate_path)
        """The file to trust, for requests (`verify=`), curl (`--cacert`) and `ssl` (`cafile=`)."""

    @cached_property
    def context(self) -> ssl.SSLContext:
        """For clients that take a context: httpx (`verify=`), urllib, aiohttp, trio, asyncio."""
        return ssl.create_default_context(cafile=self.path)

    def issue(self, *names: str) -> Issued:
        """A certificate for DNS names and addresses, at least one."""
        leaf = self._ca.issue(names)
        stem = names[0].replace("*", "_").replace(":", "_")
        certificate, key = (self.state / f"{stem}.{kind}" for kind in ("pem", "key"))
        pem = serialization.Encoding.PEM
        certificate.write_bytes(leaf.certificate.public_bytes(pem))
        key.write_bytes(
            leaf.key.private_bytes(
                pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return Issued(str(certificate), str(key))


class Serve:
    """Starts proxies that stop when it is left."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._running = ExitStack()
        self.proxies: list[RunningProxy] = []

    def __enter__(self) -> Serve:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()

    def __call__(
        self,
        config: Configuration,
        *,
        syntax: Syntax = "nginx",
        directives: str = "",
        prefix: Folder | None = None,
    ) -> ThreadProxy:
        """As `sniproxy.serve_in_thread`."""
        proxy = self._running.enter_context(
            serve_in_thread(
                config, syntax=syntax, directives=directives, prefix=prefix, state=self._state
            )
        )
        self.proxies.append(proxy)
        return proxy

    @asynccontextmanager
    async def in_trio(
        self,
        config: Configuration,
        *,
        syntax: Syntax = "nginx",
        directives: str = "",
        prefix: Folder | None = None,
    ) -> AsyncIterator[Proxy]:
        """As `sniproxy.serve`."""
        async with serve(
            config, syntax=syntax, directives=directives, prefix=prefix, state=self._state
        ) as proxy:
            self.proxies.append(proxy)
            yield proxy


class Upstreams:
    """Houses upstreams that leave when it is left."""

    def __init__(self, certificates: Path) -> None:
        self._opened = ExitStack()
        self._zoo = self._opened.enter_context(zoo_in_thread(certificates))

    def __enter__(self) -> Upstreams:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()

    def __call__(self, upstream: Upstream | str = "good", port: int = 0) -> Peer:
        """As `ThreadZoo.house`."""
        return self._zoo.house(upstream, port)


_PROXIES = pytest.StashKey[Serve]()


class Reports:
    """Adds what proxies have logged to the reports of tests that fail."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        serve = item.stash.get(_PROXIES, None)
        if report.failed and serve is not None:
            report.sections += [
                section for proxy in serve.proxies if proxy.error_log for section in told_of(proxy)
            ]
        return report


def report_failures(request: pytest.FixtureRequest, serve: Serve) -> None:
    """Let the report of the test that asks, if it fails, tell what its proxies have logged."""
    plugins = request.config.pluginmanager
    if not plugins.has_plugin(Reports.__name__):
        plugins.register(Reports(), Reports.__name__)
    request.node.stash[_PROXIES] = serve


def told_of(proxy: RunningProxy) -> Iterator[tuple[str, str]]:
    """Heading and text: the last lines of the error log, and what is known of them."""
    from ..explain import ErrorGroups, render_text

    records = proxy.error_log
    lines = [record.line for record in records[-MOST_LINES:]]
    if len(records) > MOST_LINES:
        lines.insert(0, f"({len(records) - MOST_LINES} lines before these)")
    yield f"sniproxy error log of {', '.join(proxy.urls)}", "\n".join(lines)
    groups = ErrorGroups()
    for line in lines:
        groups.feed(line)
    groups.flush()
    if groups:
        yield "sniproxy explain", "\n".join(map(render_text, groups))
