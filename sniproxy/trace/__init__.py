"""`--trace`: one request's way through the house, as a tree and as data.

    Facts, tries, handshakes ─► gathering ─► Trace ─► telling ─► lines
          (noted by the walk)                (frozen)            (or JSON)

The rule inside: nothing is decided here. What was noted is put together once a request is over,
and the reasons come from the functions that chose (`routing`, `names`), asked a second time.
`watching` alone is called while requests are under way, `asking` alone touches a socket.
"""

from .recorder import Tracer
from .render import as_data, lines
from .steps import Trace

__all__ = ["Trace", "Tracer", "as_data", "lines"]
