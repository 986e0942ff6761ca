"""What a line of nginx's error log means: which side it is about, the causes, the cures.

The rule inside: knowledge is data (`causes.toml`), and the code only reads lines. A line that
no sign fits is not explained, and what a line does not say is not guessed. Nothing here
touches a file or a socket, and texts that come from a log are told as they are: who shows
them escapes them (`shown`).
"""

from .catalogue import Cause, Cure, Sign, catalogue
from .explaining import Explanation, explain
from .groups import Group, Groups
from .telling import as_value, shown, told

__all__ = [
    "Cause",
    "Cure",
    "Explanation",
    "Group",
    "Groups",
    "Sign",
    "as_value",
    "catalogue",
    "explain",
    "shown",
    "told",
]
