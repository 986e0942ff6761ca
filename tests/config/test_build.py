"""Merging settings from level to level, and the resulting model."""

from __future__ import annotations

from pathlib import Path

import pytest

from sniproxy import config
from sniproxy.config.directives.cache import CachePath, Store
from sniproxy.config.model import Config, Location, Server
from sniproxy.models import ConfigError, Level
from sniproxy.template import compile_template


def read(http: str, main: str = "") -> Config:
    return config.parse(f"events {{}}\n{main}\nhttp {{\n{http}\n}}\n")


def only_server(http: str, main: str = "") -> Server:
    parsed = read(http, main).http
    assert parsed is not None
    [server] = parsed.servers
    return server


def locations(inside: str) -> dict[str, Location]:
    outside = only_server(f"server {{ listen 8000; {inside} }}").default_location
    return {location.name.name: location for location in outside.locations}


def test_innermost_level_overrides_outer_levels() -> None:
    server = only_server(
        "proxy_read_timeout 1s; proxy_send_timeout 1s; proxy_connect_timeout 1s;"
        "server { listen 8000; proxy_read_timeout 2s; proxy_send_timeout 2s;"
        "location / { proxy_read_timeout 3s; location /a { } } }"
    )
    [location] = server.default_location.locations
    for where in (location.proxy, location.locations[0].proxy):
        assert (
            where.connect_timeout,
            where.send_timeout,
            where.read_timeout,
        ) == (1, 2, 3)
    assert server.default_location.proxy.read_timeout == 2


def test_repeatable_directives_are_inherited_only_if_absent() -> None:
    found = locations(
        "proxy_set_header A a; proxy_set_header B b;"
        "location /a {} location /b { proxy_set_header C c; }"
    )
    names = {
        where: [header.name for header in location.proxy.proxy_set_header]
        for where, location in found.items()
    }
    assert names == {"/a": ["A", "B"], "/b": ["C"]}


def test_a_handler_is_not_inherited_by_nested_locations() -> None:
    found = locations("location / { proxy_pass http://127.0.0.1:1; location /a {} }")
    assert found["/"].proxy.proxy_pass is not None
    assert found["/"].locations[0].proxy.proxy_pass is None


def test_defaults_are_those_of_nginx() -> None:
    server = only_server("server { location / {} }")
    assert server.core.listen[0].address.port in (80, 8000)
    assert server.core.large_client_header_buffers == (4, 8192)
    assert server.name == ""
    proxy = server.default_location.locations[0].proxy
    assert proxy.next_upstream == {"error", "timeout"}
    assert proxy.ssl_protocols == {"TLSv1.2", "TLSv1.3"}
    assert [log.format for log in server.default_location.log.access_log if log] == ["combined"]


@pytest.mark.parametrize("behind", [False, True])
def test_main_error_log_after_http_is_inherited(behind: bool) -> None:
    text = "http { server { listen 8000; location / {} } }"
    output = "error_log stderr info;"
    parsed = config.parse("events{}" + (text + output if behind else output + text))
    assert parsed.http is not None
    assert [log.level for log in parsed.http.servers[0].default_location.log.error_log] == [
        Level.INFO
    ]
    assert parsed.error_log == parsed.http.servers[0].default_location.log.error_log


def test_first_server_name_is_the_name() -> None:
    server = only_server(
        "server { listen 8000; server_name A.b *.C ~^(?<x>.)$ .d; server_name e; }"
    )
    assert [name.name for output in server.core.server_name for name in output] == [
        "a.b",
        "*.c",
        "^(?<x>.)$",
        ".d",
        "e",
    ]
    assert server.name == "a.b"


def test_upstream_groups_and_log_formats_are_collected() -> None:
    parsed = read(
        "upstream Back { server 127.0.0.1:1 weight=5 max_fails=0; server unix:/s backup; }"
        "log_format x '$host' ' $uri'; access_log l X;"
    ).http
    assert parsed is not None
    group = parsed.groups["back"]
    assert (group.name, group.settings.keepalive.connections) == ("Back", 32)
    assert [(peer.weight, peer.max_fails, peer.backup) for peer in group.settings.server] == [
        (5, 0, False),
        (1, 1, True),
    ]
    assert parsed.log_formats["x"].template.source == "$host $uri"
    assert parsed.log_formats["X"] is parsed.log_formats["x"]


def test_upstream_may_follow_the_proxy_pass_using_it() -> None:
    assert read(
        "server { listen 8000; location / { proxy_pass http://u; } }"
        "upstream u { server 127.0.0.1; }"
    ).http


def test_variable_names_are_lower_cased() -> None:
    text = (
        "events{} http { server { listen 8000; location ~ (?<Own>a) { return 200 $Own$HOST; } } }"
    )
    query: list[str] = []

    def is_variable(name: str) -> bool:
        query.append(name)
        return True

    config.parse(text, is_variable=is_variable)
    assert query == ["host"]


def test_sources_list_included_files(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "main.conf").write_text("include conf/*.conf; events{}")
    (tmp_path / "conf" / "\xe9.conf").write_text("worker_processes 3;")
    parsed = config.load(tmp_path / "main.conf")
    assert parsed.main.worker_processes == 3
    names = [name.encode("latin-1").decode() for name, _ in parsed.sources]
    assert names == [str(tmp_path / "main.conf"), str(tmp_path / "conf" / "\xe9.conf")]
    elsewhere = config.load(tmp_path / "main.conf", conf_prefix="/nowhere/")
    assert elsewhere.main.worker_processes == 1


def test_command_line_directives_are_read_first(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("events{}")
    parsed = config.load(tmp_path / "a.conf", directives="worker_processes 7; pid x;")
    assert (parsed.main.worker_processes, parsed.main.pid) == (7, "x")
    assert parsed.sources == ((str(tmp_path / "a.conf"), "events{}"),)


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path / "a.conf")
    assert str(caught.value) == (
        f'open() "{tmp_path}/a.conf" failed (2: No such file or directory)'
    )


DEBIAN = """\
user root;
worker_processes auto;
events { worker_connections 768; # multi_accept on;
}
http {
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    server_tokens build;
    server_names_hash_bucket_size 64;
    types { text/html html htm shtml; text/css css; }
    default_type application/octet-stream;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on;
    ssl_session_cache shared:le_nginx_SSL:10m;
    ssl_session_timeout 1440m;
    ssl_session_tickets off;
    access_log off;
    gzip on;
    gzip_vary on;
    gzip_proxied any;
    gzip_comp_level 6;
    gzip_buffers 16 8k;
    gzip_http_version 1.1;
    gzip_types text/plain text/css application/json;
    upstream app { zone app 64k; server 127.0.0.1:18081 max_fails=3; keepalive 16; }
    server {
        listen 18080 default_server;
        listen [::]:18080 default_server;
        server_name example.com www.example.com;
        return 301 https://$host$request_uri;
    }
    server {
        listen 18443;
        http2 on;
        server_name example.com;
        client_max_body_size 64m;
        location / {
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_read_timeout 90;
            proxy_buffers 16 16k;
            proxy_buffer_size 16k;
        }
    }
}
"""


def test_typical_configuration() -> None:
    assert config.parse(DEBIAN).warnings == ()


def test_cache_settings_are_read() -> None:
    server = only_server(
        "proxy_cache_path /data/c/ levels=1:2 keys_zone=z:1m inactive=1d max_size=1g;"
        "server { listen 8000; proxy_cache z; proxy_cache_key $host$uri;"
        "proxy_cache_valid 404 1m; proxy_cache_valid any 1s; proxy_cache_methods POST;"
        "location /off { proxy_cache off; }"
        "location /stored { proxy_store on; proxy_store_access group:rw all:r; }"
        "location /file { proxy_store /mirror$uri; } }"
    )
    outside = server.default_location
    found = {location.name.name: location.proxy for location in outside.locations}
    assert str(outside.proxy.cache) == "z"
    assert outside.proxy.cached_methods == {"GET", "HEAD", "POST"}
    assert [outside.proxy.valid_for(status) for status in (404, 200)] == [60, 1]
    assert found["/off"].cache is None
    assert found["/off"].cache_key == outside.proxy.cache_key
    assert found["/stored"].cache is None
    assert found["/stored"].store == Store(None)
    assert found["/stored"].store_access == 0o664
    assert found["/file"].store == Store(compile_template("/mirror$uri"))


def test_caching_turns_off_an_inherited_store() -> None:
    outside = only_server(
        "proxy_cache_path /data/c keys_zone=z:1m; proxy_store on;"
        "server { listen 8000; proxy_cache z; location / { } }"
    ).default_location
    for location in (outside, *outside.locations):
        assert location.proxy.store is None
        assert str(location.proxy.cache) == "z"


def test_the_parameters_of_a_cache_are_read() -> None:
    http = read(
        "proxy_cache_path c/ keys_zone=z:1m levels=1:2 use_temp_path=off inactive=1h max_size=1g"
        " min_free=1k loader_files=1 loader_sleep=2ms loader_threshold=3ms manager_files=4"
        " manager_sleep=5ms manager_threshold=6ms;"
    ).http
    assert http is not None
    [path] = http.cache_paths
    assert path == CachePath(
        path="c",
        zone="z",
        size=1024**2,
        levels=(1, 2),
        use_temp_path=False,
        inactive=3600,
        max_size=1024**3,
        min_free=1024,
        loader_files=1,
        loader_sleep=0.002,
        loader_threshold=0.003,
        manager_files=4,
        manager_sleep=0.005,
        manager_threshold=0.006,
        place=path.place,
    )


HTTP3 = """
ssl_certificate auto;
server { listen 443 ssl; listen 443 quic reuseport; listen [::]:443 quic reuseport; http3 on; }
server { listen 443 ssl; listen 443 quic; server_name b; quic_retry on; quic_gso on; http3_hq on;
    add_header Alt-Svc 'h3=":443"; ma=86400'; http3_max_concurrent_streams 128;
    http3_stream_buffer_size 64k; quic_host_key key; quic_active_connection_id_limit 2; }
"""


def test_http3_is_accepted_with_one_warning() -> None:
    assert read(HTTP3).warnings == (
        'HTTP/3 is not served: the "quic" parameter of "listen" opens no UDP port in '
        "configuration:6",
    )
    with pytest.raises(ConfigError, match=r"duplicate listen options for 0\.0\.0\.0:443"):
        read(HTTP3.replace("443 quic;", "443 quic reuseport;"))
