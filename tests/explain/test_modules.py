"""Fixes have the directives of the module that passes requests to the upstream."""

from __future__ import annotations

import pytest

from sniproxy.config.directives.registry import BY_NAME
from sniproxy.explain.catalog import Cause, catalog
from sniproxy.explain.groups import ErrorGroups
from sniproxy.explain.log_fields import UPSTREAM
from sniproxy.explain.modules import MODULES, STREAM, cause_in_module, text_in_module
from sniproxy.explain.render import render_text

LINE = (
    "2026/11/28 10:00:00 [error] 5#5: *1 SSL_do_handshake() failed (SSL: error:0A000410:SSL "
    "routines::ssl/tls alert handshake failure:SSL alert number 40) while SSL handshaking to "
    'upstream, client: 127.0.0.1, server: a.test, request: "POST /svc HTTP/2.0", '
    'upstream: "%s://10.0.0.1:443", host: "a.test"'
)


@pytest.mark.parametrize(
    ("scheme", "prefix"), [("https", "proxy_"), ("grpcs", "grpc_"), ("suwsgi", "uwsgi_")]
)
def test_a_missing_sni_is_cured_in_its_module(scheme: str, prefix: str) -> None:
    groups = ErrorGroups()
    groups.feed(LINE % scheme)
    groups.flush()
    (group,) = groups
    assert group.causes[0].name == "sni-missing"
    directives = [text for fix in group.causes[0].fixes for text in fix.directives]
    assert directives[:2] == [f"{prefix}ssl_server_name on;", f"{prefix}ssl_name {{name}};"]
    text = render_text(group)
    assert f"{prefix}ssl_server_name is off, as it is by default" in text
    assert (" --grpc" in text) == (scheme == "grpcs")
    if prefix != "proxy_":
        assert "proxy_ssl" not in text


def _cause_of(line: str) -> Cause:
    groups = ErrorGroups()
    groups.feed(line)
    groups.flush()
    (group,) = groups
    return group.causes[0]


SESSION = (
    "2026/11/28 10:00:00 [error] 5#5: *1 %s, client: 127.0.0.1, server: 127.0.0.1:8443, "
    'upstream: "10.0.0.1:443", bytes from/to client:0/0, bytes from/to upstream:0/0'
)


def test_fixes_for_sessions_have_directives_of_stream() -> None:
    handshake = _cause_of(
        SESSION % "SSL_do_handshake() failed (SSL: error:0A000458:SSL routines::tlsv1 unrecognized "
        "name:SSL alert number 112) while SSL handshaking to upstream"
    )
    assert handshake.name == "sni-missing"
    assert [fix.directives for fix in handshake.fixes] == [
        ("proxy_ssl_server_name on;",), ("proxy_ssl_name {name};",),
    ]  # fmt: skip
    timeout = _cause_of(SESSION % "connection timed out while proxying connection")
    directives = [text for fix in timeout.fixes for text in fix.directives]
    assert directives == ["proxy_timeout 300s;", "proxy_connect_timeout 10s;"]


def test_all_causes_of_upstreams_can_be_put_in_stream() -> None:
    for cause in catalog().causes.values():
        for fix in cause_in_module(cause, STREAM).fixes if UPSTREAM in cause.sides else ():
            assert fix.directives or fix.instruction, cause.name


def test_directives_that_a_module_lacks_stay() -> None:
    text = "proxy_buffering off; proxy_read_timeout 1h; proxy_ssl_* and proxy_nosuch"
    assert text_in_module(text, "grpc") == (
        "proxy_buffering off; grpc_read_timeout 1h; grpc_ssl_* and proxy_nosuch"
    )
    assert text_in_module(text, "http") == text


@pytest.mark.parametrize("scheme", MODULES)
def test_all_causes_can_be_put_in_all_modules(scheme: str) -> None:
    for cause in catalog().causes.values():
        for fix in cause_in_module(cause, scheme).fixes:
            for directive in fix.directives if fix.kind == "directive" else ():
                name = directive.split()[0].rstrip(";")
                assert name in BY_NAME or "{" in directive or name == "#"
