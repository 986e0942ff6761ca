"""Write a fix in the form of the program that people run: Caddy, HAProxy, an ingress controller.

A fix is found, and written, as directives of nginx. `Cure` reads them as settings of a connection
to an upstream, `table` has what each setting is in each form, `skeletons` where that stands in a
file, and `write_form` puts them together. Pure, and without imports of the rest of sniproxy.
"""

from __future__ import annotations

from .cure import Cure, parse_directive, read_cure
from .table import FORMS
from .writer import SECURITY_HEADING, FormBlock, form_lines, write_form

__all__ = [
    "FORMS",
    "SECURITY_HEADING",
    "Cure",
    "FormBlock",
    "form_lines",
    "parse_directive",
    "read_cure",
    "write_form",
]
