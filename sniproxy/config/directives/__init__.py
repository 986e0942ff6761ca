"""The one table of directives: a row a directive, grouped by nginx module.

A row says name, contexts, arguments, default, merge rule, status and what it is for. Both
readers, `-T`, the documentation and the model read it here; `table` puts the rows together.
"""
