"""What would nginx do, and why did it fail: questions about a configuration and its upstreams.

On top of the house, beside `cli` and `testing`: it reads the same table, model and rules that
serve requests, so that an answer here is what the proxy does.

    Question ─► plan ─► Setting ─► probe ─► Attempt ─► plan … ─► verdict ─► directives, patch

Only `probe` connects, with the connector that serves requests; only `configured` writes files.
"""
