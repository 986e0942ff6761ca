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
    UPSTREAM,
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
    ("ngx_http_addition_filter_module", Status.NOT_YET, "text added before and after responses", (
        (HSL, exactly(1), "add_before_body add_after_body"),
        (HSL, at_least(1), "addition_types"),
    )),
    ("ngx_http_dav_module", Status.NOT_YET, "WebDAV", (
        (HSL, at_least(1), "dav_methods"),
        (HSL, exactly(1), "create_full_put_path min_delete_depth"),
        (HSL, between(1, 3), "dav_access"),
    )),
    ("ngx_http_fastcgi_module", Status.NOT_YET, "FastCGI upstreams", (
        (LOCATION | LOCATION_IF, exactly(1), "fastcgi_pass"),
        (HSL, exactly(1),
         "fastcgi_index fastcgi_split_path_info fastcgi_store fastcgi_buffering "
         "fastcgi_request_buffering fastcgi_ignore_client_abort fastcgi_socket_keepalive "
         "fastcgi_socket_rcvbuf fastcgi_socket_sndbuf fastcgi_connect_timeout "
         "fastcgi_send_timeout fastcgi_send_lowat fastcgi_buffer_size "
         "fastcgi_pass_request_headers fastcgi_pass_request_body fastcgi_intercept_errors "
         "fastcgi_read_timeout fastcgi_busy_buffers_size fastcgi_force_ranges "
         "fastcgi_limit_rate fastcgi_cache fastcgi_cache_key fastcgi_cache_min_uses "
         "fastcgi_cache_max_range_offset fastcgi_cache_lock fastcgi_cache_lock_timeout "
         "fastcgi_cache_lock_age fastcgi_cache_revalidate fastcgi_cache_background_update "
         "fastcgi_max_temp_file_size fastcgi_temp_file_write_size fastcgi_next_upstream_tries "
         "fastcgi_next_upstream_timeout fastcgi_pass_header fastcgi_hide_header "
         "fastcgi_catch_stderr fastcgi_keep_conn"),
        (HSL, between(1, 3), "fastcgi_store_access"),
        (HSL, between(1, 2), "fastcgi_bind"),
        (HSL, exactly(2), "fastcgi_buffers"),
        (HTTP, at_least(2), "fastcgi_cache_path"),
        (HSL, at_least(1),
         "fastcgi_cache_bypass fastcgi_no_cache fastcgi_cache_valid fastcgi_cache_use_stale "
         "fastcgi_cache_methods fastcgi_next_upstream fastcgi_ignore_headers"),
        (HSL, between(1, 4), "fastcgi_temp_path"),
        (HSL, between(2, 3), "fastcgi_param"),
    )),
    ("ngx_http_flv_module", Status.NOT_YET, "seeking in FLV files", (
        (LOCATION, exactly(0), "flv"),
    )),
    ("ngx_http_geoip_module", Status.REFUSED, "its database format is no longer maintained", (
        (HTTP, between(1, 2), "geoip_country geoip_org geoip_city"),
        (HTTP, exactly(1), "geoip_proxy geoip_proxy_recursive"),
    )),
    ("ngx_http_image_filter_module", Status.NOT_YET, "image processing", (
        (LOCATION, between(1, 3), "image_filter"),
        (HSL, exactly(1),
         "image_filter_jpeg_quality image_filter_webp_quality image_filter_sharpen "
         "image_filter_transparency image_filter_interlace image_filter_buffer"),
    )),
    ("ngx_http_memcached_module", Status.NOT_YET, "memcached upstreams", (
        (LOCATION | LOCATION_IF, exactly(1), "memcached_pass"),
        (HSL, between(1, 2), "memcached_bind"),
        (HSL, exactly(1),
         "memcached_socket_keepalive memcached_connect_timeout memcached_send_timeout "
         "memcached_buffer_size memcached_read_timeout memcached_next_upstream_tries "
         "memcached_next_upstream_timeout memcached_gzip_flag"),
        (HSL, at_least(1), "memcached_next_upstream"),
    )),
    ("ngx_http_mirror_module", Status.NOT_YET, "request mirroring", (
        (HSL, exactly(1), "mirror mirror_request_body"),
    )),
    ("ngx_http_mp4_module", Status.NOT_YET, "seeking in MP4 files", (
        (LOCATION, exactly(0), "mp4"),
        (HSL, exactly(1), "mp4_buffer_size mp4_max_buffer_size mp4_start_key_frame"),
    )),
    ("ngx_http_scgi_module", Status.NOT_YET, "SCGI upstreams", (
        (LOCATION | LOCATION_IF, exactly(1), "scgi_pass"),
        (HSL, exactly(1),
         "scgi_store scgi_buffering scgi_request_buffering scgi_ignore_client_abort "
         "scgi_socket_keepalive scgi_socket_rcvbuf scgi_socket_sndbuf scgi_connect_timeout "
         "scgi_send_timeout scgi_buffer_size scgi_pass_request_headers scgi_pass_request_body "
         "scgi_intercept_errors scgi_read_timeout scgi_busy_buffers_size scgi_force_ranges "
         "scgi_limit_rate scgi_cache scgi_cache_key scgi_cache_min_uses "
         "scgi_cache_max_range_offset scgi_cache_lock scgi_cache_lock_timeout "
         "scgi_cache_lock_age scgi_cache_revalidate scgi_cache_background_update "
         "scgi_max_temp_file_size scgi_temp_file_write_size scgi_next_upstream_tries "
         "scgi_next_upstream_timeout scgi_pass_header scgi_hide_header"),
        (HSL, between(1, 3), "scgi_store_access"),
        (HSL, between(1, 2), "scgi_bind"),
        (HSL, exactly(2), "scgi_buffers"),
        (HTTP, at_least(2), "scgi_cache_path"),
        (HSL, at_least(1),
         "scgi_cache_bypass scgi_no_cache scgi_cache_valid scgi_cache_use_stale "
         "scgi_cache_methods scgi_next_upstream scgi_ignore_headers"),
        (HSL, between(1, 4), "scgi_temp_path"),
        (HSL, between(2, 3), "scgi_param"),
    )),
    ("ngx_http_slice_filter_module", Status.NOT_YET, "sliced responses", (
        (HSL, exactly(1), "slice"),
    )),
    ("ngx_http_ssi_filter_module", Status.NOT_YET, "server side includes", (
        (HSL | LOCATION_IF, exactly(1), "ssi"),
        (HSL, exactly(1),
         "ssi_silent_errors ssi_ignore_recycled_buffers ssi_min_file_chunk ssi_value_length "
         "ssi_last_modified"),
        (HSL, at_least(1), "ssi_types"),
    )),
    ("ngx_http_sub_filter_module", Status.NOT_YET, "text replacement in responses", (
        (HSL, exactly(2), "sub_filter"),
        (HSL, at_least(1), "sub_filter_types"),
        (HSL, exactly(1), "sub_filter_once sub_filter_last_modified"),
    )),
    ("ngx_http_tunnel_module", Status.NOT_YET, "CONNECT", (
        (SERVER | LOCATION | LOCATION_IF, between(0, 1), "tunnel_pass"),
        (HSL, between(1, 2), "tunnel_bind"),
        (HSL, exactly(1),
         "tunnel_socket_keepalive tunnel_socket_rcvbuf tunnel_socket_sndbuf "
         "tunnel_connect_timeout tunnel_send_timeout tunnel_send_lowat tunnel_buffer_size "
         "tunnel_read_timeout tunnel_next_upstream_tries tunnel_next_upstream_timeout"),
        (HSL, at_least(1), "tunnel_next_upstream"),
    )),
    ("ngx_http_upstream_least_time_module", Status.NOT_YET, "load balancing by response time", (
        (UPSTREAM, between(1, 2), "least_time"),
    )),
    ("ngx_http_upstream_sticky_module", Status.NOT_YET, "session affinity", (
        (UPSTREAM, at_least(2), "sticky"),
    )),
    ("ngx_http_uwsgi_module", Status.NOT_YET, "uwsgi upstreams", (
        (LOCATION | LOCATION_IF, exactly(1), "uwsgi_pass"),
        (HSL, exactly(1),
         "uwsgi_modifier1 uwsgi_modifier2 uwsgi_store uwsgi_buffering uwsgi_request_buffering "
         "uwsgi_ignore_client_abort uwsgi_socket_keepalive uwsgi_socket_rcvbuf "
         "uwsgi_socket_sndbuf uwsgi_connect_timeout uwsgi_send_timeout uwsgi_buffer_size "
         "uwsgi_pass_request_headers uwsgi_pass_request_body uwsgi_intercept_errors "
         "uwsgi_read_timeout uwsgi_busy_buffers_size uwsgi_force_ranges uwsgi_limit_rate "
         "uwsgi_cache uwsgi_cache_key uwsgi_cache_min_uses uwsgi_cache_max_range_offset "
         "uwsgi_cache_lock uwsgi_cache_lock_timeout uwsgi_cache_lock_age "
         "uwsgi_cache_revalidate uwsgi_cache_background_update uwsgi_max_temp_file_size "
         "uwsgi_temp_file_write_size uwsgi_next_upstream_tries uwsgi_next_upstream_timeout "
         "uwsgi_string uwsgi_pass_header uwsgi_hide_header uwsgi_ssl_session_reuse "
         "uwsgi_ssl_ciphers uwsgi_ssl_name uwsgi_ssl_server_name uwsgi_ssl_verify "
         "uwsgi_ssl_verify_depth uwsgi_ssl_trusted_certificate uwsgi_ssl_crl "
         "uwsgi_ssl_certificate uwsgi_ssl_certificate_key uwsgi_ssl_password_file"),
        (HSL, between(1, 3), "uwsgi_store_access uwsgi_ssl_certificate_cache"),
        (HSL, between(1, 2), "uwsgi_bind"),
        (HSL, exactly(2), "uwsgi_buffers uwsgi_ssl_conf_command"),
        (HTTP, at_least(2), "uwsgi_cache_path"),
        (HSL, at_least(1),
         "uwsgi_cache_bypass uwsgi_no_cache uwsgi_cache_valid uwsgi_cache_use_stale "
         "uwsgi_cache_methods uwsgi_next_upstream uwsgi_ignore_headers uwsgi_ssl_protocols"),
        (HSL, between(1, 4), "uwsgi_temp_path"),
        (HSL, between(2, 3), "uwsgi_param"),
    )),
    ("ngx_http_xslt_filter_module", Status.NOT_YET, "XSLT transformation", (
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
    ("ngx_http_core_module", Status.NOT_YET, "other core settings", (
        (HSL | LOCATION_IF, exactly(1), "post_action"),
    )),
    ("ngx_mail_module", Status.NOT_YET, "mail proxies", (
        (MAIN, exactly(0), "mail{"),
    )),
    ("ngx_stream_module", Status.NOT_YET, "TCP and UDP proxies", (
        (MAIN, exactly(0), "stream{"),
    )),
)  # fmt: skip

# Names that are allowed only inside `mail {}` and `stream {}`.
_MAIL_AND_STREAM_NAMES = (
    "auth_http auth_http_timeout auth_http_header auth_http_pass_client_cert protocol timeout "
    "max_errors imap_client_buffer imap_capabilities imap_auth pop3_capabilities pop3_auth "
    "proxy proxy_buffer proxy_timeout proxy_pass_error_message xclient proxy_smtp_auth "
    "proxy_protocol smtp_client_buffer smtp_greeting_delay smtp_capabilities smtp_auth "
    "starttls proxy_protocol_timeout preread_buffer_size preread_timeout pass "
    "proxy_downstream_buffer proxy_upstream_buffer proxy_upload_rate proxy_download_rate "
    "proxy_requests proxy_responses proxy_half_close proxy_ssl proxy_ssl_alpn "
    "ssl_handshake_timeout ssl_alpn ssl_preread "
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
    for name in _MAIL_AND_STREAM_NAMES.split():
        yield Directive(
            name,
            REFUSED,
            at_least(0),
            ignore,
            "mail, TCP and UDP proxies",
            "",
            repeat=Repeat.REPLACED,
            merge=Merge.NOT_INHERITED,
            status=Status.NOT_YET,
        )


DIRECTIVES = tuple(_directives())
