"""The classes behind the fixtures of `plugin.py`."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives import serialization

from ..embed import (
    BaseProxy,
    Configuration,
    Proxy,
    StrPath,
    Syntax,
    ThreadProxy,
    serve,
    serve_in_thread,
)
from ..tls.ca import DevCA
from .upstreams import RunningUpstream, UpstreamSpec, upstreams_in_thread
from .upstreams.certificates import CertificatePaths

MAX_LOG_LINES = 100
"""Number of log lines of one proxy shown in the report of a failed test."""


class CertificateFiles(NamedTuple):
    """Paths of a certificate and its key, for `SSLContext.load_cert_chain`."""

    certificate: str
    key: str


class DevelopmentCA:
    """A development CA in the folder `state`."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._ca = DevCA.open(state)
        self.path = str(self._ca.certificate_path)
        """The CA certificate, for requests (`verify=`), curl (`--cacert`) and `ssl` (`cafile=`)."""

    @cached_property
    def context(self) -> ssl.SSLContext:
        """An `ssl.SSLContext` that trusts the CA, for httpx (`verify=`), urllib, trio, asyncio."""
        return ssl.create_default_context(cafile=self.path)

    def issue(self, *names: str) -> CertificateFiles:
        """Issue a certificate for one or more DNS names or IP addresses."""
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
        return CertificateFiles(str(certificate), str(key))


class ProxyFactory:
    """Starts proxies, and stops them when the `with` block ends."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._running = ExitStack()
        self.proxies: list[BaseProxy] = []

    def __enter__(self) -> ProxyFactory:
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
        prefix: StrPath | None = None,
        live: bool | str = False,
    ) -> ThreadProxy:
        """Start a proxy in a thread, as `sniproxy.serve_in_thread` does."""
        proxy = self._running.enter_context(
            serve_in_thread(
                config,
                syntax=syntax,
                directives=directives,
                prefix=prefix,
                state=self._state,
                live=live,
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
        prefix: StrPath | None = None,
        live: bool | str = False,
    ) -> AsyncIterator[Proxy]:
        """Start a proxy in this trio run, as `sniproxy.serve` does."""
        async with serve(
            config,
            syntax=syntax,
            directives=directives,
            prefix=prefix,
            state=self._state,
            live=live,
        ) as proxy:
            self.proxies.append(proxy)
            yield proxy


class UpstreamFactory:
    """Starts upstreams, and stops them when the `with` block ends."""

    def __init__(self, certificates: Path) -> None:
        self._opened = ExitStack()
        self._server = self._opened.enter_context(upstreams_in_thread(certificates))

    def __enter__(self) -> UpstreamFactory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()

    def __call__(
        self,
        upstream: UpstreamSpec | str = "good",
        port: int = 0,
        *,
        names: Sequence[str] = (),
        certificate: CertificatePaths | None = None,
    ) -> RunningUpstream:
        """Start an upstream, as `ThreadUpstreams.start` does."""
        return self._server.start(upstream, port, names=names, certificate=certificate)


_PROXIES = pytest.StashKey[list[ProxyFactory]]()


class FailureReports:
    """Adds the error logs of proxies to the reports of failed tests."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed:
            # Proxies of the test, of its module and of the session.
            factories = [node.stash.get(_PROXIES, []) for node in item.listchain()]
            report.sections += [
                section
                for serve in itertools.chain.from_iterable(factories)
                for proxy in serve.proxies
                if proxy.error_log
                for section in report_sections(proxy)
            ]
        return report


def report_failures(request: pytest.FixtureRequest, serve: ProxyFactory) -> None:
    """If a test of the fixture's scope fails, add the error logs of the proxies to its report."""
    plugins = request.config.pluginmanager
    if not plugins.has_plugin(FailureReports.__name__):
        plugins.register(FailureReports(), FailureReports.__name__)
    request.node.stash.setdefault(_PROXIES, []).append(serve)


def report_sections(proxy: BaseProxy) -> Iterator[tuple[str, str]]:
    """Titles and texts for a report: the end of the error log, and its explanation."""
    from ..explain import ErrorGroups, render_text

    records = proxy.error_log
    lines = [record.line for record in records[-MAX_LOG_LINES:]]
    if len(records) > MAX_LOG_LINES:
        lines.insert(0, f"({len(records) - MAX_LOG_LINES} earlier lines)")
    yield f"sniproxy error log of {', '.join(proxy.urls)}", "\n".join(lines)
    groups = ErrorGroups()
    for line in lines:
        groups.feed(line)
    groups.flush()
    if groups:
        yield "sniproxy explain", "\n".join(map(render_text, groups))
