"""HTTP towards upstreams: groups, keep-alive, next upstream, request and response headers.

Each module has one `TABLE` of scenarios.
"""
