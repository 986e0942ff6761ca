"""sniproxy: nginx's TLS reverse proxy in pure Python, which also says why the handshake failed.

async with sniproxy.serve(config) as proxy: …       # in a trio program
with sniproxy.serve_in_thread(config) as proxy: …   # in any other
config = sniproxy.load("site.toml")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .message import ConfigError
from .version import SNIPROXY_VERSION as __version__

if TYPE_CHECKING:
    from .config import load, parse
    from .inprocess import Proxy, ThreadProxy, serve, serve_in_thread

__all__ = [
    "ConfigError",
    "Proxy",
    "ThreadProxy",
    "__version__",
    "load",
    "parse",
    "serve",
    "serve_in_thread",
]


def __getattr__(name: str) -> object:
    # The parts of the house import this package too: what stands on top of them comes last.
    if name in ("load", "parse"):
        from . import config

        return getattr(config, name)
    if name in __all__:
        from . import inprocess

        return getattr(inprocess, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
