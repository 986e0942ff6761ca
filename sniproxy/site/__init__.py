"""From a `Config` to what connections run on: files opened, keys loaded, hosts looked up.

Every `[emerg]` that needs the world ends here, in nginx's words. `build_site` is the one way
in; what it returns is closed with `Site.close`.
"""

from .site import Site, build_site

__all__ = ["Site", "build_site"]
