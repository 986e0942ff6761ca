"""Variables of nginx's http core module."""

from __future__ import annotations

import base64
import os
import re
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterable

from ..context import RequestContext
from ..models import Header
from ..version import NGINX_VERSION
from .variable import Variable, seconds


def _header(name: str) -> Callable[[RequestContext], str | None]:
    return lambda ctx: ctx.request.header(name)


def joined(headers: Iterable[Header], name: str, separator: str = ", ") -> str | None:
    """Join the values of all fields called `name`, spelled as in a variable (`user_agent`)."""
    values = [v for n, v in headers if n.lower().replace("-", "_") == name]
    return separator.join(values) if values else None


def _host(ctx: RequestContext) -> str:
    return ctx.request.host or ctx.server.name


_BASIC = re.compile(r"basic +([A-Za-z0-9+/]*)(?:=.*)?", re.IGNORECASE)


def basic_credentials(authorization: str | None) -> tuple[str, str] | None:
    """User name and password of a Basic Authorization field; None if there are none."""
    basic = _BASIC.fullmatch(authorization or "")
    if basic is None or len(basic[1]) % 4 == 1:
        return None
    # nginx does not require the padding.
    decoded = base64.b64decode(basic[1] + "=" * (-len(basic[1]) % 4)).decode("latin-1")
    user, colon, password = decoded.partition(":")
    return (user, password.partition("\0")[0]) if user and colon else None


def _remote_user(ctx: RequestContext) -> str | None:
    request = ctx.request
    if request.names and "authorization" not in request.names:
        return None
    credentials = basic_credentials(request.header("authorization"))
    return None if credentials is None else credentials[0]


def _time_local(ctx: RequestContext) -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S %z")


def _time_iso8601(ctx: RequestContext) -> str:
    text = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    return f"{text[:-2]}:{text[-2:]}"


def _argument(ctx: RequestContext, name: str) -> str | None:
    for part in ctx.args.split("&") if name else ():
        key, equals, value = part.partition("=")
        if equals and key.lower() == name:
            return value
    return None


def find_cookie(headers: Iterable[Header], name: str) -> tuple[str, str] | None:
    """The value of the first cookie called `name` (lower-case), and of the field that has it."""
    for field_name, value in headers:
        if field_name.lower() == "cookie":
            for part in value.split(";"):
                key, equals, text = part.partition("=")
                if equals and key.strip(" ").lower() == name:
                    return text.lstrip(" "), value
    return None


def _cookie(ctx: RequestContext, name: str) -> str | None:
    found = find_cookie(ctx.request.headers, name)
    return None if found is None else found[0]


def _http(ctx: RequestContext, name: str) -> str | None:
    return joined(ctx.request.headers, name, "; " if name == "cookie" else ", ")


def request_header_getter(
    name: str, value: Callable[[RequestContext, str], str | None]
) -> Callable[[RequestContext], str | None] | None:
    """A quick getter for `$http_…`, with `value` for the unusual; None for another variable."""
    if not name.startswith("http_"):
        return None
    header = name.removeprefix("http_").replace("_", "-")

    def get(ctx: RequestContext) -> str | None:
        request = ctx.request
        names = request.names
        if (
            not names
            or names.count(header) > 1
            or name in ctx.variables
            or name in ctx.server.map_variables
        ):
            return value(ctx, name)
        return request.headers[names.index(header)][1] if header in names else None

    return get


def _sent_http(ctx: RequestContext, name: str) -> str | None:
    return joined(ctx.sent_headers(), name)


def _content_length(ctx: RequestContext) -> str | None:
    value = ctx.request.header("content-length")
    if value is None and ctx.request.chunked and (ctx.body is not None or ctx.complete):
        return str(ctx.body_length)
    return value


_AUTHORITY = re.compile(r"\S+ https?://([^/? ]*)", re.IGNORECASE)
_PORT = re.compile(r"(?:^\[.*\]|^[^:\[]*):0*([0-9]{1,5})$")


def _request_port(ctx: RequestContext) -> str:
    """The port in the request line or the Host field; "" if there is none."""
    authority = _AUTHORITY.match(ctx.request.line)
    name = authority[1] if authority else ctx.request.header("host") or ""
    port = _PORT.match(name) if ctx.request.host else None
    return port[1] if port and port[1] != "0" else ""


def _request_id(ctx: RequestContext) -> str:
    return ctx.variables.setdefault("request_id", secrets.token_hex(16))


def _sent_trailer(ctx: RequestContext, name: str) -> str | None:
    return joined(ctx.sent_trailers, name)


def _tcp_info(offset: int) -> Callable[[RequestContext], str | None]:
    """A 32-bit member of Linux's `struct tcp_info`, by its offset."""

    def value(ctx: RequestContext) -> str | None:
        sock = ctx.connection.sock
        if sock is None or not hasattr(socket, "TCP_INFO"):
            return None
        try:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        except OSError:
            return None
        return str(int.from_bytes(info[offset : offset + 4], sys.byteorder))

    return value


def _body(ctx: RequestContext) -> str | None:
    return None if ctx.body is None else ctx.body.held


def _body_file(ctx: RequestContext) -> str | None:
    return None if ctx.body is None else ctx.body.file_name


def _binary_address(ctx: RequestContext) -> str:
    address = ctx.connection.client_address
    if address == "unix:":
        return address
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address).decode("latin-1")


def _uri(ctx: RequestContext) -> str | None:
    """The URI path; empty if the request line was rejected because of its path."""
    if not ctx.uri and ctx.refused is not None and ctx.refused.protocol:
        return ""
    return ctx.uri or None


def _protocol(ctx: RequestContext) -> str | None:
    if ctx.refused is not None:
        return ctx.refused.protocol
    if ctx.request.version == 20:
        return "HTTP/2.0"
    # As the request line has it, with spaces after it: `HTTP/1.12` is taken for 1.1, and HTTP/0.9
    # names no protocol.
    line = ctx.request.line
    start = line.rfind("HTTP/")
    return None if start < 0 or ctx.request.version < 10 else line[start:]


def _request_line(ctx: RequestContext) -> str | None:
    line = ctx.request.line
    return line if line or ctx.request.version != 20 else None


def _http2(ctx: RequestContext) -> str:
    if ctx.request.version != 20:
        return ""
    return "h2" if ctx.connection.tls else "h2c"


def _args(ctx: RequestContext) -> str | None:
    if ctx.args:
        return ctx.args
    empty = ctx.empty_args
    if empty is None:
        # nginx takes a fragment for the start of a query that is there, though empty.
        empty = ctx.request.target.partition("?")[2].startswith("#")
    return "" if empty else None


def _gzip_ratio(ctx: RequestContext) -> str | None:
    if ctx.gzip_sizes is None:
        return None
    before, after = ctx.gzip_sizes
    if not after:
        return None
    # Rounded as in nginx: by the third digit, cut off.
    hundredths = before * 100 // after + (before * 1000 // after % 10 > 4)
    return f"{hundredths // 100}.{hundredths % 100:02}"


VARIABLES = (
    Variable("args", _args, "the query string", changeable=True),
    Variable("query_string", _args, "the query string"),
    Variable("is_args", lambda f: "?" if f.args else "", "`?` if there is a query string"),
    Variable("uri", _uri, "the normalised path"),
    Variable("document_uri", _uri, "the normalised path"),
    Variable(
        "request_uri",
        lambda f: f.request.target or None,
        "path and query string as sent by the client",
    ),
    Variable("request", _request_line, "the request line"),
    Variable("request_method", lambda f: f.method or None, "the method"),
    Variable("request_length", lambda f: str(f.request_length), "length of the request in bytes"),
    Variable(
        "request_time",
        lambda f: seconds(time.monotonic() - f.started),
        "seconds since the first byte of the request",
    ),
    Variable("server_protocol", _protocol, "protocol version of the request"),
    Variable("scheme", lambda f: f.connection.scheme, "`http` or `https`"),
    Variable(
        "https", lambda f: "on" if f.connection.tls else "", "`on` for TLS connections, else empty"
    ),
    Variable("host", _host, "host of the request line or Host field, else the server's name"),
    Variable("hostname", lambda f: socket.gethostname(), "host name of the machine"),
    Variable("server_name", lambda f: f.server.name, "first name of the virtual server"),
    Variable(
        "server_addr", lambda f: f.connection.server_address, "local address of the connection"
    ),
    Variable(
        "server_port", lambda f: str(f.connection.server_port), "local port of the connection"
    ),
    Variable(
        "limit_req_status",
        lambda f: f.limit_req_status,
        "`PASSED`, `DELAYED`, `REJECTED`, `DELAYED_DRY_RUN` or `REJECTED_DRY_RUN` (`limit_req`)",
    ),
    Variable(
        "limit_conn_status",
        lambda f: f.limit_conn_status,
        "`PASSED`, `REJECTED` or `REJECTED_DRY_RUN` (`limit_conn`)",
    ),
    Variable(
        "realip_remote_addr",
        lambda f: (f.proxy_connection or f.connection).client_address,
        "the address that the connection comes from (`set_real_ip_from`)",
    ),
    Variable(
        "realip_remote_port",
        lambda f: str((f.proxy_connection or f.connection).client_port or ""),
        "the port that the connection comes from",
    ),
    Variable(
        "limit_rate",
        lambda f: str(f.limit_rate or 0),
        "bytes per second to the client; 0 if it is not limited",
        changeable=True,
    ),
    Variable("remote_addr", lambda f: f.connection.client_address, "the client's address"),
    Variable("remote_port", lambda f: str(f.connection.client_port or ""), "the client's port"),
    Variable("binary_remote_addr", _binary_address, "the client's address as 4 or 16 bytes"),
    Variable("remote_user", _remote_user, "user name of HTTP Basic authentication"),
    Variable("connection", lambda f: str(f.connection.number), "serial number of the connection"),
    Variable(
        "connection_requests",
        lambda f: str(f.connection.requests),
        "number of requests on the connection so far",
    ),
    Variable(
        "connection_time",
        lambda f: seconds(time.time() - f.connection.started_at),
        "seconds since the connection was accepted",
    ),
    Variable("status", lambda f: f"{f.error_status or f.status:03d}", "response status"),
    Variable("bytes_sent", lambda f: str(f.bytes_sent), "bytes sent to the client"),
    Variable("body_bytes_sent", lambda f: str(f.body_bytes_sent), "body bytes sent to the client"),
    Variable("content_length", _content_length, "Content-Length of the request"),
    Variable("request_body", _body, "the request body, if it is in memory"),
    Variable(
        "request_body_file", _body_file, "name of the file with the request body, if there is one"
    ),
    Variable(
        "sent_http_connection",
        lambda f: joined(f.sent_headers(), "connection") or "close",
        "Connection field of the response",
    ),
    Variable("content_type", _header("content-type"), "the Content-Type field"),
    Variable("http_host", _header("host"), "the Host field as sent"),
    Variable("nginx_version", lambda f: NGINX_VERSION, "nginx version that sniproxy reimplements"),
    Variable("pid", lambda f: str(os.getpid()), "process ID"),
    Variable("msec", lambda f: f"{time.time():.3f}", "POSIX time in seconds, with milliseconds"),
    Variable("time_local", _time_local, "local time in Common Log Format"),
    Variable("time_iso8601", _time_iso8601, "local time in ISO 8601"),
    Variable(
        "pipe", lambda f: "p" if f.pipelined else ".", "`p` if the request was pipelined, else `.`"
    ),
    Variable("gzip_ratio", _gzip_ratio, "ratio of the lengths before and after compression"),
    Variable("request_id", _request_id, "random hexadecimal ID of the request"),
    Variable(
        "request_completion", lambda f: "OK" if f.complete else "", "`OK` if the request completed"
    ),
    Variable("request_port", _request_port, "port of the request line or Host field"),
    Variable(
        "is_request_port",
        lambda f: ":" if _request_port(f) else "",
        "`:` if $request_port is not empty",
    ),
    Variable("tcpinfo_rtt", _tcp_info(68), "TCP round-trip time in microseconds"),
    Variable("tcpinfo_rttvar", _tcp_info(72), "variance of the TCP round-trip time"),
    Variable("tcpinfo_snd_cwnd", _tcp_info(80), "TCP congestion window"),
    Variable("tcpinfo_rcv_space", _tcp_info(96), "TCP receive window"),
    Variable("http2", _http2, "`h2` or, without TLS, `h2c` for HTTP/2; else empty"),
    Variable("http3", lambda f: "", "always empty: HTTP/3 is not served", changeable=True),
)

PREFIXES: tuple[tuple[str, Callable[[RequestContext, str], str | None]], ...] = (
    ("http_", _http),
    ("sent_http_", _sent_http),
    ("sent_trailer_", _sent_trailer),
    ("arg_", _argument),
    ("cookie_", _cookie),
)
