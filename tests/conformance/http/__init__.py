"""HTTP towards clients: servers, locations, phases, files, limits.

Each module has one `TABLE` of scenarios.
"""
