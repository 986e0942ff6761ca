"""TLS on a non-blocking socket, with OpenSSL's errors told in nginx's words.

The nginx concept is `ngx_event_openssl`: contexts made from directives at start, connections
that handshake, read and write until the library wants the socket, and one place that turns
the error queue into a log text and a level. The rule inside: `openssl/` alone touches the
C library; `stream.py` alone touches sockets; a failure leaves this room as a `Failure`, and
nothing else does. Verification never fails a handshake: its result is a fact to be asked for
afterwards. What may not live here: HTTP, the choice of a virtual server, retries.
"""
