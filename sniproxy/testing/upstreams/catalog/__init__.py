"""The catalog: well-behaved upstreams, and many with one fault each.

Each module holds the upstreams of one stage of a connection; `log_messages.py` has what nginx
logs about them. `ALL` maps names to specs.
"""

from sniproxy.testing.upstreams.catalog import (
    bad_certificates,
    good,
    handshake,
    responses,
    sni,
    tls_settings,
)
from sniproxy.testing.upstreams.catalog.bad_certificates import *  # noqa: F403
from sniproxy.testing.upstreams.catalog.good import *  # noqa: F403
from sniproxy.testing.upstreams.catalog.handshake import *  # noqa: F403
from sniproxy.testing.upstreams.catalog.log_messages import *  # noqa: F403
from sniproxy.testing.upstreams.catalog.responses import *  # noqa: F403
from sniproxy.testing.upstreams.catalog.sni import *  # noqa: F403
from sniproxy.testing.upstreams.catalog.tls_settings import *  # noqa: F403
from sniproxy.testing.upstreams.spec import UpstreamSpec

ALL: dict[str, UpstreamSpec] = {
    value.name: value
    for module in (good, sni, handshake, bad_certificates, tls_settings, responses)
    for value in vars(module).values()
    if isinstance(value, UpstreamSpec)
}
