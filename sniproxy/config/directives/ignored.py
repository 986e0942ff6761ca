"""nginx directives that are parsed and checked but have no effect.

They tune nginx's implementation (shared memory, sendfile, hash tables) or enable optional
features (HTTP/3). A directive that influences which response a client gets must not be
listed here; it belongs into `unsupported` until it works. `NOTICEABLE` lists the directives, of
other modules too, whose missing effect can be seen from outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .directive import (
    EVENTS,
    HTTP,
    LOCATION,
    LOCATION_IF,
    MAIN,
    SERVER,
    Args,
    Arity,
    Context,
    Directive,
    Merge,
    Repeat,
    Slot,
    Status,
    between,
    exactly,
)  # fmt: skip
from .slots import (
    buffer_sizes,
    flag,
    number,
    offset,
    one_of,
    or_off,
    size,
    string,
    time,
    whole_time,
    words,
)  # fmt: skip

HS = HTTP | SERVER
HSL = HTTP | SERVER | LOCATION
ONE = exactly(1)


def aio(args: Args) -> str:
    value = args.first
    if value not in ("on", "off") and value != "threads" and not value.startswith("threads="):
        args.fail_directive("invalid value")
    return value


def event_type(args: Args) -> str:
    if args.first not in ("epoll", "poll", "select"):
        args.fail(f'invalid event type "{args.first}"')
    return args.first


_OBSOLETE_HTTP2 = "http2_recv_timeout http2_idle_timeout http2_max_requests http2_max_field_size \
http2_max_header_size http2_max_concurrent_pushes"

# Module, contexts, slot, arity, whether it may be repeated, names.
_Entry = tuple[str, Context, Slot, Arity, Repeat, str]
_ONCE, _AGAIN = Repeat.REFUSED, Repeat.REPLACED

_CORE = "ngx_core_module"
_EVENTS = "ngx_event_core_module"
_HTTP = "ngx_http_core_module"
_PROXY = "ngx_http_proxy_module"
_V2 = "ngx_http_v2_module"
_V3 = "ngx_http_v3_module"

_TABLE: tuple[_Entry, ...] = (
    (_CORE, MAIN, time, ONE, _ONCE, "timer_resolution"),
    (_CORE, MAIN, string, ONE, _ONCE, "lock_file working_directory"),
    (_CORE, MAIN, string, ONE, _AGAIN, "env"),
    (_CORE, MAIN, one_of({"stop": 1, "abort": 2}), ONE, _ONCE, "debug_points"),
    ("ngx_regex_module", MAIN, flag, ONE, _ONCE, "pcre_jit"),
    ("ngx_thread_pool_module", MAIN, words, between(2, 3), _AGAIN, "thread_pool"),
    ("ngx_openssl_cache_module", MAIN, flag, ONE, _ONCE, "ssl_object_cache_inheritable"),
    ("ngx_quic_bpf_module", MAIN, flag, ONE, _ONCE, "quic_bpf"),
    ("ngx_google_perftools_module", MAIN, string, ONE, _ONCE, "google_perftools_profiles"),
    (_EVENTS, EVENTS, event_type, ONE, _ONCE, "use"),
    (_EVENTS, EVENTS, flag, ONE, _ONCE, "multi_accept accept_mutex"),
    (_EVENTS, EVENTS, time, ONE, _ONCE, "accept_mutex_delay"),
    (_EVENTS, EVENTS, string, ONE, _AGAIN, "debug_connection"),
    ("ngx_epoll_module", EVENTS, number, ONE, _ONCE, "epoll_events worker_aio_requests"),
    (_HTTP, HTTP, number, ONE, _ONCE,
     "variables_hash_max_size variables_hash_bucket_size server_names_hash_max_size "
     "server_names_hash_bucket_size"),
    (_HTTP, HS, size, ONE, _ONCE, "connection_pool_size request_pool_size"),
    (_HTTP, HSL, number, ONE, _ONCE,
     "types_hash_max_size types_hash_bucket_size open_file_cache_min_uses"),
    (_HTTP, HSL | LOCATION_IF, flag, ONE, _ONCE, "sendfile"),
    (_HTTP, HSL, flag, ONE, _ONCE,
     "client_body_in_single_buffer aio_write tcp_nopush tcp_nodelay "
     "msie_refresh open_file_cache_errors open_file_cache_events"),
    (_HTTP, HSL, size, ONE, _ONCE,
     "sendfile_max_chunk read_ahead send_lowat postpone_output"),
    (_HTTP, HSL, aio, ONE, _ONCE, "aio"),
    (_HTTP, HSL, or_off(offset), ONE, _ONCE, "directio"),
    (_HTTP, HSL, offset, ONE, _ONCE, "directio_alignment"),
    (_HTTP, HSL, time, ONE, _ONCE,
     "keepalive_min_timeout"),
    (_HTTP, HSL, words, between(1, 2), _ONCE, "open_file_cache"),
    (_HTTP, HSL, whole_time, ONE, _ONCE, "open_file_cache_valid"),
    ("ngx_http_copy_filter_module", HSL, buffer_sizes, exactly(2), _ONCE, "output_buffers"),
    ("ngx_http_log_module", HSL, words, between(1, 4), _ONCE, "open_log_file_cache"),
    (_V2, HTTP, size, ONE, _ONCE, "http2_recv_buffer_size"),
    (_V2, HS, size, ONE, _ONCE, "http2_pool_size"),
    (_V2, HS, number, ONE, _ONCE, "http2_streams_index_size"),
    (_V2, HS, string, ONE, _AGAIN, _OBSOLETE_HTTP2),
    (_V2, HSL, string, ONE, _AGAIN, "http2_push http2_push_preload"),
    (_V3, HS, flag, ONE, _ONCE, "http3 http3_hq quic_retry quic_gso"),
    (_V3, HS, number, ONE, _ONCE, "http3_max_concurrent_streams quic_active_connection_id_limit"),
    (_V3, HS, size, ONE, _ONCE, "http3_stream_buffer_size"),
    (_V3, HS, string, ONE, _ONCE, "quic_host_key"),
    (_PROXY, HSL, number, ONE, _ONCE, "proxy_headers_hash_max_size proxy_headers_hash_bucket_size"),
    (_PROXY, HSL, size, ONE, _ONCE, "proxy_send_lowat"),
)  # fmt: skip


NOTICEABLE: Mapping[str, str] = {
    "debug_connection": "no debug messages are logged",
    "http3": "clients are not offered HTTP/3; a `listen … quic` is warned of",
    "keepalive_min_timeout": "on shutdown, idle connections are closed at once",
    "msie_refresh": "MSIE gets redirects instead of refresh pages",
    "ssl_buffer_size": "TLS records are as large as the data available, up to 16k",
    "ssl_certificate_compression": "certificates are sent uncompressed",
    "ssl_early_data": "early data is not accepted; clients send it again after the handshake",
    "ssl_ech_file": "Encrypted Client Hello is not accepted",
    "ssl_session_ticket_key": "the file is checked, but tickets are encrypted with random keys: "
    "they are not valid after a restart or on another server",
}
"""Visible differences to nginx, by directive: in responses, in requests to upstreams, or in logs.

A directive without effect that is not listed makes no difference.
"""


def _directives() -> Iterator[Directive]:
    doc = "concerns nginx's implementation only"
    for module, contexts, kind, arity, repeat, names in _TABLE:
        for name in names.split():
            yield Directive(
                name,
                contexts,
                arity,
                kind,
                doc,
                module,
                repeat=repeat,
                merge=Merge.NOT_INHERITED,
                status=Status.NO_EFFECT,
            )


DIRECTIVES = tuple(_directives())
