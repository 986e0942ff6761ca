"""The live page: what goes through the proxy, in a browser (`--live`, `live_page`).

    steps of requests ─► recorder ─► entries ─► ring ─► handler ─► browser
                         (observer)   (data)              (JSON, server-sent events)

The page has a listener and a server of its own (`live_page`), which run beside those of the
configuration. While it is not open, a request only leaves a reference to its context
(`observer.RecentRequests`); the steps are observed while somebody looks. What is recorded is
bounded by number and by size. Secrets are masked in everything that leaves the process, unless a
request with the page's token reveals them.
"""

from .live_page import LivePage

__all__ = ["LivePage"]
