"""TLS on both sides: names, certificates, sessions, and the messages in the error log.

Each module has one `TABLE` of scenarios.
"""
