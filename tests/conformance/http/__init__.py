"""HTTP towards clients: servers, locations, phases, files, limits.

Each module with a `TABLE` is played by itself.
"""
