"""Requests to upstreams: peer selection, connections, requests and responses (`ngx_http_upstream`).

`request` makes attempts. A failed attempt is a `Failure` with a type, and only `request` decides
whether the next peer is tried or the request ends with a status. `selector`, `balancing`,
`protocol`, `response_headers` and `header_rewrite` are pure.
"""
