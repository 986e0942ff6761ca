"""A client that does not trust the development CA is reported once, at the default level."""

from __future__ import annotations

import contextlib
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from sniproxy.embed import ThreadProxy
from sniproxy.models import Level
from sniproxy.testing.fixtures import DevelopmentCA, ProxyFactory
from tests.browser import page_of

CONFIG = """
events {}
http {
    server { listen 127.0.0.1:0 ssl; %s return 200 hello; }
}
"""


def ask(proxy: ThreadProxy, context: ssl.SSLContext) -> None:
    with contextlib.suppress(urllib.error.URLError):
        urllib.request.urlopen(proxy.urls[0], context=context).close()


def errors(proxy: ThreadProxy) -> list[str]:
    return [record.message for record in proxy.error_log if record.level <= Level.ERROR]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_first_refusal_is_reported(
    version: ssl.TLSVersion, sniproxy_serve: ProxyFactory, dev_ca: DevelopmentCA
) -> None:
    proxy = sniproxy_serve(CONFIG % "ssl_certificate auto;")
    without = ssl.create_default_context()
    without.maximum_version = version
    for _ in range(3):
        ask(proxy, without)
    proxy.wait_for(lambda: len([h for h in proxy.handshakes if h.failure]) == 3)
    [message] = errors(proxy)
    assert message == (
        "the client does not trust the development CA of sniproxy (SSL alert number 48): run "
        f'"sniproxy ca install" and restart the client, or give it the file {dev_ca.path}'
    )
    assert sum("SSL alert number 48)" in record.message for record in proxy.error_log) == 4


def test_other_certificates_and_clients_are_not_reported(
    sniproxy_serve: ProxyFactory, dev_ca: DevelopmentCA
) -> None:
    issued = dev_ca.issue("localhost")
    files = f"ssl_certificate {issued.certificate}; ssl_certificate_key {issued.key};"
    by_file, automatic = (
        sniproxy_serve(CONFIG % files),
        sniproxy_serve(CONFIG % "ssl_certificate auto;"),
    )
    ask(by_file, ssl.create_default_context())
    by_file.wait_for(lambda: bool(by_file.handshakes))
    ask(automatic, dev_ca.context)
    assert errors(by_file) == errors(automatic) == []


@pytest.mark.needs("chromium")
def test_chromium_is_reported(sniproxy_serve: ProxyFactory, tmp_path: Path) -> None:
    proxy = sniproxy_serve(CONFIG % "ssl_certificate auto;")
    page_of(f"{proxy.urls[0]}/", tmp_path)
    [message] = errors(proxy)
    assert "(SSL alert number 46)" in message
