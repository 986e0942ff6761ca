"""Towards the client: one connection, its TLS, its requests one after the other.

The mirror of `upstream/`. `connection` touches the socket; what it reads is judged by `http/`
and what answers is chosen by `routing`. nginx's `ngx_http_request.c`.
"""
