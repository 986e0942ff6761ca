"""nginx's variables: one row a variable, evaluated on the facts of a request.

A variable reads `Facts` and nothing else; it has no effect and opens nothing. The rows are
grouped by nginx module. `lookup` is what templates are rendered with.
"""

from .registry import is_variable, lookup

__all__ = ["is_variable", "lookup"]
