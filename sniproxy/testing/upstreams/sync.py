"""Upstreams for tests that do not use trio: they run in a background thread.

with upstreams_in_thread(directory) as server:
    upstream = server.start("needs-sni-112")
    ...                             # a proxy connects to upstream.url
    assert upstream.wait_for(lambda: upstream.connections)
    assert upstream.connections[0].server_name == "upstream.test"
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from sniproxy.portal import BlockingPortal, in_thread
from sniproxy.testing.upstreams.catalog import find_upstream
from sniproxy.testing.upstreams.certificates import (
    CertificatePaths,
    copy_certificate,
    issue_certificate,
)
from sniproxy.testing.upstreams.running import RunningUpstream
from sniproxy.testing.upstreams.server import UpstreamServer, open_upstreams
from sniproxy.testing.upstreams.spec import UpstreamSpec, with_certificate


class ThreadUpstreams:
    """An `UpstreamServer` that runs in a background thread."""

    def __init__(self, server: UpstreamServer, loop: BlockingPortal) -> None:
        self._server = server
        self._loop = loop

    def start(
        self,
        upstream: UpstreamSpec | str,
        port: int = 0,
        *,
        names: Sequence[str] = (),
        certificate: CertificatePaths | None = None,
    ) -> RunningUpstream:
        """Start an upstream on a port (0: any free one).

        A string is a name in `catalog.ALL`; raises `UnknownUpstreamError` if there is none. `names`
        are the DNS names and `IP:` addresses of its certificate, instead of `upstream.test`;
        `certificate` is one of your own: the files of certificate and key. Raises OSError if the
        port is taken, ValueError if the upstream has no TLS.
        """
        spec = find_upstream(upstream) if isinstance(upstream, str) else upstream
        if certificate is not None:
            spec = with_certificate(spec, copy_certificate(self._server.certificates, certificate))
        elif names:
            stem = issue_certificate(self._server.certificates, names)
            spec = with_certificate(spec, stem, names[0])
        return self._loop.run(self._server.start, spec, port)


@contextlib.contextmanager
def upstreams_in_thread(certificates: Path) -> Iterator[ThreadUpstreams]:
    """A server whose upstreams are stopped when the block ends.

    `certificates` is a folder filled by `generate_certificates`.
    """

    def opened() -> AbstractAsyncContextManager[UpstreamServer]:
        return open_upstreams(certificates)

    with in_thread(opened) as (server, loop):
        yield ThreadUpstreams(server, loop)
