"""`sniproxy trace` for `tcp://`: where a connection of `stream {}` goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sniproxy.cli.trace import main

CONFIG = """
events {}
stream {
    map $ssl_preread_server_name $site { one.test group; two.test 127.0.0.1:2; default none; }
    upstream group { server 127.0.0.1:1; server 127.0.0.1:3; }
    server { listen 127.0.0.1:8443; ssl_preread on; proxy_pass $site; }
    server {
        listen 127.0.0.1:8443;
        server_name ~^(?<customer>[a-z]+)\\.names\\.test$;
        proxy_pass 127.0.0.1:4;
        proxy_ssl on;
        proxy_ssl_server_name on;
        proxy_ssl_name $customer.inside.test;
    }
    server { listen 127.0.0.1:8444; return "hello $server_port"; }
}
"""
ROUTES = [
    ("one.test", 8443, "upstream: the group group: 127.0.0.1:1, 127.0.0.1:3"),
    ("two.test", 8443, "upstream: 127.0.0.1:2"),
    ("three.test", 8443, 'no port in upstream "none": status 500'),
    ("acme.names.test", 8443, 'proxy_ssl: the SNI is "acme.inside.test"'),
    (None, 8443, 'no port in upstream "none": status 500'),
    ("one.test", 8444, "return 'hello 8444' ($server_port is \"8444\")"),
]


@pytest.mark.parametrize(("name", "port", "last"), ROUTES)
def test_route(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str | None, port: int, last: str
) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(CONFIG)
    sni = () if name is None else ("--sni", name)
    assert main(["-c", str(file), *sni, f"tcp://127.0.0.1:{port}"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_port_without_a_server_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(CONFIG)
    assert main(["-c", str(file), "tcp://127.0.0.1:1"]) == 2
    assert "no stream server that listens on port 1" in capsys.readouterr().err
