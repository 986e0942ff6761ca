"""TLS failures provoked without a network, so that any OpenSSL release can tell what it queues.

    python -m tests.tls.error_capture FILES > provoked.json

is run by an interpreter with any pyOpenSSL: so nothing here imports sniproxy or pytest, or
needs more than Python 3.9. The peers are Python's own `ssl`, and raw bytes. What `FILES` has
to hold is in `tests.tls.make_dialects`.
"""
