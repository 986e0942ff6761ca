"""The catalog: well-behaved upstreams, and many with one fault each.

Each module holds the upstreams of one stage of a connection; `log_messages.py` has what nginx
logs about them. `ALL` maps names to specs.
"""

import difflib

from sniproxy.testing.upstreams.catalog import (
    bad_certificates,
    fastcgi,
    good,
    handshake,
    http2_upstreams,
    responses,
    sni,
    tls_settings,
)
from sniproxy.testing.upstreams.catalog.bad_certificates import *  # noqa: F403
from sniproxy.testing.upstreams.catalog.fastcgi import *  # noqa: F403
from sniproxy.testing.upstreams.catalog.good import *  # noqa: F403
from sniproxy.testing.upstreams.catalog.handshake import *  # noqa: F403
from sniproxy.testing.upstreams.catalog.http2_upstreams import *  # noqa: F403
from sniproxy.testing.upstreams.catalog.log_messages import *  # noqa: F403
from sniproxy.testing.upstreams.catalog.responses import *  # noqa: F403
from sniproxy.testing.upstreams.catalog.sni import *  # noqa: F403
from sniproxy.testing.upstreams.catalog.tls_settings import *  # noqa: F403
from sniproxy.testing.upstreams.spec import UpstreamSpec

ALL: dict[str, UpstreamSpec] = {
    value.name: value
    for module in (
        good,
        sni,
        handshake,
        bad_certificates,
        tls_settings,
        responses,
        fastcgi,
        http2_upstreams,
    )
    for value in vars(module).values()
    if isinstance(value, UpstreamSpec)
}


class UnknownUpstreamError(KeyError):
    """There is no upstream called `name`; the text has similar names."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.reason = f'no upstream is called "{name}"'
        if similar := similar_names(name):
            self.reason += f"; similar: {', '.join(similar)}"

    def __str__(self) -> str:
        return f"{self.reason}; see `python -m sniproxy upstreams --list`"


def find_upstream(name: str) -> UpstreamSpec:
    """The upstream of the catalog called `name`; raises `UnknownUpstreamError`."""
    if name not in ALL:
        raise UnknownUpstreamError(name)
    return ALL[name]


def similar_names(name: str) -> list[str]:
    """Names that begin alike, then names that are spelled alike."""
    begins = [known for known in ALL if name and known.startswith(name)]
    close = difflib.get_close_matches(name, ALL, n=5, cutoff=0.6)
    return list(dict.fromkeys(begins + close))[:8]
