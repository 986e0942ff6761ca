"""Explain lines of nginx's error log: the side they concern, their causes, and the fixes.

The knowledge is data (`catalog.toml`); the code parses lines and matches them against it. A line
that matches no signature is not explained, and nothing is guessed that a line does not say. The
package is pure. Text from logs is returned unchanged by `explain`, and escaped by `render`.
"""

from .catalog import Cause, Fix, Signature, catalog
from .groups import ErrorGroup, ErrorGroups
from .matcher import Explanation, explain
from .render import render_text, to_dict

__all__ = [
    "Cause",
    "ErrorGroup",
    "ErrorGroups",
    "Explanation",
    "Fix",
    "Signature",
    "catalog",
    "explain",
    "render_text",
    "to_dict",
]
