"""The texts of `-v`, `-V` and `-h`; tools that detect nginx parse the first two."""

from __future__ import annotations

import sys

from OpenSSL import SSL

from ..config.directives.directive import Status
from ..config.directives.registry import DIRECTIVES, SUPPORTED_MODULES
from ..config.directives.stream_registry import STREAM_DIRECTIVES
from ..terminal import wrap
from ..version import NGINX_VERSION, SNIPROXY_VERSION
from . import COMMANDS
from .options import OPTIONS

DEFAULT_MODULES = (
    "charset", "gzip", "ssi", "userid", "access", "auth_basic", "mirror", "autoindex", "geo", "map",
    "split_clients", "referer", "rewrite", "proxy", "fastcgi", "uwsgi", "scgi", "grpc", "memcached",
    "limit_conn", "limit_req", "empty_gif", "browser", "upstream_hash", "upstream_ip_hash",
    "upstream_least_conn", "upstream_random", "upstream_keepalive", "upstream_zone",
    "upstream_sticky",
)  # fmt: skip
"""The HTTP modules that nginx is built with unless `--without-http_…_module` is given."""

DEFAULT_STREAM_MODULES = (
    "limit_conn", "access", "geo", "map", "split_clients", "return", "pass", "set",
    "upstream_hash", "upstream_least_conn", "upstream_least_time", "upstream_random",
    "upstream_zone",
)  # fmt: skip
"""The same for stream modules."""

OPTIONAL_STREAM_MODULES = {
    "ngx_stream_core_module": "--with-stream",
    "ngx_stream_ssl_module": "--with-stream_ssl_module",
    "ngx_stream_realip_module": "--with-stream_realip_module",
    "ngx_stream_ssl_preread_module": "--with-stream_ssl_preread_module",
}
OPTIONAL_MODULES = {
    "ngx_http_realip_module": "--with-http_realip_module",
    "ngx_http_auth_request_module": "--with-http_auth_request_module",
    "ngx_http_addition_filter_module": "--with-http_addition_module",
    "ngx_http_sub_filter_module": "--with-http_sub_module",
    "ngx_http_slice_filter_module": "--with-http_slice_module",
    "ngx_http_gunzip_filter_module": "--with-http_gunzip_module",
    "ngx_http_gzip_static_module": "--with-http_gzip_static_module",
    "ngx_http_stub_status_module": "--with-http_stub_status_module",
    "ngx_http_headers_more_filter_module": "--add-module=headers-more-nginx-module",
}
"""Options by which nginx gets other modules, of those that sniproxy may have."""

USAGE = """\
Usage: sniproxy [-?hvVtTq] [-s signal] [-p prefix]
                [-e filename] [-c filename]
                [-g directives] [--watch] [--trace] [--live]
       sniproxy COMMAND [ARGUMENT]...
       sniproxy help COMMAND
"""


def help_text(width: int = sys.maxsize) -> str:
    """The usage, and every command and option with a line about it, at most `width` wide."""
    lines = [USAGE, "Commands:"]
    for name, summary in COMMANDS.items():
        lines += wrap(summary, width, f"  {name:13} : ", " " * 18)
    lines += ["", "Options:"]
    for option in OPTIONS:
        flags = ",".join(option.flags) + (f" {option.metavar}" if option.metavar else "")
        lines += wrap(option.help, width, f"  {flags:13} : ", " " * 18)
    return "\n".join(lines) + "\n"


def version_text() -> str:
    return f"nginx version: nginx/{NGINX_VERSION} (sniproxy {SNIPROXY_VERSION})\n"


def configure_text() -> str:
    library = SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode()
    rows = (*DIRECTIVES, *STREAM_DIRECTIVES)
    working = {row.module for row in rows if row.status is Status.WORKS}
    arguments = ["--with-http_ssl_module"]
    arguments += [text for name, text in OPTIONAL_MODULES.items() if name in SUPPORTED_MODULES]
    arguments += [text for name, text in OPTIONAL_STREAM_MODULES.items() if name in working]
    for kind, names in (("http", DEFAULT_MODULES), ("stream", DEFAULT_STREAM_MODULES)):
        arguments += [
            f"--without-{kind}_{name}_module"
            for name in names
            if working.isdisjoint((f"ngx_{kind}_{name}_module", f"ngx_{kind}_{name}_filter_module"))
        ]
    return (
        f"built with {library}\n"
        "TLS SNI support enabled\n"
        f"configure arguments: {' '.join(arguments)}\n"
    )
