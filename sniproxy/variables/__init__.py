"""nginx's variables: one `Variable` each, evaluated on the state of a request.

Evaluating a variable reads a `RequestContext` and performs no I/O except for looking at files.
Variables are grouped by nginx module. `lookup` returns a function that templates are rendered
with, `getter` a function that evaluates one variable.
"""

from .registry import any_is_set, definition_error, getter, is_variable, lookup

__all__ = ["any_is_set", "definition_error", "getter", "is_variable", "lookup"]
