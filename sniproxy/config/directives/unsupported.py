"""nginx directives that sniproxy does not support: using one is an error.

Lists all directives of nginx 1.31's standard modules that are not declared elsewhere. Once a
directive is implemented it moves to the settings class of its module.
"""

from __future__ import annotations

from collections.abc import Iterator

from .directive import (
    HTTP,
    LIMIT_EXCEPT,
    LOCATION,
    LOCATION_IF,
    MAIN,
    REFUSED,
    SERVER,
    Arity,
    Context,
    Directive,
    Merge,
    Repeat,
    Status,
    at_least,
    between,
    exactly,
)  # fmt: skip
from .slots import ignore

HS = HTTP | SERVER
HSL = HTTP | SERVER | LOCATION

# Module, status, description or reason; then contexts, arity, names (blocks end in `{`).
_Module = tuple[str, Status, str, tuple[tuple[Context, Arity, str], ...]]

_TABLE: tuple[_Module, ...] = (
    ("ngx_openssl_module", Status.REFUSED, "OpenSSL no longer supports engines", (
        (MAIN, exactly(1), "ssl_engine"),
    )),
    ("ngx_http_dav_module", Status.REFUSED, "files are served, never changed", (
        (HSL, at_least(1), "dav_methods"),
        (HSL, exactly(1), "create_full_put_path min_delete_depth"),
        (HSL, between(1, 3), "dav_access"),
    )),
    ("ngx_http_flv_module", Status.REFUSED, "byte ranges work, which players use", (
        (LOCATION, exactly(0), "flv"),
    )),
    ("ngx_http_geoip_module", Status.REFUSED, "its database format is no longer maintained", (
        (HTTP, between(1, 2), "geoip_country geoip_org geoip_city"),
        (HTTP, exactly(1), "geoip_proxy geoip_proxy_recursive"),
    )),
    ("ngx_http_image_filter_module", Status.REFUSED, "images are not processed", (
        (LOCATION, between(1, 3), "image_filter"),
        (HSL, exactly(1),
         "image_filter_jpeg_quality image_filter_webp_quality image_filter_sharpen "
         "image_filter_transparency image_filter_interlace image_filter_buffer"),
    )),
    ("ngx_http_mp4_module", Status.REFUSED, "byte ranges work, which players use", (
        (LOCATION, exactly(0), "mp4"),
        (HSL, exactly(1), "mp4_buffer_size mp4_max_buffer_size mp4_start_key_frame"),
    )),
    ("ngx_http_tunnel_module", Status.REFUSED, "CONNECT is for forward proxies", (
        (SERVER | LOCATION | LOCATION_IF, between(0, 1), "tunnel_pass"),
        (HSL, between(1, 2), "tunnel_bind"),
        (HSL, exactly(1),
         "tunnel_socket_keepalive tunnel_socket_rcvbuf tunnel_socket_sndbuf "
         "tunnel_connect_timeout tunnel_send_timeout tunnel_send_lowat tunnel_buffer_size "
         "tunnel_read_timeout tunnel_next_upstream_tries tunnel_next_upstream_timeout"),
        (HSL, at_least(1), "tunnel_next_upstream"),
    )),
    ("ngx_http_xslt_filter_module", Status.REFUSED, "XML is not transformed", (
        (HSL, exactly(1), "xml_entities xml_external_entities xslt_last_modified"),
        (LOCATION, at_least(1), "xslt_stylesheet"),
        (HSL, exactly(2), "xslt_param xslt_string_param"),
        (HSL, at_least(1), "xslt_types"),
    )),
    ("ngx_http_perl_module", Status.REFUSED, "embedded Perl is not possible", (
        (HTTP, exactly(1), "perl_modules perl_require"),
        (LOCATION | LIMIT_EXCEPT, exactly(1), "perl"),
        (HTTP, exactly(2), "perl_set"),
    )),
    ("ngx_mail_module", Status.REFUSED, "mail protocols are not proxied", (
        (MAIN, exactly(0), "mail{"),
    )),
)  # fmt: skip

# Names that are allowed only inside `mail {}`.
_MAIL_NAMES = (
    "auth_http auth_http_timeout auth_http_header auth_http_pass_client_cert protocol timeout "
    "max_errors imap_client_buffer imap_capabilities imap_auth pop3_capabilities pop3_auth "
    "proxy proxy_buffer proxy_timeout proxy_pass_error_message xclient proxy_smtp_auth "
    "proxy_protocol smtp_client_buffer smtp_greeting_delay smtp_capabilities smtp_auth starttls"
)


def _directives() -> Iterator[Directive]:
    for module, status, doc, entries in _TABLE:
        for contexts, arity, names in entries:
            for name in names.split():
                yield Directive(
                    name.rstrip("{"), contexts, arity, ignore, doc, module,
                    repeat=Repeat.REPLACED, merge=Merge.NOT_INHERITED, status=status,
                    opens_context=REFUSED if name.endswith("{") else None,
                )  # fmt: skip
    for name in _MAIL_NAMES.split():
        yield Directive(
            name,
            REFUSED,
            at_least(0),
            ignore,
            "mail proxies",
            "",
            repeat=Repeat.REPLACED,
            merge=Merge.NOT_INHERITED,
            status=Status.NOT_YET,
        )


DIRECTIVES = tuple(_directives())
