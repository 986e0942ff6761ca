"""Towards the upstream: which peer, one connection to it, one exchange of request and response.

nginx's upstream module. `peers` and `headers` decide and are pure; `connector` and `exchange`
touch the socket. A failed try is a `Failure` with a class, and `exchange` alone decides what
the class means: the next peer, or the end with a status.
"""
