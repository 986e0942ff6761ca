"""nginx's variables: one `Variable` each, evaluated on the state of a request.

Evaluating a variable reads `Facts`; it performs no I/O except for looking at files. Variables
are grouped by nginx module. `lookup` returns what templates are rendered with, `getter` what
evaluates one variable.
"""

from .registry import definition_error, getter, is_variable, lookup

__all__ = ["definition_error", "getter", "is_variable", "lookup"]
