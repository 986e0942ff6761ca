"""`sniproxy reverse URL`: the configuration that it makes, and a browser in front of it."""

from __future__ import annotations

import dataclasses
import os
import re
import select
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sniproxy.cli import main
from sniproxy.cli.parsers import command_parser
from sniproxy.cli.reverse import ReverseOptions, nginx_conf, reverse_options, toml
from sniproxy.config import parse
from sniproxy.config.model import Location
from sniproxy.testing.fixtures import UpstreamFactory
from sniproxy.tls.ca import STATE_VARIABLE
from sniproxy.variables import is_variable
from tests.browser import page_of
from tests.cli.commands import Sniproxy

PATIENCE = 20.0


def options(*words: str) -> ReverseOptions:
    return reverse_options(command_parser("reverse").parse_args(words))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["https://api.example.com"],
            ReverseOptions(
                "https://api.example.com/", "127.0.0.1:8443", "api.example.com", "api.example.com"
            ),
        ),
        (
            ["HTTPS://API.example.com.:443/v1"],
            ReverseOptions(
                "https://api.example.com/v1/",
                "127.0.0.1:8443",
                "api.example.com",
                "api.example.com",
            ),
        ),
        (
            ["https://bücher.example:8443", "--listen", "9000"],
            ReverseOptions(
                "https://xn--bcher-kva.example:8443/",
                "127.0.0.1:9000",
                "xn--bcher-kva.example:8443",
                "xn--bcher-kva.example",
            ),
        ),
        (
            ["https://192.0.2.1"],
            ReverseOptions("https://192.0.2.1/", "127.0.0.1:8443", "192.0.2.1"),
        ),
        (
            ["https://192.0.2.1", "--sni", "origin.test"],
            ReverseOptions("https://192.0.2.1/", "127.0.0.1:8443", "origin.test", "origin.test"),
        ),
        (
            ["https://a.test", "--sni", "Origin.Test", "--host", "www.test:81"],
            ReverseOptions("https://a.test/", "127.0.0.1:8443", "www.test:81", "origin.test"),
        ),
        (
            ["https://[2001:db8::1]:444", "--sni", "a.test", "--listen", "[::1]:8443"],
            ReverseOptions("https://[2001:db8::1]:444/", "[::1]:8443", "a.test", "a.test"),
        ),
        (
            ["http://127.0.0.1:3000", "--listen", "0.0.0.0:8443"],
            ReverseOptions("http://127.0.0.1:3000/", "0.0.0.0:8443", "127.0.0.1:3000"),
        ),
    ],
)
def test_arguments(words: list[str], expected: ReverseOptions) -> None:
    assert options(*words) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ftp://a.test"], "is not an https:// or http:// URL"),
        (["a.test"], "is not an https:// or http:// URL"),
        (["https://"], 'the URL: "" is neither a DNS name nor an address'),
        (["https://user@a.test"], "is not an https:// or http:// URL"),
        (["https://a.test:0"], "has no valid port"),
        (["https://a.test:99999"], "is not an https:// or http:// URL"),
        (["https://a.test?q"], "has a query or fragment"),
        (["https://a.test/#f"], "has a query or fragment"),
        (["https://a.test/;return 200"], "characters that a path of proxy_pass cannot have"),
        (["https://a.test/$host"], "characters that a path of proxy_pass cannot have"),
        (["https://a.test/{"], "characters that a path of proxy_pass cannot have"),
        (["https://a.test/\n"], "is not an https:// or http:// URL"),
        (["https://a;b.test/"], "is neither a DNS name nor an address"),
        (["https://*.test/"], "is neither a DNS name nor an address"),
        (["https://a.test", "--sni", "a b"], '--sni: "a b" is neither'),
        (["https://a.test", "--sni", "x;return 200;"], "--sni: "),
        (["https://a.test", "--sni", "192.0.2.1"], "--sni: 192.0.2.1 is an address"),
        (["https://a.test", "--host", "$host"], '--host: "$host" is neither'),
        (["https://192.0.2.1", "--verify"], "--verify needs --sni NAME"),
        (["https://a.test", "--ca", "ca.pem"], "--ca needs --verify"),
        (["http://a.test", "--verify"], "--sni and --verify need an https:// URL"),
        (["http://a.test", "--sni", "a.test"], "--sni and --verify need an https:// URL"),
        (["https://a.test", "--listen", "99999"], '--listen: there is no port "99999"'),
        (["https://a.test", "--listen", "-1"], '--listen: there is no port "-1"'),
        (["https://a.test", "--listen", ""], '--listen: there is no port ""'),
        (["https://a.test", "--listen", "a.test:1"], '--listen: "a.test" is not an address'),
        (["https://a.test", "--listen", "::1:443"], '--listen: "::1" is not an address'),
        (["https://a.test", "--listen", "[127.0.0.1]:443"], "is not an address"),
        (["https://a.test", "--verify", "--ca", "a\nb"], "characters that a configuration"),
        (["https://a.test", "--verify", "--ca", 'a"b'], "characters that a configuration"),
    ],
)
def test_invalid_arguments(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["reverse", *words])
    assert exited.value.code == 2
    assert message in capsys.readouterr().err


def settings(text: str, syntax: str) -> dict[str, object]:
    """What a configuration means, without places and file names."""
    loaded = parse(text, "toml" if syntax == "toml" else "nginx", is_variable=is_variable)
    assert loaded.http is not None
    [server] = loaded.http.servers
    [location] = server.default_location.locations
    return {
        "error_log": loaded.error_log,
        "listen": [str(getattr(one, "address", one)) for one in server.core.listen],
        "ssl": server.ssl.ssl_certificate,
        "size": location.core.client_max_body_size,
        "proxy": proxy_values(location),
        "maps": sorted(loaded.http.variables),
    }


def proxy_values(location: Location) -> dict[str, object]:
    values = {
        field.name: getattr(location.proxy, field.name)
        for field in dataclasses.fields(location.proxy)
    }
    target = location.proxy.proxy_pass
    assert target is not None
    return values | {"proxy_pass": target.url}


@pytest.mark.parametrize(
    "words",
    [
        ["https://api.example.com"],
        ["https://192.0.2.1/a/", "--sni", "a.test"],
        ["https://a.test", "--verify", "--ca", "/a folder/ca.pem"],
        ["http://127.0.0.1:3000"],
        ["https://[2001:db8::1]", "--listen", "[::1]:1"],
    ],
)
def test_both_syntaxes_mean_the_same(words: list[str]) -> None:
    wanted = options(*words)
    assert settings(nginx_conf(wanted), "nginx") == settings(toml(wanted), "toml")


def test_print_prints_the_configuration_only(sniproxy: Sniproxy) -> None:
    for syntax in ([], ["--toml"]):
        printed = sniproxy("reverse", "https://a.test", "--print", *syntax)
        assert (printed.status, printed.stderr) == (0, "")
        wanted = options("https://a.test")
        assert printed.stdout == (toml(wanted) if syntax else nginx_conf(wanted))


def test_an_address_that_is_taken(sniproxy: Sniproxy, tls_upstream: UpstreamFactory) -> None:
    taken = tls_upstream("good").address
    refused = sniproxy("reverse", "https://192.0.2.1", "--listen", taken)
    assert refused.status == 1
    assert refused.lines == [f"[emerg] bind() to {taken} failed (98: Address already in use)"]


def test_a_name_that_does_not_resolve(sniproxy: Sniproxy) -> None:
    refused = sniproxy("reverse", "https://nowhere.invalid", "--listen", "0")
    assert refused.status == 1
    [line] = refused.lines
    assert line.startswith('[emerg] host not found in upstream "nowhere.invalid" in reverse:')


@contextmanager
def running(*words: str, **environment: str) -> Iterator[tuple[str, str]]:
    """`sniproxy reverse WORDS` on a free port, until the block ends: its output and its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sniproxy", "reverse", *words, "--listen", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    try:
        output, deadline = "", time.monotonic() + PATIENCE
        while "--cacert" not in output or not output.endswith("\n"):
            ready, _, _ = select.select([process.stdout], [], [], deadline - time.monotonic())
            data = os.read(process.stdout.fileno(), 65536) if ready else b""
            assert data, (output, process.stderr and process.stderr.read())
            output += data.decode()
        url = re.search(r"^(https://\S+) is ", output, re.M)
        assert url is not None
        yield output, url[1]
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=PATIENCE)
        assert (process.returncode, stderr.decode()) == (0, "")
    finally:
        process.kill()
        process.communicate()


def test_it_serves_what_it_prints(tls_upstream: UpstreamFactory, development_ca: Path) -> None:
    upstream = tls_upstream("needs-sni-112")
    words = [upstream.url, "--sni", "upstream.test", "--verify", "--ca", str(upstream.root)]
    for syntax in ([], ["--toml"]):
        with running(*words, *syntax) as (output, url):
            context = ssl.create_default_context(cafile=development_ca / "ca" / "ca.pem")
            with urllib.request.urlopen(f"{url}x", context=context) as response:
                assert response.read() == b"SNI upstream.test\nGET /x HTTP/1.1\n"
            assert output.startswith(f"# sniproxy reverse {upstream.url}/\n")
            assert f"--cacert {development_ca / 'ca' / 'ca.pem'}" in output
    assert b"\r\nHost: upstream.test\r\n" in upstream.connections[0].requests[0]


def test_it_reports_a_ca_that_it_has_created(tls_upstream: UpstreamFactory, tmp_path: Path) -> None:
    url = tls_upstream("good").url
    state = {STATE_VARIABLE: str(tmp_path)}
    with running(url, **state) as (output, _):
        assert "A development CA was created" in output
    with running(url, **state) as (output, _):
        assert "A development CA was created" not in output
        assert "sniproxy ca install" in output


@pytest.mark.needs("chromium", "certutil")
def test_a_browser_trusts_it_after_ca_install(
    tls_upstream: UpstreamFactory, tmp_path: Path
) -> None:
    """`ca install` into the stores of a home that has none yet, then `reverse` before Chromium."""
    home, upstream = tmp_path / "home", tls_upstream("needs-sni-112")
    home.mkdir()
    environment = {STATE_VARIABLE: str(tmp_path / "state"), "HOME": str(home)}
    install = [sys.executable, "-m", "sniproxy", "ca", "install", "--yes", "--store", "browsers"]
    done = subprocess.run(
        install, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    with running(upstream.url, "--sni", "upstream.test", **environment) as (_, url):
        page = page_of(f"{url}page", home)
    assert "SNI upstream.test\nGET /page HTTP/1.1\n" in page
