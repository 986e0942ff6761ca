"""From a `Config` to what connections run on: files opened, keys loaded, hosts looked up.

Every `[emerg]` that needs the world ends here, in nginx's words. `build_application` is the way in,
in one step or in the two that `-t` tells apart; what it returns is closed with `Application.close`.
"""

from .application import Application, LoadedConfig, build_application, load

__all__ = ["Application", "LoadedConfig", "build_application", "load"]
