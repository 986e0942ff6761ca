"""nginx's variables: one row a variable, evaluated on the facts of a request.

A variable reads `Facts` and nothing else; it has no effect and opens nothing. The rows are
grouped by nginx module. `lookup` is what templates are rendered with.
"""

from .registry import definition_error, is_variable, lookup

__all__ = ["definition_error", "is_variable", "lookup"]
