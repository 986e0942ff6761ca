"""Errors of the FastCGI, uwsgi, SCGI and memcached modules: as nginx words them.

Names of directives begin with `X_` in place of the name of the module.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sniproxy import config
from sniproxy.build.application import load
from sniproxy.build.paths import Paths
from sniproxy.config.directives.registry import DIRECTIVES
from sniproxy.models import ConfigError

from .cases import http, location
from .oracle import Verdict, nginx_verdict, sniproxy_verdict

GATEWAYS = ("fastcgi", "uwsgi", "scgi")
SHARED = (
    "X_pass 127.0.0.1:1; X_pass 127.0.0.1:2;",
    "X_pass 127.0.0.1:x;",
    "X_pass 127.0.0.1:1/uri;",
    "X_pass :1;",
    "X_pass unix:;",
    "X_pass $nosuch;",
    "X_pass $;",
    "X_pass $host;",
    "X_pass a b;",
    "X_read_timeout x;",
    "X_read_timeout 1s; X_read_timeout 2s;",
    "X_buffer_size 1x;",
    "X_next_upstream error nosuch;",
    "X_next_upstream error error;",
    "X_next_upstream off;",
    "X_next_upstream_tries x;",
    "X_bind 1.2.3.x;",
    "X_bind 127.0.0.1 foo;",
    "X_socket_keepalive maybe;",
)
OF_GATEWAYS = (
    "X_param A;",
    "X_param A b c;",
    "X_param A b if_not_empty;",
    "X_param A b if_not_empty d;",
    "X_param A $nosuch;",
    "X_param A $;",
    'X_param A ""; X_param A b;',
    "X_buffers 1 4k;",
    "X_buffers 2 4k;",
    "X_buffers 8 4k; X_busy_buffers_size 2k;",
    "X_buffers 4 4k; X_busy_buffers_size 16k;",
    "X_temp_file_write_size 1k;",
    "X_max_temp_file_size 1k;",
    "X_max_temp_file_size 0;",
    "X_cache nosuch;",
    "X_cache $host;",
    "X_cache a; X_store on;",
    "X_store on; X_cache a;",
    'X_store "";',
    "X_store_access x;",
    "X_cache_valid 99 1m;",
    "X_cache_use_stale http_502;",
    "X_cache_use_stale updating http_429;",
    "X_cache_methods PUT;",
    "X_cache_convert_head on;",
    "X_next_upstream http_502;",
    "X_next_upstream non_idempotent http_403;",
    "X_ignore_headers X-Accel-Redirect Vary;",
    "X_ignore_headers nosuch;",
    "X_pass_request_headers x;",
    "X_limit_rate $nosuch;",
    "X_temp_path t 9 9 9;",
    "X_hide_header A; X_hide_header B; X_pass_header C;",
)
SINGLE = (
    r"fastcgi_split_path_info ^(.+)$;",
    r"fastcgi_split_path_info ^(.+)(.+)(.+)$;",
    r"fastcgi_split_path_info ^(.+\.php)(/.+)$; fastcgi_split_path_info ^(.+)(a)$;",
    "fastcgi_index a; fastcgi_index b;",
    "fastcgi_catch_stderr a; fastcgi_catch_stderr b;",
    "fastcgi_keep_conn x;",
    "fastcgi_send_lowat 1k;",
    "proxy_send_lowat 1k;",
    "send_lowat 0;",
    "fastcgi_ssl_verify on;",
    "scgi_ssl_verify on;",
    "scgi_send_lowat 1k;",
    "uwsgi_modifier1 256;",
    "uwsgi_modifier2 x;",
    "uwsgi_modifier1 255; uwsgi_modifier2 0;",
    "uwsgi_string a; uwsgi_string b;",
    "uwsgi_pass uwsgi://127.0.0.1:1;",
    "uwsgi_pass http://127.0.0.1:1;",
    "fastcgi_pass fastcgi://127.0.0.1:1;",
    "uwsgi_pass suwsgi://127.0.0.1:1; uwsgi_ssl_verify on;",
    "uwsgi_pass suwsgi://127.0.0.1:1; uwsgi_ssl_certificate a.pem;",
    "uwsgi_ssl_protocols nosuch;",
    "uwsgi_ssl_name $nosuch;",
    "memcached_pass 127.0.0.1:1;",
    "set $memcached_key a; memcached_pass 127.0.0.1:1;",
    "memcached_next_upstream invalid_response not_found;",
    "memcached_next_upstream invalid_header;",
    "memcached_next_upstream http_404;",
    "memcached_gzip_flag x;",
    "memcached_buffers 8 4k;",
    "memcached_cache a;",
    "memcached_socket_rcvbuf 1k;",
    "fastcgi_pass 127.0.0.1:1; uwsgi_pass 127.0.0.1:2; proxy_pass http://127.0.0.1;",
)
HTTP = (
    "X_cache_path cache;",
    "X_cache_path cache keys_zone=z:1m; X_cache_path other keys_zone=z:1m;",
    "X_cache_path cache keys_zone=z:1m; X_cache z;",
    "X_cache_path cache keys_zone=z:1m; X_cache z; X_cache_key $host;",
    "X_cache_path cache keys_zone=z:1m; server { listen 127.0.0.1:18080; proxy_cache z; }",
    "server { listen 127.0.0.1:18080; X_pass 127.0.0.1:1; }",
    "server { listen 127.0.0.1:18080; location / { limit_except GET { X_pass 127.0.0.1:1; } } }",
    "server { listen 127.0.0.1:18080; location / { if ($host) { X_pass 127.0.0.1:1; } } }",
    "upstream a { server 127.0.0.1:1; } "
    "server { listen 127.0.0.1:18080; location / { X_pass a; } location /b { X_pass a:1; } }",
)


def cases() -> list[str]:
    found = [location(text) for text in SINGLE]
    for module in (*GATEWAYS, "memcached"):
        # memcached_pass takes no variables.
        shared = [text for text in SHARED if module != "memcached" or "$" not in text]
        found += [location(text.replace("X_", f"{module}_")) for text in shared]
    for module in GATEWAYS:
        found += [location(text.replace("X_", f"{module}_")) for text in OF_GATEWAYS]
        found += [http(text.replace("X_", f"{module}_")) for text in HTTP]
    return found


@pytest.mark.nginx
@pytest.mark.parametrize("text", cases())
def test_the_verdict_is_that_of_nginx(tmp_path: Path, text: str) -> None:
    assert sniproxy_verdict(tmp_path, text.encode()) == nginx_verdict(tmp_path, text.encode())


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    verdict = sniproxy_verdict(tmp_path, location("memcached_pass 127.0.0.1:1;").encode())
    assert verdict == Verdict('unknown "memcached_key" variable')


@pytest.mark.nginx
@pytest.mark.parametrize(
    "text",
    [
        "fastcgi_pass 127.0.0.1;",
        "scgi_pass a; fastcgi_read_timeout 1s;",
        "set $memcached_key a; memcached_pass $host;",
    ],
)
def test_an_address_needs_a_port(tmp_path: Path, text: str) -> None:
    whole = location(text)
    expected = nginx_verdict(tmp_path, whole.encode()).error
    assert expected is not None
    assert expected.startswith("no port in upstream ")
    file = tmp_path / "nginx.conf"
    with pytest.raises(ConfigError) as raised:
        load(config.load(file), Paths(str(tmp_path), str(tmp_path)))
    assert str(raised.value).replace(str(file), "FILE") == expected


@pytest.mark.nginx
@pytest.mark.parametrize("module", [*GATEWAYS, "memcached"])
def test_every_directive_is_known_to_nginx(tmp_path: Path, module: str) -> None:
    names = [row.name for row in DIRECTIVES if row.name.startswith(f"{module}_")]
    assert len(names) >= 11
    for row in DIRECTIVES:
        if row.name in names and not row.extension:
            # One argument too many or too few: nginx knows the name, and how many it takes.
            count = row.arity.least - 1 if row.arity.most is None else row.arity.most + 1
            words = " ".join([row.name, *["a"] * count])
            context = http if row.name.endswith("cache_path") else location
            text = context(f"{words};").encode()
            assert nginx_verdict(tmp_path, text) == sniproxy_verdict(tmp_path, text), row.name
