"""TCP and UDP sessions (`stream {}`): phases, and passing data to an upstream.

Imported if a configuration has a `stream {}`.
"""
