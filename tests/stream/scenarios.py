"""Scenarios for every directive of `stream {}`, and for what hostile clients send."""

from __future__ import annotations

from tests.stream.hellos import alpn, extension, hello, message, records, server_name
from tests.stream.sessions import CLOSE, END, HOLD, RESET, SHUTDOWN, Read, SessionScenario

PREREAD = (
    "NAME $protocol $status received=$bytes_received name=$ssl_preread_server_name "
    "version=$ssl_preread_protocol alpn=$ssl_preread_alpn_protocols server=$server_name"
)
TLS = "ssl_certificate front.pem; ssl_certificate_key front.key;"
ROOT = "proxy_ssl_trusted_certificate root.pem; proxy_ssl_verify on;"


def _basic() -> list[SessionScenario]:
    return [
        SessionScenario("plain", "Data is passed in both directions until the client closes."),
        SessionScenario(
            "server-closes",
            "The session ends when the upstream closes.",
            client=(b"ping", END),
            upstream=(Read(4), b"bye", CLOSE),
        ),
        SessionScenario(
            "half-closed",
            "Without proxy_half_close the end of one side ends the session.",
            client=(b"ping", SHUTDOWN, END),
            upstream=(Read(4), END),
        ),
        SessionScenario(
            "half-close",
            "With proxy_half_close the other side may go on to send.",
            "proxy_pass PEER; proxy_half_close on;",
            client=(b"ping", SHUTDOWN, END),
            upstream=(END, b"late answer", CLOSE),
        ),
        SessionScenario(
            "half-close-silence",
            "With proxy_half_close a session whose client has ended lasts until proxy_timeout.",
            "proxy_pass PEER; proxy_half_close on; proxy_timeout 150ms;",
            client=(b"ping", SHUTDOWN, END),
            upstream=(Read(4), HOLD),
            logs=("connection timed out (110:",),
        ),
        SessionScenario(
            "half-close-answer-and-silence",
            "What is sent after the end of the other side is passed on, and the time begins anew.",
            "proxy_pass PEER; proxy_half_close on; proxy_timeout 150ms;",
            client=(b"ping", SHUTDOWN, END),
            upstream=(END, b"pong", HOLD),
            logs=("connection timed out (110:",),
        ),
        SessionScenario(
            "half-open-silence",
            "Without proxy_half_close the end of a client that has sent nothing ends the session.",
            client=(SHUTDOWN, END),
            upstream=(HOLD,),
            logs=("client disconnected",),
        ),
        SessionScenario(
            "half-open-upstream",
            "Without proxy_half_close the end of an upstream that has sent nothing ends it too.",
            client=(END,),
            upstream=(SHUTDOWN, HOLD),
            logs=("upstream disconnected",),
        ),
        SessionScenario(
            "half-close-upstream",
            "The upstream may close its sending side first.",
            "proxy_pass PEER; proxy_half_close on;",
            client=(END, b"late", SHUTDOWN, CLOSE),
            upstream=(b"hello", SHUTDOWN, END),
        ),
        SessionScenario(
            "large",
            "Large amounts are passed unchanged.",
            client=(b"x" * 3_000_000, Read(3_000_000), CLOSE),
        ),
        SessionScenario(
            "client-resets",
            "A reset by the client is logged, and ends the session like its close.",
            client=(b"ping", Read(4), RESET),
            logs=("recv() failed (104: Connection reset by peer) while proxying",),
        ),
        SessionScenario(
            "upstream-resets",
            "A reset by the upstream is logged as an error, and ends the session.",
            client=(b"ping", END),
            upstream=(Read(4), RESET),
            logs=("[error]", "recv() failed (104: Connection reset by peer) while proxying"),
        ),
        SessionScenario(
            "refused",
            "A connection that is refused gives 502.",
            "proxy_pass DEAD;",
            client=(END,),
            status=502,
            logs=("connect() failed (111: Connection refused) while",),
        ),
        SessionScenario(
            "timeout",
            "proxy_timeout ends an idle session with status 200.",
            "proxy_pass PEER; proxy_timeout 150ms;",
            client=(b"ping", Read(4), END),
            logs=("connection timed out (110: Connection timed out) while proxying connection",),
        ),
        SessionScenario(
            "no-content", "A server without content ends with 500.", "", client=(END,), status=500
        ),
        SessionScenario(
            "return",
            "return sends its text, with variables.",
            'return "hello $remote_addr $server_port $protocol";',
            client=(END,),
            format="NAME $status $bytes_sent $session_time",
        ),
        SessionScenario("return-empty", "An empty text is none.", 'return "";', client=(END,)),
        SessionScenario(
            "set",
            "set evaluates its value before the access phase.",
            'set $greeting "good $protocol"; return $greeting;',
            client=(END,),
        ),
        SessionScenario(
            "map",
            "A map selects the upstream.",
            "proxy_pass $map_target;",
            stream="map $server_port $map_target { default PEER; }",
        ),
        SessionScenario(
            "geo-split",
            "geo and split_clients are evaluated for sessions.",
            'return "$geo_of $split_of";',
            stream="geo $geo_of { default other; 127.0.0.0/8 local; } "
            "split_clients $remote_addr $split_of { 100% all; }",
            client=(END,),
        ),
        SessionScenario(
            "deny",
            "A client that is denied gives 403.",
            "deny 127.0.0.1; proxy_pass PEER;",
            client=(END,),
            status=403,
            logs=("access forbidden by rule while initializing session",),
        ),
        SessionScenario("allow", "A rule allows.", "allow 127.0.0.1; deny all; proxy_pass PEER;"),
        SessionScenario(
            "limit-conn",
            "limit_conn refuses a session with 503.",
            "limit_conn limited 1; proxy_pass LISTEN2;",
            stream="limit_conn_zone $binary_remote_addr zone=limited:64k; "
            "server { listen LISTEN2; limit_conn limited 1; return no; }",
            client=(END,),
            logs=('limiting connections by zone "limited"',),
        ),
        SessionScenario(
            "limit-conn-dry",
            "A dry run logs, and lets the session in.",
            "limit_conn dry 1; proxy_pass LISTEN2;",
            stream="limit_conn_zone $binary_remote_addr zone=dry:64k; "
            "server { listen LISTEN2; limit_conn dry 1; limit_conn_dry_run on; "
            'return "$limit_conn_status"; }',
            client=(END,),
            logs=('limiting connections, dry run, by zone "dry"',),
        ),
        SessionScenario(
            "rates",
            "Rates limit both directions.",
            "proxy_pass PEER; proxy_upload_rate 100k; proxy_download_rate 100k;",
            client=(b"x" * 10000, Read(10000), CLOSE),
        ),
        SessionScenario(
            "buffer-size",
            "A small buffer passes the same data.",
            "proxy_pass PEER; proxy_buffer_size 7;",
            client=(b"0123456789" * 10, Read(100), CLOSE),
        ),
        SessionScenario(
            "bind",
            "proxy_bind sets the local address.",
            "proxy_pass LISTEN2; proxy_bind 127.0.0.9;",
            stream='server { listen LISTEN2; return "from $remote_addr"; }',
            client=(END,),
        ),
        SessionScenario(
            "bind-invalid",
            "A local address that is none is logged and ignored.",
            "proxy_pass PEER; proxy_bind $protocol;",
            logs=('invalid local address "TCP"',),
        ),
    ]


def _upstreams() -> list[SessionScenario]:
    return [
        SessionScenario(
            "group",
            "The next peer is tried after one that refuses.",
            "proxy_pass group;",
            stream="upstream group { server DEAD; server PEER; }",
            logs=("connect() failed", "upstream server temporarily disabled"),
        ),
        SessionScenario(
            "next-off",
            "proxy_next_upstream off tries one peer only.",
            "proxy_pass next-off; proxy_next_upstream off;",
            stream="upstream next-off { server DEAD; server PEER; }",
            client=(END,),
            status=502,
        ),
        SessionScenario(
            "next-tries",
            "proxy_next_upstream_tries limits the number of peers.",
            "proxy_pass tries; proxy_next_upstream_tries 1;",
            stream="upstream tries { server DEAD; server PEER; }",
            client=(END,),
            status=502,
        ),
        SessionScenario(
            "down",
            "Without a peer in service there are no live upstreams.",
            "proxy_pass down;",
            stream="upstream down { server PEER down; }",
            client=(END,),
            status=502,
            logs=("no live upstreams while connecting to upstream",),
        ),
        SessionScenario(
            "backup",
            "A backup is used if the others fail.",
            "proxy_pass backup;",
            stream="upstream backup { server DEAD; server PEER backup; }",
        ),
        *(
            SessionScenario(
                f"balancing-{name}",
                "The method of the group selects the peer.",
                f"proxy_pass of-{name};",
                stream=f"upstream of-{name} {{ {method} server PEER; server DEAD down; }}",
                clients=2,
            )
            for name, method in {
                "least": "least_conn;",
                "hash": "hash $remote_addr;",
                "ring": "hash $remote_addr$server_port consistent;",
                "random": "random two;",
            }.items()
        ),
        SessionScenario(
            "variable-no-resolver",
            "A name in variables needs a resolver.",
            "proxy_pass $unresolved;",
            stream="map a $unresolved { default nosuch.test:1; }",
            client=(END,),
            status=500,
            logs=("no resolver defined to resolve nosuch.test",),
        ),
        SessionScenario(
            "variable-no-port",
            "An address in variables needs a port.",
            "proxy_pass $portless;",
            stream="map a $portless { default 127.0.0.1; }",
            client=(END,),
            status=500,
            logs=('no port in upstream "127.0.0.1"',),
        ),
        SessionScenario(
            "variable-invalid",
            "An address that is none gives 500.",
            "proxy_pass $invalid_address;",
            stream="map a $invalid_address { default 127.0.0.1:x; }",
            client=(END,),
            status=500,
            logs=('invalid port in upstream "127.0.0.1:x"',),
        ),
        SessionScenario(
            "variable-group",
            "A variable may name a group.",
            "proxy_pass $group_name;",
            stream="map a $group_name { default byname; } upstream byname { server PEER; }",
        ),
        SessionScenario(
            "proxy-protocol",
            "proxy_protocol sends a header before the data.",
            "proxy_pass PEER; proxy_protocol on;",
            client=(b"ping", SHUTDOWN, END),
            upstream=(END,),
        ),
        SessionScenario(
            "proxy-protocol-in",
            "The header of a client sets the variables, and is not passed on.",
            listen="proxy_protocol",
            client=(b"PROXY TCP4 1.2.3.4 5.6.7.8 10 20\r\nping", Read(4), CLOSE),
            format="NAME $status $remote_addr $proxy_protocol_addr $proxy_protocol_server_port",
        ),
        SessionScenario(
            "real-ip",
            "A trusted proxy sets the client's address.",
            "proxy_pass PEER; set_real_ip_from 127.0.0.1;",
            listen="proxy_protocol",
            client=(b"PROXY TCP4 1.2.3.4 5.6.7.8 10 20\r\nping", Read(4), CLOSE),
            format="NAME $status $remote_addr $remote_port $realip_remote_addr",
        ),
        SessionScenario(
            "proxy-protocol-broken",
            "A client without a header gives 400.",
            listen="proxy_protocol",
            client=(b"ping", END),
            status=400,
            logs=('broken header: "ping" while reading PROXY protocol',),
        ),
        SessionScenario(
            "proxy-protocol-late",
            "A client that sends no header in time gives 200.",
            "proxy_pass PEER; proxy_protocol_timeout 100ms;",
            listen="proxy_protocol",
            client=(END,),
            logs=("client timed out (110: Connection timed out) while reading PROXY protocol",),
        ),
        SessionScenario(
            "pass",
            "pass hands the connection to another listening socket.",
            "pass LISTEN2;",
            stream="server { listen LISTEN2; access_log access.log pass; "
            'return "other $server_port"; }',
            client=(END,),
            format="NAME $status $bytes_sent",
        ),
        SessionScenario(
            "pass-nowhere",
            "An address that is not listened on is logged.",
            "pass DEAD;",
            client=(END,),
            logs=("port not found for",),
        ),
        SessionScenario(
            "pass-cycle",
            "A cycle ends with 500.",
            "pass LISTEN;",
            client=(END,),
            status=500,
            logs=("stream pass cycle while passing connection to port",),
        ),
    ]


def _preread() -> list[SessionScenario]:
    def preread(name: str, rule: str, *data: bytes, **rest: object) -> SessionScenario:
        echoed = sum(map(len, data))
        values: dict[str, object] = {
            "client": (*data, Read(echoed), CLOSE),
            "server": "proxy_pass PEER; ssl_preread on;",
            "format": PREREAD,
            **rest,
        }
        return SessionScenario(name, rule, **values)  # type: ignore[arg-type]

    versions = extension(43, b"\2\3\4")
    grease, encrypted = extension(0x0A0A, b""), extension(0xFE0D, bytes(200))
    long = message(server_name(b"a.test"), extension(21, bytes(9000)))
    return [
        preread("preread", "The SNI is read ahead, and the hello is passed on.", hello()),
        preread(
            "preread-more",
            "ALPN and supported versions are read too.",
            hello(b"A.Test", alpn(b"h2", b"http/1.1"), versions),
        ),
        preread(
            "preread-alpn-first",
            "The order of extensions does not matter.",
            records(message(alpn(b"x"), versions, server_name(b"b.test"))),
        ),
        preread("preread-none", "A hello may have no SNI.", records(message(versions))),
        preread("preread-http", "What is no TLS is passed on.", b"GET / HTTP/1.1\r\n\r\n"),
        preread("preread-ssl3", "The old version is known.", records(message(version=b"\3\0"))),
        preread(
            "preread-records",
            "A hello may be split over records.",
            records(message(server_name(b"split.test"), alpn(b"h2")), 7),
        ),
        preread("preread-nul", "A NUL in the SNI is data of the variable.", hello(b"a\0b.test")),
        preread("preread-long-name", "A name of 300 bytes is taken.", hello(b"a" * 300)),
        preread(
            "preread-doubled",
            "Of two SNI extensions the first is used.",
            records(message(server_name(b"one.test"), server_name(b"two.test"))),
        ),
        preread(
            "preread-grease",
            "GREASE and an encrypted hello are skipped.",
            records(message(grease, encrypted, server_name(b"x.test"))),
        ),
        preread(
            "preread-name-type",
            "Another type of name is no hello.",
            records(message(server_name(b"a.test", 1))),
        ),
        preread(
            "preread-malformed",
            "A length beyond the end is no hello.",
            records(message(b"\0\0\0\x20\0\x10\0\0\x09a")),
        ),
        preread("preread-alert", "Another record is no hello.", b"\x15\3\1\0\2\1\0"),
        preread("preread-big", "A hello of 9,000 bytes is read.", records(long)),
        preread(
            "preread-full",
            "A hello larger than preread_buffer_size gives 400.",
            records(long),
            server="proxy_pass PEER; ssl_preread on; preread_buffer_size 1k;",
            client=(records(long), END),
            status=400,
            logs=("preread buffer full while prereading client data",),
        ),
        preread(
            "preread-half",
            "Half a hello and the end give 200.",
            client=(hello()[:20], SHUTDOWN, END),
        ),
        preread(
            "preread-silence",
            "Half a hello and silence end by preread_timeout.",
            server="proxy_pass PEER; ssl_preread on; preread_timeout 150ms;",
            client=(hello()[:20], END),
        ),
        preread(
            "preread-nothing",
            "A client that sends nothing and closes gives 200.",
            client=(SHUTDOWN, END),
        ),
        preread(
            "preread-pass",
            "A connection is passed on with its hello unread.",
            hello(),
            server="pass LISTEN2; ssl_preread on;",
            stream="server { listen LISTEN2; access_log access.log preread_pass; "
            "proxy_pass PEER; }",
        ),
        preread(
            "preread-server",
            "The SNI selects a virtual server by name, also by wildcard and expression.",
            hello(b"www.names.test"),
            stream="server { listen LISTEN; server_name *.names.test; access_log access.log "
            "preread_server; proxy_pass PEER; }",
            server="return default; ssl_preread on;",
        ),
        preread(
            "preread-expression",
            "Captures of a server_name are variables.",
            hello(b"x1.names.test"),
            stream="server { listen LISTEN; server_name ~^x(?<number>\\d)\\.; "
            'access_log access.log preread_expression; return "number $number"; }',
            server="return default; ssl_preread on;",
            client=(hello(b"x1.names.test"), Read(7), CLOSE),
        ),
        preread(
            "preread-choice",
            "A map of the SNI selects the upstream.",
            hello(b"choice.test"),
            server="proxy_pass $chosen; ssl_preread on;",
            stream="map $ssl_preread_server_name $chosen { hostnames; .choice.test PEER; "
            "default DEAD; }",
        ),
    ]


def _tls() -> list[SessionScenario]:
    variables = (
        "NAME $status $ssl_protocol $ssl_server_name $ssl_alpn_protocol $ssl_session_reused "
        "$ssl_client_verify received=$bytes_received sent=$bytes_sent"
    )

    def tls(name: str, rule: str, server: str = "", **rest: object) -> SessionScenario:
        values: dict[str, object] = {
            "server": server or f"proxy_pass PEER; {TLS}",
            "listen": "ssl",
            "sni": "front.test",
            "format": variables,
            **rest,
        }
        return SessionScenario(name, rule, **values)  # type: ignore[arg-type]

    return [
        tls("tls", "TLS of the client ends here."),
        tls("tls-no-sni", "A client may send no SNI.", sni=""),
        tls(
            "tls-alpn",
            "ssl_alpn selects a protocol.",
            f"proxy_pass PEER; {TLS} ssl_alpn b c;",
            alpn=("a", "b"),
        ),
        tls(
            "tls-alpn-none",
            "Without a common protocol the handshake fails.",
            f"proxy_pass PEER; {TLS} ssl_alpn c;",
            alpn=("a", "b"),
            status=500,
            logs=("SSL_do_handshake() failed",),
        ),
        tls(
            "tls-alpn-unset",
            "Without ssl_alpn the client's protocols are ignored.",
            alpn=("a", "b"),
        ),
        tls(
            "tls-plain",
            "Plain data on a TLS port gives 500.",
            sni=None,
            client=(b"GET / HTTP/1.0\r\n\r\n", END),
            status=500,
            logs=("SSL_do_handshake() failed", "while SSL handshaking, client"),
        ),
        tls(
            "tls-closed",
            "A client that closes in the handshake gives 500.",
            sni=None,
            client=(SHUTDOWN, END),
            status=500,
            logs=("peer closed connection in SSL handshake while SSL handshaking",),
        ),
        tls(
            "tls-late",
            "ssl_handshake_timeout gives 500 without a line.",
            f"proxy_pass PEER; {TLS} ssl_handshake_timeout 100ms;",
            sni=None,
            client=(END,),
            status=500,
        ),
        tls(
            "tls-reject",
            "ssl_reject_handshake refuses by alert.",
            "ssl_reject_handshake on; proxy_pass PEER;",
            status=500,
            logs=("handshake rejected while SSL handshaking",),
        ),
        tls(
            "tls-verify",
            "A client certificate is verified.",
            f"proxy_pass PEER; {TLS} ssl_verify_client on; ssl_client_certificate client-root.pem; "
            "ssl_verify_depth 3;",
            client_certificate="client",
        ),
        tls(
            "tls-verify-none",
            "A client without a required certificate gives 500.",
            f"proxy_pass PEER; {TLS} ssl_verify_client on; ssl_client_certificate client-root.pem;",
            client=(END,),
            status=500,
            logs=("client sent no required SSL certificate while SSL handshaking",),
        ),
        tls(
            "tls-return",
            "return works through TLS.",
            f'return "tls $ssl_server_name"; {TLS}',
            client=(END,),
        ),
        tls(
            "tls-names",
            "The SNI selects the certificate and the server.",
            f"return default; {TLS}",
            stream="server { listen LISTEN ssl; server_name second.test; "
            "ssl_certificate second.pem; ssl_certificate_key second.key; "
            "access_log access.log tls_names; return second; }",
            sni="second.test",
            client=(END,),
        ),
        tls(
            "tls-variable",
            "Certificates may be named by variables.",
            "return x; ssl_certificate $ssl_server_name.pem; "
            "ssl_certificate_key $ssl_server_name.key;",
            sni="second",
            client=(END,),
        ),
        SessionScenario(
            "to-tls",
            "proxy_ssl makes TLS without SNI.",
            "proxy_pass PEER; proxy_ssl on;",
            upstream_tls="good",
        ),
        SessionScenario(
            "to-tls-sni",
            "proxy_ssl_server_name sends the name of the upstream.",
            "proxy_pass to-tls-sni.test; proxy_ssl on; proxy_ssl_server_name on;",
            stream="upstream to-tls-sni.test { server PEER; }",
            upstream_tls="good",
        ),
        SessionScenario(
            "to-tls-name",
            "proxy_ssl_name replaces it, with variables and a port.",
            "proxy_pass PEER; proxy_ssl on; proxy_ssl_server_name on; "
            'proxy_ssl_name "$protocol.test:80";',
            upstream_tls="good",
        ),
        SessionScenario(
            "to-tls-verify",
            "A certificate is verified against the name.",
            f"proxy_pass PEER; proxy_ssl on; {ROOT} proxy_ssl_name upstream.test;",
            upstream_tls="good",
        ),
        SessionScenario(
            "to-tls-mismatch",
            "A certificate for another name gives 502.",
            f"proxy_pass PEER; proxy_ssl on; {ROOT} proxy_ssl_name other.test;",
            upstream_tls="good",
            client=(END,),
            status=502,
            logs=(
                'upstream SSL certificate does not match "other.test" while SSL '
                "handshaking to upstream",
            ),
        ),
        SessionScenario(
            "to-tls-untrusted",
            "An untrusted certificate gives 502.",
            f"proxy_pass PEER; proxy_ssl on; {ROOT} proxy_ssl_name upstream.test;",
            upstream_tls="untrusted",
            client=(END,),
            status=502,
            logs=("upstream SSL certificate verify error",),
        ),
        SessionScenario(
            "to-tls-plain",
            "An upstream without TLS gives 502.",
            "proxy_pass PEER; proxy_ssl on;",
            upstream=(b"HTTP/1.1 400 Bad Request\r\n\r\n", END),
            client=(END,),
            status=502,
            logs=("SSL_do_handshake() failed",),
        ),
        SessionScenario(
            "to-tls-alpn",
            "proxy_ssl_alpn offers protocols.",
            "proxy_pass PEER; proxy_ssl on; proxy_ssl_alpn b x;",
            upstream_tls="good",
            alpn=("a", "b"),
        ),
        SessionScenario(
            "to-tls-timeout",
            "proxy_connect_timeout applies to the handshake, and nothing is logged.",
            "proxy_pass PEER; proxy_ssl on; proxy_connect_timeout 150ms;",
            upstream=(END,),
            client=(END,),
            status=502,
        ),
        SessionScenario(
            "to-tls-protocol",
            "The header of the PROXY protocol comes before TLS.",
            "proxy_pass PEER; proxy_ssl on; proxy_protocol on;",
            upstream=(Read(40), CLOSE),
            client=(END,),
            status=502,
            logs=("bytes from/to upstream:0/44",),
        ),
    ]


def _udp() -> list[SessionScenario]:
    def udp(name: str, rule: str, server: str, **rest: object) -> SessionScenario:
        values: dict[str, object] = {"listen": "udp", "client": (b"ping", Read(4)), **rest}
        return SessionScenario(name, rule, server, **values)  # type: ignore[arg-type]

    return [
        udp(
            "udp",
            "A UDP session ends with its last expected response.",
            "proxy_pass PEER; proxy_responses 1;",
            logs=("udp done, packets from/to client:1/1",),
        ),
        udp(
            "udp-timeout",
            "Without proxy_responses it ends by proxy_timeout.",
            "proxy_pass PEER; proxy_timeout 150ms;",
            client=(b"one", Read(3), b"three", Read(5)),
            logs=("udp timed out, packets",),
        ),
        udp(
            "udp-none",
            "Without expected responses it ends at once.",
            "proxy_pass PEER; proxy_responses 0;",
            client=(b"ping",),
            upstream=(),
            logs=("udp done, packets from/to client:1/0",),
        ),
        udp(
            "udp-missing",
            "A missing response gives 502.",
            "proxy_pass PEER; proxy_responses 2; proxy_timeout 150ms;",
            status=502,
            logs=("upstream timed out (110: Connection timed out) while proxying connection",),
        ),
        udp(
            "udp-refused",
            "A port where nothing listens is logged.",
            "proxy_pass DEAD; proxy_responses 1;",
            client=(b"ping",),
            logs=("recv() failed (111: Connection refused)",),
        ),
        udp(
            "udp-return",
            "return answers a datagram.",
            'return "hello $protocol";',
            client=(b"ping", Read(4)),
        ),
        udp(
            "udp-requests",
            "proxy_requests limits the datagrams of a session.",
            "proxy_pass PEER; proxy_requests 1; proxy_responses 1;",
            client=(b"a", Read(1), b"b", Read(1)),
            sessions=2,
        ),
        udp(
            "udp-deny",
            "Datagrams of a denied client are dropped.",
            "deny all; proxy_pass PEER;",
            client=(b"ping",),
            status=403,
            logs=("access forbidden by rule while initializing session, udp client",),
        ),
        udp(
            "udp-protocol",
            "The header of the PROXY protocol is part of the first datagram.",
            "proxy_pass PEER; proxy_protocol on; proxy_responses 1;",
            client=(b"ping", Read(1)),
        ),
        udp(
            "udp-pass",
            "pass refuses datagrams.",
            "pass DEAD;",
            client=(b"ping",),
            status=500,
            logs=("cannot pass udp connection",),
        ),
    ]


SCENARIOS = (*_basic(), *_upstreams(), *_preread(), *_tls(), *_udp())
