"""Tools for tests of TLS proxies: certificates, upstreams, a recording client, a DNS server.

Clients and upstreams use the standard library's `ssl` and never the proxy's own TLS engine, so
that a bug in the engine can not hide itself. (`tls/client_hello.py`, which parses the ClientHello,
is shared: it does no I/O and does not use OpenSSL.) They record what they see as plain values, and
do not judge it.
"""

# A constant of our own, which type checkers take for that of typing.
TYPE_CHECKING = False

# Only for type checkers: pytest imports this package in every run, for its plugin.
if TYPE_CHECKING:
    from .fixtures import CertificateFiles, DevelopmentCA, ProxyFactory, UpstreamFactory
    from .upstreams import (
        ConnectionRecord,
        RecordedRequest,
        RunningUpstream,
        UnknownUpstreamError,
        UpstreamSpec,
    )

__all__ = [
    "CertificateFiles",
    "ConnectionRecord",
    "DevelopmentCA",
    "ProxyFactory",
    "RecordedRequest",
    "RunningUpstream",
    "UnknownUpstreamError",
    "UpstreamFactory",
    "UpstreamSpec",
]

_IN_FIXTURES = {"CertificateFiles", "DevelopmentCA", "ProxyFactory", "UpstreamFactory"}
"""Names of `fixtures`; the others are in `upstreams`."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    home = "fixtures" if name in _IN_FIXTURES else "upstreams"
    return getattr(importlib.import_module(f".{home}", __name__), name)
