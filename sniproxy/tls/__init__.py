"""TLS on non-blocking sockets, with OpenSSL's errors reported in nginx's words.

Corresponds to nginx's `ngx_event_openssl`: contexts built from directives at start, connections
that perform handshakes, read and write, and one place that translates the error queue to a log
message and level. Only `openssl/` calls the C library; only `stream.py` uses sockets. Failures
are reported as `Failure`. Certificate verification never fails a handshake: its result is
checked afterwards. HTTP, virtual server selection and retries belong elsewhere.
"""
