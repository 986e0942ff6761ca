"""What `-v`, `-V` and `-h` print, for people and for tools that look for nginx."""

from __future__ import annotations

from OpenSSL import SSL

from ..config.directives.row import Status
from ..config.directives.table import ROWS
from ..version import NGINX_VERSION, SNIPROXY_VERSION

DEFAULT_MODULES = (
    "charset", "gzip", "ssi", "userid", "access", "auth_basic", "mirror", "autoindex", "geo", "map",
    "split_clients", "referer", "rewrite", "proxy", "fastcgi", "uwsgi", "scgi", "grpc", "memcached",
    "limit_conn", "limit_req", "empty_gif", "browser", "upstream_hash", "upstream_ip_hash",
    "upstream_least_conn", "upstream_random", "upstream_keepalive", "upstream_zone",
    "upstream_sticky",
)  # fmt: skip
"""What nginx has unless it is built `--without-http_…_module`."""

USAGE = """\
Usage: sniproxy [-?hvVtTq] [-p prefix]
                [-e filename] [-c filename] [-g directives] [--trace]
       sniproxy ca [issue NAME...]
       sniproxy names FILE [--host HOST] [--json]
       sniproxy trace -c FILE URL [-H 'NAME: VALUE']... [-X METHOD] [--sni NAME] [--json]
       sniproxy upstreams NAME... | --all | --list [--port PORT] [--certificates DIR]

Options:
  -?,-h         : this help
  -v            : show version and exit
  -V            : show version and configure options then exit
  -t            : test configuration and exit
  -T            : test configuration, dump it and exit
  -q            : suppress non-error messages during configuration testing
  -p prefix     : set prefix path (default: the current folder)
  -e filename   : set error log file (default: stderr)
  -c filename   : set configuration file (default: nginx.conf)
  -g directives : set global directives out of configuration file
  --trace       : show every request's way, as a tree on standard output
"""


def version_text() -> str:
    return f"nginx version: nginx/{NGINX_VERSION} (sniproxy {SNIPROXY_VERSION})\n"


def configure_text() -> str:
    library = SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode()
    there = {row.module for row in ROWS if row.status is Status.WORKS}
    missing = [name for name in DEFAULT_MODULES if f"ngx_http_{name}_module" not in there]
    arguments = ["--with-http_ssl_module"]
    arguments += [f"--without-http_{name}_module" for name in missing]
    return (
        f"built with {library}\n"
        "TLS SNI support enabled\n"
        f"configure arguments: {' '.join(arguments)}\n"
    )
