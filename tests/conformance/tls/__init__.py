"""TLS on both sides: names, certificates, sessions, and what the log says of them.

Each module with a `TABLE` is played by itself.
"""
