"""Where a connection to a `listen` of `stream {}` would go, and why; nothing is connected."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from ..build import Application
from ..build.listeners import ListenSocket
from ..config.directives.stream_core import PassTo, ReturnText
from ..config.stream_model import StreamServer
from ..context import Connection
from ..http.header_fields import valid_host
from ..models import ProxyError
from ..runtime import Listener
from ..server_name import sent_server_name
from ..stream.preread import HelloReader, PrereadResult
from ..stream.session_context import SessionContext
from ..stream.session_proxy import without_port
from ..stream.session_variables import session_lookup
from ..template import Template, VariableLookup
from ..upstream.dynamic import parse_stream_target
from .client import TraceError

SCHEMES = ("tcp", "tls")


def session_route(site: Application, url: str, server_name: str | None) -> Iterator[str]:
    """Lines about a connection to `url` (`tcp://HOST:PORT`) with this SNI; None for no TLS.

    Raises `TraceError`.
    """
    running = site.stream
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise TraceError(f'invalid URL "{url}": {error}') from None
    if port is None:
        raise TraceError(f'no port in "{url}"')
    listener = _listener(site, host, port)
    if running is None or listener is None:
        raise TraceError(f"{site.config.file} has no stream server that listens on port {port}")
    default = listener.names.default
    yield f"{listener.text}: the default server is that in line {default.place.line}"
    ctx = SessionContext(
        Connection(1, "127.0.0.1", 0, host, port, listener.text), default, is_udp=False
    )
    if listener.ssl:
        yield "TLS ends here (listen … ssl)"
    elif default.core.ssl_preread:
        yield from _read_ahead(ctx, server_name)
    else:
        yield "ssl_preread is off: the SNI is not looked at"
    if server_name is not None and (listener.ssl or ctx.hello is not None):
        yield from _select(ctx, listener, server_name)
    yield from _content(site, ctx)


def _listener(site: Application, host: str, port: int) -> Listener[StreamServer] | None:
    def address(binding: ListenSocket) -> bool:
        return binding.is_stream and not binding.udp and binding.key[1] == port

    found = [binding for binding in site.bindings if address(binding)]
    exact = [binding for binding in found if binding.key[0].strip("[]") == host]
    return (exact or found)[0].listener_for(host) if found else None


def _hello(server_name: str) -> bytes:
    """The ClientHello of Python's ssl module."""
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    tls = context.wrap_bio(received, sent, server_hostname=server_name or None)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return sent.read()


def _read_ahead(ctx: SessionContext, server_name: str | None) -> Iterator[str]:
    reader = HelloReader()
    try:
        data = b"no TLS" if server_name is None else _hello(server_name)
    except ValueError as error:
        raise TraceError(f'invalid SNI "{server_name}": {error}') from None
    if reader.feed(data) is not PrereadResult.HELLO:
        yield "ssl_preread: no ClientHello, $ssl_preread_server_name is empty"
        return
    ctx.hello = reader.hello
    yield f'ssl_preread: $ssl_preread_server_name is "{reader.hello.server_name}"'


def _select(
    ctx: SessionContext, listener: Listener[StreamServer], server_name: str
) -> Iterator[str]:
    name = valid_host(server_name) if server_name else None
    found = listener.names.negotiated_match(name) if name else None
    if found is None:
        return
    ctx.server, match = found
    if match is not None:
        ctx.set_captures(match)
    yield f'server_name: "{name}" selects the server in line {ctx.server.place.line}'


def _values(template: Template, values: VariableLookup) -> str:
    used = [f'${name} is "{values(name) or ""}"' for name in dict.fromkeys(template.variables)]
    return f" ({', '.join(used)})" if used else ""


def _content(site: Application, ctx: SessionContext) -> Iterator[str]:
    server, values = ctx.server, session_lookup(ctx)
    for statement in server.content.sets:
        ctx.variables[statement.name] = statement.value.render(values)
    content = server.content.content
    if content is None:
        yield "the server has no proxy_pass, return or pass: status 500"
        return
    if isinstance(content, ReturnText):
        yield f"return {content.text.render(values)!r}{_values(content.text, values)}"
        return
    if isinstance(content, PassTo):
        target = content.template
        text = content.address.url if content.address is not None else ""
        yield f"pass {target.render(values) if target is not None else text}"
        return
    address = content.address
    yield f"proxy_pass {content.url}{_values(content.template, values) if content.template else ''}"
    if content.template is not None:
        try:
            text = content.template.render(values)
            address = parse_stream_target(content, text).address
        except ProxyError as failed:
            yield f"{failed.failure.message}: status 500"
            return
    assert address is not None
    stream = site.config.stream
    group = None if stream is None else stream.groups.get(address.host.lower())
    if group is None and not (address.port or address.is_unix):
        yield f'no port in upstream "{address.host}": status 500'
        return
    if group is None:
        yield f"upstream: {address.url}"
    else:
        peers = ", ".join(peer.address.url for peer in group.settings.server)
        yield f"upstream: the group {group.name}: {peers}"
    if server.proxy.proxy_ssl:
        settings = server.proxy
        name = address.name if settings.ssl_name is None else settings.ssl_name.render(values)
        sent = sent_server_name(without_port(name), proxy_ssl_server_name=settings.ssl_server_name)
        yield "proxy_ssl: no SNI is sent" if sent is None else f'proxy_ssl: the SNI is "{sent}"'
