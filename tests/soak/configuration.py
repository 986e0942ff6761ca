"""The configuration that is served during a soak, and the certificates that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sniproxy.testing.authority import Authority, pem

NAME = "soak.test"
KEEPALIVE = 8
"""Idle connections that a group keeps, in each process; there are two groups."""

_CONFIGURATION = """
{processes}
pid run.pid;
error_log error.log info;
worker_shutdown_timeout 5s;
events {{ worker_connections 1024; }}
http {{
    access_log access.log;
    ssl_certificate front.pem;
    ssl_certificate_key front.key;
    ssl_session_cache shared:tls:1m;
    client_body_buffer_size 16k;
    client_max_body_size 8m;
    client_header_timeout 5s;
    proxy_cache_path cache keys_zone=pages:1m max_size=2m inactive=20s;
    limit_req_zone $arg_client zone=rates:1m rate=1000r/s;
    limit_conn_zone $binary_remote_addr zone=connections:1m;
    upstream plain {{ server 127.0.0.1:{plain}; keepalive {keepalive}; }}
    upstream secure {{ server 127.0.0.1:{secure}; keepalive {keepalive}; }}
    upstream half {{ server 127.0.0.1:{secure} max_fails=0; server 127.0.0.1:{dead} max_fails=0; }}
    proxy_ssl_trusted_certificate root.pem;
    proxy_ssl_verify on;
    proxy_ssl_name {name};
    proxy_ssl_server_name on;
    proxy_set_header Connection "";
    proxy_http_version 1.1;
    proxy_read_timeout 2s;
    server {{
        listen 127.0.0.1:{front} ssl;
        http2 on;
        server_name {name};
        root .;
        location / {{ proxy_pass https://secure; }}
        location /unbuffered/ {{
            proxy_pass https://secure; proxy_buffering off; proxy_request_buffering off;
        }}
        location /plain/ {{ proxy_pass http://plain; limit_req zone=rates burst=100 nodelay; }}
        location /cached/ {{
            proxy_pass https://secure; proxy_cache pages; proxy_cache_valid 200 3s;
            proxy_cache_use_stale updating; proxy_cache_lock on;
        }}
        location /compressed/ {{ proxy_pass https://secure; gzip on; gzip_types *; }}
        location /socket/ {{
            proxy_pass http://plain; limit_conn connections 500;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
        }}
        location /half/ {{ proxy_pass https://half; }}
        location /dead/ {{ proxy_pass https://127.0.0.1:{dead}; }}
        location /file/ {{ try_files /front.pem =404; }}
    }}
}}
stream {{
    map $ssl_preread_server_name $destination {{
        {name} 127.0.0.1:{secure};
        default 127.0.0.1:{dead};
    }}
    server {{ listen 127.0.0.1:{routed}; ssl_preread on; proxy_pass $destination; }}
    server {{
        listen 127.0.0.1:{datagrams} udp;
        proxy_pass 127.0.0.1:{echo};
        proxy_responses 1;
        proxy_timeout 2s;
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """All ports of a soak, on 127.0.0.1."""

    front: int
    """HTTPS of the proxy."""
    routed: int
    """TCP of the proxy, routed by SNI."""
    datagrams: int
    """UDP of the proxy."""
    plain: int
    """HTTP of the upstream."""
    secure: int
    """HTTPS of the upstream."""
    echo: int
    """UDP of the upstream."""
    dead: int
    """Nobody listens there."""


def write(folder: Path, ports: Ports, workers: int) -> None:
    """Write `nginx.conf` and its certificates; 0 workers mean one process without a master."""
    root = Authority.root("Soak Root")
    root.issue(NAME).write(folder, "front")
    (folder / "root.pem").write_bytes(pem(root.certificate))
    processes = f"user root; worker_processes {workers};" if workers else "master_process off;"
    values = {name: getattr(ports, name) for name in Ports.__slots__}
    text = _CONFIGURATION.format(
        processes=f"daemon off; {processes}", name=NAME, keepalive=KEEPALIVE, **values
    )
    (folder / "nginx.conf").write_text(text)
