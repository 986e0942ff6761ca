"""Tools for tests of TLS proxies: certificates, upstreams, a recording client, a DNS server.

Clients and upstreams use the standard library's `ssl` and never the proxy's own TLS engine, so
that a bug in the engine can not hide itself. (`tls/client_hello.py`, which parses the ClientHello,
is shared: it does no I/O and does not use OpenSSL.) They record what they see as plain values, and
do not judge it.
"""
