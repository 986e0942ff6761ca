"""`sniproxy reverse URL`: a reverse proxy for one URL, without a configuration file.

It prints the configuration that it runs, nginx.conf or TOML, and how to trust its certificate.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

import trio

from .. import config
from ..build import Application, load
from ..build.listeners import BoundSocket
from ..build.paths import Paths
from ..diagnose.authorities import system_store
from ..diagnose.url import DiagnoseError, ascii_host
from ..models import ConfigError
from ..server import ConnectionServer
from ..terminal import escape_control
from ..tls.ca import host_name
from ..variables import definition_error, is_variable
from .banner import trust_lines
from .output import print_styled
from .parsers import command_parser
from .process import STOP_SIGNALS

Syntax = Literal["nginx", "toml"]
USAGE = 2
DEFAULT_PORTS = {"http": 80, "https": 443}
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!&()*+,=:@%-]*)*")
"""Paths of URLs whose characters mean nothing special in a configuration."""


class ArgumentError(Exception):
    """An argument is invalid; `str()` is the message."""


@dataclass(frozen=True, slots=True)
class ReverseOptions:
    """The settings of the proxy, as values of its directives."""

    url: str
    """`proxy_pass`: with the default port left out, and a path that ends in `/`."""
    listen: str
    """ADDRESS:PORT."""
    host: str
    """The Host field of requests to the upstream."""
    sni: str = ""
    """`proxy_ssl_name`; "" sends no SNI."""
    authorities: str = ""
    """The CA file to verify with; "" does not verify."""

    @property
    def is_tls(self) -> bool:
        return self.url.startswith("https:")

    def directives(self) -> list[tuple[str, str]]:
        """The directives of the location, with their arguments."""
        found = [("proxy_pass", self.url)]
        if self.sni:
            found += [("proxy_ssl_server_name", "on"), ("proxy_ssl_name", self.sni)]
        if self.authorities:
            found += [
                ("proxy_ssl_verify", "on"),
                ("proxy_ssl_verify_depth", "5"),
                ("proxy_ssl_trusted_certificate", self.authorities),
            ]
        return found

    def set_headers(self) -> list[tuple[str, str]]:
        """The fields set by `proxy_set_header`; the last two let WebSocket through."""
        return [
            ("Host", self.host),
            ("Upgrade", "$http_upgrade"),
            ("Connection", "$connection_upgrade"),
        ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("url", metavar="URL", help="the upstream: https://HOST[:PORT][/PATH], or http://…")
    add(
        "--listen",
        default="8443",
        metavar="[ADDRESS:]PORT",
        help="where to listen with TLS (default: 127.0.0.1:8443); port 0 is any free port",
    )
    add("--sni", metavar="NAME", help="the SNI to send (default: the URL's host)")
    add("--host", metavar="NAME", help="the Host header to send (default: the SNI, or the URL's)")
    add("--verify", action="store_true", help="verify the certificate of the upstream")
    add("--ca", metavar="FILE", help="with --verify: the trusted CAs (default: the system's)")
    add("--toml", action="store_true", help="run and print a configuration in TOML")
    add("--print", action="store_true", help="print the configuration only")
    parser.epilog = (
        "exit status: 0 stopped by Ctrl-C or TERM, 1 the configuration cannot be served, "
        "2 invalid arguments"
    )


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = command_parser("reverse")
    parsed = parser.parse_args(arguments)
    try:
        options = reverse_options(parsed)
    except (ArgumentError, DiagnoseError) as error:
        parser.error(escape_control(str(error)))
    syntax: Syntax = "toml" if parsed.toml else "nginx"
    text = toml(options) if parsed.toml else nginx_conf(options)
    if parsed.print:
        print(text, end="")
        return 0
    try:
        return _run(options, text, syntax)
    except ConfigError as error:
        print(f"sniproxy: [{error.level.label}] {error}", file=sys.stderr)
        return 1


# --- arguments ---


def reverse_options(parsed: argparse.Namespace) -> ReverseOptions:
    """Check the arguments. Raises `ArgumentError` and `DiagnoseError`."""
    scheme, host, port, path = _split(parsed.url)
    place = host if port == DEFAULT_PORTS[scheme] else f"{host}:{port}"
    sni = _name(parsed.sni, "--sni") if parsed.sni is not None else ""
    if scheme == "http" and (sni or parsed.verify):
        raise ArgumentError("--sni and --verify need an https:// URL")
    if scheme == "https" and not sni and not _is_address(host):
        sni = host
    if parsed.ca is not None and not parsed.verify:
        raise ArgumentError("--ca needs --verify")
    if parsed.verify and not sni:
        raise ArgumentError(
            f"--verify needs --sni NAME: nginx compares names, and {host} is an address"
        )
    if parsed.host is not None:
        field = _host_field(parsed.host)
    else:
        field = sni if parsed.sni is not None else place
    return ReverseOptions(
        url=f"{scheme}://{place}{path}",
        listen=_listen(parsed.listen),
        host=field,
        sni=sni,
        authorities=_authorities(parsed.ca) if parsed.verify else "",
    )


def _split(url: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and path of the URL; the path ends in a slash."""
    try:
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        port = parts.port if parts.port is not None else DEFAULT_PORTS[scheme]
        host = parts.hostname or ""
    except (ValueError, KeyError):
        raise ArgumentError(f'"{url}" is not an https:// or http:// URL') from None
    if not url.isprintable() or parts.username is not None or parts.password is not None:
        raise ArgumentError(f'"{url}" is not an https:// or http:// URL')
    if parts.query or parts.fragment:
        raise ArgumentError(f'"{url}" has a query or fragment: only the path can be replaced')
    if not 0 < port < 65536:
        raise ArgumentError(f'"{url}" has no valid port')
    if _PATH.fullmatch(parts.path) is None:
        raise ArgumentError(f'"{parts.path}" has characters that a path of proxy_pass cannot have')
    path = parts.path if parts.path.endswith("/") else f"{parts.path}/"
    return scheme, _bracketed(_name(host, "the URL")), port, path


def _name(text: str, argument: str) -> str:
    """A host name or address in the form of certificates. Raises `ArgumentError`."""
    name = host_name(ascii_host(text))
    if name is None or name.startswith("*"):
        raise ArgumentError(f'{argument}: "{text}" is neither a DNS name nor an address')
    if argument == "--sni" and _is_address(name):
        raise ArgumentError(f"--sni: {name} is an address, which is never sent")
    return name


def _host_field(text: str) -> str:
    """The value of `--host`: a name or address, perhaps with a port."""
    name, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or text.endswith("]"):
        name, colon, port = text, "", ""
    return _bracketed(_name(name.strip("[]"), "--host")) + colon + port


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _listen(text: str) -> str:
    address, _, port = text.rpartition(":")
    address = address or "127.0.0.1"
    if not _is_address(address) or (":" in address) != address.startswith("["):
        raise ArgumentError(f'--listen: "{address}" is not an address')
    if not (port.isascii() and port.isdigit() and int(port[-6:]) < 65536 and len(port) < 6):
        raise ArgumentError(f'--listen: there is no port "{port}"')
    return f"{address}:{int(port) or _free_port(address)}"


def _free_port(address: str) -> int:
    family = socket.AF_INET6 if address.startswith("[") else socket.AF_INET
    try:
        with socket.socket(family) as sock:
            sock.bind((address.strip("[]"), 0))
            return int(sock.getsockname()[1])
    except OSError as error:
        raise ArgumentError(f"--listen: {address}: {error.strerror}") from None


def _authorities(path: str | None) -> str:
    """The CA file for `--verify`."""
    found = system_store() if path is None else os.path.abspath(path)
    if not found:
        raise ArgumentError("no CA bundle of the system was found: name one with --ca FILE")
    if not found.isprintable() or any(character in found for character in '"\\$'):
        raise ArgumentError(f'--ca: "{found}" has characters that a configuration cannot have')
    return found


# --- the configuration ---


def nginx_conf(options: ReverseOptions) -> str:
    """The configuration as nginx.conf."""
    directives = [f"            {name} {_quoted(value)};" for name, value in options.directives()]
    fields = [
        f"            proxy_set_header {name} {_quoted(value)};"
        for name, value in options.set_headers()
    ]
    location = "\n".join(directives + fields)
    return f"""\
# sniproxy reverse {options.url}
error_log stderr;

events {{
}}

http {{
    access_log off;
    client_max_body_size 0;

    # WebSocket: Upgrade and Connection are not passed on by default.
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        ""      "";
    }}

    server {{
        listen {options.listen} ssl;
        server_name localhost;
        ssl_certificate auto;       # by the development CA
        error_detail on;            # a 502 explains itself

        location / {{
{location}
            proxy_buffering off;
        }}
    }}
}}
"""


def toml(options: ReverseOptions) -> str:
    """The same configuration as TOML."""
    lines = [
        f"{name} = {'true' if value == 'on' else _toml_value(value)}"
        for name, value in options.directives()
    ]
    fields = ", ".join(f"{name} = {_toml_value(value)}" for name, value in options.set_headers())
    location = "\n".join((*lines, f"proxy_set_header = {{ {fields} }}"))
    return f"""\
# sniproxy reverse {options.url}
error_log = "stderr"

[http]
access_log = false
client_max_body_size = "0"

# WebSocket: Upgrade and Connection are not passed on by default.
[http.map."$http_upgrade $connection_upgrade"]
default = "upgrade"
"" = ""

[[http.server]]
listen = "{options.listen} ssl"
server_name = "localhost"
ssl_certificate = "auto"            # by the development CA
error_detail = true                 # a 502 explains itself

[http.server.location."/"]
{location}
proxy_buffering = false
"""


def _quoted(value: str) -> str:
    return f'"{value}"' if not value or re.search(r"[\s;{}'#]", value) else value


def _toml_value(value: str) -> str:
    return f'"{value}"'


# --- running it ---


def _run(options: ReverseOptions, text: str, syntax: Syntax) -> int:
    """Print the configuration and serve it until a signal to stop. Raises `ConfigError`."""
    loaded = config.parse(
        text, syntax, "reverse", is_variable=is_variable, definition_error=definition_error
    )
    site = load(loaded, Paths("", "")).open()
    try:
        sockets = site.bind(_raise)
    except BaseException:
        site.close()
        raise

    def on_start() -> None:
        print_styled(text.rstrip("\n"), lambda line: "dim" if line.lstrip().startswith("#") else "")
        print("\n".join(_introduction(options, site)), flush=True)

    trio.run(_serve, site, sockets, on_start, restrict_keyboard_interrupt_to_checkpoints=True)
    return 0


def _raise(error: ConfigError) -> None:
    raise error


def _introduction(options: ReverseOptions, site: Application) -> list[str]:
    """The URL of the proxy, and how to trust its certificate."""
    address, _, port = options.listen.rpartition(":")
    host = "localhost" if address in ("127.0.0.1", "0.0.0.0") else address
    host = "[::1]" if host == "[::]" else host
    tls = next(server.tls for server in site.runtime.servers.values())
    assert tls is not None
    return [
        "",
        f"https://{host}:{port}/ is {options.url} now; Ctrl-C stops it.",
        *trust_lines(tls.ca_path, is_new=bool(site.new_ca)),
    ]


async def _serve(
    site: Application, sockets: Sequence[BoundSocket], on_start: Callable[[], None]
) -> None:
    try:
        with trio.open_signal_receiver(*STOP_SIGNALS) as signals:
            on_start()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ConnectionServer(site, sockets).run)
                await anext(signals)
                nursery.cancel_scope.cancel()
    finally:
        site.close()
