"""HTTP towards upstreams: groups, kept connections, what goes on and what comes back.

Each module with a `TABLE` is played by itself.
"""
