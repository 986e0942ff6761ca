"""Client connections: TLS, requests one after the other, responses (`ngx_http_request.c`).

The counterpart of `upstream/`. `connection` runs a connection, `http/` parses and formats what
is read and written, and `phases` produces the responses.
"""
