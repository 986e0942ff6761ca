"""What a line of nginx's error log means: which side it is about, the causes, the cures.

The rule inside: knowledge is data (`catalog.toml`), and the code only reads lines. A line that
no sign fits is not explained, and what a line does not say is not guessed. Nothing here
touches a file or a socket, and texts that come from a log are told as they are: who shows
them escapes them (`shown`).
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
