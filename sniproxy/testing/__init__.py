"""What tests of a TLS proxy need: certificates, a zoo of upstreams, a client that records.

The rule inside: everything here plays the proxy's neighbours, so it knows TLS and HTTP only
as far as a neighbour must, by the standard library's `ssl` and never by the proxy's own
engine (that a ClientHello is read by `tls/hello.py`, which is pure, is no exception). What a
neighbour saw is handed out as frozen values; nothing here judges them.
"""
