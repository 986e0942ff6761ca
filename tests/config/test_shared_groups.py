"""`zone`, `resolve`, `sticky`, `least_time`: errors and warnings, compared with the real nginx."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cases import http
from .oracle import nginx_verdict, sniproxy_verdict

RESOLVER = "resolver 127.0.0.1:9;"


def group(inside: str, server: str = "server 127.0.0.1;", around: str = RESOLVER) -> str:
    return http(f"{around}\nupstream u {{\n{server}\n{inside}\n}}")


def resolved(server: str, zone: str = "zone z 64k;", around: str = RESOLVER) -> str:
    return group(zone, f"server {server};", around)


STICKY = "sticky learn create=$cookie_a lookup=$cookie_b"

CASES = [
    # server
    *(
        resolved(server)
        for server in (
            "a.test resolve",
            "a.test:81 resolve weight=3 backup",
            "127.0.0.1 resolve",
            "[::1]:81 resolve",
            "unix:/a.sock resolve",
            "a.test resolve service=http",
            "a.test resolve service=_http._tcp",
            "a.test service=http",
            "a.test service= resolve",
            "a.test:80 resolve service=http",
            "127.0.0.1 resolve service=http",
            "127.0.0.1:80 resolve service=http",
            "127.0.0.1 service=http",
            "a.test resolve=1",
            "127.0.0.1 route=",
            "127.0.0.1 route=a",
            f"127.0.0.1 route={'r' * 32}",
            f"127.0.0.1 route={'r' * 33}",
            "127.0.0.1 drain",
            "127.0.0.1 drain down",
            "127.0.0.1 drain=1",
            "127.0.0.1 slow_start=1s",
        )
    ),
    resolved("a.test resolve", zone=""),
    resolved("a.test resolve", around=""),
    resolved("a.test resolve", zone="zone z 64k; resolver 127.0.0.1;", around=""),
    resolved("a.test resolve", zone="zone z 64k; ip_hash;"),
    resolved("a.test resolve", zone="zone z 64k; hash $host consistent;"),
    group("resolver 127.0.0.1; resolver 127.0.0.2;"),
    group("resolver_timeout x;"),
    group("resolver_timeout 1s; resolver_timeout 2s;"),
    # zone
    *(
        group(inside)
        for inside in (
            "zone;",
            'zone "" 64k;',
            "zone z;",
            "zone z x;",
            "zone z 31k;",
            "zone z 32k;",
            "zone z 64k; zone y 64k;",
            "zone z 64k; zone z 64k;",
            "zone z 64k; zone z 128k;",
            "zone z 64k 1;",
            "state /a;",
            "zone z 64k; state /a;",
        )
    ),
    group("zone z 64k; } upstream v { server 127.0.0.1; zone z;"),
    group("zone z 64k; } upstream v { server 127.0.0.1; zone z 32k;"),
    # least_time
    *(
        group(inside)
        for inside in (
            "least_time;",
            "least_time header;",
            "least_time HEADER;",
            "least_time last_byte inflight;",
            "least_time header x;",
            "least_time x;",
            "least_time header inflight x;",
            "least_time header; least_time header;",
            "least_time header; hash $host; least_time last_byte;",
            "hash $host; least_time header;",
            "least_time header; server 127.0.0.2 backup;",
        )
    ),
    # sticky
    *(
        group(inside)
        for inside in (
            "sticky;",
            "sticky cookie;",
            "sticky x y;",
            'sticky cookie "";',
            "sticky cookie a;",
            "sticky cookie a domain=b;",
            "sticky cookie a domain=;",
            "sticky cookie a domain=b domain=c;",
            "sticky cookie a domain=$host;",
            "sticky cookie a domain=$;",
            "sticky cookie a path=/ path=/;",
            "sticky cookie a path=;",
            "sticky cookie a expires=;",
            "sticky cookie a expires=x;",
            "sticky cookie a expires=10ms;",
            "sticky cookie a expires=max;",
            "sticky cookie a expires=1d expires=1d;",
            "sticky cookie a httponly httponly;",
            "sticky cookie a secure secure;",
            "sticky cookie a httponly=1;",
            "sticky cookie a samesite=;",
            "sticky cookie a samesite=LAX;",
            "sticky cookie a samesite=x;",
            "sticky cookie a samesite=$host;",
            "sticky cookie a samesite=lax samesite=lax;",
            "sticky cookie a x;",
            "sticky cookie a; sticky cookie a;",
            "sticky route;",
            "sticky route a;",
            "sticky route $;",
            "sticky route $cookie_a $arg_b;",
            "sticky route $cookie_a b;",
            "sticky learn create=$cookie_a;",
            "sticky learn lookup=$cookie_a;",
            "sticky learn create=a;",
            "sticky learn lookup=a;",
            f"{STICKY};",
            f"{STICKY} zone=a;",
            f"{STICKY} zone=:64k;",
            f"{STICKY} zone=a:x;",
            f"{STICKY} zone=a:1k;",
            f"{STICKY} zone=a:64k;",
            f"{STICKY} zone=a:64k zone=a:64k;",
            f"{STICKY} zone=a:64k timeout=;",
            f"{STICKY} zone=a:64k timeout=0;",
            f"{STICKY} zone=a:64k timeout=1m timeout=1m;",
            f"{STICKY} zone=a:64k header;",
            f"{STICKY} zone=a:64k header=1;",
            f"{STICKY} zone=a:64k sync;",
            f"{STICKY} zone=a:64k; zone a 64k;",
            "sticky cookie a; least_conn;",
            "least_conn; sticky cookie a;",
            f"{STICKY} zone=a:64k; }} upstream v {{ server 127.0.0.1; {STICKY} zone=a:64k;",
        )
    ),
]


@pytest.mark.nginx
@pytest.mark.parametrize("text", CASES)
def test_nginx_gives_the_same_verdict(tmp_path: Path, text: str) -> None:
    ours = sniproxy_verdict(tmp_path, text.encode("latin-1"))
    nginxs = nginx_verdict(tmp_path, text.encode("latin-1"))
    assert ours.error == nginxs.error
    # sniproxy knows warnings of valid configurations only.
    assert ours.error or ours.warnings == nginxs.warnings
