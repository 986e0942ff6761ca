"""Name what was found about a `grpc_pass` or `uwsgi_pass` by the directives of its module (pure).

The modules have the same directives of TLS; only the prefix differs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from .directives import SuggestedDirective

_DIRECTIVE = re.compile(r"\bproxy_(?=ssl_|set_header|buffer_size)")
_ONLY_PROXY = frozenset(("proxy_buffers", "proxy_http_version"))
_SCHEMES: Mapping[str, Mapping[str, str]] = {
    "grpc_": {"https": "grpcs", "http": "grpc"},
    "uwsgi_": {"https": "suwsgi", "http": "uwsgi"},
}
"""The schemes of a module, by those of `proxy_pass`."""


def module_text(text: str, prefix: str) -> str:
    """A sentence about `proxy_…` with the names of the module that has `prefix`."""
    return _DIRECTIVE.sub(prefix, text)


def module_url(url: str, prefix: str) -> str:
    """A URL for `proxy_pass` as one for the module's `pass` directive."""
    scheme, separator, rest = url.partition("://")
    return f"{_SCHEMES.get(prefix, {}).get(scheme, scheme)}{separator}{rest}"


def proxy_url(url: str) -> str:
    """A URL of another module as one for `proxy_pass`."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return f"http://{url}"
    names = {own: name for schemes in _SCHEMES.values() for name, own in schemes.items()}
    return f"{names.get(scheme.lower(), scheme)}://{rest}"


def module_directives(
    found: tuple[SuggestedDirective, ...], prefix: str
) -> tuple[SuggestedDirective, ...]:
    """The directives of the module, without those that it lacks."""
    return tuple(
        replace(one, name=module_text(one.name, prefix), reason=module_text(one.reason, prefix))
        for one in found
        if one.name not in _ONLY_PROXY
    )
