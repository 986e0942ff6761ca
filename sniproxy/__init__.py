"""sniproxy: nginx's TLS reverse proxy in pure Python, which also explains failed handshakes.

async with sniproxy.serve(config) as proxy: …       # in a trio program
with sniproxy.serve_in_thread(config) as proxy: …   # in any other
config = sniproxy.load("site.toml")
"""

from .version import SNIPROXY_VERSION as __version__  # noqa: N811

# A constant of our own, which type checkers take for typing's: `typing` takes 20 ms to import, in
# which Ctrl-C would end the command with a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from .config import load, parse
    from .embed import Proxy, ThreadProxy, serve, serve_in_thread
    from .models import ConfigError

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


_HOMES = {"ConfigError": "models", "load": "config", "parse": "config"}
"""Modules of public names; all others are in `embed`."""


def __getattr__(name: str) -> object:
    # pytest imports this wherever sniproxy is installed, for the plugin: it must be cheap.
    import importlib

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f".{_HOMES.get(name, 'embed')}", __name__)
    return getattr(home, name)
