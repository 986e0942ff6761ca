"""Traces of requests that are in progress at the same time on one connection (HTTP/2)."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest

import sniproxy
from sniproxy.trace.render import as_data
from sniproxy.trace.steps import Trace

pytestmark = pytest.mark.needs("curl")

CONFIG = """
events {{}}
http {{ ssl_certificate auto; proxy_read_timeout 300ms;
    upstream two {{ server 127.0.0.1:9; server 127.0.0.1:{port}; }}
    server {{ listen 127.0.0.1:0 ssl; http2 on;
        location /one {{ proxy_pass http://127.0.0.1:{port}; }}
        location /two {{ proxy_pass http://two; proxy_read_timeout 900ms; }} }} }}
"""


def test_each_has_its_own_steps_and_lines(tmp_path: Path) -> None:
    """The second request logs a line before the first one ends."""
    traces: list[Trace] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = CONFIG.format(port=silent.getsockname()[1])
        with sniproxy.serve_in_thread(config, trace=traces.append, state=tmp_path) as proxy:
            url = proxy.urls[0]
            command = ["curl", "-Zsk", "--http2", "-o", "/dev/null", "-o", "/dev/null"]
            subprocess.run([*command, f"{url}/one", f"{url}/two"], timeout=60, check=True)
            assert proxy.wait_for(lambda: len(traces) == 2)
    one, two = (json.dumps(as_data(trace)) for trace in traces)
    assert '"/one' in one
    assert "/two" not in one
    assert "/one" not in two
    assert "connect() failed" in two
