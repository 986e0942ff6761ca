"""Reports of handshakes with upstreams: records, variables, the debug log, the key log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from sniproxy import config
from sniproxy.build import build_application
from sniproxy.build.paths import Paths
from sniproxy.context import RequestContext, UpstreamState
from sniproxy.models import Handshake, Level, Side
from sniproxy.observer import Observer
from sniproxy.server import ConnectionServer
from sniproxy.testing.upstreams import (
    TLS,
    Action,
    AfterSend,
    UpstreamSpec,
    catalog,
    generate_certificates,
    open_upstreams,
    reserve_port,
)
from sniproxy.testing.upstreams.spec import response
from sniproxy.variables import is_variable

NAMED = "proxy_ssl_server_name on; proxy_ssl_name upstream.test;"
VERIFIED = f"{NAMED} proxy_ssl_verify on; proxy_ssl_trusted_certificate root.pem;"
VARIABLES = (
    "$upstream_ssl_server_name|$upstream_ssl_protocol|$upstream_ssl_cipher"
    "|$upstream_ssl_session_reused|$upstream_ssl_verify"
)
SUITE_12, SUITE_13 = "ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_AES_256_GCM_SHA384"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handshakes")
    generate_certificates(folder)
    return folder


class Seen(Observer):
    """Records the results of requests."""

    wants_handshakes = True

    def __init__(self, log_level: Level) -> None:
        self.log_level = log_level
        self.handshakes: list[Handshake] = []
        self.variables: list[str] = []
        """One line for each request."""
        self.debug: list[str] = []
        """Debug messages without their context."""
        self.key_log = ""

    def upstream_handshake_finished(
        self, facts: RequestContext, attempt: UpstreamState, handshake: Handshake
    ) -> None:
        self.handshakes.append(handshake)

    def line_logged(self, level: Level, line: str, connection: int | None) -> None:
        if level is Level.DEBUG:
            self.debug.append(line.partition(": *")[2].partition(" ")[2].partition(" while ")[0])


@asynccontextmanager
async def serving(
    seen: Seen,
    certificates: Path,
    folder: Path,
    directives: str,
    *upstreams: UpstreamSpec,
    level: Level = Level.INFO,
    scheme: str = "https",
) -> AsyncIterator[int]:
    """Serve a configuration with the upstreams as one group; yields its port."""
    with reserve_port() as front:
        port = front.getsockname()[1]
        async with open_upstreams(certificates) as upstream_server, trio.open_nursery() as nursery:
            peers = [await upstream_server.start(upstream) for upstream in upstreams]
            servers = " ".join(f"server 127.0.0.1:{peer.port};" for peer in peers)
            loaded = config.parse(
                f"events {{}} http {{ log_format x '{VARIABLES}'; access_log lines x;\n"
                f"upstream group {{ {servers} }} server {{ listen 127.0.0.1:{port};\n"
                f"location / {{ proxy_pass {scheme}://group; {directives} }} }} }}",
                is_variable=is_variable,
            )
            paths = Paths(str(folder), str(certificates))
            site = build_application(loaded, paths, observer=seen)
            server = ConnectionServer(site, site.bind(lambda error: None))
            nursery.start_soon(server.run)
            yield port
            nursery.cancel_scope.cancel()
        site.close()


async def visit(port: int) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(b"GET / HTTP/1.0\r\n\r\n")
        while await stream.receive_some():
            pass


def seen(
    certificates: Path,
    folder: Path,
    directives: str,
    *upstreams: UpstreamSpec,
    requests: int = 1,
    level: Level = Level.INFO,
    scheme: str = "https",
) -> Seen:
    result = Seen(level)

    async def main() -> None:
        async with serving(
            result, certificates, folder, directives, *upstreams, scheme=scheme
        ) as port:
            for _ in range(requests):
                await visit(port)

    trio.run(main)
    result.variables = (folder / "lines").read_text().splitlines()
    if (folder / "keys").exists():
        result.key_log = (folder / "keys").read_text()
    return result


def closing(upstream: UpstreamSpec) -> UpstreamSpec:
    """The upstream, closing each connection after a response."""
    return replace(
        upstream, response=Action(response("closing\n", "Connection: close"), AfterSend.SILENCE)
    )


def test_a_handshake_is_reported_with_all_that_is_known(certificates: Path, tmp_path: Path) -> None:
    found = seen(certificates, tmp_path, VERIFIED, closing(catalog.GOOD_13), requests=2)
    first, second = found.handshakes
    assert first.side is Side.UPSTREAM
    assert first.peer.startswith("127.0.0.1:")
    assert (first.server_name, first.verified_name) == ("upstream.test", "upstream.test")
    assert (first.protocol, first.cipher) == ("TLSv1.3", SUITE_13)
    assert (first.verify_result, first.failure) == (0, None)
    assert "upstream.test" in first.certificate_names
    assert first.started_at > 1.6e9
    assert 0 < first.duration < 5
    assert (first.resumed, second.resumed) == (False, True)


def test_a_handshake_that_fails_is_reported_too(certificates: Path, tmp_path: Path) -> None:
    (handshake,) = seen(certificates, tmp_path, NAMED, catalog.PLAIN_HTTP).handshakes
    assert (handshake.server_name, handshake.protocol) == ("upstream.test", "")
    assert handshake.failure is not None
    assert handshake.failure.text.startswith("SSL_do_handshake() failed (SSL: error:0A00010B:")


@pytest.mark.parametrize(
    ("directives", "upstream", "line"),
    [
        (VERIFIED, catalog.GOOD_12, f"upstream.test|TLSv1.2|{SUITE_12}|.|SUCCESS"),
        (VERIFIED, catalog.GOOD_13, f"upstream.test|TLSv1.3|{SUITE_13}|.|SUCCESS"),
        ("", catalog.GOOD_13, f"-|TLSv1.3|{SUITE_13}|.|NONE"),
        (
            VERIFIED,
            catalog.SELF_SIGNED,
            f"upstream.test|TLSv1.3|{SUITE_13}|.|FAILED:self-signed certificate",
        ),
        (
            VERIFIED,
            catalog.WRONG_HOST,
            f"upstream.test|TLSv1.3|{SUITE_13}|.|FAILED:name does not match",
        ),
        (NAMED, catalog.CLOSES, "upstream.test|-|-|-|-"),
        (NAMED, catalog.ABSENT, "-|-|-|-|-"),
    ],
    ids=lambda value: value.name if isinstance(value, UpstreamSpec) else None,
)
def test_variables_report_of_the_handshake(
    directives: str, upstream: UpstreamSpec, line: str, certificates: Path, tmp_path: Path
) -> None:
    assert seen(certificates, tmp_path, directives, upstream).variables == [line]


def test_variables_report_of_each_try(certificates: Path, tmp_path: Path) -> None:
    upstreams = (catalog.CLOSES, closing(catalog.GOOD_12))
    (line,) = seen(certificates, tmp_path, NAMED, *upstreams).variables
    assert line == (f"upstream.test, upstream.test|-, TLSv1.2|-, {SUITE_12}|-, .|-, NONE")


def test_a_resumed_session_is_reported(certificates: Path, tmp_path: Path) -> None:
    found = seen(certificates, tmp_path, NAMED, closing(catalog.GOOD_12), requests=2)
    assert [line.split("|")[3] for line in found.variables] == [".", "r"]


@pytest.mark.parametrize(("scheme", "upstream"), [("https", catalog.GOOD), ("http", catalog.PLAIN)])
def test_without_a_handshake_there_is_nothing_to_report(
    scheme: str, upstream: UpstreamSpec, certificates: Path, tmp_path: Path
) -> None:
    """Plain HTTP, and a pooled connection."""
    found = seen(certificates, tmp_path, "", upstream, requests=2, scheme=scheme)
    assert found.variables[-1] == "-|-|-|-|-"
    assert len(found.handshakes) == (scheme == "https")


@pytest.mark.parametrize(
    ("tls", "resumed"), [(catalog.GOOD_12.tls, True), (catalog.GOOD_13.tls, False)]
)
def test_a_session_is_offered_while_its_own_request_still_waits(
    tls: TLS, resumed: bool, certificates: Path, tmp_path: Path
) -> None:
    """As in nginx: TLS 1.2 has a session after the handshake, TLS 1.3 tickets are read later."""
    found = Seen(Level.INFO)

    async def main() -> None:
        upstream = replace(catalog.NO_RESPONSE, tls=tls)
        async with (
            serving(found, certificates, tmp_path, NAMED, upstream) as port,
            trio.open_nursery() as nursery,
        ):
            for number in (1, 2):
                nursery.start_soon(visit, port)
                while len(found.handshakes) < number:
                    await trio.sleep(0.001)
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert [handshake.resumed for handshake in found.handshakes] == [False, resumed]


def test_the_debug_log_has_a_line_for_each(certificates: Path, tmp_path: Path) -> None:
    found = seen(
        certificates,
        tmp_path,
        f"{VERIFIED} proxy_ssl_session_reuse off;",
        catalog.SELF_SIGNED,
        level=Level.DEBUG,
    )
    (line,) = found.debug
    before, _, after = line.partition("s: ")
    assert before.startswith("upstream SSL handshake failed in 0.")
    assert after == (
        f'SNI "upstream.test", TLSv1.3, {SUITE_13}, new session, verified as "upstream.test",'
        " chain: 18:self-signed certificate"
    )


@pytest.mark.parametrize(
    ("upstream", "labels"),
    [
        (catalog.GOOD_12, {"CLIENT_RANDOM"}),
        (
            catalog.GOOD_13,
            {
                "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
                "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                "CLIENT_TRAFFIC_SECRET_0",
                "SERVER_TRAFFIC_SECRET_0",
                "EXPORTER_SECRET",
            },
        ),
    ],
    ids=["TLSv1.2", "TLSv1.3"],
)
@pytest.mark.parametrize("variable", [False, True])
def test_keys_are_logged(
    upstream: UpstreamSpec, labels: set[str], variable: bool, certificates: Path, tmp_path: Path
) -> None:
    """In the format of SSLKEYLOGFILE, readable by the owner only; also with a certificate named
    by variables."""
    name = "$request_method" if variable else "client.pem"
    certificate = f"proxy_ssl_certificate {name}; proxy_ssl_certificate_key client.key;"
    if variable:
        (certificates / "GET").write_bytes((certificates / "client.pem").read_bytes())
    found = seen(certificates, tmp_path, f"proxy_ssl_key_log keys; {certificate}", upstream)
    lines = [line.split(" ") for line in found.key_log.splitlines()]
    assert {line[0] for line in lines} == labels
    for _, random, secret in lines:
        assert len(bytes.fromhex(random)) == 32
        assert len(bytes.fromhex(secret)) == 48
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
