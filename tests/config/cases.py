"""Configurations with nginx's error messages or warnings; `FILE` stands for the file name."""

# ruff: noqa: E501 - a message stays in one piece, so that it can be searched for

from __future__ import annotations

EVENTS = "events{}\n"


def http(inside: str) -> str:
    """`inside` begins on line 4."""
    return f"{EVENTS}http {{\naccess_log off;\n{inside}\n}}\n"


def server(inside: str) -> str:
    """`inside` begins on line 6."""
    return http(f"server {{\nlisten 127.0.0.1:18080;\n{inside}\n}}")


def location(inside: str) -> str:
    """`inside` begins on line 7."""
    return server(f"location / {{\n{inside}\n}}")


VARIABLES = {
    "host",
    "scheme",
    "remote_addr",
    "remote_user",
    "time_local",
    "request",
    "status",
    "body_bytes_sent",
    "http_referer",
    "http_user_agent",
}
"""The variables that these configurations may use."""

BROKEN: list[tuple[str, str]] = [
    ("", 'no "events" section in configuration'),
    ("foo;", 'unknown directive "foo" in FILE:1'),
    ("events{", 'unexpected end of file, expecting "}" in FILE:1'),
    ("events{} }", 'unexpected "}" in FILE:1'),
    ("events{} events{}", '"events" directive is duplicate in FILE:1'),
    ("http{} http{}", '"http" directive is duplicate in FILE:1'),
    ("events{}\nhttp{}http{}", '"http" directive is duplicate in FILE:2'),
    ("events;", 'directive "events" has no opening "{" in FILE:1'),
    ("events{}\nhttp{ server; }", 'directive "server" has no opening "{" in FILE:2'),
    ("worker_processes 1 {}", 'directive "worker_processes" is not terminated by ";" in FILE:1'),
    ("user;", 'invalid number of arguments in "user" directive in FILE:1'),
    ("worker_processes a;events{}", '"worker_processes" directive invalid value in FILE:1'),
    (
        "worker_processes 1 2;",
        'invalid number of arguments in "worker_processes" directive in FILE:1',
    ),
    (
        "worker_processes 1; worker_processes 2;",
        '"worker_processes" directive is duplicate in FILE:1',
    ),
    ("listen 80;", '"listen" directive is not allowed here in FILE:1'),
    ("preread_timeout 1;", '"preread_timeout" directive is not allowed here in FILE:1'),
    (http("preread_timeout 1;"), '"preread_timeout" directive is not allowed here in FILE:4'),
    ("events{worker_connections a;}", 'invalid number "a" in FILE:1'),
    (server("location {}"), 'invalid number of arguments in "location" directive in FILE:6'),
    (server("location a b c {}"), 'invalid number of arguments in "location" directive in FILE:6'),
    (server("location x y {}"), 'invalid location modifier "x" in FILE:6'),
    (server("location / {} location / {}"), 'duplicate location "/" in FILE:6'),
    (
        server("location = / {} location = / {}\nlocation /a {}\nlocation ^~ /a {}"),
        'duplicate location "/" in FILE:6',
    ),
    (server("location /a { location /b {} }"), 'location "/b" is outside location "/a" in FILE:6'),
    (
        server("location = /a { location /a {} }"),
        'location "/a" cannot be inside the exact location "/a" in FILE:6',
    ),
    (
        server("location @a { location /a {} }"),
        'location "/a" cannot be inside the named location "@a" in FILE:6',
    ),
    (
        server("location /a { location @b {} }"),
        'named location "@b" can be on the server level only in FILE:6',
    ),
    (
        server(
            "location /a {\n location /ab {}\n location /ab {}\n}\nlocation /0 {}\n location /0 {}"
        ),
        'duplicate location "/ab" in FILE:8',
    ),
    (location("proxy_pass x;"), "invalid URL prefix in FILE:7"),
    (location("proxy_pass http://;"), 'no host in upstream "" in FILE:7'),
    (location("proxy_pass http://a:0;"), 'invalid port in upstream "a:0" in FILE:7'),
    (location("proxy_pass http://a:b/;"), 'invalid port in upstream "a:b/" in FILE:7'),
    (
        location("proxy_pass http://127.0.0.1; proxy_pass http://127.0.0.1;"),
        '"proxy_pass" directive is duplicate in FILE:7',
    ),
    (
        location("proxy_pass http://127.0.0.1:99999;"),
        'invalid port in upstream "127.0.0.1:99999" in FILE:7',
    ),
    (location("proxy_pass http://[::1;"), 'invalid host in upstream "[::1" in FILE:7'),
    (location("proxy_pass http://[x]:1;"), 'invalid IPv6 address in upstream "[x]:1" in FILE:7'),
    (
        location("proxy_pass http://unix:;"),
        'no path in the unix domain socket in upstream "unix:" in FILE:7',
    ),
    (location("proxy_pass http://$;"), "invalid variable name in FILE:7"),
    (
        location("proxy_pass http://${a;"),
        'the closing bracket in "a" variable is missing in FILE:7',
    ),
    (location("proxy_pass http://$foo_x;"), 'unknown "foo_x" variable'),
    (location("proxy_pass ftp://a;"), "invalid URL prefix in FILE:7"),
    (
        server("location ~ a { proxy_pass http://127.0.0.1/; }"),
        '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, or inside "if" statement, or inside "limit_except" block in FILE:6',
    ),
    (
        server("location @a { proxy_pass http://127.0.0.1/x; }"),
        '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, or inside "if" statement, or inside "limit_except" block in FILE:6',
    ),
    (http("upstream a {}"), "no servers are inside upstream in FILE:4"),
    (
        http("upstream a { server 127.0.0.1; } upstream A { server 127.0.0.1; }"),
        'duplicate upstream "A" in FILE:4',
    ),
    (
        http("upstream a { server 127.0.0.1; }\nserver { location / { proxy_pass http://a:80; } }"),
        'upstream "a" may not have port 80 in FILE:5',
    ),
    (
        http(
            "server { listen 127.0.0.1:18080; location / {\n proxy_pass http://127.0.0.1:80; } }\n upstream 127.0.0.1 { server 127.0.0.1; }"
        ),
        'upstream "127.0.0.1" may not have port 80 in FILE:5',
    ),
    (http("upstream a { server; }"), 'invalid number of arguments in "server" directive in FILE:4'),
    (http("upstream a { server 127.0.0.1 weight=0; }"), 'invalid parameter "weight=0" in FILE:4'),
    (http("upstream a { server 127.0.0.1 foo; }"), 'invalid parameter "foo" in FILE:4'),
    (
        http("upstream a { server 127.0.0.1:x; }"),
        'invalid port in upstream "127.0.0.1:x" in FILE:4',
    ),
    (http("upstream a { server 127.0.0.1 backup; }"), 'no servers in upstream "a" in FILE:4'),
    (
        http("upstream a { server http://127.0.0.1; }"),
        'invalid host in upstream "http://127.0.0.1" in FILE:4',
    ),
    (
        http("upstream a { server 127.0.0.1 fail_timeout=1x; }"),
        'invalid parameter "fail_timeout=1x" in FILE:4',
    ),
    (
        http("upstream a b { server 127.0.0.1; }"),
        'invalid number of arguments in "upstream" directive in FILE:4',
    ),
    (http("upstream { }"), 'invalid number of arguments in "upstream" directive in FILE:4'),
    (
        http("upstream a { keepalive x; server 127.0.0.1; }"),
        'invalid value "x" in "keepalive" directive in FILE:4',
    ),
    (http("upstream a { server 127.0.0.1; keepalive 1 x; }"), 'invalid parameter "x" in FILE:4'),
    (
        http("upstream a { server 127.0.0.1; keepalive 1; keepalive 2; }"),
        '"keepalive" directive is duplicate in FILE:4',
    ),
    (server("listen 127.0.0.1:18080;"), "a duplicate listen 127.0.0.1:18080 in FILE:6"),
    (
        server("listen *:18080 default; listen 0.0.0.0:18080;"),
        "a duplicate listen 0.0.0.0:18080 in FILE:6",
    ),
    (
        http("server { listen 18080 default; } server { listen 18080 default_server; }"),
        "a duplicate default server for 0.0.0.0:18080 in FILE:4",
    ),
    (
        http("server { listen 18080 bind; } server { listen 18080 backlog=5; }"),
        "duplicate listen options for 0.0.0.0:18080 in FILE:4",
    ),
    (server("listen 1:2:3;"), 'invalid port in "1:2:3" of the "listen" directive in FILE:6'),
    (server("listen 0;"), 'invalid port in "0" of the "listen" directive in FILE:6'),
    (
        server("listen 127.0.0.1:70000;"),
        'invalid port in "127.0.0.1:70000" of the "listen" directive in FILE:6',
    ),
    (server("listen [::1]:x;"), 'invalid port in "[::1]:x" of the "listen" directive in FILE:6'),
    (
        server("listen unix:;"),
        'no path in the unix domain socket in "unix:" of the "listen" directive in FILE:6',
    ),
    (server("listen 18081 foo;"), 'invalid parameter "foo" in FILE:6'),
    (server("listen 18081 backlog=0;"), 'invalid backlog "backlog=0" in FILE:6'),
    (server("listen 18081 rcvbuf=x;"), 'invalid rcvbuf "rcvbuf=x" in FILE:6'),
    (server("listen 18081 ipv6only=o;"), 'invalid ipv6only flags "o" in FILE:6'),
    (server("listen 18081 so_keepalive=x;"), 'invalid so_keepalive value: "x" in FILE:6'),
    (server("listen 18081 so_keepalive=::;"), 'invalid so_keepalive value: "::" in FILE:6'),
    (server("listen 18081 so_keepalive=0:0:0;"), 'invalid so_keepalive value: "0:0:0" in FILE:6'),
    (
        server("listen 18081-18080;"),
        'invalid port range in "18081-18080" of the "listen" directive in FILE:6',
    ),
    (server("listen 18081/x;"), 'invalid host in "18081/x" of the "listen" directive in FILE:6'),
    (server("listen :80;"), 'no host in ":80" of the "listen" directive in FILE:6'),
    (server("listen 18081 setfib=1;"), 'invalid parameter "setfib=1" in FILE:6'),
    (server("listen 18081 fastopen=x;"), 'invalid fastopen "fastopen=x" in FILE:6'),
    (server("server_name *a;"), 'server name "*a" is invalid in FILE:6'),
    (server("server_name .;"), 'server name "." is invalid in FILE:6'),
    (server("server_name ~;"), 'empty regex in server name "~" in FILE:6'),
    (
        http("server { listen 18080; server_name a..b; }\nserver { listen 18080; server_name c; }"),
        'invalid server name or wildcard "a..b" on 0.0.0.0:18080',
    ),
    (
        server("listen 127.0.0.1:18443 ssl;"),
        'no "ssl_certificate" is defined for the "listen ... ssl" directive in FILE:4',
    ),
    (
        http(
            "server {\nlisten 127.0.0.1:18443 ssl; ssl_reject_handshake on; }\nserver {\nlisten 127.0.0.1:18443 ssl; server_name x;}"
        ),
        'no "ssl_certificate" is defined for the "listen ... ssl" directive in FILE:6',
    ),
    (
        server("ssl_certificate /tmp/a.pem;"),
        'no "ssl_certificate_key" is defined for certificate "/tmp/a.pem"',
    ),
    (
        server("ssl_certificate a;ssl_certificate b; ssl_certificate_key c;"),
        'no "ssl_certificate_key" is defined for certificate "b"',
    ),
    (server("ssl_protocols foo;"), 'invalid value "foo" in FILE:6'),
    (server("ssl_session_cache x;"), 'invalid session cache "x" in FILE:6'),
    (
        server("ssl_session_cache shared:a:1k;"),
        'session cache "shared:a:1k" is too small in FILE:6',
    ),
    (server("ssl_session_cache shared:a;"), 'invalid session cache "shared:a" in FILE:6'),
    (server("ssl_session_timeout 1ms;"), '"ssl_session_timeout" directive invalid value in FILE:6'),
    (
        location("proxy_pass https://127.0.0.1; proxy_ssl_verify on;"),
        "no proxy_ssl_trusted_certificate for proxy_ssl_verify",
    ),
    (
        location("proxy_pass https://127.0.0.1; proxy_ssl_certificate x;"),
        'no "proxy_ssl_certificate_key" is defined for certificate "x"',
    ),
    (
        location("proxy_ssl_verify on; proxy_ssl_verify on;"),
        '"proxy_ssl_verify" directive is duplicate in FILE:7',
    ),
    (
        location("proxy_ssl_verify maybe;"),
        'invalid value "maybe" in "proxy_ssl_verify" directive, it must be "on" or "off" in FILE:7',
    ),
    (
        location("proxy_ssl_verify_depth x;"),
        '"proxy_ssl_verify_depth" directive invalid number in FILE:7',
    ),
    (location("proxy_read_timeout x;"), '"proxy_read_timeout" directive invalid value in FILE:7'),
    (location("proxy_read_timeout 1y;"), '"proxy_read_timeout" directive invalid value in FILE:7'),
    (location("proxy_buffer_size x;"), '"proxy_buffer_size" directive invalid value in FILE:7'),
    (
        location("proxy_buffer_size 16k;"),
        '"proxy_busy_buffers_size" must be less than the size of all "proxy_buffers" minus one buffer in FILE:10',
    ),
    (location("proxy_buffers 1 4k;"), 'there must be at least 2 "proxy_buffers" in FILE:10'),
    (location("proxy_buffers 0 4k;"), '"proxy_buffers" directive invalid value in FILE:7'),
    (
        location("proxy_busy_buffers_size 1k;"),
        '"proxy_busy_buffers_size" must be equal to or greater than the maximum of the value of "proxy_buffer_size" and one of the "proxy_buffers" in FILE:10',
    ),
    (
        location("proxy_max_temp_file_size 1k;"),
        '"proxy_max_temp_file_size" must be equal to zero to disable temporary files usage or must be equal to or greater than the maximum of the value of "proxy_buffer_size" and one of the "proxy_buffers" in FILE:10',
    ),
    (
        location("proxy_redirect off; proxy_redirect off;"),
        '"proxy_redirect" directive is duplicate in FILE:7',
    ),
    (
        location("proxy_redirect off; proxy_redirect a b;"),
        '"proxy_redirect" directive is duplicate in FILE:7',
    ),
    (
        location("proxy_redirect a b; proxy_redirect off;"),
        '"proxy_redirect" directive is duplicate in FILE:7',
    ),
    (location("proxy_redirect x;"), 'invalid parameter "x" in FILE:7'),
    (location("proxy_redirect a $;"), "invalid variable name in FILE:7"),
    (location("proxy_redirect $nope b;"), 'unknown "nope" variable'),
    (
        location("proxy_cookie_domain off; proxy_cookie_domain off;"),
        '"proxy_cookie_domain" directive is duplicate in FILE:7',
    ),
    (
        location("proxy_cookie_domain off; proxy_cookie_domain a b;"),
        '"proxy_cookie_domain" directive is duplicate in FILE:7',
    ),
    (
        location("proxy_cookie_domain a b; proxy_cookie_domain off;"),
        '"proxy_cookie_domain" directive is duplicate in FILE:7',
    ),
    (location("proxy_cookie_domain x;"), 'invalid parameter "x" in FILE:7'),
    (location("proxy_cookie_domain a $;"), "invalid variable name in FILE:7"),
    (location("proxy_cookie_domain $nope b;"), 'unknown "nope" variable'),
    (
        location("proxy_cookie_path off; proxy_cookie_path off;"),
        '"proxy_cookie_path" directive is duplicate in FILE:7',
    ),
    (
        location("proxy_cookie_path off; proxy_cookie_path a b;"),
        '"proxy_cookie_path" directive is duplicate in FILE:7',
    ),
    (
        location("proxy_cookie_path a b; proxy_cookie_path off;"),
        '"proxy_cookie_path" directive is duplicate in FILE:7',
    ),
    (location("proxy_cookie_path x;"), 'invalid parameter "x" in FILE:7'),
    (location("proxy_cookie_path a $;"), "invalid variable name in FILE:7"),
    (location("proxy_cookie_path $nope b;"), 'unknown "nope" variable'),
    (
        location("proxy_cookie_flags off; proxy_cookie_flags off;"),
        '"proxy_cookie_flags" directive is duplicate in FILE:7',
    ),
    (
        location("proxy_cookie_flags off; proxy_cookie_flags a b;"),
        '"proxy_cookie_flags" directive is duplicate in FILE:7',
    ),
    (
        location("proxy_cookie_flags a b; proxy_cookie_flags off;"),
        '"proxy_cookie_flags" directive is duplicate in FILE:7',
    ),
    (location("proxy_cookie_flags x;"), 'invalid parameter "x" in FILE:7'),
    (location("proxy_cookie_flags a $;"), "invalid variable name in FILE:7"),
    (location("proxy_cookie_flags $nope b;"), 'unknown "nope" variable'),
    (
        location("proxy_redirect default;"),
        '"proxy_redirect default" should be placed after the "proxy_pass" directive in FILE:7',
    ),
    (
        location("proxy_redirect default; proxy_pass http://127.0.0.1;"),
        '"proxy_redirect default" should be placed after the "proxy_pass" directive in FILE:7',
    ),
    (
        location("proxy_pass http://$host; proxy_redirect default;"),
        '"proxy_redirect default" cannot be used with "proxy_pass" directive with variables in FILE:7',
    ),
    (
        server("proxy_redirect default; location / { proxy_pass http://127.0.0.1; }"),
        '"proxy_redirect default" should be placed after the "proxy_pass" directive in FILE:6',
    ),
    (location("proxy_bind x;"), 'invalid address "x" in FILE:7'),
    (location("proxy_bind 127.0.0.1:x;"), 'invalid address "127.0.0.1:x" in FILE:7'),
    (location("proxy_bind 127.0.0.1:0;"), 'invalid address "127.0.0.1:0" in FILE:7'),
    (location("proxy_bind [::1;"), 'invalid address "[::1" in FILE:7'),
    (location("proxy_bind [::1]:;"), 'invalid address "[::1]:" in FILE:7'),
    (location("proxy_bind localhost;"), 'invalid address "localhost" in FILE:7'),
    (location("proxy_bind 127.0.0.1 opaque;"), 'invalid parameter "opaque" in FILE:7'),
    (
        location("proxy_bind 127.0.0.1; proxy_bind off;"),
        '"proxy_bind" directive is duplicate in FILE:7',
    ),
    (location("proxy_limit_rate x;"), '"proxy_limit_rate" directive invalid value in FILE:7'),
    (location("proxy_ignore_headers X;"), 'invalid value "X" in FILE:7'),
    (location("proxy_ignore_headers X-Accel-Redirect bogus;"), 'invalid value "bogus" in FILE:7'),
    (location("proxy_method $nope;"), 'unknown "nope" variable'),
    (location("proxy_set_body $nope;"), 'unknown "nope" variable'),
    (
        location("proxy_set_body a; proxy_set_body b;"),
        '"proxy_set_body" directive is duplicate in FILE:7',
    ),
    (
        location("proxy_method a; proxy_method b;"),
        '"proxy_method" directive is duplicate in FILE:7',
    ),
    (
        location("proxy_pass_trailers maybe;"),
        'invalid value "maybe" in "proxy_pass_trailers" directive, it must be "on" or "off" in FILE:7',
    ),
    (location("proxy_http_version 1.2;"), 'invalid value "1.2" in FILE:7'),
    (location("proxy_socket_rcvbuf x;"), '"proxy_socket_rcvbuf" directive invalid value in FILE:7'),
    (location("early_hints $nope;"), 'unknown "nope" variable'),
    (
        location("proxy_temp_file_write_size 1k;"),
        '"proxy_temp_file_write_size" must be equal to or greater than the maximum of the value of "proxy_buffer_size" and one of the "proxy_buffers" in FILE:10',
    ),
    (
        server("client_header_buffer_size 0; large_client_header_buffers 4 256;"),
        'the "large_client_header_buffers" size must be equal to or greater than "connection_pool_size" in FILE:8',
    ),
    (location("proxy_next_upstream foo;"), 'invalid value "foo" in FILE:7'),
    (location("grpc_next_upstream updating;"), 'invalid value "updating" in FILE:7'),
    (
        location("grpc_pass grpc://127.0.0.1:5000/;"),
        'invalid host in upstream "127.0.0.1:5000/" in FILE:7',
    ),
    (
        location("grpc_pass http://127.0.0.1:5000;"),
        'invalid host in upstream "http://127.0.0.1:5000" in FILE:7',
    ),
    (location("grpc_pass grpc://;"), 'no host in upstream "" in FILE:7'),
    (
        location("grpc_pass 127.0.0.1:1; grpc_pass 127.0.0.1:2;"),
        '"grpc_pass" directive is duplicate in FILE:7',
    ),
    (
        location("limit_except GET { grpc_pass 127.0.0.1:1; }"),
        '"grpc_pass" directive is not allowed here in FILE:7',
    ),
    (
        location("grpc_pass grpcs://127.0.0.1:1; grpc_ssl_verify on;"),
        "no grpc_ssl_trusted_certificate for grpc_ssl_verify",
    ),
    (
        location("grpc_pass grpcs://127.0.0.1:1; grpc_ssl_certificate x;"),
        'no "grpc_ssl_certificate_key" is defined for certificate "x"',
    ),
    (location("grpc_store on;"), 'unknown directive "grpc_store" in FILE:7'),
    (location("proxy_http_version 3;"), 'invalid value "3" in FILE:7'),
    (
        location("proxy_set_header a;"),
        'invalid number of arguments in "proxy_set_header" directive in FILE:7',
    ),
    (location('proxy_set_header a "$foo";'), 'unknown "foo" variable'),
    (location("proxy_ssl_name ${x;"), 'the closing bracket in "x" variable is missing in FILE:7'),
    (
        location("proxy_ssl_name a b;"),
        'invalid number of arguments in "proxy_ssl_name" directive in FILE:7',
    ),
    (
        location("proxy_ssl_server_name on {}"),
        'directive "proxy_ssl_server_name" is not terminated by ";" in FILE:7',
    ),
    (location("return a;"), 'invalid return code "a" in FILE:7'),
    (location("return 1000;"), 'invalid return code "1000" in FILE:7'),
    (location("return;"), 'invalid number of arguments in "return" directive in FILE:7'),
    (location("return 200 a b;"), 'invalid number of arguments in "return" directive in FILE:7'),
    (location("return 200 $nope;"), 'unknown "nope" variable'),
    (location("return $host/x;"), 'invalid return code "$host/x" in FILE:7'),
    (
        location("return 99999999999999999999;"),
        'invalid return code "99999999999999999999" in FILE:7',
    ),
    (http("log_format a;"), 'invalid number of arguments in "log_format" directive in FILE:4'),
    (http("log_format a b; log_format a c;"), 'duplicate "log_format" name "a" in FILE:4'),
    (http("log_format combined c;"), 'duplicate "log_format" name "combined" in FILE:4'),
    (http("log_format a escape=x c;"), 'unknown log format escaping "x" in FILE:4'),
    (http("log_format a $;"), 'invalid parameter "$" in FILE:4'),
    (http("log_format a ${x;"), 'the closing bracket in "x" variable is missing in FILE:4'),
    (http("log_format a $none;"), 'unknown "none" variable'),
    (http("log_format a $none; access_log l a;"), 'unknown "none" variable'),
    (server("access_log l nope;"), 'unknown log format "nope" in FILE:6'),
    (server("access_log off x;"), 'invalid parameter "x" in FILE:6'),
    (server("access_log l combined foo;"), 'invalid parameter "foo" in FILE:6'),
    (server("access_log l combined buffer=0;"), 'invalid buffer size "0" in FILE:6'),
    (
        server("access_log l combined flush=1;"),
        'no buffer is defined for access_log "l" in FILE:6',
    ),
    (server("access_log l buffer=1k;"), 'unknown log format "buffer=1k" in FILE:6'),
    (server("access_log $nope;"), 'unknown "nope" variable'),
    (server("error_log l foo;"), 'invalid log level "foo" in FILE:6'),
    (server("error_log l info warn;"), 'duplicate log level "warn" in FILE:6'),
    (server("error_log l info debug_core;"), 'invalid log level "debug_core" in FILE:6'),
    (server("keepalive_timeout x;"), '"keepalive_timeout" directive invalid value in FILE:6'),
    (server("keepalive_timeout 1 1ms;"), '"keepalive_timeout" directive invalid value in FILE:6'),
    (
        server("keepalive_timeout 1 1 1;"),
        'invalid number of arguments in "keepalive_timeout" directive in FILE:6',
    ),
    (server("keepalive_requests x;"), '"keepalive_requests" directive invalid number in FILE:6'),
    (
        server("client_max_body_size 1x;"),
        '"client_max_body_size" directive invalid value in FILE:6',
    ),
    (
        server("client_max_body_size -1;"),
        '"client_max_body_size" directive invalid value in FILE:6',
    ),
    (server("server_tokens foo;"), 'invalid value "foo" in FILE:6'),
    (
        server('client_header_timeout "";'),
        '"client_header_timeout" directive invalid value in FILE:6',
    ),
    (
        server('client_header_timeout "1 30s";'),
        '"client_header_timeout" directive invalid value in FILE:6',
    ),
    (
        server("client_header_timeout 1s1m;"),
        '"client_header_timeout" directive invalid value in FILE:6',
    ),
    (http("types { a/b c; x { } }"), 'unexpected "{" in FILE:4'),
    (http("types { include; }"), 'invalid number of arguments in "include" directive in FILE:4'),
    (
        http("types { include a b; }"),
        'invalid number of arguments in "include" directive in FILE:4',
    ),
    (http("types { text/html html } "), 'unexpected "}" in FILE:4'),
    (http("types {} types x {}"), 'invalid number of arguments in "types" directive in FILE:4'),
    ("include;", 'invalid number of arguments in "include" directive in FILE:1'),
    ("include a b;", 'invalid number of arguments in "include" directive in FILE:1'),
    (http("include /nope;"), 'open() "/nope" failed (2: No such file or directory) in FILE:4'),
    (
        "daemon maybe;",
        'invalid value "maybe" in "daemon" directive, it must be "on" or "off" in FILE:1',
    ),
    ("daemon on; daemon on;", '"daemon" directive is duplicate in FILE:1'),
    ("events{}\nhttp { daemon on; }", '"daemon" directive is not allowed here in FILE:2'),
    ("events{}\nserver {}", '"server" directive is not allowed here in FILE:2'),
    (http("location / {}"), '"location" directive is not allowed here in FILE:4'),
    (http("server { upstream a {} }"), '"upstream" directive is not allowed here in FILE:4'),
    (http("server { server {} }"), '"server" directive is not allowed here in FILE:4'),
    (server("proxy_pass http://a;"), '"proxy_pass" directive is not allowed here in FILE:6'),
    ("ï»¿events{}", 'unknown directive "ï»¿events" in FILE:1'),
    ("a\x00b;", 'unknown directive "a" in FILE:1'),
    ('x "a"b;', 'unexpected "b" in FILE:1'),
    ("x 'a", 'unexpected end of file, expecting ";" or "}" in FILE:1'),
    ('x "a', 'unexpected end of file, expecting ";" or "}" in FILE:1'),
    ("x a", 'unexpected end of file, expecting ";" or "}" in FILE:1'),
    ("x", 'unexpected end of file, expecting ";" or "}" in FILE:1'),
    ("}", 'unexpected "}" in FILE:1'),
    ("{", 'unexpected "{" in FILE:1'),
    (";", 'unexpected ";" in FILE:1'),
    ("#", 'no "events" section in configuration'),
    ("events{}\nhttp {\n server {\n", 'unexpected end of file, expecting "}" in FILE:4'),
    ("worker_shutdown_timeout 1x;", '"worker_shutdown_timeout" directive invalid value in FILE:1'),
    ("worker_priority x;", '"worker_priority" directive invalid number in FILE:1'),
    ("debug_points x;", 'invalid value "x" in FILE:1'),
    ("thread_pool a;", 'invalid number of arguments in "thread_pool" directive in FILE:1'),
    ("events { use foo; }", 'invalid event type "foo" in FILE:1'),
    (
        "events { accept_mutex x; }",
        'invalid value "x" in "accept_mutex" directive, it must be "on" or "off" in FILE:1',
    ),
    (http("gzip_comp_level 10;"), "value must be between 1 and 9 in FILE:4"),
    (http("gzip_comp_level x;"), '"gzip_comp_level" directive invalid number in FILE:4'),
    (http("gzip_proxied x;"), 'invalid value "x" in FILE:4'),
    (http("keepalive_disable x;"), 'invalid value "x" in FILE:4'),
    (http("lingering_close x;"), 'invalid value "x" in FILE:4'),
    (http("aio x;"), '"aio" directive invalid value in FILE:4'),
    (http("directio x;"), '"directio" directive invalid value in FILE:4'),
    (
        http("client_body_temp_path a 0;"),
        '"client_body_temp_path" directive invalid value in FILE:4',
    ),
    (http("gzip_buffers 0 1;"), '"gzip_buffers" directive invalid value in FILE:4'),
    (http("output_buffers x x;"), '"output_buffers" directive invalid value in FILE:4'),
    (http("sendfile on; sendfile on;"), '"sendfile" directive is duplicate in FILE:4'),
    (
        http("server{listen 18080;}server{listen 18080 ssl;ssl_reject_handshake on;}"),
        'no "ssl_certificate" is defined for the "listen ... ssl" directive in FILE:4',
    ),
    (
        http("server{listen 18080 bind;}server{listen 18080 ssl;ssl_reject_handshake on;}"),
        'no "ssl_certificate" is defined for the "listen ... ssl" directive in FILE:4',
    ),
]
"""Configuration and the message after `[emerg] `."""

GOOD: list[tuple[str, list[str]]] = [
    (location("proxy_redirect off;"), []),
    (
        location(
            "proxy_redirect a b; proxy_redirect ~*a(?<x>b) $x; proxy_pass http://127.0.0.1; proxy_redirect default;"
        ),
        [],
    ),
    (location("proxy_redirect ~^(?<named>.) /; proxy_method $named;"), []),
    (location("proxy_bind off;"), []),
    (location("proxy_bind 127.0.0.1:80;"), []),
    (location("proxy_bind ::1;"), []),
    (location("proxy_bind [::1]:80;"), []),
    (location("proxy_bind $remote_addr;"), []),
    (location("proxy_limit_rate 1k;"), []),
    (location("proxy_limit_rate $host;"), []),
    (
        location(
            "proxy_hide_header A; proxy_hide_header A; proxy_pass_header B; proxy_pass_header A;"
        ),
        [],
    ),
    (location("proxy_ignore_headers x-accel-redirect Vary; proxy_ignore_headers Expires;"), []),
    (location("early_hints $host 1; early_hints 0;"), []),
    (location('proxy_set_body "";'), []),
    (location("proxy_cookie_flags a b c d;"), []),
    (location("proxy_cookie_flags ~a secure $host;"), []),
    (server("location @a {} \nlocation @a {}"), []),
    (server("location ~ a {} location ~ a {}"), []),
    (server("location /a { location ~ x { location ~ y {} } }"), []),
    (http("upstream a { server 127.0.0.1 down; }"), []),
    (server("listen 18081 so_keepalive=1h::3;"), []),
    (server("server_name ..a *.*;"), []),
    (
        http(
            "server { listen 18080; server_name a b; }\nserver { listen 18080; server_name b *.c .c c; }"
        ),
        [
            'conflicting server name "b" on 0.0.0.0:18080, ignored',
            'conflicting server name ".c" on 0.0.0.0:18080, ignored',
            'conflicting server name "c" on 0.0.0.0:18080, ignored',
        ],
    ),
    (
        http(
            "server { listen 18080; server_name .c a.*; }\nserver { listen 18080; server_name c *.c a.* a/b; }"
        ),
        [
            'server name "a/b" has suspicious symbols in FILE:5',
            'conflicting server name "c" on 0.0.0.0:18080, ignored',
            'conflicting server name "*.c" on 0.0.0.0:18080, ignored',
            'conflicting server name "a.*" on 0.0.0.0:18080, ignored',
        ],
    ),
    (
        http("server { listen 18080; }\nserver { listen 18080; }"),
        ['conflicting server name "" on 0.0.0.0:18080, ignored'],
    ),
    (server("ssl_protocols TLSv1.2; ssl_protocols TLSv1.3 ;"), []),
    (server("ssl_session_timeout 1M;"), []),
    (location("proxy_pass http://127.0.0.1; proxy_ssl_verify on;"), []),
    (location("return http://x; return 200;"), []),
    (location("return $scheme://x;"), []),
    (server("access_log l COMBINED;"), []),
    (server("error_log l debug_http debug_core;"), []),
    (server("client_max_body_size 1g;"), []),
    (server('client_header_timeout "1m 30s";'), []),
    (server('client_header_timeout "1m30";'), []),
    ("events {} # }", []),
    ("worker_shutdown_timeout 1ms;events{}\n", []),
    ("worker_rlimit_core 1g;events{}\n", []),
    (http("client_body_temp_path b 1 2;"), []),
    (http("gzip_types a; gzip_types b;"), []),
    (
        http(
            "server{listen 18080 ssl;ssl_reject_handshake on;}server{listen 18080;ssl_reject_handshake on;}server {listen 18080 ssl;ssl_reject_handshake on;}"
        ),
        [
            "protocol options redefined for 0.0.0.0:18080 in FILE:4",
            'conflicting server name "" on 0.0.0.0:18080, ignored',
            'conflicting server name "" on 0.0.0.0:18080, ignored',
        ],
    ),
    (
        http(
            "server{listen 18080 ssl;ssl_reject_handshake on;}server{listen 18080 bind;ssl_reject_handshake on;}server{listen 18080;ssl_reject_handshake on;}"
        ),
        [
            "protocol options redefined for 0.0.0.0:18080 in FILE:4",
            'conflicting server name "" on 0.0.0.0:18080, ignored',
            'conflicting server name "" on 0.0.0.0:18080, ignored',
        ],
    ),
    (
        http(
            "server{listen 18080 proxy_protocol;ssl_reject_handshake on;}\nserver{listen 18080 ssl;ssl_reject_handshake on;}"
        ),
        [
            "protocol options redefined for 0.0.0.0:18080 in FILE:5",
            'conflicting server name "" on 0.0.0.0:18080, ignored',
        ],
    ),
    (
        http(
            "server{listen 18080;}\nserver{listen 18080 proxy_protocol;}\nserver{listen 18080 proxy_protocol;server_name a;}"
        ),
        [
            "protocol options redefined for 0.0.0.0:18080 in FILE:6",
            'conflicting server name "" on 0.0.0.0:18080, ignored',
        ],
    ),
]
"""Configuration and the messages after each `[warn] `."""
