"""Directives of `stream {}`: sniproxy accepts and refuses what nginx does, in the same words."""

from __future__ import annotations

from pathlib import Path

import pytest

from sniproxy import config
from sniproxy.config.directives.stream_registry import STREAM_DIRECTIVES
from sniproxy.config.directives.stream_variables import CHANGEABLE, FIXED
from sniproxy.variables import is_variable

from .oracle import nginx_verdict, sniproxy_verdict

LISTEN = "listen 127.0.0.1:18080;"

STREAM = (
    "",
    "foo;",
    "js_include x;",
    "server;",
    "server {}",
    "server { listen 18080; }",
    "server { listen 18080; listen 18080 udp; }",
    "server { listen 18080; } server { listen 18080; }",
    "server { listen 18080 default_server; } server { listen 18080 default_server; }",
    "server { listen 18080; listen 18080; }",
    "server { listen 18080 ssl; }",
    "server { listen 18080 ssl; ssl_reject_handshake on; }",
    "server { listen 18080 ssl; ssl_certificate nosuch.pem; }",
    "server { listen 18080; ssl_certificate nosuch.pem; }",
    "server { listen 18080 udp ssl; }",
    "server { listen 18080 udp backlog=3; }",
    "server { listen 18080 udp so_keepalive=on; }",
    "server { listen 18080 udp proxy_protocol; }",
    "server { listen 18080 udp reuseport; }",
    "server { listen 18080 default; }",
    "server { listen 18080 http2; }",
    "server { listen 18080 quic; }",
    "server { listen 0; }",
    "server { listen 127.0.0.1:x; }",
    "server { listen 127.0.0.1:18080 rcvbuf=64k; } server { listen 127.0.0.1:18080 sndbuf=64k; }",
    "server { listen 127.0.0.1:18080; } server { listen 127.0.0.1:18080 ssl proxy_protocol; "
    "ssl_reject_handshake on; } server { listen 127.0.0.1:18080 ssl; ssl_reject_handshake on; }",
    "server { listen 18080; server_name a; } server { listen 18080; server_name a; }",
    "server { listen 18080; server_name *.*; } server { listen 18080; server_name a; }",
    "server { listen 18080; server_name ~; }",
    "upstream u { }",
    "upstream u { server 127.0.0.1; }",
    "upstream u { server 127.0.0.1:1; }",
    "upstream u { server 127.0.0.1:1 backup; }",
    "upstream u { server 127.0.0.1:1 weight=0; }",
    "upstream u { server 127.0.0.1:1 foo; }",
    "upstream u { server nosuch.invalid:1; }",
    "upstream u { ip_hash; }",
    "upstream u { keepalive 3; }",
    "upstream u { hash; }",
    "upstream u { hash $remote_addr consistent; server 127.0.0.1:1; }",
    "upstream u { hash $remote_addr; server 127.0.0.1:1 backup; }",
    "upstream u { hash $nosuch; server 127.0.0.1:1; }",
    "upstream u { random two least_conn; least_conn; server 127.0.0.1:1; }",
    "upstream u { zone u 4k; server 127.0.0.1:1; }",
    "upstream u { zone u; server 127.0.0.1:1; }",
    "upstream u { zone u 64k; server 127.0.0.1:1; }",
    "upstream u { server 127.0.0.1:1; } upstream u { server 127.0.0.1:1; }",
    "upstream u { server 127.0.0.1:1; } server { listen 18080; proxy_pass u:2; }",
    "server { listen 18080; proxy_pass u:2; } upstream u { server 127.0.0.1:1; }",
    "server { listen 18080; proxy_pass u; } upstream u { server 127.0.0.1:1; }",
    "limit_conn_zone $binary_remote_addr zone=a:64k; server { listen 18080; limit_conn a 0; }",
    "limit_conn_zone $binary_remote_addr zone=a:64k; server { listen 18080; limit_conn a 1; }",
    "limit_conn_zone $binary_remote_addr; ",
    "server { listen 18080; limit_conn a 1; }",
    "limit_conn_status 500;",
    "log_format a;",
    "log_format a $http_host;",
    "log_format a $ssl_preread_server_name; log_format a b;",
    "log_format a escape=json $status; access_log log a;",
    "access_log off; access_log off x;",
    "map $remote_addr $remote_port {}",
    "map $remote_addr $ssl_protocol { default 1; }",
    "map $ssl_preread_server_name $x { hostnames; *.a.test 1; .b.test 2; ~^c 3; default 4; }",
    "map $ssl_preread_server_name $x { a 1; a 2; }",
    "map_hash_max_size 10; map_hash_bucket_size x;",
    "geo $x { proxy 1.2.3.4; }",
    "geo $x { ranges; 1.2.3.4-1.2.3.5 a; default b; }",
    "geo $x { proxy_recursive; }",
    "geo $nosuch $x { default 1; }",
    "split_clients $remote_addr $x { 50% a; * b; }",
    "split_clients $remote_addr $x { 50% a; 60% b; }",
    "variables_hash_max_size 1024; variables_hash_bucket_size 64;",
    "server_names_hash_max_size x;",
    "tcp_nodelay maybe;",
    "include /nosuch;",
    "resolver;",
    "resolver 127.0.0.1 valid=x;",
    "error_log stderr nosuch;",
    "allow all; deny 1.2.3.4/33;",
    "allow 10.0.0.1/8;",
    "set $x 1;",
    "proxy_pass 127.0.0.1:1;",
    "location / {}",
    "ssl_preread on; preread_timeout 1s; preread_buffer_size 1k;",
    "ssl_preread maybe;",
)
"""Statements of `stream {}`."""
SERVER = (
    "proxy_pass 127.0.0.1;",
    "proxy_pass 127.0.0.1:1; proxy_pass 127.0.0.1:2;",
    "proxy_pass 127.0.0.1:1; return x;",
    "proxy_pass 127.0.0.1:1/uri;",
    "proxy_pass http://127.0.0.1;",
    "proxy_pass unix:;",
    "proxy_pass unix:/tmp/a;",
    "proxy_pass $nosuch;",
    "proxy_pass $;",
    "proxy_pass $remote_addr:1;",
    "proxy_pass a b;",
    "proxy_connect_timeout x;",
    "proxy_connect_timeout 1s; proxy_connect_timeout 2s;",
    "proxy_timeout 1x;",
    "proxy_buffer_size 1x;",
    "proxy_downstream_buffer 1k;",
    "proxy_upstream_buffer 1k; proxy_buffer_size 2k;",
    "proxy_upload_rate 1x;",
    "proxy_upload_rate $remote_port; proxy_download_rate 10k;",
    "proxy_requests x;",
    "proxy_responses 0; proxy_requests 1;",
    "proxy_next_upstream error;",
    "proxy_next_upstream off; proxy_next_upstream_tries 2; proxy_next_upstream_timeout 1s;",
    "proxy_protocol v3;",
    "proxy_protocol on; proxy_half_close on;",
    "proxy_bind 1.2.3.x;",
    "proxy_bind 127.0.0.1 foo;",
    "proxy_bind off; proxy_socket_keepalive on; proxy_socket_rcvbuf 64k;",
    "proxy_ssl on;",
    "proxy_ssl on; proxy_ssl_verify on;",
    "proxy_ssl on; proxy_ssl_certificate a.pem;",
    "proxy_ssl_verify on;",
    "proxy_ssl_name $nosuch;",
    "proxy_ssl_name $ssl_preread_server_name; proxy_ssl_server_name on;",
    "proxy_ssl_protocols SSLv9;",
    "proxy_ssl_alpn a b; proxy_ssl_alpn c;",
    "proxy_set_header a b;",
    "proxy_http_version 1.1;",
    "proxy_read_timeout 1s;",
    "proxy_ssl_session_reuse off; proxy_ssl_ciphers DEFAULT;",
    "return a; return b;",
    "return $nosuch;",
    "return a b;",
    'return "";',
    "return $remote_addr;",
    "pass 127.0.0.1;",
    "pass nosuch.invalid:80;",
    "pass 127.0.0.1:x;",
    "pass 127.0.0.1:80;",
    "pass $remote_addr:$remote_port;",
    "set x 1;",
    "set $remote_addr 1;",
    "set $x $nosuch;",
    "set $x 1; set $x $x$x;",
    "set $ssl_protocol 1;",
    "access_log log;",
    "access_log log nosuch;",
    "access_log syslog:foo;",
    "access_log off;",
    "open_log_file_cache max=10;",
    "ssl_alpn a b;",
    "ssl_handshake_timeout x;",
    "ssl_early_data on;",
    "ssl_buffer_size 4k;",
    "ssl_verify_client maybe;",
    "ssl_session_cache shared:a:1m;",
    "ssl_session_cache shared:a;",
    "set_real_ip_from 10.0.0.1/8;",
    "set_real_ip_from x/y;",
    "real_ip_header X-Real-IP;",
    "allow unix:; deny all;",
    "limit_conn_dry_run on; limit_conn_log_level debug;",
    "preread_timeout x;",
    "proxy_protocol_timeout 1s; proxy_protocol_timeout 2s;",
    "resolver 127.0.0.1 ipv6=off; resolver_timeout 1s;",
    "upstream u {}",
    "server {}",
    "location / {}",
)
"""Statements of a server."""
OUTSIDE = (
    "events{} ssl_preread on;",
    "events{} http { ssl_preread on; }",
    "events{} http { server { proxy_timeout 1s; } }",
    "events{} stream {} stream {}",
    "events{} stream; ",
    "events{} stream { events {} }",
    "events{} stream { http {} }",
    "events{} http { upstream u { server 127.0.0.1:1; } } "
    "stream { server { listen 18080; proxy_pass u; } }",
    "events{} http { log_format a b; } stream { log_format a b; }",
    "events{} http { map $host $a {} } stream { log_format b $a; }",
    "events{} http { limit_conn_zone $host zone=a:64k; } "
    "stream { limit_conn_zone $remote_addr zone=a:64k; }",
    "events{} http { upstream u { zone a 64k; server 127.0.0.1:1; } } "
    "stream { upstream u { zone a 64k; server 127.0.0.1:1; } }",
)
TEXTS = (
    *(f"events{{}}\nstream {{\n{inside}\n}}\n" for inside in STREAM),
    *(f"events{{}}\nstream {{ server {{ {LISTEN}\n{inside}\n}} }}\n" for inside in SERVER),
    *OUTSIDE,
)


@pytest.mark.nginx
@pytest.mark.parametrize("text", TEXTS)
def test_verdict_is_that_of_nginx(tmp_path: Path, text: str) -> None:
    theirs = nginx_verdict(tmp_path, text.encode())
    ours = sniproxy_verdict(tmp_path, text.encode(), loads=True)
    assert ours.error == theirs.error
    if ours.error is None:
        assert ours.warnings == theirs.warnings


def test_every_supported_directive_has_a_description() -> None:
    assert all(row.doc and row.module.startswith("ngx_stream_") for row in STREAM_DIRECTIVES)


def test_variables_of_stream_do_not_exist_in_http() -> None:
    assert not is_variable("ssl_preread_server_name")
    assert "ssl_preread_server_name" in FIXED
    assert "ssl_protocol" in CHANGEABLE


def test_toml_has_stream_servers() -> None:
    text = """
        [stream]
        log_format = { short = "$remote_addr" }
        [stream.map."$ssl_preread_server_name $to"]
        "a.test" = "a"
        default = "b"
        [stream.upstream.a]
        server = "127.0.0.1:1"
        [stream.upstream.b]
        server = ["127.0.0.1:2", "127.0.0.1:3 backup"]
        [[stream.server]]
        listen = "18080"
        ssl_preread = true
        proxy_pass = "$to"
        [[stream.server]]
        listen = "18080 udp"
        return = "x"
    """
    read = config.parse(text, "toml").stream
    assert read is not None
    assert [server.core.listen[0].udp for server in read.servers] == [False, True]
    assert read.servers[0].core.ssl_preread
    assert set(read.groups) == {"a", "b"}
    assert set(read.servers[0].map_variables) == {"to"}
