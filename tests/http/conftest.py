"""The nginx shared by the tests of this package, with a scripted upstream behind `/proxy/`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http.oracle import Nginx, ScriptedUpstream, running

VISIBLE = (
    "$request_method|$request_uri|$uri|$args|$host|$http_content_length|$http_transfer_encoding"
)

HTTP = """
server {
    listen 127.0.0.1:@PORT@;
    server_name first.test;
    client_body_timeout 5s;
    location / { return 200 "@SHOWN@"; }
    location /proxy/ { proxy_pass http://127.0.0.1:@UPSTREAM@; }
    location /replaced/ { proxy_pass http://127.0.0.1:@UPSTREAM@/with/; }
    location /args/ { rewrite ^/args/(.*)$ /shown?value=$1; }
    location = /limited { client_max_body_size 10; proxy_pass http://127.0.0.1:@UPSTREAM@; }
    @STATUSES@
}
server {
    listen 127.0.0.1:@PORT@;
    server_name hidden.test;
    server_tokens off;
    return 404;
}
"""

RETURNED = [status for status in range(200, 600) if status not in (408, 444, 499)]
"""Statuses for `return` (the others close the connection without a response)."""


@pytest.fixture(scope="session")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as scripted:
        yield scripted


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory, upstream: ScriptedUpstream) -> Iterator[Nginx]:
    statuses = "".join(
        f"location = /status/{status} {{ return {status}; }}\n" for status in RETURNED
    )
    http = (
        HTTP.replace("@SHOWN@", VISIBLE)
        .replace("@STATUSES@", statuses)
        .replace("@UPSTREAM@", str(upstream.port))
    )
    with running(tmp_path_factory.mktemp("nginx"), http) as one:
        yield one


@pytest.fixture(scope="session")
def unmerged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """An nginx with the opposite values of the directives about request heads."""
    http = f"""
    server {{
        listen 127.0.0.1:@PORT@;
        merge_slashes off;
        ignore_invalid_headers off;
        underscores_in_headers on;
        large_client_header_buffers 2 2k;
        client_header_buffer_size 512;
        max_headers 5;
        location / {{ return 200 "{VISIBLE}"; }}
    }}
    server {{
        listen 127.0.0.1:@PORT@;
        server_name strict.test;
        max_headers 3;
        location / {{ return 200 "{VISIBLE}"; }}
    }}
    """
    with running(tmp_path_factory.mktemp("unmerged"), http) as one:
        yield one
