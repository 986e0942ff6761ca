"""Content handlers, access checks and filters.

A content handler takes the context of a request, and returns a `Response`, a built-in page or an
internal redirect (`HandlerResult`). It reads the request body through `base.Client`, and has no
other access to the connection.
"""
