"""All directives, one `Directive` object each, grouped by nginx module.

A `Directive` has name, contexts, arity, default, merge rule, status and a one-line
description. Both readers, `-T`, the documentation and the model use it; `registry` collects
all of them.
"""
