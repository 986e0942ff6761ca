"""`upstream {}` and `resolver`: errors and warnings, compared with the real nginx."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cases import http
from .oracle import nginx_verdict, sniproxy_verdict


def group(inside: str, server: str = "server 127.0.0.1;") -> str:
    return http(f"upstream u {{ {server} {inside} }}")


def before(inside: str, server: str) -> str:
    return http(f"upstream u {{ {inside} {server} }}")


TWO = "server 127.0.0.1; server 127.0.0.2 backup;"
CASES = [
    # server
    *(
        group(f"server 127.0.0.2 {parameter};")
        for parameter in (
            "weight=",
            "weight=x",
            "weight=-1",
            "weight=2",
            "weight=1 weight=2",
            "max_conns=",
            "max_conns=x",
            "max_conns=3",
            "max_fails=x",
            "max_fails=0",
            "fail_timeout=",
            "fail_timeout=x",
            "fail_timeout=10ms",
            "fail_timeout=1m",
            "fail_timeout=0",
            "backup=1",
            "backup",
            "down",
            "down backup",
            "down=1",
            "slow_start=10s",
            "Backup",
            "weight=99999999999999999999",
        )
    ),
    group("server unix:;"),
    group(f"server unix:/{'x' * 107};"),
    group("server unix:/a.sock weight=2 backup;"),
    group("server unix:/a.sock:/uri;"),
    group("server [::1];"),
    group("server [::1]:;"),
    group("server 127.0.0.1/x;"),
    # methods
    *(
        before(method, servers)
        for method in (
            "least_conn;",
            "ip_hash;",
            "hash $host;",
            "hash $host consistent;",
            "hash key;",
            "random;",
            "random two;",
            "random two least_conn;",
        )
        for servers in (TWO, "server 127.0.0.1 weight=2 max_conns=1 max_fails=2 down;")
    ),
    *(
        group(method)
        for method in (
            "least_conn;",
            "least_conn on;",
            "ip_hash;",
            "ip_hash x;",
            "hash;",
            "hash a b;",
            "hash a consistent c;",
            "hash $;",
            "hash $nothing_of_the_kind;",
            "hash ${host;",
            "hash $host Consistent;",
            "random x;",
            "random two x;",
            "random two least_conn x;",
            "random two least_time=header;",
            "least_conn; least_conn;",
            "ip_hash; hash $host;",
            "random; least_conn; ip_hash;",
            "server 127.0.0.2 backup; ip_hash;",
            "ip_hash; least_conn; server 127.0.0.2 backup;",
            "least_conn; ip_hash; server 127.0.0.2 backup;",
        )
    ),
    http("least_conn;"),
    http("server { ip_hash; }"),
    # zone
    *(
        group(zone)
        for zone in (
            "zone a 64k;",
            'zone "" 64k;',
            "zone a 1k;",
            "zone a 31k;",
            "zone a 32k;",
            "zone a x;",
            "zone a 64k x;",
            "zone;",
        )
    ),
    # keepalive
    *(
        group(text)
        for text in (
            "keepalive 0;",
            "keepalive 1 local;",
            "keepalive 1 Local;",
            "keepalive -1;",
            "keepalive 1; keepalive 2;",
            "keepalive;",
            "keepalive_requests x;",
            "keepalive_requests 0;",
            "keepalive_requests 1; keepalive_requests 1;",
            "keepalive_timeout x;",
            "keepalive_timeout 1s; keepalive_timeout 1s;",
            "keepalive_timeout 1s 2s;",
            "keepalive_time x;",
            "keepalive_time 10ms;",
            "keepalive 1; least_conn;",
        )
    ),
    # resolver
    *(
        http(text)
        for text in (
            "resolver 127.0.0.1;",
            "resolver 127.0.0.1:5353 127.0.0.2;",
            "resolver [::1]:53;",
            "resolver;",
            "resolver valid=10s;",
            "resolver 127.0.0.1 valid=;",
            "resolver 127.0.0.1 valid=x;",
            "resolver 127.0.0.1 valid=10ms;",
            "resolver 127.0.0.1 ipv6=off;",
            "resolver 127.0.0.1 ipv4=off;",
            "resolver 127.0.0.1 ipv4=off ipv6=off;",
            "resolver ipv4=off ipv6=off;",
            "resolver 127.0.0.1 ipv6=no;",
            "resolver 127.0.0.1 ipv4=;",
            "resolver 127.0.0.1:x;",
            "resolver 127.0.0.1:0;",
            "resolver http://127.0.0.1;",
            "resolver [::1;",
            "resolver 127.0.0.1; resolver 127.0.0.1;",
            "resolver_timeout x;",
            "resolver_timeout 1s; resolver_timeout 1s;",
            "resolver_timeout 10ms;",
            "server { resolver 127.0.0.1; location / { resolver 127.0.0.1; } }",
            "upstream u { server 127.0.0.1; resolver 127.0.0.1; resolver_timeout 1s; }",
            "upstream u { server 127.0.0.1; resolver valid=1s; }",
        )
    ),
    # proxy_pass
    *(
        http(f"server {{ location / {{ proxy_pass {url}; }} }}")
        for url in (
            "$host",
            "http://$host",
            "$host$",
            "http://${host",
            "http://$nothing_of_the_kind",
            "ftp://$host",
        )
    ),
    http("server { location ~ a { proxy_pass http://$host/uri; } }"),
    http("server { location / { proxy_pass http://$host; proxy_pass http://$host; } }"),
]


@pytest.mark.nginx
@pytest.mark.parametrize("text", CASES)
def test_nginx_gives_the_same_verdict(tmp_path: Path, text: str) -> None:
    ours = sniproxy_verdict(tmp_path, text.encode("latin-1"))
    nginxs = nginx_verdict(tmp_path, text.encode("latin-1"))
    assert ours.error == nginxs.error
    # sniproxy knows warnings of valid configurations only.
    assert ours.error or ours.warnings == nginxs.warnings
